"""Outages of a node or a service, drawn from a seed: how long between two, how long each, how much of it is gone.

An alternating renewal process, long under way when the run begins: the first gap is what is left of one that was met
in proportion to its length. Two gaps, or a gap and the outage behind it, know nothing of each other. The parameters
are fitted in ``calibration/worlds/outages.py``; how near they come is in ``docs/explanation/synthetic_loads.md``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import Field

from simulator.foundation.errors import TraceError
from simulator.foundation.units import Period
from simulator.traces.written import Head, Part, Written, evidence, named, read_mapping, share, validated

ROUNDING = 5e-3
"""How far the parts of ``hit`` may be from one: they are written to a few digits. They are divided by their sum."""


class Distribution(Protocol):
    """A distribution of durations."""

    @property
    def mean(self) -> float:
        """Mean [s]."""

    def draw(self, rng: np.random.Generator) -> float:
        """Return a duration [s]."""

    def met(self, rng: np.random.Generator) -> float:
        """Return a duration [s] that was met in proportion to its length."""


class Weibull(Part):
    """Weibull; with shape 1 it is the exponential, below 1 short and very long ones are more frequent than in it."""

    kind: Literal["weibull"]
    scale: Period
    """[s]."""
    shape: Annotated[float, Field(gt=0.1, le=10)]

    @property
    def mean(self) -> float:
        """Mean [s]."""
        return self.scale * math.gamma(1 + 1 / self.shape)

    def draw(self, rng: np.random.Generator) -> float:
        """Return a duration [s]."""
        return float(self.scale * rng.weibull(self.shape))

    def met(self, rng: np.random.Generator) -> float:
        """Return one met in proportion to its length: the power of it is then gamma instead of exponential."""
        return float(self.scale * rng.gamma(1 + 1 / self.shape) ** (1 / self.shape))


class Exponential(Part):
    """Exponential: how long it has lasted says nothing about how long it will."""

    kind: Literal["exponential"]
    mean: Period
    """[s]."""

    def draw(self, rng: np.random.Generator) -> float:
        """Return a duration [s]."""
        return float(rng.exponential(self.mean))

    def met(self, rng: np.random.Generator) -> float:
        """Return one met in proportion to its length, which is the sum of two."""
        return float(rng.gamma(2.0, self.mean))


class LogNormal(Part):
    """Log-normal: few are very long."""

    kind: Literal["log-normal"]
    median: Period
    """[s]."""
    spread: Annotated[float, Field(ge=0, le=5)]
    """Standard deviation of the logarithm."""

    @property
    def mean(self) -> float:
        """Mean [s]."""
        return self.median * math.exp(self.spread**2 / 2)

    def draw(self, rng: np.random.Generator) -> float:
        """Return a duration [s]."""
        return float(rng.lognormal(math.log(self.median), self.spread))

    def met(self, rng: np.random.Generator) -> float:
        """Return one met in proportion to its length: log-normal again, its median times ``exp(spread ** 2)``."""
        return float(rng.lognormal(math.log(self.median) + self.spread**2, self.spread))


AnyDistribution = Annotated[Weibull | Exponential | LogNormal, Field(discriminator="kind")]


@dataclass(frozen=True)
class OutageGenerator:
    """A kind of failing, of which any number of histories can be drawn."""

    name: str
    title: str
    grade: str
    source: str
    """What it was fitted to, or why it was guessed."""
    between: Distribution
    """From the end of one outage to the start of the next [s]."""
    length: Distribution
    """[s]."""
    hit: tuple[tuple[float, float], ...]
    """(part of the hosts that are out, share of outages with that), parts rising, shares summing to one."""

    @property
    def down(self) -> float:
        """Share of time in an outage, in the long run."""
        return self.length.mean / (self.length.mean + self.between.mean)

    @property
    def evidence(self) -> str:
        """What stands in the records for outages of it."""
        return evidence(self.name, "unknown", self.source)

    def draw(self, rng: np.random.Generator, until: float) -> list[tuple[float, float, float]]:
        """Return (down, up, part of the hosts) of the outages that begin before *until* [s]; the last may end later.

        The run may begin in the middle of an outage: then the first begins at 0.
        """
        found: list[tuple[float, float, float]] = []
        if rng.random() < self.down:
            up = self.length.met(rng) * rng.random()
            found.append((0.0, up, self._hit(rng)))
            time = up + self.between.draw(rng)
        else:
            time = self.between.met(rng) * rng.random()
        while time < until:
            up = time + self.length.draw(rng)
            found.append((time, up, self._hit(rng)))
            time = up + self.between.draw(rng)
        return found

    def _hit(self, rng: np.random.Generator) -> float:
        upto = list(accumulate(share for _, share in self.hit))[:-1]
        return self.hit[bisect_right(upto, rng.random())][0]


# -- files -----------------------------------------------------------------------------------------------------------


class _File(Head):
    between: AnyDistribution
    length: AnyDistribution
    hit: Annotated[dict[str, Written], Field(min_length=1)]


def read_outages(path: Path) -> OutageGenerator:
    """Read a file of outages (``scenarios/outages/web-service.yaml`` shows one).

    Raises:
        TraceError: if it cannot be read, or a key, a unit or a sum is wrong.
    """
    file = validated(_File, read_mapping(path), path)
    hit = tuple((share(part, path, "hit"), share(often, path, f"hit.{part}")) for part, often in file.hit.items())
    if not all(0 < part <= 1 for part, _ in hit) or any(a >= b for (a, _), (b, _) in pairwise(hit)):
        raise TraceError(f"{path.name}: hit: the parts of the hosts that are out must rise, above 0 and up to 100 %")
    total = math.fsum(often for _, often in hit)
    if abs(total - 1) > ROUNDING:
        raise TraceError(f"{path.name}: hit: the shares of outages sum to {total:.3%}, not to 100 %")
    parts = tuple((part, often / total) for part, often in hit)
    return OutageGenerator(file.name, file.title, file.grade, file.source, file.between, file.length, parts)


def find_outages(name: str, folder: Path) -> OutageGenerator:
    """Return the outages *name* of *folder* (``scenarios/outages``).

    Raises:
        TraceError: if there are none of that name, with the nearest name, or the file is wrong.
    """
    return read_outages(named(name, folder, "outages"))
