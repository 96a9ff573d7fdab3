"""What a bandwidth or a load may be in a scenario file: a number with its unit, a recording, or a synthetic trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, create_model

from simulator.foundation.errors import OffingError, TraceError, UnitError
from simulator.foundation.units import BANDWIDTH, SHARE, Period, Seconds
from simulator.profiles.hardware import GRADES, worst
from simulator.profiles.library import shipped
from simulator.profiles.trace import Trace
from simulator.scenario.entry import Entry, Number
from simulator.scenario.inputs import find_file, lookup
from simulator.scenario.reading import ReadingEntry
from simulator.traces.algebra import clip, labelled
from simulator.traces.bootstrap import Bootstrap
from simulator.traces.generator import Generator, find_generator, generator_names
from simulator.traces.reader import as_trace, read_recording
from simulator.traces.recording import Direction, Layer

FileKind = Literal["bandwidth", "cpu"]
"""What a capacity is of, as readers of recordings call it."""


@dataclass(frozen=True)
class Capacity:
    """A trace, and whether each entity that has it starts at an own random place in it, or draws one of its own."""

    trace: Trace
    """The constant or the recording; the mean, where there is a ``generator``."""
    random_offset: bool = False
    """Each entity has a trace of its own: from a random place on, or drawn from the ``generator``."""
    generator: Generator | None = None
    """Each entity draws a trace from it."""
    period: float = math.inf
    """How long that trace is [s]."""
    layer: Layer = "unknown"
    """Of a recording: what it was measured of."""
    direction: Direction = "unknown"
    accept: str | None = None
    """``down-as-up``, ``up-as-down``, ``scale``: what lets it stand for the direction that was not recorded."""

    @cached_property
    def turned(self) -> Trace:
        """The recording where it stands for the other direction: a grade no better than transferred."""
        grade = worst((self.trace.grade, "transferred")) if self.trace.grade in GRADES else "transferred"
        return labelled(self.trace, f"{self.trace.source}, recorded of the other direction", grade)


class TraceEntry(ReadingEntry):
    """A recording: ``{trace: FILE, ...}``."""

    trace: str
    """File, relative to the scenario's, or a name among the shipped traces."""
    unit: str | None = None
    """Of the values, where the file does not say it."""
    step: Period | None = None
    """Time from row to row, where the file does not say it."""
    layer: Layer | None = None
    """What a bandwidth was measured of, instead of what its format says: the ``link`` (headers and slow starts come on
    top), or the ``goodput`` of an application (they are in it)."""
    direction: Literal["down", "up"] | None = None
    """Which direction was recorded, instead of what its format says."""
    accept: Literal["down-as-up", "up-as-down"] | None = None
    """Let a recording of one direction stand for the other; its grade is then transferred."""
    scale: Number = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Factor on every value; written out, it also lets a recording of one direction stand for the other."""
    clip: str | Number | None = None
    """The most that a value may be, with its unit (after ``scale``)."""
    offset: Literal["random"] | Seconds = 0.0
    """Where to start in a wrapping trace; ``random``: each entity elsewhere, from the seed."""
    end: Literal["wrap", "hold", "zero", "error"] | None = None
    otherwise: Capacity | None = None
    """What to use where the file is nowhere (never where it is wrong): ``{generate: 4g}``."""

    def capacity(self, path: Path, kind: FileKind) -> Capacity:
        """Return the recording in the file *path*.

        Raises:
            TraceError: as ``read_recording``, or it cannot be replayed as asked.
            UnitError: a clip without its unit.
        """
        if kind != "bandwidth" and (self.layer or self.accept or self.direction):
            raise TraceError("layer:, direction: and accept: are for bandwidths; a load has none of them")
        recording = read_recording(path, self.request(kind, self.unit, self.step, self.end))
        trace = as_trace(recording, path.name, self.end)
        if self.scale != 1.0:
            trace = trace.scaled(self.scale)
        if self.clip is not None:
            dimension = BANDWIDTH if kind == "bandwidth" else SHARE
            trace = clip(trace, dimension.parse(str(self.clip) if kind == "cpu" else self.clip))
        if self.offset == "random":
            trace.shifted(0.0)  # refuses here what could not start anywhere else
        elif self.offset:
            trace = trace.shifted(self.offset)
        return Capacity(
            trace,
            random_offset=self.offset == "random",
            layer=self.layer or recording.layer,
            direction=self.direction or recording.direction,
            accept="scale" if "scale" in self.model_fields_set else self.accept,
        )


class GenerateEntry(Entry):
    """Synthetic bandwidth or load, drawn anew for each link or node from the seed: ``{generate: 4g}``."""

    generate: str
    """Kind of network, among those shipped (3g, 4g, 5g-walking ..., 4g-markov ..., wifi), or of load (server-day)."""
    scale: Number = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Factor on every value."""
    period: Period | None = Field(default=None, json_schema_extra={"default": "10 min; a load: 1 d"})
    """After this long the trace starts again."""
    layer: Layer | None = None
    """What a bandwidth stands for, instead of what it was fitted to (the shipped ones: ``goodput``)."""

    def capacity(self, kind: FileKind, shelves: Shelves) -> Capacity:
        """Return what each link or node that has it draws its own trace with.

        Raises:
            TraceError: no such generator, or a period or scale that is no use.
        """
        found = self.generator(kind, shelves)
        capacity = _synthetic(found.scaled(self.scale), self.period, kind)
        return replace(capacity, layer=self.layer or found.layer)

    def generator(self, kind: FileKind, shelves: Shelves) -> Generator:
        """Return the shipped generator that is meant.

        Raises:
            TraceError: if there is none, or it is of something else.
        """
        shelf = shelves.shelf or shipped()
        folder, other = ("networks", "loads") if kind == "bandwidth" else ("loads", "networks")
        if self.generate in generator_names(shelf / other) and self.generate not in generator_names(shelf / folder):
            known = ", ".join([*generator_names(shelf / folder), "bootstrap"])
            here = "a bandwidth" if kind == "bandwidth" else "a load"
            raise TraceError(f'generate: "{self.generate}" is not {here}, which is wanted here; known: {known}')
        return find_generator(self.generate, shelf / folder)


