"""Mobility: devices that move are handed over from one access point to the next, at the instants their path says.

Who is nearest when follows from path and sites alone (``physics/geometry.py``), so that it is known before the run
begins; here it comes to pass. What is under way on the link that is left is lost, and the request that meets it goes on
by the new one (``Technique.recover`` says otherwise); the new link carries nothing until the interruption is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from simulator.physics.engine import Story
from simulator.results.record import HandoverRow
from simulator.world.cluster import Cluster


@dataclass(frozen=True)
class Roaming:
    """The access links of one device: which of them it has from when on."""

    device: str
    turns: tuple[tuple[float, str], ...]
    """Time [s] and name of the link, in order, the first at 0 s."""
    interruption: float
    """How long a new link carries nothing after a handover [s]."""


def roaming_story(roaming: Roaming, cluster: Cluster, after: Callable[[str], Iterable[Story]]) -> Story:
    """Hand the device over at each turn but the first, which it has from the beginning; leave a row each.

    Args:
        roaming: who, when, and to which link.
        cluster: the world.
        after: returns what begins after a handover of a device, such as looking at links that are new to it.
    """
    before = roaming.turns[0][1]
    for time, link in roaming.turns[1:]:
        yield time
        cluster.hand_over(roaming.device, before, link, roaming.interruption)
        cluster.recorder.handovers.add(HandoverRow(roaming.device, before, link, time, roaming.interruption))
        before = link
        for story in after(roaming.device):
            cluster.env.start(story)
