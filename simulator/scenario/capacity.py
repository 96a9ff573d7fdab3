"""What a bandwidth or a load may be in a scenario file: a number with its unit, a recording, or a synthetic trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from simulator.foundation.errors import OffingError, TraceError, UnitError, did_you_mean
from simulator.foundation.units import BANDWIDTH, SHARE, Period, Seconds
from simulator.profiles.library import shipped
from simulator.profiles.trace import Trace
from simulator.scenario.entry import Entry, Number
from simulator.traces.generator import Generator, find_generator
from simulator.traces.reader import Request, read_trace


@dataclass(frozen=True)
class Capacity:
    """A trace, and whether each entity that has it starts at an own random place in it, or draws one of its own."""

    trace: Trace
    """The constant or the recording; the mean, where there is a ``generator``."""
    random_offset: bool = False
    generator: Generator | None = None
    """Each entity draws a trace from it."""
    period: float = math.inf
    """How long that trace is [s]."""


class TraceEntry(Entry):
    """A recording: ``{trace: FILE, ...}``."""

    trace: str
    """File, relative to the scenario's, or a name among the shipped traces."""
    format: str | None = None
    unit: str | None = None
    scale: Number = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Factor on every value."""
    offset: Literal["random"] | Seconds = 0.0
    """Where to start in a wrapping trace; ``random``: each entity elsewhere, from the seed."""
    end: Literal["wrap", "hold", "zero"] | None = None


class GenerateEntry(Entry):
    """Synthetic bandwidth, drawn anew for each link from the seed: ``{generate: 4g}``."""

    generate: str
    """Kind of network, among those shipped: 3g, 4g, 5g-walking, 5g-driving, wifi."""
    scale: Number = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Factor on every value."""
    period: Period = Field(default=600.0, json_schema_extra={"default": "10 min"})
    """After this long the trace starts again."""

    def capacity(self, shelf: Path | None) -> Capacity:
        """Return what each link that has it draws its own trace with.

        Raises:
            TraceError: no such generator, or a period that is no use.
        """
        if not 1.0 <= self.period <= LONGEST_PERIOD:
            raise TraceError(
                f"period: {self.period:g} s came; a generated trace lasts from 1 s to {LONGEST_PERIOD:g} s"
            )
        found = find_generator(self.generate, (shelf or shipped()) / "networks").scaled(self.scale)
        return Capacity(Trace.of(found.mean, found.evidence, found.grade), generator=found, period=self.period)


LONGEST_PERIOD = 86_400.0
"""Of a generated trace [s]."""


def capacity_entry(value: Any) -> type[TraceEntry] | type[GenerateEntry]:
    """Return what a capacity that is written as a mapping is."""
    return GenerateEntry if isinstance(value, Mapping) and "generate" in value else TraceEntry


def _capacity(kind: Literal["bandwidth", "cpu"]) -> Any:
    dimension = BANDWIDTH if kind == "bandwidth" else SHARE

    def read(value: object, info: ValidationInfo) -> Capacity:
        if isinstance(value, Capacity):
            return value
        if isinstance(value, Trace):
            return Capacity(value)
        if isinstance(value, Mapping):
            return _read_capacity(value, kind, info)
        if kind == "cpu" and isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)  # a share needs no unit
        try:
            number = dimension.parse(value)
        except UnitError as error:
            written = isinstance(value, str) and value.lstrip("+-.")[:1].isdigit()
            hint = "" if written else "; a recording is written {trace: FILE}"
            hint += ", a synthetic trace {generate: 4g}" if hint and kind == "bandwidth" else ""
            raise ValueError(f"{error}{hint}") from None
        if kind == "cpu" and number > 1:
            raise ValueError(f"{value} is out of range: a load is a share between 0 and 100 %")
        return Capacity(Trace.of(number))

    example: dict[str, Any] = {"type": "string", "examples": [dimension.example]}
    if kind == "cpu":
        example = {"type": ["string", "number"], "examples": [dimension.example]}
    recording = {"type": "object", "required": ["trace"], "properties": {"trace": {"type": "string"}}}
    forms = [example, recording]
    if kind == "bandwidth":
        forms.append(GenerateEntry.model_json_schema())
    return BeforeValidator(read), WithJsonSchema({"anyOf": forms})


def _read_capacity(value: Mapping[Any, Any], kind: Literal["bandwidth", "cpu"], info: ValidationInfo) -> Capacity:
    context = info.context or {}
    if capacity_entry(value) is GenerateEntry:
        synthetic = GenerateEntry.model_validate(dict(value), context=context)
        if kind == "cpu":
            raise ValueError("generate: makes bandwidths; a load is a share such as 30 %, or {trace: FILE}")
        try:
            return synthetic.capacity(context.get("shelf"))
        except OffingError as error:
            raise ValueError(str(error)) from None
    entry = TraceEntry.model_validate(dict(value), context=context)
    try:
        path = find_file(entry.trace, context.get("folder", Path()), context.get("shelf"), "traces")
        trace = read_trace(path, Request(kind, entry.format, entry.unit, entry.end))
        if entry.scale != 1.0:
            trace = trace.scaled(entry.scale)
        if entry.offset == "random":
            trace.shifted(0.0)  # refuses here what could not start anywhere else
            return Capacity(trace, random_offset=True)
        return Capacity(trace.shifted(entry.offset) if entry.offset else trace)
    except OffingError as error:
        raise ValueError(str(error)) from None


def find_file(name: str, folder: Path, shelf: Path | None, kind: str) -> Path:
    """Return the file *name* beside the scenario, else among the shipped *kind* (traces, ...).

    Raises:
        TraceError: if there is none, with the nearest name.
    """
    shelves = [folder] if shelf is None else [folder, shelf / kind, shelf]
    for place in shelves:
        if (place / name).is_file():
            return place / name
    shipped = [] if shelf is None else sorted(path.name for path in (shelf / kind).glob("*") if path.is_file())
    beside = [path.name for path in (folder / name).parent.glob("*") if path.is_file()]
    near = did_you_mean(
        Path(name).name, [*shipped, *(file for file in beside if Path(file).suffix == Path(name).suffix)]
    )
    came = (
        "is a folder, not a file"
        if (folder / name).is_dir()
        else "is neither beside the scenario nor among the shipped"
    )
    raise TraceError(f'"{name}" {came} ({", ".join(shipped)}).{near}')


BandwidthField = Annotated[Capacity, *_capacity("bandwidth")]
LoadField = Annotated[Capacity, *_capacity("cpu")]
