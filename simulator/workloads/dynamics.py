"""Dynamics: what happens to the world while it works. Here: nodes and links that fail, devices that come and go.

When is known before the run begins: written, recorded, or drawn from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simulator.physics.engine import Story
from simulator.results.record import FailureRow
from simulator.world.cluster import Cluster

Away = Sequence[tuple[float, float]]
"""When a device is absent: begin and end [s], in order, without overlap."""


@dataclass(frozen=True)
class Outage:
    """The node or link ``name`` is down from ``start`` for ``length``."""

    name: str
    start: float
    """[s]."""
    length: float = math.inf
    """[s]; infinite where it never comes back."""
    absent: bool = False
    """Whether it has not failed, but left."""

    @property
    def end(self) -> float:
        """When it is up again [s]."""
        return self.start + self.length


def merged_outages(outages: Iterable[Outage]) -> list[Outage]:
    """Return *outages* of one node or link in order, those that overlap or touch made one.

    It is an absence then only if all of them are.
    """
    found: list[Outage] = []
    for new in sorted(outages, key=lambda outage: outage.start):
        last = found[-1] if found else None
        if last is None or last.end < new.start:
            found.append(new)
        else:
            length = max(last.end, new.end) - last.start
            found[-1] = Outage(new.name, last.start, length, last.absent and new.absent)
    return found


def outage_story(outages: Sequence[Outage], cluster: Cluster) -> Story:
    """Take it down, wait, bring it back, and leave a row, for each of *outages* of one node or link, in order."""
    for outage in outages:
        yield outage.start
        cluster.fail(outage.name)
        kind = "absence" if outage.absent else "node" if outage.name in cluster.nodes else "link"
        cluster.recorder.failures.add(FailureRow(outage.name, kind, outage.start, outage.end))
        if math.isinf(outage.end):
            return
        yield outage.end
        cluster.restore(outage.name)


def present(times: Iterator[list[float]], away: Away, until: float) -> Iterator[list[float]]:
    """Yield the blocks of *times* [s] before *until* without those at which the device is *away*."""
    if not away:
        yield from times
        return
    begins, ends = np.array(away).T
    for block in times:
        if block and block[0] >= until:
            return  # an absence may last for longer than anybody wants to draw times
        instants = np.array(block)
        which = np.searchsorted(begins, instants, side="right") - 1
        yield instants[(which < 0) | (instants >= ends[which])].tolist()


def back(away: Away, time: float) -> float:
    """Return when a device is there that is wanted at *time*: then, or when it is back [s]."""
    return next((end for begin, end in away if begin <= time < end), time)
