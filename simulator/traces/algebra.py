"""Traces from traces: clipped, joined, resampled, the lesser of two; beside ``Trace.scaled`` and ``Trace.shifted``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.profiles.hardware import GRADES, worst
from simulator.profiles.trace import End, Trace
from simulator.traces.recording import Array

MOST = 20_000_000
"""Segments that resampling may make."""


def labelled(trace: Trace, source: str, grade: str) -> Trace:
    """Return *trace* with another source and grade."""
    return Trace(trace.starts, trace.values, trace.duration, trace.end, source, grade)


def clip(trace: Trace, most: float, least: float = 0.0) -> Trace:
    """Return *trace* with no value above *most* or below *least*, in its own units.

    Raises:
        TraceError: if *least* is below zero or above *most*.
    """
    if not 0.0 <= least <= most:
        raise TraceError(f"clip to {least:g} ... {most:g}: expected zero or more, and the larger one last")
    return Trace(trace.starts, np.clip(trace.values, least, most), *_rest(trace))


def concatenate(traces: Sequence[Trace]) -> Trace:
    """Return *traces* one after the other; what follows the end is the last one's word.

    Raises:
        TraceError: if there is none, or one that never ends stands before another.
    """
    if not traces:
        raise TraceError("concatenate: no trace to join")
    begins = [0.0]
    for trace in traces[:-1]:
        if math.isinf(trace.duration):
            raise TraceError(f"concatenate: {trace!r} never ends, so nothing can follow it")
        begins.append(begins[-1] + trace.duration)
    last = traces[-1]
    starts = np.concatenate([np.asarray(trace.starts) + begin for trace, begin in zip(traces, begins, strict=True)])
    values = np.concatenate([np.asarray(trace.values) for trace in traces])
    source = ", then ".join(dict.fromkeys(trace.source for trace in traces if trace.source))
    return Trace(starts, values, begins[-1] + last.duration, last.end, source, _grade(traces))


def resample(trace: Trace, step: float) -> Trace:
    """Return *trace* in steps of *step* [s], each with the mean of what it was meanwhile, so that no volume is lost.

    The last step is as short as is left.

    Raises:
        TraceError: if *step* is not above zero or makes too many, or the trace never ends.
    """
    if not (math.isfinite(step) and step > 0):
        raise TraceError(f"resample: a step of {step:g} s came; expected one above zero")
    if math.isinf(trace.duration):
        raise TraceError(f"resample: {trace!r} never ends; give it a duration")
    count = trace.duration / step
    if count > MOST:
        raise TraceError(f"resample: {count:.0e} steps of {step:g} s; expected at most {MOST:.0e}")
    starts: Array = np.arange(max(1, math.ceil(count)), dtype=np.float64) * step
    starts = starts[starts < trace.duration * (1 - 1e-12)]  # no sliver at the end where the division rounds up
    edges = np.append(starts, trace.duration)
    means = np.diff(_volume(trace, edges)) / np.diff(edges)
    within = np.clip(means, np.min(trace.values), np.max(trace.values))  # where a mean lies, whatever rounding does
    return Trace(starts, within, *_rest(trace))


def least(one: Trace, other: Trace) -> Trace:
    """Return the lesser of two traces at each instant, such as a link behind another.

    What follows the end is said by both alike, and where they start again, they do so together.

    Raises:
        TraceError: if they end differently.
    """
    if one.constant is not None or other.constant is not None:
        first = one.constant is not None and (other.constant is None or math.isinf(one.duration))
        steady, moving = (one, other) if first else (other, one)
        values: Array = np.minimum(np.asarray(moving.values), steady.values[0])
        return Trace(moving.starts, values, moving.duration, moving.end, *_labels((one, other)))
    if (one.duration, one.end) != (other.duration, other.end):
        raise TraceError(
            f"least: one trace lasts {one.duration:g} s with end: {one.end}, the other {other.duration:g} s with "
            f"end: {other.end}; cut or repeat one of them until they agree"
        )
    starts = np.union1d(one.starts, other.starts)
    values = np.minimum(_at(one, starts), _at(other, starts))
    return Trace(starts, values, one.duration, one.end, *_labels((one, other)))


def _rest(trace: Trace) -> tuple[float, End, str, str]:
    return trace.duration, trace.end, trace.source, trace.grade


def _labels(traces: Sequence[Trace]) -> tuple[str, str]:
    return " and ".join(dict.fromkeys(trace.source for trace in traces if trace.source)), _grade(traces)


def _grade(traces: Sequence[Trace]) -> str:
    """Return the weakest grade among *traces* that have one."""
    return worst(grades) if (grades := [trace.grade for trace in traces if trace.grade in GRADES]) else ""


def _at(trace: Trace, times: Array) -> Array:
    """Return the values at *times* within the recording."""
    found: Array = np.asarray(trace.values)[np.searchsorted(trace.starts, times, side="right") - 1]
    return found


def _volume(trace: Trace, times: Array) -> Array:
    """Return the integral until each of *times* within the recording."""
    starts, values = np.asarray(trace.starts), np.asarray(trace.values)
    edges = np.append(starts, trace.duration)
    return np.interp(times, edges, np.concatenate(([0.0], np.cumsum(values * np.diff(edges)))))
