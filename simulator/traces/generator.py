"""Synthetic bandwidth: traces drawn from a seed that behave like recorded ones, by technology and movement.

Recordings are not ours to ship, and a handful of them is a handful of drives. A :class:`Generator` is the statistics of
a set of recordings: how fast the network is (``levels``, a table of quantiles), how long it stays so (``memory``),
and how often and how long nothing comes through (``outages``). It works in three steps:

1. a standard normal process, second by second, of two time scales: fading within seconds, places within minutes;
   its correlation is ``share * exp(-lag / fast) + (1 - share) * exp(-lag / slow)``;
2. each value to the level of the same quantile, so that any distribution comes out with that memory ("autoregressive
   to anything", Cario and Nelson, INFORMS Journal on Computing 8(1), 1996);
3. outages on top, an alternating renewal process: exponential times between, log-normal lengths.

The parameters are fitted in ``calibration/bandwidth.py``; how near they come is in
``docs/explanation/synthetic_bandwidth.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.foundation.errors import TraceError, UnitError, did_you_mean
from simulator.foundation.units import SHARE, BytesPerSecond, Period
from simulator.profiles.trace import Trace

STEP = 1.0
"""How often the level changes [s], as in the recordings."""
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
class Generator:
    """A kind of network, of which any number of traces can be drawn."""

    name: str
    title: str
    grade: str
    """Evidence grade: ``transferred`` where it was fitted to recordings."""
    direction: str
    """Which direction was recorded: downlink, uplink, both."""
    source: str
    """What it was fitted to, or why it was guessed."""
    levels: tuple[tuple[float, float], ...]
    """Quantiles of the bandwidth outside outages: (share of time with less, [B/s]), rising."""
    share: float
    """Part of the variance (of the normal process) that is fast."""
    fast: float
    """Time in which the fast part forgets [s]."""
    slow: float
    """Time in which the slow part forgets [s]."""
    outages: Outages

    @cached_property
    def _nodes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the normal scores of the levels, and the levels."""
        scores = [NORMAL.inv_cdf(share) for share, _ in self.levels]
        return np.array(scores), np.array([level for _, level in self.levels])

    @cached_property
    def mean(self) -> float:
        """The mean bandwidth of all its traces [B/s], outages included; a single one differs, as recordings do."""
        scores, levels = (nodes.tolist() for nodes in self._nodes)
        total = levels[0] * NORMAL.cdf(scores[0]) + levels[-1] * (1 - NORMAL.cdf(scores[-1]))
        for a, b, low, high in zip(scores, scores[1:], levels, levels[1:], strict=False):
            slope = (high - low) / (b - a)
            total += (low - slope * a) * (NORMAL.cdf(b) - NORMAL.cdf(a)) + slope * (NORMAL.pdf(a) - NORMAL.pdf(b))
        return float(total * (1 - self.outages.share))

    def scaled(self, factor: float) -> Generator:
        """Return this network *factor* times as fast."""
        if factor == 1.0:
            return self
        levels = tuple((share, level * factor) for share, level in self.levels)
        return replace(self, name=f"{self.name} x {factor:g}", levels=levels)

    def level(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the bandwidth outside outages [B/s] at normal scores; beyond the table it is the table's end."""
        return np.interp(scores, *self._nodes)

    def generate(self, rng: np.random.Generator, duration: float) -> Trace:
        """Return one trace that wraps after *duration* [s]; one in which nothing ever came through is drawn anew."""
        count = math.ceil(duration / STEP)
        while True:
            noise = rng.standard_normal((2, count)).tolist()
            fast, slow = _remember(noise[0], self.fast), _remember(noise[1], self.slow)
            levels = self.level(math.sqrt(self.share) * fast + math.sqrt(1 - self.share) * slow)
            edges = np.array(self.outages.edges(rng, duration))
            starts = np.unique(np.concatenate([np.arange(count) * STEP, edges]))
            starts = starts[starts < duration]
            out = np.searchsorted(edges, starts, side="right") % 2 == 1
            values = np.where(out, 0.0, levels[(starts / STEP).astype(int)])
            if values.any():
                return Trace(starts.tolist(), values.tolist(), duration, "wrap", self.evidence, self.grade)

    @property
    def evidence(self) -> str:
        """What stands in the records for a trace of it."""
        return f"synthetic {self.name} ({self.direction}; {self.source})"


def _remember(noise: list[float], time: float) -> npt.NDArray[np.float64]:
    """Return the stationary process that forgets in *time* [s], from standard normal *noise*."""
    keep = math.exp(-STEP / time)
    kick = math.sqrt(1 - keep * keep)
    state = noise[0]
    states = [state]
    for each in noise[1:]:
        state = keep * state + kick * each
        states.append(state)
    return np.array(states)


# -- files -----------------------------------------------------------------------------------------------------------


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Outages(_Part):
    share: str
    mean: Period
    spread: Annotated[float, Field(ge=0, le=5)]


class _Memory(_Part):
    share: str
    fast: Period
    slow: Period


class _File(_Part):
    name: str
    title: str
    grade: Literal["measured", "transferred", "published", "guessed"]
    direction: Literal["downlink", "uplink", "both"]
    source: Annotated[str, Field(min_length=1)]
    outages: _Outages
    memory: _Memory
    levels: Annotated[dict[str, BytesPerSecond], Field(min_length=2)]


def read_generator(path: Path) -> Generator:
    """Read a network file (``scenarios/networks/4g.yaml`` shows one).

    Raises:
        TraceError: if it cannot be read, or a key, a unit or the order of the levels is wrong.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        file = _File.model_validate(data, context={"units": "written"})
        levels = tuple((SHARE.parse(share), level) for share, level in file.levels.items())
        outages = Outages(SHARE.parse(file.outages.share), file.outages.mean, file.outages.spread)
        fast = SHARE.parse(file.memory.share)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TraceError(f"{path.name}: cannot be read: {error}") from None
    except UnitError as error:
        raise TraceError(f"{path.name}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise TraceError(f"{path.name}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
    if not outages.share < 1:
        raise TraceError(f"{path.name}: outages.share: {outages.share:.0%} of the time; it must be below 100 %")
    if not fast <= 1:
        raise TraceError(f"{path.name}: memory.share: {fast:.0%} of the variance; it must be at most 100 %")
    for (share, level), (after, above) in pairwise(levels):
        if not (0 < share < after < 1 and level <= above):
            raise TraceError(f"{path.name}: levels: {share:.1%} and {after:.1%}: both shares and levels must rise")
    return Generator(
        file.name, file.title, file.grade, file.direction, file.source, levels,
        fast, file.memory.fast, file.memory.slow, outages,
    )  # fmt: skip


def generator_names(folder: Path) -> list[str]:
    """Return the names of the generators in *folder*."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_generator(name: str, folder: Path) -> Generator:
    """Return the generator *name* of *folder*.

    Raises:
        TraceError: if there is none, with the nearest name, or its file is wrong.
    """
    known = generator_names(folder)
    if name not in known:
        raise TraceError(f'no generator named "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')
    return read_generator(folder / f"{name}.yaml")
