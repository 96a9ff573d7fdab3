"""Hardware: what a machine is, as numbers that each say where they come from.

A machine has either measured layer times (profiles taken on it) or rates per operator class, with which the times of
a model measured elsewhere are predicted::

    seconds(layer) = launch + flops / compute[operator] + (in + out + parameter bytes) / memory[operator]

One speed factor per device is wrong (rank correlation between devices 0.4 to 0.97, depthwise layers run at a tenth of
dense convolution's rate on a Pi), so an operator class without a rate is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from simulator.foundation.errors import ProfileError, UnitError
from simulator.foundation.units import BANDWIDTH, COMPUTE, DURATION, PER_BYTE, POWER, SIZE, Dimension

GRADES = ("measured", "transferred", "published", "guessed")
"""Evidence grades, best first: measured on this hardware, carried over from others, as published, guessed."""


def worst(grades: Iterable[str]) -> str:
    """Return the weakest of *grades*: what a result may claim whose inputs have these."""
    return max(map(str, grades), key=GRADES.index, default=GRADES[0])


@dataclass(frozen=True)
class Fact:
    """A number with its evidence."""

    value: float
    """In SI."""
    grade: str
    source: str


@dataclass(frozen=True)
class Software:
    """What a message costs the processor at one end: serialise, copy, system call."""

    message: float = 0.0
    """Per message [s]."""
    byte: float = 0.0
    """Per byte [s/B]."""

    def seconds(self, size: float) -> float:
        """Return the cost of a message of *size* bytes [s]."""
        return self.message + self.byte * size


@dataclass(frozen=True)
class OperatorRate:
    """How fast one class of operators runs; a missing rate means the term is not there."""

    compute: float | None = None
    """[FLOP/s]."""
    memory: float | None = None
    """[B/s]."""
    grade: str | None = None
    """Where it differs from that of the other classes."""
    source: str = ""


@dataclass(frozen=True)
class Rates:
    """The fitted speed of a machine that was not profiled."""

    launch: float
    """Per layer [s]."""
    operators: Mapping[str, OperatorRate]
    grade: str
    source: str

    def seconds(self, operator: str, flops: float, moved: float, where: str) -> float:
        """Return the time of one layer [s].

        Args:
            operator: operator class of the layer.
            flops: floating-point operations (1 MAC = 2 FLOP).
            moved: bytes read and written: inputs, outputs, parameters.
            where: "layer of model on hardware", for the error.

        Raises:
            ProfileError: if this machine has no rate for the class.
        """
        if operator in ("input", "reshape"):
            return 0.0
        rate = self.operators.get(operator)
        if rate is None:
            known = ", ".join(sorted(self.operators))
            raise ProfileError(f'{where}: no rate for operator class "{operator}" (known here: {known})')
        seconds = self.launch
        if rate.compute is not None:
            seconds += flops / rate.compute
        if rate.memory is not None:
            seconds += moved / rate.memory
        return seconds

    def grade_of(self, operators: Iterable[str]) -> str:
        """Return the weakest grade among the rates of *operators*."""
        rates = (self.operators[name] for name in set(operators) if name in self.operators)
        return worst([rate.grade or self.grade for rate in rates] or [self.grade])


@dataclass(frozen=True)
class Hardware:
    """One kind of machine."""

    name: str
    title: str
    memory: Fact
    """[B]."""
    idle: Fact
    """Power at rest [W]."""
    busy: Fact
    """Power with all its slots at work [W]."""
    transmit: Fact
    """Power added while sending [W]."""
    receive: Fact
    """Power added while receiving [W]."""
    cold: Fact
    """Added at most to the first job after ``rest`` [s]."""
    rest: Fact
    """How long a machine must rest to be cold [s]."""
    message: Fact
    """Software cost per message and end [s]."""
    byte: Fact
    """Software cost per byte and end [s/B]."""
    wake: Fact | None = None
    """What a job of no length costs more after a rest [s]. With it a cold job takes ``min(cold, wake + its own time)``
    more, since what it touches has to be fetched anew; without it (nobody measured) any job takes ``cold`` more."""
    rates: Rates | None = None
    source: str = field(default="", compare=False)
    """File it was read from."""

    @property
    def software(self) -> Software:
        """Cost of a message at this machine."""
        return Software(self.message.value, self.byte.value)

    def facts(self) -> dict[str, Fact]:
        """Return every number but the rates with its evidence, by name."""
        return {name: fact for name in _FACTS if (fact := getattr(self, name)) is not None}

    def cold_start(self, seconds: float) -> float:
        """Return what a job of *seconds* takes longer on a machine that has rested [s]."""
        return self.cold.value if self.wake is None else min(self.cold.value, self.wake.value + seconds)

    def numbers(self) -> dict[str, tuple[Fact, Dimension]]:
        """Return every number with its evidence and what it measures, by its place in the file."""
        found = {".".join(_FACTS[name][0]): (fact, _FACTS[name][1]) for name, fact in self.facts().items()}
        if self.rates is None:
            return found
        found["rates.launch"] = (Fact(self.rates.launch, self.rates.grade, self.rates.source), DURATION)
        for name, rate in self.rates.operators.items():
            grade, source = rate.grade or self.rates.grade, rate.source or self.rates.source
            for kind, value, dimension in (("compute", rate.compute, COMPUTE), ("memory", rate.memory, BANDWIDTH)):
                if value is not None:
                    found[f"rates.operators.{name}.{kind}"] = (Fact(value, grade, source), dimension)
        return found


_FACTS: dict[str, tuple[tuple[str, ...], Dimension]] = {
    "memory": (("memory",), SIZE),
    "idle": (("power", "idle"), POWER),
    "busy": (("power", "busy"), POWER),
    "transmit": (("radio", "transmit"), POWER),
    "receive": (("radio", "receive"), POWER),
    "cold": (("cold", "cost"), DURATION),
    "wake": (("cold", "wake"), DURATION),
    "rest": (("cold", "after"), DURATION),
    "message": (("software", "message"), DURATION),
    "byte": (("software", "byte"), PER_BYTE),
}


def read_hardware(path: Path) -> Hardware:
    """Read a hardware file.

    Raises:
        ProfileError: if a number, its unit, its grade or its source is missing or wrong.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProfileError(f"{path}: cannot be read: {error}") from None
    if not isinstance(data, dict) or "name" not in data:
        raise ProfileError(f"{path}: a hardware file is a mapping with a name; see an example with: offing hardware")
    wakes = isinstance(data.get("cold"), Mapping) and "wake" in data["cold"]
    facts = {
        name: _fact(path, data, keys, dimension)
        for name, (keys, dimension) in _FACTS.items()
        if name != "wake" or wakes  # the one that a machine may lack
    }
    rates = _rates(path, data["rates"]) if data.get("rates") else None
    return Hardware(name=str(data["name"]), title=str(data.get("title", "")), rates=rates, source=str(path), **facts)


