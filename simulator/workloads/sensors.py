"""Sensors: the messages that are sent for the sake of knowing. They cross the links and keep others waiting.

A *probe* is a message on one leg, sent by whoever stands before it; what it took is what is known of that leg. A
*report* is a message from a server to a device that says what the server's queue, or its load, was when it was sent.
Each begins at a random moment of its first period, so that a fleet does not measure in step; one that failure takes
away, or that comes due while the one before is under way, is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from simulator.foundation.errors import Down
from simulator.foundation.randomness import Streams
from simulator.physics.engine import Story
from simulator.physics.network import Leg
from simulator.world.cluster import Cluster
from simulator.world.request import Request
from simulator.world.sensing import Messages
from simulator.world.view import View

NOBODY = -1
"""Number of the request that a probe or report belongs to."""


class Sensors:
    """All probes and reports that the run's knowledge rests on."""

    def __init__(self, cluster: Cluster, views: Iterable[View], until: float, streams: Streams) -> None:
        """Take the world, the views of the devices that ask, until when to look [s], and chance."""
        self._cluster = cluster
        self._views = {view.source: view for view in views}
        self._until = until
        self._streams = streams
        self._begun: set[tuple[str, ...]] = set()

    def stories(self, *devices: str) -> Iterator[Story]:
        """Yield the stories of what *devices* (all where none is named) use and nobody looks at yet."""
        knowledge, cluster, until = self._cluster.knowledge, self._cluster, self._until
        views = [self._views[name] for name in devices or self._views if name in self._views]
        if knowledge.unused:
            return
        if knowledge.probe is not None:
            for leg in dict.fromkeys(leg for view in views for leg in view.legs):
                phase = self._begin("probe", leg.name)
                if phase is not None:
                    yield probe_story(leg, cluster, knowledge.probe, phase, until)
        for what, messages in (("load", knowledge.load_report), ("queue", knowledge.queue_report)):
            for view in views if messages is not None else ():
                for server in view.reachable_servers:
                    assert messages is not None
                    phase = self._begin("report", what, server, view.source)
                    if phase is not None:
                        yield report_story(what, server, view, cluster, messages, phase, until)

    def _begin(self, *name: str) -> float | None:
        """Return the part of a period before the first message of *name*; None where it is sent already."""
        if name in self._begun:
            return None
        self._begun.add(name)
        return float(self._streams[name].random())


def probe_story(leg: Leg, cluster: Cluster, messages: Messages, phase: float, until: float) -> Story:
    """Send a message on *leg* every so often, first after *phase* of a period; learn from each how fast it went."""
    sender, receiver = leg.wires[0].channel.sender, leg.wires[-1].channel.receiver
    for due in _turns(messages.every, phase, until):
        if due < cluster.now:
            continue  # the one before was still under way
        yield due
        if not cluster.sensor.watched(leg):
            continue  # a handover has led all who used it elsewhere
        request = Request(sender, NOBODY, cluster.now, 0.0, 0)
        try:
            yield from cluster.perform([cluster.probe(leg, sender, receiver, messages.size)], request)
        except Down:
            continue


def report_story(
    what: str, server: str, view: View, cluster: Cluster, messages: Messages, phase: float, until: float
) -> Story:
    """Tell the device of *view* every so often how much of *server* is left, or how many wait there."""
    node = cluster.node(server)
    for due in _turns(messages.every, phase, until):
        if due < cluster.now:
            continue
        yield due
        if not node.up or not cluster.network.leads(server, view.source):
            continue
        value = float(node.station.waiting()) if what == "queue" else node.facts.capacity.at(cluster.now)
        request = Request(server, NOBODY, cluster.now, 0.0, 0)
        try:
            yield from cluster.perform(cluster.report(server, view.source, messages.size), request)
        except Down:
            continue
        cluster.sensor.report(what, server, view.source, value, view.watch)


def _turns(every: float, phase: float, until: float) -> Iterator[float]:
    turn = 0
    while (turn + phase) * every < until:
        yield (turn + phase) * every
        turn += 1
