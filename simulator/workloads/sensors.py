"""Sensors: the messages that are sent for the sake of knowing. They cross the links and keep others waiting.

A *probe* is a message on one leg, sent by whoever stands before it; what it took is what is known of that leg. A
*report* is a message from a server to a device that says what the server's queue, or its load, was when it was sent.
Each begins at a random moment of its first period, so that a fleet does not measure in step; one that failure takes
away, or that comes due while the one before is under way, is missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def sensor_stories(cluster: Cluster, views: Sequence[View], until: float, streams: Streams) -> Iterator[Story]:
    """Yield the stories of all probes and reports that the run's knowledge rests on, until arrivals end [s]."""
    knowledge = cluster.knowledge
    if knowledge.unused:
        return
    if knowledge.probe is not None:
        legs = dict.fromkeys(leg for view in views for leg in view.legs)
        for leg in legs:
            phase = streams["probe", leg.name].random()
            yield probe_story(leg, cluster, knowledge.probe, phase, until)
    for what, messages in (("load", knowledge.load_report), ("queue", knowledge.queue_report)):
        for view in views if messages is not None else ():
            for server in view.reachable_servers:
                assert messages is not None
                phase = streams["report", what, server, view.source].random()
                yield report_story(what, server, view, cluster, messages, phase, until)


def probe_story(leg: Leg, cluster: Cluster, messages: Messages, phase: float, until: float) -> Story:
    """Send a message on *leg* every so often, first after *phase* of a period; learn from each how fast it went."""
    sender, receiver = leg.wires[0].channel.sender, leg.wires[-1].channel.receiver
    for due in _turns(messages.every, phase, until):
        if due < cluster.now:
            continue  # the one before was still under way
        yield due
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
        if not node.up:
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
