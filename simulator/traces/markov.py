"""The ``markov`` form of a generator: bands of bandwidth, and how likely each is to follow each.

A state is a band of values, one of them the outage (exactly zero). Each step the next state is drawn from the row of
the present one, and in it a level from the state's own small table of quantiles. Only the last step is remembered, so
an outage's length is geometric and a level forgets in the time that rows of the matrix say. The parameters are counted
in ``calibration/worlds/markov.py``; what this form keeps and loses is in ``docs/explanation/synthetic_bandwidth.md``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.foundation.errors import TraceError
from simulator.profiles.trace import Trace
from simulator.traces.recording import Array, Direction, Layer
from simulator.traces.written import Kind, TraceHead, Written, evidence, level, validated

OUTAGE = (0.0,)
"""The levels of the state in which nothing comes through."""
ROUNDING = 1e-3
"""How far a row may be from one: its shares are written to a few digits. They are divided by their sum."""


@dataclass(frozen=True)
class Markov:
    """A chain of bands of bandwidth or load, of which any number of traces can be drawn."""

    name: str
    title: str
    grade: str
    direction: Direction
    """Which direction was recorded; of a load none is known."""
    source: str
    """What it was fitted to, or why it was guessed."""
    levels: tuple[tuple[float, ...], ...]
    """For each state its quantiles at evenly spaced shares from 0 to 100 % [B/s or share]; ``OUTAGE``: nothing."""
    transitions: tuple[tuple[float, ...], ...]
    """Share of steps from each state (row) to each; rows sum to one, and every state leads to every other."""
    step: float
    """How often the state changes [s]."""
    kind: Kind
    layer: Layer = "unknown"
    """What bandwidths it was fitted to were measured of."""

    @cached_property
    def stationary(self) -> Array:
        """Share of time in each state, in the long run: the distribution that the matrix leaves as it is."""
        matrix = np.array(self.transitions)
        count = len(matrix)
        equations = np.vstack([matrix.T - np.eye(count), np.ones(count)])
        found: Array = np.linalg.lstsq(equations, np.array([0.0] * count + [1.0]), rcond=None)[0]
        return found

    @cached_property
    def mean(self) -> float:
        """The mean of all its traces [B/s or share]: each state's mean, weighted by its share of time."""
        return float(self.stationary @ [np.trapezoid(each) / max(1, len(each) - 1) for each in self.levels])

    @property
    def peak(self) -> float:
        """The largest value it can give [B/s or share]."""
        return max(each[-1] for each in self.levels)

    @property
    def evidence(self) -> str:
        """What stands in the records for a trace of it."""
        return evidence(self.name, self.direction, self.source)

    def scaled(self, factor: float) -> Markov:
        """Return this network or load *factor* times as high."""
        if factor == 1.0:
            return self
        levels = tuple(tuple(value * factor for value in each) for each in self.levels)
        return replace(self, name=f"{self.name} x {factor:g}", levels=levels)

    def states(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """Return the states in *count* steps of a chain long under way."""
        rows = [np.cumsum(row).tolist()[:-1] for row in self.transitions]  # the last state takes what is left
        draws = rng.random(count).tolist()
        state = bisect_right(np.cumsum(self.stationary).tolist()[:-1], draws[0])
        found = [state]
        for draw in draws[1:]:
            state = bisect_right(rows[state], draw)
            found.append(state)
        return np.array(found)

    def generate(self, rng: np.random.Generator, duration: float) -> Trace:
        """Return one trace that wraps after *duration* [s]; one in which nothing ever came through is drawn anew."""
        count = math.ceil(duration / self.step)
        while True:
            states = self.states(rng, count)
            values = self._drawn(states, rng.random(count))
            if values.any():
                changes = np.append(True, (values[1:] > 0) | (values[:-1] > 0))  # an outage is one segment
                starts = (np.arange(count) * self.step)[changes]
                return Trace(starts.tolist(), values[changes].tolist(), duration, "wrap", self.evidence, self.grade)

    def _drawn(self, states: npt.NDArray[np.int64], shares: Array) -> Array:
        """Return a level of each of *states*, at *shares* of its table."""
        values = np.zeros(len(states))
        for state, levels in enumerate(self.levels):
            here = states == state
            values[here] = np.interp(shares[here], np.linspace(0.0, 1.0, len(levels)), levels)
        return values


# -- files -----------------------------------------------------------------------------------------------------------


class _File(TraceHead):
    form: Literal["markov"]
    states: Annotated[list[Literal["outage"] | Annotated[list[Written], Field(min_length=2)]], Field(min_length=1)]
    transitions: list[list[Annotated[float, Field(ge=0, le=1)]]]


def read_markov(data: Mapping[str, Any], path: Path) -> Markov:
    """Return the generator that *data* of the file *path* describes (``scenarios/networks/4g-markov.yaml`` shows one).

    Raises:
        TraceError: if a key, a unit, a size, a sum or an order is wrong, or some state is never reached again.
    """
    file = validated(_File, data, path)
    levels = tuple(
        OUTAGE if state == "outage" else tuple(level(value, file.kind, path, f"states.{index}") for value in state)
        for index, state in enumerate(file.states)
    )
    for index, each in enumerate(levels):
        if any(low > high for low, high in pairwise(each)):
            raise TraceError(f"{path.name}: states.{index}: the levels of a state must rise")
    if levels.count(OUTAGE) > 1:
        raise TraceError(f"{path.name}: states: {levels.count(OUTAGE)} outages; there is one way to have nothing")
    if not max(each[-1] for each in levels) > 0:
        raise TraceError(f"{path.name}: states: all are zero; at least one must be above zero")
    return Markov(
        file.name, file.title, file.grade, file.direction, file.source, levels,
        _matrix(file.transitions, len(levels), path), file.step, file.kind,
        file.layer,
    )  # fmt: skip


def _matrix(rows: list[list[float]], count: int, path: Path) -> tuple[tuple[float, ...], ...]:
    if len(rows) != count:
        raise TraceError(f"{path.name}: transitions: {len(rows)} rows for {count} states; there must be one for each")
    for index, row in enumerate(rows):
        if len(row) != count:
            raise TraceError(
                f"{path.name}: transitions.{index}: {len(row)} shares for {count} states; there must be one for each"
            )
        if abs(math.fsum(row) - 1) > ROUNDING:
            raise TraceError(f"{path.name}: transitions.{index}: sums to {math.fsum(row):.6g}; a row must sum to one")
    reach = (np.array(rows) > 0) | np.eye(count, dtype=bool)
    for _ in range(count.bit_length()):
        reach = reach @ reach  # twice as many steps each time
    if not reach.all():
        start, end = (int(index) for index in np.argwhere(~reach)[0])
        raise TraceError(
            f"{path.name}: transitions: no way leads from state {start} to state {end}; every state must lead to every "
            "other, or the time in each depends on where a trace begins"
        )
    return tuple(tuple(share / math.fsum(row) for share in row) for row in rows)
