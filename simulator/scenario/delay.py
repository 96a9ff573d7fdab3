"""What the propagation delay of a link may be in a scenario file: a duration, or a recording of latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from simulator.foundation.errors import OffingError, TraceError, UnitError
from simulator.foundation.units import DURATION, Seconds
from simulator.profiles.trace import End, Trace
from simulator.scenario.entry import Number
from simulator.scenario.inputs import find_file
from simulator.scenario.reading import ReadingEntry
from simulator.traces.reader import as_trace, read_recording


class DelayEntry(ReadingEntry):
    """A recording of latencies: ``{trace: FILE, ...}``; a message takes what holds when it is handed over."""

    trace: str
    """File, relative to the scenario's, or a name among the shipped traces."""
    of: Literal["one-way", "round-trip"] | None = None
    """What was measured, where the file does not say it (one-way where neither does); a round trip is halved."""
    unit: str | None = None
    """Of the values, where the file does not say it."""
    scale: Number = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Factor on every value."""
    offset: Literal["random"] | Seconds = 0.0
    """Where to start in a wrapping trace; ``random``: each link elsewhere, from the seed."""
    end: Literal["wrap", "hold", "error"] | None = None

    def delay(self, folder: Path, shelf: Path | None) -> Delay:
        """Return what it says.

        Raises:
            TraceError: as ``read_recording``, or file and entry differ about what was measured.
        """
        path = find_file(self.trace, folder, shelf)
        recording = read_recording(path, self.request("latency", self.unit, end=self.end))
        if recording.round_trip and self.of == "one-way":
            raise TraceError(f"{path.name} is of round trips; leave out of: one-way (half of them is taken each way)")
        end: End | None = self.end or recording.end
        if end == "zero":
            raise TraceError(f'{path.name}: a latency has no end: zero; add "end: wrap" or "end: hold"')
        trace = as_trace(recording, path.name, end)
        if recording.round_trip or self.of == "round-trip":
            half = trace.scaled(0.5)
            # An even split of the round trip is our word, not the recording's.
            source = f"{trace.source}, half of each round trip"
            trace = Trace(half.starts, half.values, half.duration, half.end, source, "transferred")
        if self.scale != 1.0:
            trace = trace.scaled(self.scale)
        if self.offset == "random":
            trace.shifted(0.0)  # refuses here what could not start anywhere else
            return Delay(trace.mean(), trace, random_offset=True)
        trace = trace.shifted(self.offset) if self.offset else trace
        return Delay(trace.mean(), trace)


@dataclass(frozen=True)
class Delay:
    """A propagation delay, one way."""

    mean: float
    """[s]."""
    trace: Trace | None = None
    """Over time [s]; None for a constant."""
    random_offset: bool = False
    """Each link starts elsewhere in it."""


def read_delay(value: object, info: ValidationInfo) -> Delay:
    """Return what is written as a delay."""
    context = info.context or {}
    if isinstance(value, Delay):
        return value
    if isinstance(value, Mapping):
        entry = DelayEntry.model_validate(dict(value), context=context)
        try:
            return entry.delay(context.get("folder", Path()), context.get("shelf"))
        except OffingError as error:
            raise ValueError(str(error)) from None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and context.get("units") != "written":
        return Delay(DURATION.check(float(value), value))
    try:
        return Delay(DURATION.parse(value))
    except UnitError as error:
        written = isinstance(value, str) and value.lstrip("+-.")[:1].isdigit()
        hint = "; a recording is written {trace: FILE}" if isinstance(value, str) and not written else ""
        raise ValueError(f"{error}{hint}") from None


_FORMS: list[dict[str, Any]] = [
    {"type": "string", "examples": [DURATION.example], "description": "duration with its unit"},
    {"type": "object", "required": ["trace"], "properties": {"trace": {"type": "string"}}},
]
DelayField = Annotated[Delay, BeforeValidator(read_delay), WithJsonSchema({"anyOf": _FORMS})]
