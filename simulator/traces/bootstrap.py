"""The ``bootstrap`` form of a generator: a recording, cut into blocks that are put together anew.

The stationary bootstrap (Politis and Romano, Journal of the American Statistical Association 89(428), 1994): play the
recording from a random place on; after each of its segments leave for another random place, so that what is played at
a stretch has an exponential length of mean ``block``. Up to the block the recording's own memory is kept, beyond it
all is forgotten. Segments last as long as recorded; nothing is resampled. Two things differ from the textbook:

- segments are not equally long, so one of *d* seconds is left with probability ``1 - exp(-d / block)``;
- an outage (all zeros in a row) is played whole or not at all, and never left before its end. Else two would be
  glued together, or one cut short, and outages decide what slow transfers take.

A block begins behind a segment that could have been left, as likely as that one is left; thereby each segment is
played equally often in the long run, so that mean, distribution, share of outages and their lengths are the
recording's own. A recording that ends in an outage is turned (it wraps) until it begins with it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.profiles.trace import Trace
from simulator.traces.recording import Array, Direction, Layer, Recording
from simulator.traces.written import Kind


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Recordings of which any number of traces can be put together."""

    name: str
    lengths: Array = field(repr=False)
    """Of every segment of all recordings, outages in one piece [s]; shape (segments,)."""
    values: Array = field(repr=False)
    """Their values [B/s or share]; shape (segments,)."""
    ends: Array = field(repr=False)
    """Whether each is the last of its recording; shape (segments,)."""
    block: float
    """Mean length of what is played at a stretch [s]."""
    kind: Kind = "bandwidth"
    grade: str = "transferred"
    direction: Direction = "unknown"
    """Which direction was recorded, where all agree."""
    layer: Layer = "unknown"
    """What the recordings were measured of, where all agree."""

    @classmethod
    def of(cls, traces: Sequence[Trace], block: float, name: str = "", kind: Kind = "bandwidth") -> Bootstrap:
        """Take recordings apart.

        Args:
            traces: the recordings; what follows their end does not matter.
            block: mean length of what is played at a stretch [s].
            name: what they are called in the records, if not by their own sources.
            kind: what they are of.

        Raises:
            TraceError: no recording, one without an end or without anything, or a block that is no use.
        """
        if not traces:
            raise TraceError("a bootstrap needs at least one recording; none came")
        if not (math.isfinite(block) and block > 0):
            raise TraceError(f"block: {block:g} s came; it must be above zero")
        parts = [_segments(trace, whole=kind == "bandwidth") for trace in traces]
        called = name or ", ".join(dict.fromkeys(trace.source or "a recording" for trace in traces))
        return cls(
            called,
            np.array([length for part in parts for length, _ in part]),
            np.array([value for part in parts for _, value in part]),
            np.array([index == len(part) - 1 for part in parts for index in range(len(part))]),
            block,
            kind,
        )

    def as_recorded(self, recordings: Sequence[Recording]) -> Bootstrap:
        """Return this with the direction and the layer that all of *recordings*, which it was made of, have."""
        directions = {each.direction for each in recordings}
        layers = {each.layer for each in recordings}
        return replace(
            self,
            direction=directions.pop() if len(directions) == 1 else "unknown",
            layer=layers.pop() if len(layers) == 1 else "unknown",
        )

    @property
    def evidence(self) -> str:
        """What stands in the records for a trace of it."""
        return f"synthetic: block bootstrap of {self.name}"

    @property
    def step(self) -> float:
        """Mean length of a segment [s]."""
        return float(self.lengths.mean())

    @property
    def mean(self) -> float:
        """The mean of all its traces [B/s or share]: that of the recordings."""
        return float(self.lengths @ self.values / self.lengths.sum())

    @property
    def peak(self) -> float:
        """The largest value recorded [B/s or share]."""
        return float(self.values.max())

    @property
    def longest_outage(self) -> float:
        """Length of the longest stretch of zeros [s]; 0 if there is none."""
        return float(self.lengths[self.values == 0].max(initial=0.0))

    def scaled(self, factor: float) -> Bootstrap:
        """Return this *factor* times as high."""
        if factor == 1.0:
            return self
        return replace(self, name=f"{self.name} x {factor:g}", values=self.values * factor)

    def generate(self, rng: np.random.Generator, duration: float) -> Trace:
        """Return one trace that wraps after *duration* [s].

        Begun within an outage it begins behind it; an outage that reaches past the end is played whole, and the
        beginning makes room for it. What the one loses of outages the other gains, so their share of time stays: it is
        1 % too low in traces of twenty times the longest outage, 4 % in those of six times.

        Raises:
            TraceError: if an outage of the recording is as long as the trace.
        """
        if self.kind == "bandwidth" and self.longest_outage >= duration:
            raise TraceError(
                f"the recording has an outage of {self.longest_outage:.4g} s, for which a trace of {duration:g} s "
                "has no room; make the trace several times as long"
            )
        played: deque[tuple[float, float]] = deque()
        time, full = 0.0, False
        for length, value in self._walk(rng):
            outage = value == 0.0 and self.kind == "bandwidth"
            if outage and (full or not played):
                continue
            if outage and time + length >= duration:
                time -= _forget(played, time + length - duration)
                full = True
            played.append((length, value))
            time += length
            if time >= duration:
                break
        starts = np.concatenate([[0.0], np.cumsum([length for length, _ in played])[:-1]])
        inside = starts < duration * (1 - 1e-12)  # rounding may leave a last segment of nothing
        values = np.array([value for _, value in played])
        return Trace(starts[inside].tolist(), values[inside].tolist(), duration, "wrap", self.evidence, self.grade)

    @cached_property
    def _leaving(self) -> Array:
        """Return how likely each segment is left for another place; shape (segments,)."""
        leaving = -np.expm1(-self.lengths / self.block)
        if self.kind == "bandwidth":
            leaving[self.values == 0] = 0.0
        leaving[self.ends] = 1.0
        return leaving

    def _walk(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Yield length and value of segment after segment, for ever."""
        lengths, values, leaving = self.lengths.tolist(), self.values.tolist(), self._leaving.tolist()
        left = np.cumsum(self._leaving)
        here = int(np.searchsorted(np.cumsum(self.lengths), rng.random() * self.lengths.sum(), side="right"))
        while True:
            yield lengths[here], values[here]
            if rng.random() < leaving[here]:
                here = int(np.searchsorted(left, rng.random() * left[-1], side="right"))
            here = (here + 1) % len(lengths)


def _segments(trace: Trace, *, whole: bool) -> list[tuple[float, float]]:
    """Return length and value of each segment; *whole*: outages in one piece, and none at the end."""
    if math.isinf(trace.duration):
        raise TraceError(f"{trace.source or 'the recording'} has no end, so there is nothing to take blocks from")
    found: list[tuple[float, float]] = []
    for (start, end), value in zip(pairwise([*trace.starts, trace.duration]), trace.values, strict=True):
        if whole and value == 0.0 and found and found[-1][1] == 0.0:
            found[-1] = (found[-1][0] + end - start, 0.0)
        else:
            found.append((end - start, float(value)))
    if not any(value for _, value in found):
        raise TraceError(f"{trace.source or 'the recording'} is zero everywhere, so nothing would ever come through")
    if whole and found[-1][1] == 0.0:
        last, _ = found.pop()
        if found[0][1] == 0.0:
            found[0] = (found[0][0] + last, 0.0)
        else:
            found.insert(0, (last, 0.0))
    return found


def _forget(played: deque[tuple[float, float]], room: float) -> float:
    """Drop the first *room* seconds, or more so that no outage is cut or comes first, and return how much it was."""
    gone = 0.0
    while played and (gone < room or played[0][1] == 0.0):
        length, value = played.popleft()
        if value and gone + length > room:
            played.appendleft((gone + length - room, value))
            return room
        gone += length
    return gone
