"""``View``: what a technique may see. A sensor, not the truth.

What it may know is the scenario's ``knowledge:`` block. Reading what was not declared raises ``KnowledgeError`` and
names the line to add. A view belongs to one device and asks the cluster's sensors; what it keeps are answers that
would be the same again.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import cached_property

from simulator.foundation.errors import KnowledgeError, PlacementError, ProfileError
from simulator.physics import cost
from simulator.physics.network import Leg
from simulator.physics.station import Fifo
from simulator.profiles.model import ModelProfile
from simulator.profiles.placement import Placement, Segment
from simulator.profiles.trace import Trace
from simulator.world.cluster import Cluster
from simulator.world.estimate import Estimate
from simulator.world.request import Request
from simulator.world.sensing import Watch


class View:
    """The world as the device *source* may know it."""

    def __init__(
        self, cluster: Cluster, source: str, believed: dict[str, list[float]], per_request: bool = False
    ) -> None:
        """Take the world, the device, the layer times believed in (prefix sums by node), and when it is looked at."""
        self._per_request = per_request
        self._cluster = cluster
        self._believed = believed
        self._knowledge = cluster.knowledge
        self._splits: tuple[tuple[int, int], tuple[Placement, ...]] | None = None
        self._estimate: Estimate | None = None
        self.source = source

    @property
    def now(self) -> float:
        """The time [s]."""
        return self._cluster.now

    @property
    def model(self) -> ModelProfile:
        """The network that is served."""
        return self._cluster.model

    @property
    def live_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that are up."""
        return tuple(name for name, node in self._cluster.nodes.items() if node.up)

    @property
    def servers(self) -> tuple[str, ...]:
        """Names of the servers that are up and can be reached now, nearest (fewest hops, least delay) first."""
        return tuple(name for name in self.reachable_servers if self._cluster.nodes[name].up and self._linked(name))

    def nearest(self, node: str) -> tuple[str, ...]:
        """Return the live nodes other than *node* that it can reach, nearest first."""
        reach = self._cluster.network.reachable(node)
        return tuple(name for name in reach if name != node and self._cluster.nodes[name].up)

    def nearest_server(self, start: int = 0) -> str:
        """Return the nearest server with room for the layers from *start* on: one that is up, else one that is not.

        Requests wait for the repair of a server that is down. Where nobody has room it is the nearest of all.

        Raises:
            PlacementError: if no link leads to any.
        """
        reach = self._cluster.network.reachable(self.source)
        servers = [*self.servers, *(name for name in reach if name != self.source and self._is_server(name))]
        if not servers:
            raise PlacementError(f'no link leads from "{self.source}" to a server; add one under links:')
        need, nodes = self._cluster.residency.need, self._cluster.nodes
        layers = len(self.model)
        roomy = (n for n in servers if need(n, self.source, start, layers) <= nodes[n].memory.capacity)
        return next(roomy, servers[0])

    def splits(self, request: Request | None = None) -> tuple[Placement, ...]:
        """Return every placement along a chain of live servers that fits in memory.

        A chain is the device and the servers on the way to some server, in order; each node holds a run of layers
        between two valid cuts, which may be empty. All on the device comes first. Where none fits, servers that are
        down or cut off count too: requests then wait for the repair. On long ways, where there
        would be more than 20,000, a placement has as many of the servers as keep the number below, at least one.
        """
        cluster = self._cluster
        state = (cluster.ups, cluster.residency.version)
        if self._splits is None or self._splits[0] != state:
            self._splits = (state, self._options())
        return self._splits[1]

    def _options(self) -> tuple[Placement, ...]:
        cluster = self._cluster
        for chains in (self._chains((self.source, *self.servers)), self._chains(tuple(cluster.nodes))):
            options = cluster.options(chains)
            if not all(cluster.residency.roomy(node) for chain in chains for node in chain):
                options = tuple(o for o in options if cluster.residency.fits(self.source, o))
            if options:
                return options
        return ()

    def fastest(self, placements: tuple[Placement, ...], kind: bool = False) -> Placement:
        """Return the one of *placements* with the least :meth:`latency` (the first of equals), quickly for many.

        Args:
            placements: what to choose from.
            kind: count what a request is expected to delay others of its device by, too (clairvoyants only).

        Raises:
            PlacementError: if there is none to choose from.
        """
        if not placements:
            raise PlacementError(
                f'no placement of "{self.model.name}" fits in memory on "{self.source}" and the servers it reaches; '
                "raise memory: there"
            )
        estimate = self._estimate
        if estimate is None or estimate.placements is not placements:
            estimate = self._estimate = self._estimated(placements)
        if not estimate.linear or (estimate.changing and self._knowledge.foresight):
            return min(placements, key=self.latency)
        nodes = [self._cluster.nodes[name] for name in estimate.nodes]
        rates = [self._cluster.sensor.rate(leg, self.now) for leg in estimate.legs]
        likely = estimate.fastest(estimate.latencies([self._left(node.name) for node in nodes], rates), self.latency)
        if not self._knowledge.foresight:
            return likely
        # Whatever is faster than the likely one is over before it, so that rates cannot exceed their peaks until then.
        least = self.latency(likely)
        peaks = [
            min(wire.channel.bandwidth.peak(self.now, self.now + least) for wire in leg.wires) for leg in estimate.legs
        ]
        left = [node.facts.capacity.peak(self.now, self.now + least) for node in nodes]
        floor = estimate.latencies(left, peaks)
        besides = estimate.burden(self.source, self._cluster.others, left, rates) if kind else None
        return estimate.fastest_above(floor, self.latency, besides)

    def _estimated(self, placements: tuple[Placement, ...]) -> Estimate:
        cluster = self._cluster
        return Estimate(placements, self.source, self._work, cluster.crossing, cluster.network.route)

    def _work(self, node: str, start: int, stop: int) -> float:
        """Return the time of layers [start, stop) on *node*, idle and all theirs, as believed [s]."""
        believed = self._believed[node]
        return (believed[stop] - believed[start]) * self._cluster.nodes[node].slowdown

    def latency(self, placement: Placement) -> float:
        """Return the latency of a request under *placement* as far as it is known [s], without queues.

        Those a clairvoyant alone knows.
        """
        return self.parts(placement).total

    def parts(self, placement: Placement) -> cost.Parts:
        """Return what that latency is made of, as far as it is known [s]."""
        parts = cost.Parts()
        now, here = self.now, self.source
        for segment in placement.segments:
            if segment.node != here:
                now = self._message(here, segment.node, self._cluster.cut_bytes[segment.start], now, parts)
            now = self._compute(segment, now, parts)
            here = segment.node
        if here != self.source:
            self._message(here, self.source, self._cluster.crossing(placement.end), now, parts)
        return parts

    def device_energy(self, placement: Placement) -> float:
        """Return the energy a request under *placement* adds at the device, as far as it is known [J]."""
        node = self._cluster.nodes[self.source]
        joules = 0.0
        for segment in placement.segments:
            if segment.node == self.source:
                joules += node.watts_per_slot * self._seconds(segment)
        here, size = self.source, self._cluster.cut_bytes[0]
        for segment in [*placement.segments, Segment(self.source, 0, 0)]:
            size = self._cluster.cut_bytes[segment.start] if segment.stop else self._cluster.crossing(placement.end)
            if segment.node != here:
                route = self._cluster.network.route(here, segment.node)
                if here == self.source:
                    joules += node.transmit * self._wire_seconds(route.legs[0], size)
                elif segment.node == self.source:
                    joules += node.receive * self._wire_seconds(route.legs[-1], size)
            here = segment.node
        return joules

    def fits(self, placement: Placement) -> bool:
        """Return whether every node of *placement* is up, linked, and has the memory for it."""
        cluster = self._cluster
        there = all(cluster.nodes[name].up and self._linked(name) for name in placement.nodes)
        return there and cluster.residency.fits(self.source, placement)

    def deploy_seconds(self, placement: Placement) -> float:
        """Return how long it takes to make *placement* ready: weights loaded and run once, all nodes at once [s].

        Of what loading and the first call of the whole model take, each segment has the part of its parameters and of
        its layer times.

        Raises:
            ProfileError: if that was never measured for this model.
        """
        model, longest = self.model, 0.0
        for segment in placement.segments:
            times, median = self._cluster.timing[segment.node].times, self._cluster.timing[segment.node].median
            if times.load is None or times.first_call is None:
                raise ProfileError(
                    f'nobody measured how long "{model.name}" takes to load and to run first on "{segment.node}"; '
                    f"profile it anew (offing profile {model.name}), or give the downtimes instead (cost: neukonfig)"
                )
            weights = model.parameters(segment.start, segment.stop) / (model.parameters(0, len(model)) or 1.0)
            work = (median[segment.stop] - median[segment.start]) / (median[-1] or 1.0)
            longest = max(longest, weights * times.load + work * times.first_call)
        return longest

    def bandwidth(self, sender: str, receiver: str) -> float:
        """Return the capacity of the way from *sender* to *receiver* as known [B/s]: its narrowest leg's."""
        legs = self._cluster.network.route(sender, receiver).legs
        return min(self._cluster.sensor.rate(leg, self.now) for leg in legs)

    def queue(self, node: str) -> int:
        """Return how many jobs *node* has admitted and not done.

        Raises:
            KnowledgeError: if the scenario does not say that queues are known, or the technique is not asked per
                request (queues change with each, so a standing decision could not follow them).
        """
        queues = self._knowledge.queues
        if queues == "none":
            raise KnowledgeError(
                f'the technique read the queue of "{node}", but in this scenario queues are not known; '
                'add to the scenario:  knowledge: {queues: {reported: 1 s, bytes: "200 B"}}  (or queues: oracle)'
            )
        if queues == "reported" and node != self.source:
            return int(self._cluster.sensor.reported("queue", node, self.source, 0.0))
        if not self._per_request:
            raise KnowledgeError(
                f'the technique read the queue of "{node}", but is asked when its view changes, not per request; '
                'add to the class:  asks = "request"'
            )
        return self._cluster.node(node).station.waiting()

    def valid_until(self) -> float:
        """Return when what is known may change by itself [s]: the next step of a trace that may be seen."""
        cluster, now = self._cluster, self.now
        if cluster.steady:
            return math.inf
        until = min((cluster.sensor.next_change(leg, now) for leg in self.legs), default=math.inf)
        if self._knowledge.load == "oracle":
            until = min(
                until, *(cluster.nodes[n].facts.capacity.next_change(now) for n in [self.source, *self.servers])
            )
        return until

    @cached_property
    def watch(self) -> Watch:
        """Count of what was learnt that this view shows."""
        sensor = self._cluster.sensor
        return sensor.watch(self.legs if not sensor.oracle else ())

    # -- how it is known -----------------------------------------------------------------------------------------

    def _message(self, sender: str, receiver: str, size: float, now: float, parts: cost.Parts) -> float:
        route = self._cluster.network.route(sender, receiver)
        if self._knowledge.foresight:
            roams = self.source in self._cluster.network.roaming
            return cost.message(route, size, now, parts, free=_free_and_open if roams else _free)
        return cost.message(route, size, now, parts, self._capacity, on_average=True)

    def _capacity(self, leg: Leg) -> Trace:
        return self._cluster.sensor.trace(leg, self.now)

    def _wire_seconds(self, leg: Leg, size: float) -> float:
        rate = self._cluster.sensor.rate(leg, self.now)
        return leg.framing * size / rate if rate else math.inf

    def _compute(self, segment: Segment, now: float, parts: cost.Parts) -> float:
        """Return when *segment*, begun at *now*, is done; add to *parts*."""
        if not self._knowledge.foresight:
            seconds = self._seconds(segment)
            parts.compute += seconds
            return now + seconds
        node = self._cluster.nodes[segment.node]
        begin = max(now, node.station.free()) if isinstance(node.station, Fifo) else now
        end = node.facts.capacity.finish(begin, self._work(segment.node, segment.start, segment.stop))
        parts.queue += begin - now
        parts.compute += end - begin
        return end

    def _seconds(self, segment: Segment) -> float:
        left = self._left(segment.node)
        return self._work(segment.node, segment.start, segment.stop) / left if left > 0 else math.inf

    def _left(self, name: str) -> float:
        """Return the share of a processor that is left by others, as known; what is going on at home is no secret."""
        load = self._knowledge.load
        if load == "oracle" or (load == "reported" and name == self.source):
            return self._cluster.nodes[name].facts.capacity.at(self.now)
        return self._cluster.sensor.reported("load", name, self.source, 1.0) if load == "reported" else 1.0

    def _is_server(self, name: str) -> bool:
        return self._cluster.nodes[name].facts.kind == "server"

    def _linked(self, name: str) -> bool:
        """Return whether all links on the way to the node *name* and back are up."""
        network = self._cluster.network
        if name == self.source or not network.troubled:
            return True
        if self.source in network.roaming and not network.leads(self.source, name):
            return False
        ways = (network.route(self.source, name), network.route(name, self.source))
        return all(wire.up for way in ways for wire in way.wires)

    def _chains(self, nodes: Collection[str]) -> tuple[tuple[str, ...], ...]:
        among = set(nodes)
        chains = {
            (self.source, *(n for n in path[1:] if self._is_server(n) and n in among)): None
            for name, path in self._cluster.network.reachable(self.source).items()
            if name == self.source or (self._is_server(name) and name in among)
        }
        longest = sorted(chains, key=len, reverse=True)
        kept: list[tuple[str, ...]] = []
        for chain in longest:  # a chain's prefixes are among its own placements
            if not any(other[: len(chain)] == chain for other in kept):
                kept.append(chain)
        return tuple(reversed(kept))

    def moved(self) -> None:
        """Forget what led over the link before: the device was handed over to another one."""
        for kept in ("reachable_servers", "legs"):
            self.__dict__.pop(kept, None)
        self._splits = self._estimate = None
        sensor = self._cluster.sensor
        sensor.follow(self.watch, self.legs if not sensor.oracle else ())

    @cached_property
    def reachable_servers(self) -> tuple[str, ...]:
        """Names of the servers that links lead to, up or down, nearest first."""
        reach = self._cluster.network.reachable(self.source)
        return tuple(name for name in reach if name != self.source and self._is_server(name))

    @cached_property
    def legs(self) -> tuple[Leg, ...]:
        """The legs on the way to every server there is, and back."""
        route = self._cluster.network.route
        ways = [w for name in self.reachable_servers for w in (route(self.source, name), route(name, self.source))]
        return tuple(dict.fromkeys(leg for way in ways for leg in way.legs))


def _free(leg: Leg) -> float:
    return leg.fifo.free() if leg.fifo is not None else -math.inf


def _free_and_open(leg: Leg) -> float:
    return max(_free(leg), leg.opens)
