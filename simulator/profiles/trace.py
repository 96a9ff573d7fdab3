"""``Trace``: a capacity as a step function of time; a constant is a trace with one step.

Bandwidths and the share of a processor that background load leaves are traces. Work finishes when the integral of
capacity reaches it, which this file computes exactly by prefix sums and bisection, without a time step: "the rate at
the start" and "the mean rate" are both wrong by large factors on real recordings. Zero capacity is allowed;
"never" is ``math.inf``.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from simulator.foundation.errors import TraceError

End = Literal["wrap", "hold", "zero", "error"]
"""What follows the last segment: start again, keep the last value, nothing, or an error for who asks."""
Numbers: TypeAlias = Sequence[float] | npt.NDArray[np.float64]


class Trace:
    """Capacity over time, right-continuous: ``values[i]`` holds on ``[starts[i], starts[i + 1])``.

    Immutable. Capacity is in units of work per second (bytes/s for links, seconds of work per second for processors),
    times in seconds from the start of the run. Segments are kept as ``array`` (24 bytes each), so that a recording of
    ten million fits.
    """

    __slots__ = ("_totals", "constant", "duration", "end", "grade", "source", "starts", "values")

    def __init__(
        self,
        starts: Numbers,
        values: Numbers,
        duration: float = math.inf,
        end: End = "hold",
        source: str = "",
        grade: str = "",
    ) -> None:
        """Check and keep the segments.

        Args:
            starts: start of each segment [s]; the first is 0, strictly increasing.
            values: capacity in each segment, finite and zero or more.
            duration: end of the last segment [s]; needed for all but ``hold``.
            end: what follows the last segment.
            source: where it was recorded, for the records.
            grade: evidence grade of the numbers (measured, published, guessed ...).

        Raises:
            TraceError: if any of that does not hold.
        """
        if len(starts) == 0 or len(starts) != len(values):
            raise TraceError(f"a trace needs as many values as starts, got {len(values)} and {len(starts)}")
        if starts[0] != 0.0:
            raise TraceError(f"a trace starts at 0 s, got {starts[0]:g} s")
        if not duration > starts[-1]:
            raise TraceError(f"the trace ends at {duration:g} s, not after its last segment's start {starts[-1]:g} s")
        if end != "hold" and math.isinf(duration):
            raise TraceError(f'end: {end} needs a duration; give "duration_s"')
        self.duration = float(duration)
        self.end = end
        self.source = source
        self.grade = grade
        if len(starts) == 1:
            self._keep_one(float(values[0]))
        else:
            self._keep(np.asarray(starts, dtype=np.float64), np.asarray(values, dtype=np.float64))
        if end == "wrap" and self._totals[-1] == 0.0:
            raise TraceError("the trace is zero everywhere, so with end: wrap no work could ever finish")
        self.constant = self.values[0] if len(self.values) == 1 and end in ("wrap", "hold") else None
        """The capacity where it never changes, else None (what stations ask first)."""

    def _keep_one(self, value: float) -> None:
        """Keep a constant, of which runs make many."""
        if not (math.isfinite(value) and value >= 0):
            raise TraceError(f"segment 0 (from 0 s) has the value {value:g}; it must be zero or more")
        self.starts, self.values = array("d", (0.0,)), array("d", (value,))
        self._totals = array("d", (0.0, value * self.duration if value else 0.0))

    def _keep(self, starts: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> None:
        lengths = np.diff(starts)
        wrong = ~(lengths > 0)
        if wrong.any():
            i = int(np.argmax(wrong)) + 1
            raise TraceError(f"segment {i} starts at {starts[i]:g} s, not after {starts[i - 1]:g} s")
        wrong = ~(np.isfinite(values) & (values >= 0))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise TraceError(f"segment {i} (from {starts[i]:g} s) has the value {values[i]:g}; it must be zero or more")
        self.starts, self.values = array("d", starts.tobytes()), array("d", values.tobytes())
        last = float(values[-1])
        work = np.append(values[:-1] * lengths, last * (self.duration - float(starts[-1])) if last else 0.0)
        self._totals = array("d", np.concatenate(([0.0], np.cumsum(work))).tobytes())  # until each start, and the end

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
            self._refuse(time)
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
            if time > self.duration:
                self._refuse(time)
            laps, time = divmod(time, self.duration)
            before = laps * total
        i = bisect_right(self.starts, time) - 1
        return before + self._totals[i] + self.values[i] * (time - self.starts[i])

    def recorded(self, time: float) -> float:
        """Return :meth:`integral`, with ``end: error`` as far as the recording goes: for accounts, not for plans."""
        return self.integral(min(time, self.duration) if self.end == "error" else time)

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
            self._refuse(math.inf)
            laps = math.ceil(amount / total) - 1  # the amount falls in (0, total] of that lap
            amount -= laps * total
            if amount > total:  # rounding in the product
                laps, amount = laps + 1, min(amount - total, total)
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

    def _refuse(self, time: float) -> None:
        """Refuse what lies beyond a recording that says so.

        Raises:
            TraceError: if the trace has ``end: error``.
        """
        if self.end == "error":
            beyond = "more time" if math.isinf(time) else f"its value at {time:g} s"
            raise TraceError(
                f"{self.source or 'the trace'} ends at {self.duration:g} s, and the run needs {beyond}; "
                "shorten until:, or choose end: wrap, hold or zero"
            )

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
        values = np.array(self.values) * factor
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
        starts, values = np.array(self.starts), np.array(self.values)
        turned = np.concatenate(([0.0], starts[first + 1 :] - offset))
        round_again = values[first:]
        if offset > 0:
            turned = np.concatenate((turned, starts[: first + 1] + self.duration - offset))
            round_again = np.concatenate((round_again, values[: first + 1]))
        if turned[-1] >= self.duration:  # the offset is a segment's own start
            turned, round_again = turned[:-1], round_again[:-1]
        return Trace(turned, round_again, self.duration, "wrap", self.source, self.grade)

    def mean(self) -> float:
        """Return the time-weighted mean capacity over the recording."""
        return self.values[0] if math.isinf(self.duration) else self._totals[-1] / self.duration

    def __repr__(self) -> str:
        """Say the value, or how many segments over how long."""
        if self.constant is not None:
            return f"Trace({self.constant:g})"
        return f"Trace({len(self.values)} segments, {self.duration:g} s, mean {self.mean():g}, end {self.end})"
