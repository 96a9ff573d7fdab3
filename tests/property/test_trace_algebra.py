"""Traces from traces: volumes are kept, bounds hold, and joining does not care for brackets."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Trace
from simulator.foundation.errors import TraceError
from simulator.traces.algebra import clip, concatenate, labelled, least, resample

LENGTHS = st.floats(0.01, 50.0)
VALUES = st.one_of(st.just(0.0), st.floats(0.001, 1e9))
RAN = st.floats(0.0, 1.0)


@st.composite
def traces(draw, duration=None, end=None):
    """Return a trace; of a given *duration* where two must agree."""
    count = draw(st.integers(1, 12))
    lengths = np.array(draw(st.lists(LENGTHS, min_size=count, max_size=count)))
    values = draw(st.lists(VALUES, min_size=count, max_size=count))
    if not any(values):
        values[0] = 1.0
    if duration is not None:
        lengths *= duration / lengths.sum()
    starts = np.concatenate(([0.0], np.cumsum(lengths)[:-1]))
    whole = float(lengths.sum()) if duration is None else duration
    return Trace(starts, values, whole, end or draw(st.sampled_from(["wrap", "hold", "zero"])), "a", "measured")


def volume(trace: Trace) -> float:
    """Return the integral by adding up rectangles, unlike ``Trace.integral``."""
    ends = [*list(trace.starts)[1:], trace.duration]
    return math.fsum(v * (b - a) for a, b, v in zip(trace.starts, ends, trace.values, strict=True))


def edges(*of: Trace) -> list[float]:
    """Return instants in the middle of each stretch in which none of the traces changes."""
    times = sorted({float(t) for trace in of for t in (*trace.starts, trace.duration)})
    return [(a + b) / 2 for a, b in pairwise(times) if b - a > 1e-6]


@given(traces(), st.floats(0.02, 200.0))
def test_resampling_keeps_the_volume_of_the_whole_and_of_each_step(trace, step):
    found = resample(trace, step)
    assert volume(found) == pytest.approx(volume(trace), rel=1e-9)
    assert (found.duration, found.end, found.grade) == (trace.duration, trace.end, trace.grade)
    assert max(found.values) <= max(trace.values) * (1 + 1e-9)
    for start in list(found.starts)[1:]:
        scale = max(trace.values) * trace.duration
        assert found.integral(start) == pytest.approx(trace.integral(start), abs=1e-9 * scale)
    assert np.diff(found.starts) == pytest.approx(step)


@given(traces())
def test_resampling_finely_changes_nothing_where_steps_divide_the_segments(trace):
    steady = Trace([0, 2, 3], [5, 0, 7], 6.0, "wrap")
    found = resample(steady, 0.5)
    assert list(found.values) == pytest.approx([5] * 4 + [0] * 2 + [7] * 6)
    whole = resample(trace, trace.duration * 2)
    assert list(whole.values) == pytest.approx([trace.mean()])


@given(traces(), VALUES, VALUES)
def test_a_clipped_trace_stays_between_and_moves_no_value_that_was(trace, one, other):
    low, high = sorted((one, other))
    if high == 0.0 and trace.end == "wrap":
        with pytest.raises(TraceError, match="zero everywhere"):
            clip(trace, 0.0)
        return
    found = clip(trace, high, low)
    assert all(low <= value <= high for value in found.values)
    assert all(a == b for a, b in zip(found.values, trace.values, strict=True) if low <= b <= high)
    assert list(found.starts) == list(trace.starts)
    assert (found.duration, found.end) == (trace.duration, trace.end)


@given(st.lists(traces(), min_size=1, max_size=4))
def test_joined_traces_play_one_after_the_other(parts):
    joined = concatenate(parts)
    assert volume(joined) == pytest.approx(sum(map(volume, parts)), rel=1e-9)
    assert joined.duration == pytest.approx(sum(part.duration for part in parts))
    assert joined.end == parts[-1].end
    begin = 0.0
    for part in parts:
        for time in edges(part):
            assert joined.at(begin + time) == part.at(time)
        begin += part.duration


@given(traces(), traces(), traces())
def test_joining_is_associative(a, b, c):
    one, other = concatenate([concatenate([a, b]), c]), concatenate([a, concatenate([b, c])])
    assert list(one.starts) == pytest.approx(list(other.starts))
    assert list(one.values) == list(other.values)
    assert (one.duration, one.end) == (pytest.approx(other.duration), other.end)


@given(traces(duration=30.0, end="wrap"), traces(duration=30.0, end="wrap"))
def test_the_least_is_the_lesser_everywhere(a, b):
    lesser = [min(a.at(time), b.at(time)) for time in edges(a, b)]
    if not any(lesser):
        return  # a wrapping trace of nothing is refused
    found = least(a, b)
    assert [found.at(time) for time in edges(a, b)] == lesser
    for time in edges(found):
        assert found.at(time) <= a.at(time)
        assert found.at(time) <= b.at(time)
    again = least(b, a)
    assert (list(again.starts), list(again.values)) == (list(found.starts), list(found.values))
    assert list(least(a, a).values) == list(a.values)


@given(traces(), st.floats(0.001, 1e9))
def test_the_lesser_of_a_trace_and_a_number_is_its_clip(trace, most):
    for found in (least(trace, Trace.of(most)), least(Trace.of(most), trace)):
        assert list(found.values) == list(clip(trace, most).values)
        assert (found.duration, found.end) == (trace.duration, trace.end)


def test_where_they_come_from_goes_along():
    a = Trace([0], [1], 2.0, "zero", "a.csv", "measured")
    b = Trace([0], [2], 2.0, "zero", "b.csv", "guessed")
    assert (concatenate([a, b, a]).source, concatenate([a, b]).grade) == ("a.csv, then b.csv", "guessed")
    assert (least(a, b).source, least(a, b).grade) == ("a.csv and b.csv", "guessed")
    assert (labelled(a, "c", "published").source, labelled(a, "c", "published").grade) == ("c", "published")
    assert resample(a, 1.0).source == "a.csv"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: clip(Trace.of(1.0), 1.0, 2.0), "expected zero or more, and the larger one last"),
        (lambda: clip(Trace.of(1.0), 1.0, -1.0), "expected zero or more"),
        (lambda: clip(Trace.of(1.0), math.nan), "expected zero or more"),
        (lambda: concatenate([]), "no trace to join"),
        (lambda: concatenate([Trace.of(1.0), Trace.of(2.0)]), "never ends, so nothing can follow it"),
        (lambda: resample(Trace.of(1.0), 1.0), "never ends; give it a duration"),
        (lambda: resample(Trace([0], [1], 1.0), 0.0), "a step of 0 s came"),
        (lambda: resample(Trace([0], [1], 1.0), math.inf), "a step of inf s came"),
        (lambda: resample(Trace([0], [1], 1e9), 1e-3), "expected at most 2e+07"),
        (lambda: least(Trace([0, 1], [1, 2], 2.0), Trace([0, 1], [1, 2], 3.0)), "one trace lasts 2 s with end: hold"),
    ],
)
def test_what_cannot_be_made_is_refused(make, sentence):
    with pytest.raises(TraceError) as caught:
        make()
    assert sentence in str(caught.value)
