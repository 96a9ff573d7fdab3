"""``View``: what a technique may see. A sensor, not the truth.

What it may know is the scenario's ``knowledge:`` block. Reading what was not declared raises ``KnowledgeError`` and
names the line to add. A view holds no state of its own: it belongs to one device and asks the cluster's sensors.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from simulator.foundation.errors import KnowledgeError, PlacementError, did_you_mean
from simulator.physics import cost
from simulator.physics.network import Leg, Route
from simulator.profiles.model import ModelProfile
from simulator.profiles.placement import Placement, Segment
from simulator.profiles.trace import Trace
from simulator.world.cluster import Cluster
from simulator.world.request import Request


class View:
    """The world as the device *source* may know it."""

    def __init__(
        self, cluster: Cluster, source: str, believed: dict[str, list[float]], per_request: bool = False
    ) -> None:
        """Take the world, the device, the layer times believed in (prefix sums by node), and when it is looked at."""
        self._per_request = per_request
        self._cluster = cluster
        self._believed = believed
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
        """Names of the servers that are up and can be reached, nearest (fewest hops, least delay) first."""
        return tuple(name for name in self._reach() if name != self.source and self._is_server(name))

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
        down count too: requests then wait for the repair.
        """
        cluster = self._cluster
        for chains in (self._chains(self.live_nodes), self._chains(tuple(cluster.nodes))):
            options = tuple(o for o in cluster.options(chains) if cluster.residency.fits(self.source, o))
            if options:
                return options
        return ()

    def latency(self, placement: Placement) -> float:
        """Return the latency of an unloaded request under *placement*, as far as it is known [s]."""
        return self.parts(placement).total

    def parts(self, placement: Placement) -> cost.Parts:
        """Return what that latency is made of, as far as it is known [s]."""
        parts = cost.Parts()
        now, here = self.now, self.source
        for segment in placement.segments:
            if segment.node != here:
                now = self._message(here, segment.node, self._cluster.cut_bytes[segment.start], now, parts)
            seconds = self._seconds(segment)
            parts.compute += seconds
            now += seconds
            here = segment.node
        if here != self.source:
            self._message(here, self.source, self._answer(placement), now, parts)
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
            size = self._cluster.cut_bytes[segment.start] if segment.stop else self._answer(placement)
            if segment.node != here:
                route = self._cluster.network.route(here, segment.node)
                if here == self.source:
                    joules += node.transmit * self._wire_seconds(route.legs[0], size)
                elif segment.node == self.source:
                    joules += node.receive * self._wire_seconds(route.legs[-1], size)
            here = segment.node
        return joules

    def fits(self, placement: Placement) -> bool:
        """Return whether every node of *placement* is up and has the memory for it."""
        cluster = self._cluster
        return all(cluster.nodes[s.node].up for s in placement.segments) and cluster.residency.fits(
            self.source, placement
        )

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
        if self._cluster.knowledge.queues == "none":
            raise KnowledgeError(
                f'the technique read the queue of "{node}", but in this scenario queues are not known; '
                "add to the scenario:  knowledge: {queues: oracle}"
            )
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
        legs = {leg: None for way in self._ways() for leg in way.legs}
        until = min((cluster.sensor.next_change(leg, now) for leg in legs), default=math.inf)
        if cluster.knowledge.load == "oracle":
            until = min(
                until, *(cluster.nodes[n].facts.capacity.next_change(now) for n in [self.source, *self.servers])
            )
        return until

    def check(self, placement: object, who: str, alive: bool = False, whole: bool = True) -> Placement:
        """Return *placement* if it can run: cuts valid, nodes reachable and large enough.

        Args:
            placement: what a technique answered.
            who: whose answer it is, for the error.
            alive: whether its nodes must be up.
            whole: whether it must cover all layers (a recovery may leave the model early).

        Raises:
            PlacementError: saying what is wrong.
        """
        if not isinstance(placement, Placement):
            raise PlacementError(f"{who} answered {placement!r}; place() answers a Placement")
        nodes, cuts = self._cluster.nodes, self._cluster.cut_bytes
        if placement.end > len(self.model):
            raise PlacementError(
                f'{who} placed layer {placement.end - 1}, but "{self.model.name}" has {len(self.model)}'
            )
        if whole and placement.end < len(self.model):
            raise PlacementError(
                f'{who} placed layers 0 to {placement.end - 1}, but "{self.model.name}" has {len(self.model)} layers; '
                "place them all (only recover() may leave the model early)"
            )
        for segment in placement.segments:
            layers = f"layers {segment.start} to {segment.stop - 1} of {self.model.name}"
            if segment.node not in nodes:
                hint = did_you_mean(segment.node, nodes)
                raise PlacementError(f'{who} placed {layers} on "{segment.node}".{hint} Nodes: {", ".join(nodes)}')
            if alive and not nodes[segment.node].up:
                raise PlacementError(
                    f'{who} placed {layers} on "{segment.node}", which has been down since '
                    f"{nodes[segment.node].station.since:g} s (view.live_nodes lists the others)"
                )
            if segment.start not in cuts:
                near = sorted(cuts, key=lambda cut: abs(cut - segment.start))[:3]
                raise PlacementError(
                    f'{who} cut "{self.model.name}" before layer {segment.start}, where it cannot be cut; '
                    f"the nearest valid cuts: {', '.join(map(str, sorted(near)))}"
                )
            if segment.node != self.source:
                self._cluster.network.route(self.source, segment.node)
        for s in placement.segments:
            need = self._cluster.residency.need(s.node, self.source, s.start, s.stop)
            facts = nodes[s.node].facts
            if need > facts.memory:
                layers = f'layers {s.start} to {s.stop - 1} of "{self.model.name}"'
                raise PlacementError(
                    f'{layers} need {need / 2**20:.1f} MiB on "{s.node}" '
                    f"(weights, and activations of {facts.slots} requests at once), which has "
                    f"{facts.memory / 2**20:.1f} MiB; raise memory: there, or place fewer layers on it"
                )
        return placement

    # -- how it is known -----------------------------------------------------------------------------------------

    def _message(self, sender: str, receiver: str, size: float, now: float, parts: cost.Parts) -> float:
        route = self._cluster.network.route(sender, receiver)
        return cost.message(route, size, now, parts, self._capacity)

    def _capacity(self, leg: Leg) -> Trace:
        return self._cluster.sensor.trace(leg, self.now)

    def _wire_seconds(self, leg: Leg, size: float) -> float:
        rate = self._cluster.sensor.rate(leg, self.now)
        return leg.framing * size / rate if rate else math.inf

    def _seconds(self, segment: Segment) -> float:
        node = self._cluster.nodes[segment.node]
        believed = self._believed[segment.node]
        left = node.facts.capacity.at(self.now) if self._cluster.knowledge.load == "oracle" else 1.0
        if left <= 0:
            return math.inf
        return (believed[segment.stop] - believed[segment.start]) * node.slowdown / left

    def _answer(self, placement: Placement) -> float:
        return (
            self._cluster.answer_bytes if placement.end == len(self.model) else self._cluster.cut_bytes[placement.end]
        )

    def _is_server(self, name: str) -> bool:
        return self._cluster.nodes[name].facts.kind == "server"

    def _reach(self) -> dict[str, list[str]]:
        nodes = self._cluster.nodes
        paths = self._cluster.network.reachable(self.source)
        return {name: path for name, path in paths.items() if nodes[name].up}

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

    def _ways(self) -> Iterator[Route]:
        for server in self.servers:
            yield self._cluster.network.route(self.source, server)
            yield self._cluster.network.route(server, self.source)
