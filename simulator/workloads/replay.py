"""Arrivals as recorded: at instants, or so many in each second; made in blocks, only as far as somebody asks.

A recording of instants is replayed as it is. One of counts per second says how many came, not when: that many are
placed uniformly and independently within each second, from the device's own stream. (That is what a Poisson process
looks like once its count is known; bursts shorter than a second are not in such a recording.) A ``scale`` thins or
multiplies: a mean that is no whole number is rounded up or down at random, so that it is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
BLOCK = 1024
"""Arrivals that are made at a time, about."""
STRETCH = 65_536
"""Segments that are looked at at a time, where few or none come in them."""
CLOSE = 1e-9
"""Means this close to a whole number are it: 3 requests in 0.1 s are a rate of 30.000000000000004."""


@dataclass(frozen=True, eq=False)
class Replay:
    """Times as recorded; after the last one nobody asks, or they come again."""

    instants: npt.ArrayLike
    """Sorted, zero or more [s]."""
    scale: float = 1.0
    """Mean number of requests for each recorded one; further ones come before the next recorded."""
    offset: float | Literal["random"] = 0.0
    """Where in the recording the run begins [s]; ``random``: each device elsewhere."""
    period: float = math.inf
    """After this long the recording begins again [s]."""

    @cached_property
    def _instants(self) -> Array:
        return np.asarray(self.instants, dtype=np.float64)

    def times(self, rng: np.random.Generator) -> Iterator[list[float]]:
        """Yield blocks of arrival times [s]."""
        offset = _offset(self.offset, self.period, rng)
        number = len(self._instants)
        begin = int(np.searchsorted(self._instants, offset))
        for turn in count() if math.isfinite(self.period) and number else (0,):
            shift = (turn * self.period if turn else 0.0) - offset
            for index in range(begin, number, BLOCK):
                block = self._instants[index : index + BLOCK]
                if self.scale != 1.0:
                    block = self._scaled(index, block, rng)
                yield (block + shift if shift else block).tolist()
            begin = 0

    def expected(self, until: float) -> float:
        """Return how many arrivals to expect before *until* [s]."""
        if self.offset == "random":
            return self.scale * len(self._instants) * until / self.period
        return self.scale * (self._before(self.offset + until) - self._before(self.offset))

    def _before(self, time: float) -> float:
        turns, rest = (time // self.period, time % self.period) if math.isfinite(self.period) else (0.0, time)
        return turns * len(self._instants) + float(np.searchsorted(self._instants, rest))

    def _scaled(self, index: int, block: Array, rng: np.random.Generator) -> Array:
        """Return each instant none, one or several times: itself, and others before the next."""
        following = self._instants[index + 1 : index + 1 + len(block)]
        gaps = np.append(following, np.full(len(block) - len(following), block[-1])) - block
        number = _rounded(np.full(len(block), self.scale), rng)
        first = np.cumsum(number) - number
        later = rng.random(int(number.sum()))
        later[first[number > 0]] = 0.0
        return np.sort(np.repeat(block, number) + later * np.repeat(gaps, number))


@dataclass(frozen=True, eq=False)
class Counts:
    """Requests at a recorded rate: a number in each segment, placed uniformly in it."""

    starts: Array
    """Of the segments; the first is zero [s]."""
    rates: Array
    """In the segments [1/s]."""
    duration: float
    """End of the last segment [s]."""
    scale: float = 1.0
    """Factor on every rate."""
    offset: float | Literal["random"] = 0.0
    """Where in the recording the run begins [s]; ``random``: each device elsewhere."""
    wrap: bool = False
    """Whether the recording begins again at its end; else nobody asks any more."""

    @cached_property
    def _edges(self) -> Array:
        return np.append(self.starts, self.duration)

    @cached_property
    def _sums(self) -> Array:
        """Requests before each edge."""
        sums: Array = np.concatenate(([0.0], np.cumsum(self.rates * np.diff(self._edges)))) * self.scale
        return sums

    def times(self, rng: np.random.Generator) -> Iterator[list[float]]:
        """Yield blocks of arrival times [s]."""
        offset = _offset(self.offset, self.duration, rng)
        edges, sums = self._edges, self._sums
        begin, last = max(0, int(np.searchsorted(edges, offset, side="right")) - 1), len(self.rates)
        first = offset
        for turn in count() if self.wrap and sums[-1] else (0,):
            shift = turn * self.duration - offset
            while begin < last:
                end = int(np.searchsorted(sums, sums[begin] + BLOCK, side="right")) - 1
                end = min(max(end, begin + 1), begin + STRETCH, last)
                left = np.maximum(edges[begin:end], first)
                lengths = edges[begin + 1 : end + 1] - left
                number = _rounded(self.rates[begin:end] * lengths * self.scale, rng)
                for block in _placed(left, lengths, number, rng):
                    yield (block + shift).tolist()
                begin = end
            begin, first = 0, 0.0

    def expected(self, until: float) -> float:
        """Return how many arrivals to expect before *until* [s]."""
        if self.offset == "random":
            return float(self._sums[-1]) * until / self.duration
        return self._before(self.offset + until) - self._before(self.offset)

    def _before(self, time: float) -> float:
        turns, rest = divmod(time, self.duration) if self.wrap else (0.0, time)
        return turns * float(self._sums[-1]) + float(np.interp(rest, self._edges, self._sums))


def _offset(offset: float | Literal["random"], period: float, rng: np.random.Generator) -> float:
    return float(rng.random() * period) if offset == "random" else offset


def _rounded(means: Array, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return whole numbers of these *means*, each rounded up as often as it takes to keep its mean."""
    near = np.rint(means)
    whole = np.where(np.abs(means - near) <= CLOSE * np.maximum(1.0, means), near, np.floor(means))
    rest = means - whole
    if (rest > CLOSE * np.maximum(1.0, means)).any():
        whole = whole + (rng.random(len(means)) < rest)
    return whole.astype(np.int64)


def _placed(left: Array, lengths: Array, number: npt.NDArray[np.int64], rng: np.random.Generator) -> Iterator[Array]:
    """Yield the times of so many arrivals in each segment, sorted, some thousand at most at once."""
    total = int(number.sum())
    if len(number) == 1 and total > 4 * BLOCK:  # a long segment, in parts that share its number by chance
        parts = math.ceil(total / BLOCK)
        shares = rng.multinomial(total, np.full(parts, 1 / parts))
        part = float(lengths[0]) / parts
        for index, share in enumerate(shares.tolist()):
            yield np.sort(left[0] + (index + rng.random(share)) * part)
    elif total:
        yield np.sort(np.repeat(left, number) + rng.random(total) * np.repeat(lengths, number))
