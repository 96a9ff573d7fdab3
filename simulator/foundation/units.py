"""Units: text such as ``"50 Mbit/s"`` to SI numbers, and back.

Files carry units, the program carries SI: seconds, bytes, bytes/s, FLOP/s, joules, watts. A bit rate and a byte
rate differ by eight, which is why a bare number is refused where a unit is due (in files; Python callers pass SI
floats). The annotated types (``Seconds``, ``Bytes`` ...) are for pydantic fields; a file's number is told from a
Python caller's by the validation context ``{"units": "written"}``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from simulator.foundation.errors import UnitError, did_you_mean

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40,
}  # fmt: skip
_BITS = {"bit": 0.125, "kbit": 125.0, "Mbit": 125e3, "Gbit": 125e6}


@dataclass(frozen=True)
class Dimension:
    """A kind of quantity: the units it may be written in and the SI symbol it has inside."""

    name: str
    symbol: str
    """SI unit of the number inside."""
    units: dict[str, float]
    """Unit as written → factor to SI."""
    example: str
    positive: bool = False
    """True where zero makes no sense (a rate that divides)."""

    def parse(self, text: object) -> float:
        """Return the SI value of *text*.

        Raises:
            UnitError: without a unit, with one of another dimension, or out of range.
        """
        if isinstance(text, bool) or not isinstance(text, (str, int, float)):
            raise UnitError(f'{text!r} is not a {self.name}; write e.g. "{self.example}"')
        match = _NUMBER.match(str(text))
        if match is None:
            raise UnitError(f'{text!r} is not a {self.name}; write e.g. "{self.example}"')
        number, unit = match.groups()
        if not unit and "" not in self.units:
            raise UnitError(f'{text} has no unit; write e.g. "{self.example}" (known: {self._known()})')
        if unit not in self.units:
            bits = f"{unit[:-3]}bit/s"  # Mbps is bits everywhere else
            known = unit.endswith("bps") and bits in self.units
            hint = f' Did you mean "{bits}"?' if known else did_you_mean(unit, self.units)
            raise UnitError(f'"{unit}" is not a unit of {self.name} in {text!r}.{hint} Known: {self._known()}')
        return self.check(float(number) * self.units[unit], text)

    def check(self, value: float, shown: object) -> float:
        """Return *value* where it is in range, else raise :class:`UnitError` that shows what came."""
        if not math.isfinite(value):
            raise UnitError(f"{shown} is not a finite {self.name}")
        if value < 0 or (self.positive and value == 0):
            bound = "above zero" if self.positive else "zero or more"
            raise UnitError(f"{shown} is out of range: a {self.name} is {bound}")
        return value

    def format(self, value: float) -> str:
        """Write an SI value so that :meth:`parse` gives it back exactly."""
        return f"{value!r} {self.symbol}".rstrip()

    def _known(self) -> str:
        return ", ".join(unit for unit in self.units if unit and unit.isascii())


DURATION = Dimension("duration", "s", _SECONDS, "5 ms")
PERIOD = Dimension("period", "s", _SECONDS, "100 ms", positive=True)
SIZE = Dimension("size", "B", _BYTES | _BITS, "2 GiB")
BANDWIDTH = Dimension(
    "bandwidth", "B/s", {f"{unit}/s": factor for unit, factor in (_BYTES | _BITS).items()}, "75 Mbit/s", positive=True
)
RATE = Dimension("rate", "/s", {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600, "Hz": 1.0}, "4 /s", positive=True)
POWER = Dimension("power", "W", {"mW": 1e-3, "W": 1.0, "kW": 1e3}, "5 W")
COMPUTE = Dimension(
    "compute rate", "FLOP/s",
    {"FLOP/s": 1.0, "MFLOP/s": 1e6, "GFLOP/s": 1e9, "TFLOP/s": 1e12}, "10 GFLOP/s", positive=True,
)  # fmt: skip
SHARE = Dimension("share", "", {"%": 0.01, "": 1.0}, "50 %")
SPEED = Dimension("speed", "m/s", {"m/s": 1.0, "km/h": 1 / 3.6}, "30 km/h", positive=True)
PER_BYTE = Dimension("time per byte", "s/B", {"s/B": 1.0, "ns/B": 1e-9, "us/kB": 1e-9, "ms/MB": 1e-9}, "1.3 ms/MB")


def _field(dimension: Dimension) -> Any:
    def read(value: object, info: ValidationInfo) -> float:
        written = (info.context or {}).get("units") == "written"
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not written:
            return dimension.check(float(value), value)
        try:
            return dimension.parse(value)
        except UnitError as error:
            raise ValueError(str(error)) from None

    schema = {"type": "string", "examples": [dimension.example], "description": f"{dimension.name} with its unit"}
    return BeforeValidator(read), PlainSerializer(dimension.format), WithJsonSchema(schema)


Seconds = Annotated[float, *_field(DURATION)]
"""A duration [s], zero or more."""
Period = Annotated[float, *_field(PERIOD)]
"""A duration above zero [s]."""
Bytes = Annotated[float, *_field(SIZE)]
"""A size [B]."""
BytesPerSecond = Annotated[float, *_field(BANDWIDTH)]
"""A bandwidth above zero [B/s]."""
PerSecond = Annotated[float, *_field(RATE)]
"""A rate above zero [1/s]."""
MetresPerSecond = Annotated[float, *_field(SPEED)]
"""A speed above zero [m/s]."""
SecondsPerByte = Annotated[float, *_field(PER_BYTE)]
"""A cost per byte [s/B]."""
Share = Annotated[float, *_field(SHARE)]
"""A share, zero or more; written as 10 % or 0.1."""