class _BootstrapEntry(GenerateEntry, ReadingEntry):
    """Synthetic bandwidth or load put together from blocks of your recording: ``{generate: bootstrap, from: FILE}``."""

    generate: Literal["bootstrap"]
    """The one word."""
    unit: str | None = None
    """Of the values, where the file does not say it."""
    accept: Literal["down-as-up", "up-as-down"] | None = None
    """Let a recording of one direction stand for the other, as beside ``trace``."""
    block: Period = Field(default=30.0, json_schema_extra={"default": "30 s"})
    """Mean length of what is played at a stretch."""

    def capacity(self, kind: FileKind, shelves: Shelves) -> Capacity:
        """Return what each link or node that has it draws its own trace with; of a direction, as the recording is.

        Raises:
            TraceError: as :meth:`generator`, or a period or scale that is no use.
        """
        found = super().capacity(kind, shelves)
        assert found.generator is not None  # it was made from one
        accept = "scale" if "scale" in self.model_fields_set else self.accept
        return replace(found, direction=found.generator.direction, accept=accept)

    def generator(self, kind: FileKind, shelves: Shelves) -> Generator:
        """Return the generator that takes blocks from the recordings.

        Raises:
            TraceError: a file that is not there or cannot be read, or a block shorter than its segments.
        """
        file = find_file(getattr(self, "from"), shelves.folder, shelves.shelf)
        recording = read_recording(file, self.request(kind, self.unit))
        trace = as_trace(recording, file.name)
        made = Bootstrap.of([trace], self.block, kind="bandwidth" if kind == "bandwidth" else "load")
        found = made.as_recorded([recording])
        if self.block < found.step:
            raise TraceError(
                f"block: {self.block:g} s came, but a segment of {found.name} lasts {found.step:.3g} s (mean); "
                "write several segments, e.g. block: 1 h"
            )
        return found


_FILE = Field(description="File, relative to the scenario's, or a name among the shipped traces.")
_FROM: dict[str, Any] = {"from": (str, _FILE)}
BootstrapEntry = create_model("BootstrapEntry", __base__=_BootstrapEntry, __doc__=_BootstrapEntry.__doc__, **_FROM)
"""``from`` is no name in Python, but the right word in the file."""


