"""The ``copula`` form of a generator: any distribution, a memory of two time scales, outages of their own.

It is the statistics of a set of recordings: how fast the network is (``levels``, a table of quantiles), how long it
stays so (``memory``), and how often and how long nothing comes through (``outages``). It works in three steps:

1. a standard normal process, step by step, of two time scales: fading within seconds, places within minutes;
   its correlation is ``share * exp(-lag / fast) + (1 - share) * exp(-lag / slow)``;
2. each value to the level of the same quantile, so that any distribution comes out with that memory ("autoregressive
   to anything", Cario and Nelson, INFORMS Journal on Computing 8(1), 1996);
3. outages on top, an alternating renewal process: exponential times between, log-normal lengths.

The parameters are fitted in ``calibration/worlds/bandwidth.py`` and ``calibration/loads.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from simulator.foundation.errors import TraceError
from simulator.foundation.units import Period
from simulator.profiles.trace import Trace
from simulator.traces.recording import Direction, Layer
from simulator.traces.written import Kind, Part, TraceHead, Written, evidence, level, share, validated

NORMAL = NormalDist()


@dataclass(frozen=True)
class Outages:
    """When nothing comes through: exponential times between, log-normal lengths."""

    share: float
    """Share of time, below one."""
    mean: float
    """Mean length [s]."""
    spread: float
    """Standard deviation of the logarithm of the length."""

    def edges(self, rng: np.random.Generator, duration: float) -> list[float]:
        """Return begin, end, begin, end ... of the outages in a stretch of *duration* [s] of a process long under way.

        Begun in an outage, what is left of it is a random part of a length that was met in proportion to itself,
        which for a log-normal is the log-normal with its median times ``exp(spread ** 2)``.
        """
        edges: list[float] = []
        if self.share == 0.0:
            return edges
        typical = math.log(self.mean) - self.spread**2 / 2
        time = 0.0
        if rng.random() < self.share:
            time = rng.lognormal(typical + self.spread**2, self.spread) * rng.random()
            edges += [0.0, time]
        while True:
            begin = time + rng.exponential(self.mean * (1 - self.share) / self.share)
            if begin >= duration:
                return edges
            time = begin + rng.lognormal(typical, self.spread)
            edges += [begin, time]


@dataclass(frozen=True)
class Copula:
    """A kind of network or of load, of which any number of traces can be drawn."""

    name: str
    title: str
    grade: str
    """Evidence grade: ``transferred`` where it was fitted to recordings."""
    direction: Direction
    """Which direction was recorded; of a load none is known."""
    source: str
    """What it was fitted to, or why it was guessed."""
    levels: tuple[tuple[float, float], ...]
    """Quantiles of the value outside outages: (share of time with less, [B/s] or share), rising."""
    share: float
    """Part of the variance (of the normal process) that is fast."""
    fast: float
    """Time in which the fast part forgets [s]."""
    slow: float
    """Time in which the slow part forgets [s]."""
    outages: Outages
    step: float
    """How often the level changes [s], as in the recordings."""
    kind: Kind
    layer: Layer = "unknown"
    """What bandwidths it was fitted to were measured of."""

    @cached_property
    def _nodes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the normal scores of the levels, and the levels."""
        scores = [NORMAL.inv_cdf(share) for share, _ in self.levels]
        return np.array(scores), np.array([level for _, level in self.levels])

    @cached_property
    def mean(self) -> float:
        """The mean of all its traces [B/s or share], outages included; a single one differs, as recordings do."""
        scores, levels = (nodes.tolist() for nodes in self._nodes)
        total = levels[0] * NORMAL.cdf(scores[0]) + levels[-1] * (1 - NORMAL.cdf(scores[-1]))
        for a, b, low, high in zip(scores, scores[1:], levels, levels[1:], strict=False):
            slope = (high - low) / (b - a)
            total += (low - slope * a) * (NORMAL.cdf(b) - NORMAL.cdf(a)) + slope * (NORMAL.pdf(a) - NORMAL.pdf(b))
        return float(total * (1 - self.outages.share))

    @property
    def peak(self) -> float:
        """The largest value it can give [B/s or share]."""
        return self.levels[-1][1]

    @property
    def evidence(self) -> str:
        """What stands in the records for a trace of it."""
        return evidence(self.name, self.direction, self.source)

    def scaled(self, factor: float) -> Copula:
        """Return this network or load *factor* times as high."""
        if factor == 1.0:
            return self
        levels = tuple((share, level * factor) for share, level in self.levels)
        return replace(self, name=f"{self.name} x {factor:g}", levels=levels)

    def level(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the value outside outages [B/s or share] at normal scores; beyond the table it is the table's end."""
        return np.interp(scores, *self._nodes)

    def generate(self, rng: np.random.Generator, duration: float) -> Trace:
        """Return one trace that wraps after *duration* [s]; one in which nothing ever came through is drawn anew."""
        count = math.ceil(duration / self.step)
        while True:
            noise = rng.standard_normal((2, count)).tolist()
            fast, slow = self._remember(noise[0], self.fast), self._remember(noise[1], self.slow)
            levels = self.level(math.sqrt(self.share) * fast + math.sqrt(1 - self.share) * slow)
            edges = np.array(self.outages.edges(rng, duration))
            starts = np.unique(np.concatenate([np.arange(count) * self.step, edges]))
            starts = starts[starts < duration]
            out = np.searchsorted(edges, starts, side="right") % 2 == 1
            values = np.where(out, 0.0, levels[(starts / self.step).astype(int)])
            if values.any():
                return Trace(starts.tolist(), values.tolist(), duration, "wrap", self.evidence, self.grade)

    def _remember(self, noise: list[float], time: float) -> npt.NDArray[np.float64]:
        """Return the stationary process that forgets in *time* [s], from standard normal *noise*."""
        keep = math.exp(-self.step / time)
        kick = math.sqrt(1 - keep * keep)
        state = noise[0]
        states = [state]
        for each in noise[1:]:
            state = keep * state + kick * each
            states.append(state)
        return np.array(states)


# -- files -----------------------------------------------------------------------------------------------------------


class _Outages(Part):
    share: Written
    mean: Period
    spread: Annotated[float, Field(ge=0, le=5)]


class _Memory(Part):
    share: Written
    fast: Period
    slow: Period


class _File(TraceHead):
    form: Literal["copula"]
    outages: _Outages
    memory: _Memory
    levels: Annotated[dict[str, Written], Field(min_length=2)]


def read_copula(data: Mapping[str, Any], path: Path) -> Copula:
    """Return the generator that *data* of the file *path* describes (``scenarios/networks/4g.yaml`` shows one).

    Raises:
        TraceError: if a key, a unit or the order of the levels is wrong.
    """
    file = validated(_File, data, path)
    levels = tuple(
        (share(part, path, "levels"), level(value, file.kind, path, f"levels.{part}"))
        for part, value in file.levels.items()
    )
    gone = share(file.outages.share, path, "outages.share")
    fast = share(file.memory.share, path, "memory.share")
    if not gone < 1:
        raise TraceError(f"{path.name}: outages.share: {gone:.0%} of the time; it must be below 100 %")
    if not fast <= 1:
        raise TraceError(f"{path.name}: memory.share: {fast:.0%} of the variance; it must be at most 100 %")
    for (before, low), (after, high) in pairwise(levels):
        if not (0 < before < after < 1 and low <= high):
            raise TraceError(f"{path.name}: levels: {before:.1%} and {after:.1%}: both shares and levels must rise")
    if not levels[-1][1] > 0:
        raise TraceError(f"{path.name}: levels: all are zero; at least the last must be above zero")
    return Copula(
        file.name, file.title, file.grade, file.direction, file.source, levels, fast, file.memory.fast,
        file.memory.slow, Outages(gone, file.outages.mean, file.outages.spread), file.step, file.kind,
        file.layer,
    )  # fmt: skip
