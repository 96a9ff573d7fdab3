"""``arrivals: {kind: replay, trace: FILE}``: requests as recorded, at instants or so many in each second."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from simulator.foundation.errors import TraceError
from simulator.foundation.units import Period, Seconds
from simulator.scenario.entry import Number
from simulator.scenario.reading import ReadingEntry
from simulator.traces.format import format_names
from simulator.traces.reader import read_arrivals
from simulator.workloads.replay import Counts, Replay


class ReplayEntry(ReadingEntry):
    """Requests at recorded times, or so many in each second as were recorded (placed at random within it).

    Each device replays the whole recording; ``scale`` shares it among several.
    """

    kind: Literal["replay"]
    trace: str
    """File of instants or of requests per second, relative to the scenario's, or a name among the shipped traces."""
    format: Literal[tuple(format_names())] | None = None  # type: ignore[valid-type]
    unit: str | None = None
    """Of a rate, where the file does not say it."""
    step: Period | None = None
    """Time from row to row, where the file does not say it."""
    scale: Number = Field(default=1.0, gt=0, le=1e6, allow_inf_nan=False)
    """Mean number of requests for each recorded one: 0.1 leaves out nine in ten, at random, from the seed."""
    offset: Literal["random"] | Seconds = 0.0
    """Where in the recording the run begins; ``random``: each device elsewhere, from the seed (with ``end: wrap``)."""
    end: Literal["zero", "wrap"] = "zero"
    """After the recording nobody asks (``zero``), or it begins again (``wrap``)."""

    @model_validator(mode="after")
    def _wraps(self) -> ReplayEntry:
        if self.offset == "random" and self.end != "wrap":
            raise ValueError("offset: random starts anywhere in the recording, which then has to go on: end: wrap")
        return self

    def arrivals(self, path: Path) -> Replay | Counts:
        """Return the arrivals recorded in the file *path*.

        Raises:
            TraceError: as ``read_arrivals``; or it cannot begin where asked, or begin again.
        """
        found = read_arrivals(path, self.request(None, self.unit, self.step))
        wraps = self.end == "wrap"
        if isinstance(self.offset, float) and self.offset and self.offset >= found.duration:
            raise TraceError(f"{path.name}: offset: {self.offset:g} s is not before its end at {found.duration:g} s")
        if found.kind == "rate":
            if math.isinf(found.duration):
                raise TraceError(
                    f'{path.name}: how long does its last rate hold? Add "duration_s: ..." to its first line'
                )
            starts, rates = found.columns["start_s"], found.columns["value"]
            return Counts(starts, rates, found.duration, self.scale, self.offset, wraps)
        instants = found.columns["t_s"]
        period = math.inf
        if wraps:
            if len(instants) < 2 or instants[-1] <= instants[0]:
                raise TraceError(
                    f"{path.name}: end: wrap needs two instants, to know how long after the last it begins"
                )
            period = float(instants[-1] + (instants[-1] - instants[0]) / (len(instants) - 1))
        return Replay(instants, self.scale, self.offset, period)