def _fact(path: Path, data: Mapping[str, Any], keys: tuple[str, ...], dimension: Dimension) -> Fact:
    where = ".".join(keys)
    entry: Any = data
    for key in keys:
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not {"value", "grade", "source"} <= set(entry):
        raise ProfileError(f'{path}: {where} needs {{value: "{dimension.example}", grade: ..., source: ...}}')
    if entry["grade"] not in GRADES:
        raise ProfileError(f"{path}: {where}.grade: {entry['grade']!r} is none of {', '.join(GRADES)}")
    return Fact(_quantity(path, where, entry["value"], dimension), str(entry["grade"]), str(entry["source"]))


def _quantity(path: Path, where: str, value: object, dimension: Dimension) -> float:
    try:
        return dimension.parse(value)
    except UnitError as error:
        raise ProfileError(f"{path}: {where}: {error}") from None


def _operator_rate(path: Path, where: str, rate: Mapping[str, Any]) -> OperatorRate:
    """Read the rates of one class, and its own grade and source where it has them: both or neither."""
    own = {"grade", "source"} & set(rate)
    if own and (len(own) == 1 or rate["grade"] not in GRADES):
        raise ProfileError(f"{path}: {where} needs a source and a grade, one of {', '.join(GRADES)}, or neither")
    compute, memory = (
        None if rate.get(kind) is None else _quantity(path, f"{where}.{kind}", rate[kind], dimension)
        for kind, dimension in (("compute", COMPUTE), ("memory", BANDWIDTH))
    )
    return OperatorRate(compute, memory, str(rate["grade"]) if own else None, str(rate["source"]) if own else "")


def _rates(path: Path, data: Mapping[str, Any]) -> Rates:
    try:
        operators = {
            str(name): _operator_rate(path, f"rates.operators.{name}", rate) for name, rate in data["operators"].items()
        }
        launch = _quantity(path, "rates.launch", data["launch"], DURATION)
        if data["grade"] not in GRADES:
            raise ProfileError(f"{path}: rates.grade: {data['grade']!r} is none of {', '.join(GRADES)}")
        return Rates(launch, operators, str(data["grade"]), str(data["source"]))
    except KeyError as error:
        raise ProfileError(f"{path}: rates need grade, source, launch and operators; missing {error}") from None
    except (AttributeError, TypeError):
        raise ProfileError(f"{path}: rates.operators: write each as conv: {{compute: 10 GFLOP/s}}") from None
