"""Dynamics: what happens to the world while it works. Here: nodes and links that fail and come back by schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulator.physics.engine import Story
from simulator.results.record import FailureRow
from simulator.world.cluster import Cluster


@dataclass(frozen=True)
class Outage:
    """The node or link ``name`` is down from ``start`` for ``length``."""

    name: str
    start: float
    """[s]."""
    length: float = math.inf
    """[s]; infinite where it never comes back."""


def outage_story(outage: Outage, cluster: Cluster) -> Story:
    """Take it down, wait, bring it back, and leave a row."""
    yield outage.start
    cluster.fail(outage.name)
    kind = "node" if outage.name in cluster.nodes else "link"
    end = outage.start + outage.length
    cluster.recorder.failures.add(FailureRow(outage.name, kind, outage.start, end))
    if math.isfinite(end):
        yield end
        cluster.restore(outage.name)
