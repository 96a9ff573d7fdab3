"""Traces against sums over small steps: lengths are eighths and values whole, so those sums are exact."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from simulator import Trace
from simulator.foundation.errors import TraceError

STEP = 1 / 8


@dataclass
class Steps:
    """The same capacity, as a list of values, one per eighth of a second."""

    eighths: list[int]
    end: str

    def at(self, k: int) -> float:
        """Capacity in the k-th eighth."""
        last = len(self.eighths)
        return self.eighths[k % last] if k < last or self.end == "wrap" else self.eighths[-1] * (self.end == "hold")

    def integral(self, k: int) -> float:
        return sum(self.at(i) for i in range(k)) * STEP

    def finish(self, k: int, work: float) -> float:
        """Walk on from the k-th eighth until *work* is done; a hundred laps without progress are for ever."""
        idle = 0
        while work > self.at(k) * STEP:
            idle = 0 if self.at(k) else idle + 1
            if idle > 100 * len(self.eighths):
                return math.inf
            work -= self.at(k) * STEP
            k += 1
        return k * STEP + (work / self.at(k) if work else 0.0)


@st.composite
def pairs(draw, ends=("wrap", "hold", "zero")):
    pieces = draw(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), min_size=1, max_size=6))
    end = draw(st.sampled_from(ends))
    assume(end != "wrap" or any(value for _, value in pieces))
    starts = [sum(length for length, _ in pieces[:i]) * STEP for i in range(len(pieces) + 1)]
    steps = Steps([value for length, value in pieces for _ in range(length)], end)
    # what holds for ever need not say from when on
    duration = math.inf if end == "hold" and draw(st.booleans()) else starts[-1]
    return Trace(starts[:-1], [value for _, value in pieces], duration, end), steps


@given(pairs(), st.integers(0, 300))
def test_capacity_and_work_are_those_of_the_sum(pair, k):
    trace, steps = pair
    assert trace.at(k * STEP) == trace.at((k + 0.5) * STEP) == steps.at(k)
    assert trace.integral(k * STEP) == steps.integral(k)


@given(pairs(), st.integers(0, 200), st.integers(0, 300))
def test_work_ends_when_the_sum_reaches_it(pair, k, eighths_of_work):
    trace, steps = pair
    work = eighths_of_work * STEP
    assert trace.finish(k * STEP, work) == pytest.approx(steps.finish(k, work), rel=1e-12)


@given(pairs(), st.integers(0, 50), st.integers(0, 50))
def test_work_that_is_done_does_not_wait_for_a_stretch_of_zeros_to_end(pair, k, m):
    trace, steps = pair
    work = steps.integral(k + m) - steps.integral(k)  # done by then at the latest
    assert trace.finish(k * STEP, work) == pytest.approx(steps.finish(k, work), rel=1e-12)


@given(pairs(), st.floats(0, 100), st.floats(0, 100))
def test_finish_undoes_integral(pair, start, work):
    trace, _ = pair
    finish = trace.finish(start, work)
    if math.isinf(finish):
        assert trace.integral(1e6) - trace.integral(start) < work + 1e-9
        return
    assert finish >= start
    assert trace.integral(finish) - trace.integral(start) == pytest.approx(work, abs=1e-9)
    if finish > start + 1e-6:  # and not a moment before
        assert trace.integral(finish - 1e-6) - trace.integral(start) < work


@given(pairs(), st.floats(0, 100))
def test_when_is_the_first_instant_that_reaches_an_amount(pair, amount):
    trace, _ = pair
    first = trace.when(amount)
    assert trace.finish(0.0, amount) == first
    if 1e-3 < first < math.inf:
        assert trace.integral(first) == pytest.approx(amount, abs=1e-9)
        assert trace.integral(first * (1 - 1e-9)) < amount


lengths = st.floats(1e-3, 10)
rates = st.one_of(st.just(0.0), st.floats(1e-3, 1e6))


@given(st.lists(st.tuples(lengths, rates), min_size=1, max_size=6), st.integers(0, 10**6), st.floats(0, 1))
def test_rounding_never_leads_astray_however_far(pieces, laps, part):
    assume(any(rate for _, rate in pieces))
    starts = [math.fsum(length for length, _ in pieces[:i]) for i in range(len(pieces) + 1)]
    trace = Trace(starts[:-1], [rate for _, rate in pieces], starts[-1], "wrap")
    amount = (laps + part) * trace.integral(trace.duration)
    assert trace.integral(trace.when(amount)) == pytest.approx(
        amount, rel=1e-9, abs=1e-9 * trace.integral(trace.duration)
    )


@given(pairs(), st.integers(0, 300))
def test_between_changes_nothing_changes(pair, k):
    trace, steps = pair
    change = trace.next_change(k * STEP)
    steady = 300 if math.isinf(change) else round(change / STEP) - k
    assert change > k * STEP
    assert {steps.at(k + i) for i in range(steady)} == {steps.at(k)}


@given(pairs(), st.lists(st.floats(1e-3, 10), min_size=2, max_size=6))
def test_whoever_follows_the_changes_meets_each_of_them(pair, lengths):
    """With any lengths at all: a step that has been announced has happened at that instant, whatever the rounding."""
    starts = [math.fsum(lengths[:i]) for i in range(len(lengths))]
    trace = Trace(starts, [float(i) for i in range(1, len(lengths) + 1)], math.fsum(lengths), "wrap")
    now, seen = 0.0, [trace.at(0.0)]
    for _ in range(3 * len(lengths)):
        now = trace.next_change(now)
        seen.append(trace.at(now))
    assert seen == [1.0 + i % len(lengths) for i in range(len(seen))]


@given(pairs(ends=("wrap",)), st.integers(0, 100), st.integers(0, 100))
def test_a_shifted_trace_is_the_trace_seen_from_there(pair, offset, k):
    trace, steps = pair
    shifted = trace.shifted(offset * STEP)
    assert shifted.at(k * STEP) == steps.at(offset + k)
    assert shifted.integral(k * STEP) == steps.integral(offset + k) - steps.integral(offset)
    assert (shifted.end, shifted.duration) == ("wrap", trace.duration)


@given(pairs(), st.integers(1, 16), st.integers(0, 200))
def test_a_scaled_trace_does_so_many_times_the_work(pair, quarters, k):
    trace, steps = pair
    scaled = trace.scaled(quarters / 4)
    assert scaled.integral(k * STEP) == steps.integral(k) * quarters / 4
    assert (scaled.end, scaled.duration, scaled.starts) == (trace.end, trace.duration, trace.starts)


@given(pairs(ends=("wrap", "zero")))
def test_the_mean_is_that_of_the_eighths(pair):
    trace, steps = pair
    assert trace.mean() == pytest.approx(sum(steps.eighths) / len(steps.eighths))


def test_the_three_ends():
    wrap, hold, zero = (Trace([0, 1], [4, 2], 2, end) for end in ("wrap", "hold", "zero"))
    assert [t.at(2.5) for t in (wrap, hold, zero)] == [4, 2, 0]
    assert [t.integral(4) for t in (wrap, hold, zero)] == [12, 10, 6]
    assert [t.finish(0, 7) for t in (wrap, hold, zero)] == [2.25, 2.5, math.inf]
    assert [t.next_change(1.5) for t in (wrap, hold, zero)] == [2, math.inf, 2]
    assert [t.next_change(2) for t in (wrap, hold, zero)] == [3, math.inf, math.inf]


def test_a_constant():
    trace = Trace.of(4.0)
    assert (trace.constant, trace.integral(3), trace.finish(1, 2), trace.next_change(5)) == (4, 12, 1.5, math.inf)
    assert Trace.of(0.0).finish(1, 2) == math.inf
    assert Trace.of(0.0).finish(1, 0) == 1
    assert Trace([0], [3], 5, "zero").constant is None  # it changes: it ends


def test_how_it_looks():
    assert repr(Trace.of(2.5)) == "Trace(2.5)"
    assert repr(Trace([0, 1], [4, 2], 2, "wrap")) == "Trace(2 segments, 2 s, mean 3, end wrap)"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([], []), "a trace needs as many values as starts, got 0 and 0"),
        (([0, 1], [5]), "a trace needs as many values as starts, got 1 and 2"),
        (([1], [5]), "a trace starts at 0 s, got 1 s"),
        (([0, 2, 2], [1, 1, 1]), "segment 2 starts at 2 s, not after 2 s"),
        (([0, 2], [1, -1]), "segment 1 (from 2 s) has the value -1; it must be zero or more"),
        (([0], [math.nan]), "segment 0 (from 0 s) has the value nan; it must be zero or more"),
        (([0, 2], [1, 1], 2), "the trace ends at 2 s, not after its last segment's start 2 s"),
        (([0], [1], math.inf, "wrap"), 'end: wrap needs a duration; give "duration_s"'),
        (([0], [0], 5, "wrap"), "the trace is zero everywhere, so with end: wrap no work could ever finish"),
    ],
)
def test_what_is_no_trace_is_refused(arguments, sentence):
    with pytest.raises(TraceError) as caught:
        Trace(*arguments)
    assert str(caught.value) == sentence


def test_only_a_wrapping_trace_can_start_elsewhere():
    with pytest.raises(TraceError, match='only a trace with end: wrap can start at an offset; this one has "hold"'):
        Trace.of(1.0).shifted(1.0)


def test_peak_by_looking_everywhere():
    rng = np.random.default_rng(3)
    for end in ("wrap", "hold", "zero"):
        starts = [0.0, *np.sort(rng.uniform(0.5, 9.5, 12)).tolist()]
        trace = Trace(starts, rng.uniform(0, 5, 13).tolist(), 10.0, end)
        for begin, until in rng.uniform(0, 35, (100, 2)).tolist():
            begin, until = min(begin, until), max(begin, until)
            steps = [lap + start for lap in (0, 10, 20, 30) for start in starts]
            seen = max(trace.at(time) for time in [begin, until, *steps] if begin <= time <= until)
            assert trace.peak(begin, until) == (seen if end != "wrap" or until - begin < 10 else max(trace.values))
    assert Trace([0.0, 1.0], [3.0, 2.0]).peak(0.5, math.inf) == 3.0
    assert Trace([0.0, 1.0], [3.0, 2.0]).peak(1.5, math.inf) == 2.0
    assert Trace.of(4.0).peak(0.0, math.inf) == 4.0


@pytest.mark.parametrize(("lap", "amount"), [(1.4038385514834173, 1.2994554508046654e16), (2.5, 7.7e200)])
def test_work_of_more_laps_than_a_float_can_tell_apart_still_ends(lap, amount):
    trace = Trace([0.0, 1.0], [lap, 0.0], 2.0, "wrap")
    assert trace.when(amount) == pytest.approx(2.0 * amount / lap, rel=1e-9)
