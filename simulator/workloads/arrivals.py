"""Arrivals: when a device asks. Each kind yields blocks of times [s], drawn from the device's own stream.

Blocks, because a generator resumed per request costs more than the time itself. ``ClosedLoop`` is different in kind:
a user asks again only after the answer, so its times come out of the run. Recorded times: ``replay.py``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, repeat
from typing import Literal

import numpy as np

from simulator.foundation.randomness import blocks
from simulator.workloads.replay import Counts, Replay


@dataclass(frozen=True)
class Poisson:
    """Independent gaps, exponential with mean ``1 / rate``."""

    rate: float
    """[1/s]."""

    def times(self, rng: np.random.Generator) -> Iterator[list[float]]:
        """Yield blocks of arrival times without end [s]."""
        last, size = 0.0, 16
        while True:
            block = (last + np.cumsum(rng.exponential(1.0 / self.rate, size))).tolist()
            yield block
            last, size = block[-1], min(2 * size, 1024)

    def expected(self, until: float) -> float:
        """Return how many arrivals to expect before *until* [s]."""
        return until * self.rate


@dataclass(frozen=True)
class Periodic:
    """One request every so often: a camera."""

    every: float
    """[s]."""
    phase: Literal["aligned", "random"] = "aligned"
    """Whether all devices begin at 0, or each at its own random part of the period."""

    def times(self, rng: np.random.Generator) -> Iterator[list[float]]:
        """Yield blocks of arrival times without end [s]."""
        offset = rng.random() * self.every if self.phase == "random" else 0.0
        return ([offset + number * self.every for number in range(i, i + 64)] for i in count(step=64))

    def expected(self, until: float) -> float:
        """Return how many arrivals to expect before *until* [s]."""
        return until / self.every


@dataclass(frozen=True)
class ClosedLoop:
    """``users`` at each device, each asking, waiting for the answer, and thinking before the next."""

    users: int = 1
    think: float = 0.0
    """Mean time between an answer and the next request [s]."""
    spread: Literal["constant", "exponential"] = "constant"

    def pauses(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield thinking times without end [s]."""
        if self.spread == "exponential":
            return blocks(lambda size: rng.exponential(self.think, size))
        return repeat(self.think)


OpenLoop = Poisson | Periodic | Replay | Counts
Arrivals = OpenLoop | ClosedLoop


def merged(
    sources: Sequence[Iterator[list[float]]], until: float, window: float
) -> Iterator[tuple[list[float], list[int]]]:
    """Yield the times before *until* of all *sources* in order, and whose they are, *window* seconds at a time.

    Of equal times, that of the earlier source comes first.
    """
    pending: list[list[float]] = [[] for _ in sources]
    end = 0.0
    while end < until:
        end = min(end + window, until)
        times: list[float] = []
        counts = []
        for i, source in enumerate(sources):
            left = pending[i]
            while not left or left[-1] < end:
                block = next(source, None)
                if block is None:
                    break
                left = left + block if left else block
            here = bisect_left(left, end)
            times += left[:here]
            counts.append(here)
            pending[i] = left[here:]
        order = np.argsort(times, kind="stable")
        owners = np.repeat(np.arange(len(counts)), counts)
        yield np.array(times)[order].tolist(), owners[order].tolist()