@dataclass(frozen=True)
class Shelves:
    """Where the files that a scenario names are looked for."""

    folder: Path
    shelf: Path | None


PERIODS = {"bandwidth": 600.0, "cpu": 86_400.0}
"""Of a generated trace, unless said [s]."""
MOST_STEPS = 86_400
"""In a generated trace."""


def _synthetic(found: Generator, wanted: float | None, kind: FileKind) -> Capacity:
    step = max(1.0, found.step)
    period = PERIODS[kind] if wanted is None else wanted
    if not step <= period <= MOST_STEPS * step:
        raise TraceError(
            f"period: {period:g} s came; a generated trace of it lasts from {step:g} s to {MOST_STEPS * step:g} s"
        )
    if isinstance(found, Bootstrap) and found.longest_outage >= period:
        raise TraceError(
            f"period: {period:g} s came, but {found.name} has an outage of {found.longest_outage:.4g} s, which is "
            "played whole; make the period several times as long"
        )
    if kind == "cpu" and found.peak > 1:
        raise TraceError(
            f"scale: the load of {found.name} would reach {found.peak:.0%}; it must stay at or below 100 %"
        )
    mean = Trace.of(found.mean, found.evidence, found.grade)
    return Capacity(mean, random_offset=True, generator=found, period=period)


def capacity_entry(value: Any) -> type[TraceEntry] | type[GenerateEntry]:
    """Return what a capacity that is written as a mapping is."""
    if not (isinstance(value, Mapping) and "generate" in value):
        return TraceEntry
    return BootstrapEntry if value["generate"] == "bootstrap" else GenerateEntry


def _capacity(kind: FileKind) -> Any:
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
            hint += f", a synthetic trace {{generate: {'4g' if kind == 'bandwidth' else 'server-day'}}}" if hint else ""
            raise ValueError(f"{error}{hint}") from None
        if kind == "cpu" and number > 1:
            raise ValueError(f"{value} is out of range: a load is a share between 0 and 100 %")
        return Capacity(Trace.of(number))

    example: dict[str, Any] = {"type": "string", "examples": [dimension.example]}
    if kind == "cpu":
        example = {"type": ["string", "number"], "examples": [dimension.example]}
    recording = {"type": "object", "required": ["trace"], "properties": {"trace": {"type": "string"}}}
    forms = [example, recording, GenerateEntry.model_json_schema(), BootstrapEntry.model_json_schema()]
    return BeforeValidator(read), WithJsonSchema({"anyOf": forms})


def _read_capacity(value: Mapping[Any, Any], kind: FileKind, info: ValidationInfo) -> Capacity:
    context = info.context or {}
    form = capacity_entry(value)
    if issubclass(form, GenerateEntry):
        synthetic = form.model_validate(dict(value), context=context)
        try:
            return synthetic.capacity(kind, Shelves(context.get("folder", Path()), context.get("shelf")))
        except OffingError as error:
            raise ValueError(str(error)) from None
    written = dict(value)
    if "otherwise" in written:
        fallback = _Bandwidth if kind == "bandwidth" else _Load
        written["otherwise"] = fallback.model_validate({"otherwise": written["otherwise"]}, context=context).otherwise
    entry = TraceEntry.model_validate(written, context=context)
    try:
        places = context.get("folder", Path()), context.get("shelf")
        if entry.otherwise is not None and lookup(entry.trace, *places)[1] is None:
            return entry.otherwise
        path = find_file(entry.trace, *places)
        return entry.capacity(path, kind)
    except OffingError as error:
        raise ValueError(str(error)) from None


class _Bandwidth(Entry):
    """What a bandwidth is where its recording is nowhere."""

    otherwise: Annotated[Capacity, *_capacity("bandwidth")]


class _Load(Entry):
    """What a load is where its recording is nowhere."""

    otherwise: Annotated[Capacity, *_capacity("cpu")]


BandwidthField = Annotated[Capacity, *_capacity("bandwidth")]
LoadField = Annotated[Capacity, *_capacity("cpu")]
