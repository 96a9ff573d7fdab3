"""``Trace``: a capacity as a step function of time; a constant is a trace with one step.

Bandwidths and the share of a processor that background load leaves are traces. Work finishes when the integral of
capacity reaches it, which this file computes exactly by prefix sums and bisection, without a time step: "the rate at
the start" and "the mean rate" are both wrong by large factors on real recordings. Zero capacity is allowed;
"never" is ``math.inf``.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal

from simulator.foundation.errors import TraceError

End = Literal["wrap", "hold", "zero"]
"""What follows the last segment: start again, keep the last value, or nothing."""


class Trace:
    """Capacity over time, right-continuous: ``values[i]`` holds on ``[starts[i], starts[i + 1])``.

    Immutable. Capacity is in units of work per second (bytes/s for links, seconds of work per second for processors),
    times in seconds from the start of the run.
    """

    __slots__ = ("_totals", "constant", "duration", "end", "grade", "source", "starts", "values")

    def __init__(
        self,
        starts: Sequence[float],
        values: Sequence[float],
        duration: float = math.inf,
        end: End = "hold",
        source: str = "",
        grade: str = "",
    ) -> None:
        """Check and keep the segments.

        Args:
            starts: start of each segment [s]; the first is 0, strictly increasing.
            values: capacity in each segment, finite and zero or more.
            duration: end of the last segment [s]; needed for ``wrap`` and ``zero``.
            end: what follows the last segment.
            source: where it was recorded, for the records.
            grade: evidence grade of the numbers (measured, published, guessed ...).

        Raises:
            TraceError: if any of that does not hold.
        """
        if not starts or len(starts) != len(values):
            raise TraceError(f"a trace needs as many values as starts, got {len(values)} and {len(starts)}")
        if starts[0] != 0.0:
            raise TraceError(f"a trace starts at 0 s, got {starts[0]:g} s")
        for i in range(1, len(starts)):
            if not starts[i] > starts[i - 1]:
                raise TraceError(f"segment {i} starts at {starts[i]:g} s, not after {starts[i - 1]:g} s")
        for i, value in enumerate(values):
            if not (math.isfinite(value) and value >= 0):
                raise TraceError(f"segment {i} (from {starts[i]:g} s) has the value {value}; it must be zero or more")
        if not duration > starts[-1]:
            raise TraceError(f"the trace ends at {duration:g} s, not after its last segment's start {starts[-1]:g} s")
        if end != "hold" and math.isinf(duration):
            raise TraceError(f'end: {end} needs a duration; give "duration_s"')
        self.starts = [float(start) for start in starts]
        self.values = [float(value) for value in values]
        self.duration = float(duration)
        self.end = end
        self.source = source
        self.grade = grade
        self._totals = [0.0]  # work done until each start, and until the duration
        for i, value in enumerate(self.values):
            until = self.starts[i + 1] if i + 1 < len(self.starts) else self.duration
            self._totals.append(self._totals[-1] + (value * (until - self.starts[i]) if value else 0.0))
        if end == "wrap" and self._totals[-1] == 0.0:
            raise TraceError("the trace is zero everywhere, so with end: wrap no work could ever finish")
        self.constant = self.values[0] if len(self.values) == 1 and end != "zero" else None
        """The capacity where it never changes, else None (what stations ask first)."""

    @classmethod
    def of(cls, value: float, source: str = "", grade: str = "") -> Trace:
        """Return the trace that is *value* for ever."""
        return cls([0.0], [value], source=source, grade=grade)

    def at(self, time: float) -> float:
        """Return the capacity at *time* [s]."""
        if self.constant is not None:
            return self.constant
        if time >= self.duration:
            if self.end == "zero":
                return 0.0
            if self.end == "hold":
                return self.values[-1]
        return self.values[self._locate(time)[1]]

    def integral(self, time: float) -> float:
        """Return the work that could be done in ``[0, time]``."""
        if self.constant is not None:
            return self.constant * time
        before = 0.0
        if time >= self.duration:
            total = self._totals[-1]
            if self.end == "zero":
                return total
            if self.end == "hold":
                return total + self.values[-1] * (time - self.duration)
            laps, time = divmod(time, self.duration)
            before = laps * total
        i = bisect_right(self.starts, time) - 1
        return before + self._totals[i] + self.values[i] * (time - self.starts[i])

    def finish(self, start: float, work: float) -> float:
        """Return the earliest time at which *work* begun at *start* is done (``math.inf`` if never)."""
        constant = self.constant
        if constant is not None:
            return start + work / constant if constant else (start if work <= 0 else math.inf)
        if work <= 0:
            return start
        return max(start, self.when(self.integral(start) + work))

    def when(self, amount: float) -> float:
        """Return the earliest time at which :meth:`integral` reaches *amount* (``math.inf`` if never)."""
        if self.constant is not None:
            return amount / self.constant if self.constant else (0.0 if amount <= 0 else math.inf)
        if amount <= 0:
            return 0.0
        total = self._totals[-1]
        offset = 0.0
        if amount > total:
            if self.end == "zero":
                return math.inf
            if self.end == "hold":
                last = self.values[-1]
                return self.duration + (amount - total) / last if last else math.inf
            laps = math.ceil(amount / total) - 1  # the amount falls in (0, total] of that lap
            amount -= laps * total
            if amount > total:  # rounding in the product
                laps, amount = laps + 1, amount - total
            offset = laps * self.duration
            if amount <= 0:
                return offset
        i = bisect_left(self._totals, amount) - 1  # the first segment that reaches it, past any stretch of zeros
        return offset + self.starts[i] + (amount - self._totals[i]) / self.values[i]

    def peak(self, start: float, end: float) -> float:
        """Return the largest capacity in [start, end]."""
        if self.constant is not None:
            return self.constant
        if self.end == "wrap" and end - start >= self.duration:
            return max(self.values)
        most, time = self.at(start), self.next_change(start)
        while time <= end and time < math.inf:
            most, time = max(most, self.at(time)), self.next_change(time)
        return most

    def next_change(self, time: float) -> float:
        """Return the first instant after *time* at which the capacity may change (``math.inf`` if none)."""
        if self.constant is not None:
            return math.inf
        if time >= self.duration and self.end != "wrap":
            return math.inf
        lap, i = self._locate(time)
        if i + 1 < len(self.starts):
            return (lap * self.duration if lap else 0.0) + self.starts[i + 1]  # the duration may be infinite
        return (lap + 1) * self.duration if self.end != "hold" else math.inf

    def _locate(self, time: float) -> tuple[int, int]:
        """Return the lap and the segment at *time*, so that a step named by :meth:`next_change` has happened then.

        A step stands at ``lap * duration + start`` as floating point rounds it; taking *time* modulo the duration
        instead may land just before it, and whoever waits for steps would wait for this one for ever.
        """
        if self.end != "wrap":
            return 0, bisect_right(self.starts, time) - 1
        lap = math.floor(time / self.duration)
        if lap * self.duration > time:
            lap -= 1
        i = bisect_right(self.starts, time - lap * self.duration) - 1
        if i + 1 < len(self.starts):
            return lap, i + (lap * self.duration + self.starts[i + 1] <= time)
        if (lap + 1) * self.duration <= time:
            return lap + 1, 0
        return lap, i

    def scaled(self, factor: float) -> Trace:
        """Return this trace with every value times *factor*."""
        values = [value * factor for value in self.values]
        return Trace(self.starts, values, self.duration, self.end, self.source, self.grade)

    def shifted(self, offset: float) -> Trace:
        """Return a wrapping trace as seen by one who starts *offset* seconds into it.

        Raises:
            TraceError: if the trace does not wrap (its end would move).
        """
        if self.end != "wrap":
            raise TraceError(f'only a trace with end: wrap can start at an offset; this one has "{self.end}"')
        offset %= self.duration
        first = bisect_right(self.starts, offset) - 1
        starts = [0.0] + [start - offset for start in self.starts[first + 1 :]]
        values = self.values[first:]
        if offset > 0:
            starts += [start + self.duration - offset for start in self.starts[: first + 1]]
            values = values + self.values[: first + 1]
        if starts[-1] >= self.duration:  # the offset is a segment's own start
            starts, values = starts[:-1], values[:-1]
        return Trace(starts, values, self.duration, "wrap", self.source, self.grade)

    def mean(self) -> float:
        """Return the time-weighted mean capacity over the recording."""
        return self.values[0] if math.isinf(self.duration) else self._totals[-1] / self.duration

    def __repr__(self) -> str:
        """Say the value, or how many segments over how long."""
        if self.constant is not None:
            return f"Trace({self.constant:g})"
        return f"Trace({len(self.values)} segments, {self.duration:g} s, mean {self.mean():g}, end {self.end})"
