"""Arrivals: when a device asks. Each kind is an iterator of times [s], drawn from the device's own stream.

``ClosedLoop`` is different in kind: a user asks again only after the answer, so its times come out of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, count, repeat
from typing import Literal

import numpy as np

from simulator.foundation.randomness import blocks


@dataclass(frozen=True)
class Poisson:
    """Independent gaps, exponential with mean ``1 / rate``."""

    rate: float
    """[1/s]."""

    def times(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield arrival times without end [s]."""
        return accumulate(blocks(lambda size: rng.exponential(1.0 / self.rate, size)))


@dataclass(frozen=True)
class Periodic:
    """One request every so often: a camera."""

    every: float
    """[s]."""
    phase: Literal["aligned", "random"] = "aligned"
    """Whether all devices begin at 0, or each at its own random part of the period."""

    def times(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield arrival times without end [s]."""
        offset = rng.random() * self.every if self.phase == "random" else 0.0
        return (offset + number * self.every for number in count())


@dataclass(frozen=True)
class Replay:
    """Times as recorded; after the last one nobody asks."""

    instants: tuple[float, ...]
    """Sorted [s]."""

    def times(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield the recorded times [s]."""
        return iter(self.instants)


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


Arrivals = Poisson | Periodic | Replay | ClosedLoop
