"""Inference: the story of a request, from arrival to answer, and the standing decision it follows.

A technique is asked for a placement when what its view shows has changed (a trace step it may see, a node up or down,
a new measurement), or at each request if it says so. One that adapts on a timer is asked for its first placement, and
again only where the standing one cannot run; what a change of mind costs is then never left out. Its hooks answer;
everything that takes time happens here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Literal

import simpy

from simulator.foundation.errors import Down, LinkDown, PlacementError
from simulator.foundation.randomness import Streams, blocks
from simulator.physics.engine import Story
from simulator.profiles.placement import Failure, Placement
from simulator.results.record import DecisionRow, RequestRow
from simulator.techniques.technique import Technique, overrides
from simulator.workloads.arrivals import Arrivals, ClosedLoop, OpenLoop, merged
from simulator.workloads.dynamics import Away, back, present
from simulator.world.check import check
from simulator.world.cluster import Cluster
from simulator.world.plan import Plan
from simulator.world.request import Request, Undeclared
from simulator.world.view import View

UNDECLARED = Undeclared()
AT_ONCE = 20  # failures a request may meet in one instant before its technique is held to be going in circles
MERGED = 200_000  # arrivals that are put in order at a time


class Service:
    """The inference service as one device has it: who decides, what was decided, which requests are under way."""

    __slots__ = (
        "_adapts", "_add", "_count", "_draws", "_layers", "_learns", "_per_request", "_plan", "_serves",
        "_stale_at", "_version", "_watch", "away", "cluster", "deadline", "held_until", "open", "placement", "source",
        "technique", "view",
    )  # fmt: skip

    def __init__(
        self, cluster: Cluster, view: View, technique: Technique, deadline: float, streams: Streams, away: Away = ()
    ) -> None:
        """Take the world, the device's view of it, the technique of this run, and what the device is like.

        Args:
            cluster: the world.
            view: the device's view of it.
            technique: who decides.
            deadline: [s] after arrival.
            streams: where random numbers come from.
            away: when the device is absent, and asks nothing.
        """
        self.cluster = cluster
        self.view = view
        self.technique = technique
        self.source = view.source
        self.deadline = deadline
        self.away = away
        self.open = cluster.open
        self.placement: Placement | None = None  # the standing decision
        self.held_until = 0.0  # a redeployment keeps requests waiting until then [s]
        self._per_request = technique.asks == "request"
        self._adapts = getattr(technique, "every", None) is not None and overrides(technique, "adapt")
        self._learns = overrides(technique, "learn")
        self._serves = overrides(technique, "serve")
        self._stale_at = -math.inf
        self._watch = view.watch
        self._version = -1
        self._plan: Plan | None = None
        self._add = cluster.recorder.requests.add
        self._count = 0
        self._layers = len(view.model)
        self._draws: Iterator[int] = repeat(0)
        if cluster.varies:
            draws = streams["variability", self.source]
            self._draws = blocks(lambda size: draws.integers(1, 2**31, size))
        cluster.tell(self.source, self.moved)

    # -- requests ------------------------------------------------------------------------------------------------

    def admit(self) -> Story:
        """Return the story of a request that arrives now."""
        now = self.cluster.env._now
        request = Request(self.source, self._count, now, self.deadline, next(self._draws))
        self._count += 1
        self.open[request] = None
        if self._serves:
            own = self.technique.serve(request, self.cluster)
            if own is not None:
                return self._own_story(request, own)
        return self.story(request)

    def _own_story(self, request: Request, story: Story) -> Story:
        """Follow a technique's own story, and write the row when it ends; it returns the placement it followed."""
        outcome = ""
        placement = self.placement or Placement.whole(self.source, self._layers)
        try:
            placement = (yield from story) or placement
        except Down:  # it did not catch it
            outcome = "lost"
        linked = self._linked(placement)
        plan = self.cluster.plan(self.source, placement) if linked else self._shown(placement)  # for the row only
        self.close(request, plan, outcome)

    def story(self, request: Request) -> Story:
        """From arrival to answer; survives failures of the nodes and links it uses."""
        cluster, source = self.cluster, request.source
        env = cluster.env
        while self.held_until > env._now:
            begin = env._now
            yield self.held_until
            cluster.held(request, begin)
        if cluster.network.troubled and not cluster.nodes[source].up:
            begin = env._now
            yield cluster.repair(source)
            cluster.recovered(request, begin)
        plan = self._plan  # what was decided while it waited
        if plan is None or self._watch.changes != self._version or env._now >= self._stale_at:
            plan = self._plan_of(self.place(request))
        struck: Counter[float] | None = None
        trail: list[tuple[str, int, float]] | None = None  # who holds tensors, before which layer, since when
        held = resumed = env._now
        while True:
            try:
                for task in plan.tasks:
                    begin = env._now
                    ticket = task.submit(request)
                    if ticket is None:
                        yield from task.story(request)  # type: ignore[attr-defined]
                    else:
                        yield ticket
                        task.book(request, begin, ticket)
                break
            except Down as down:
                task.lost(request, begin, env._now)
                begin = env._now
                struck = struck or Counter()
                struck[begin] += 1
                if struck[begin] > AT_ONCE:
                    raise PlacementError(
                        f"{type(self.technique).__name__}.recover answered {AT_ONCE} times at {begin:g} s with what "
                        f"is down ({down}); answer another placement, a downtime, or Recovery() to wait for the repair"
                    ) from None
                way = plan.reached[: plan.tasks.index(task) + 1]
                trail = [*(trail or ()), *((*spot, held if spot == way[0] else resumed) for spot in way)]
                placement = yield from self._recover(down, plan.placement, self._kept(trail)[1], request)
                if not self._linked(placement):  # a handover took the device out of its reach
                    placement = self.place(request)
                here, layer, held = self._kept(trail, placement)
                plan, resumed = cluster.plan(source, placement, here, layer), env._now
                cluster.recovered(request, begin)
        self.close(request, plan)

    def _kept(self, trail: list[tuple[str, int, float]], placement: Placement | None = None) -> tuple[str, int, float]:
        """Return the last of *trail* who still holds what it was given and can send it to where *placement* goes on.

        Where nobody does, the request begins again.
        """
        nodes, network = self.cluster.nodes, self.cluster.network
        kept = (spot for spot in reversed(trail) if nodes[spot[0]].kept_since(spot[2]))
        if network.roaming and placement is not None:
            kept = (spot for spot in kept if network.leads(spot[0], self._next(placement, spot[1])))
        return next(kept, (self.source, 0, self.cluster.now))

    def moved(self) -> None:
        """Decide anew: a handover has changed the ways."""
        self.view.moved()
        self._plan = None

    def _linked(self, placement: Placement) -> bool:
        """Return whether there is a way to all nodes of *placement*, which handovers may change."""
        network, source = self.cluster.network, self.source
        return not network.roaming or all(n == source or network.leads(source, n) for n in placement.nodes)

    def _next(self, placement: Placement, layer: int) -> str:
        """Return the node that goes on with *layer*; behind the last, the device that gets the answer."""
        return next((segment.node for segment in placement.segments if segment.stop > layer), self.source)

    def _shown(self, placement: Placement) -> Plan:
        """Return a plan for a row, not to follow."""
        return Plan(placement, (placement.split_point(self.source), str(placement)), (), ())

    def settle(self) -> None:
        """Take the first decision now, before anybody asks."""
        self._plan_of(self.place())

    def _plan_of(self, placement: Placement) -> Plan:
        """Return *placement* resolved, kept for the last one asked."""
        if self._plan is None or self._plan.placement is not placement:
            self._plan = self.cluster.plan(self.source, placement)
        return self._plan

    def _recover(self, down: Down, placement: Placement, layer: int, request: Request) -> Story:
        """Ask the technique what to do about *down*, do it, and return the placement to go on with."""
        cluster = self.cluster
        if not cluster.nodes[self.source].up:
            yield cluster.repair(self.source)
            return placement
        kind: Literal["node", "link", "handover"] = "link" if isinstance(down, LinkDown) else "node"
        if kind == "link" and not cluster.network.attached(down.name):
            kind = "handover"
        failure = Failure(down.name, down.time, placement, layer, kind)
        recovery = self.technique.recover(failure, self.view)
        self._decided("recover", recovery.placement or placement)
        following = recovery.placement
        if following is None:
            if kind != "handover":
                yield self._over(down.name)
            return placement
        who = f"{type(self.technique).__name__}.recover"
        check(following, who, self.source, cluster, alive=kind == "node", whole=False)
        if recovery.downtime:
            yield cluster.wait(recovery.downtime)
        return following

    def _over(self, name: str) -> simpy.Event:
        """Return the event that the node or link *name* is up again, or that the device leaves it behind."""
        repaired = self.cluster.repair(name)
        if self.source not in self.cluster.network.roaming:
            return repaired
        return self.cluster.env.any_of([repaired, self.cluster.handover(self.source)])

    def close(self, request: Request, plan: Plan, outcome: str = "") -> None:
        """Write the row of a request that ends now."""
        r, label = request, plan.label
        now = self.cluster.env._now
        latency = now - r.arrival
        if not outcome:
            outcome = "done" if latency <= r.deadline else "late"
            if plan.placement.end < self._layers:
                outcome = "degraded"
        row = (
            r.source, r.number, r.arrival, now, latency, outcome, label[0], label[1], r.queue, r.compute, r.transfer,
            r.delay, r.software, r.recovery, r.hold, r.sent, r.device_energy, r.energy,
        )  # fmt: skip
        self._add(row)  # a bare tuple: making a RequestRow here costs as much as a station
        del self.open[request]
        if self._learns:
            self.technique.learn(RequestRow(*row))

    def abandon(self) -> None:
        """Write a row for every request that has no answer when the run ends: nothing vanishes."""
        plan = self._shown(self.placement or Placement.whole(self.source, self._layers))
        for r in [request for request in self.open if request.source == self.source]:
            row = RequestRow(
                r.source, r.number, r.arrival, math.nan, math.nan, "unfinished", *plan.label, r.queue,
                r.compute, r.transfer, r.delay, r.software, r.recovery, r.hold, r.sent, r.device_energy, r.energy,
            )  # fmt: skip
            self._add(row)
            del self.open[r]

    # -- decisions -----------------------------------------------------------------------------------------------

    def place(self, request: Request | None = None) -> Placement:
        """Return the placement to follow now; ask the technique only if the standing one may be out of date."""
        if self._per_request:
            placement = self.technique.place(self.view, request)
            if self.placement is None or placement != self.placement:
                self._adopt(placement, "place")
            return placement
        self._version = self._watch.changes
        self._stale_at = self.view.valid_until()
        if self._adapts and self.placement is not None and self.view.fits(self.placement):
            return self.placement
        placement = self.technique.place(self.view, UNDECLARED)
        if self.placement is None or placement != self.placement:
            self._adopt(placement, "place")
        return placement

    def _adopt(self, placement: Placement, hook: str, downtime: float = 0.0) -> None:
        check(placement, f"{type(self.technique).__name__}.{hook}", self.source, self.cluster)
        self.placement = placement
        self.cluster.residency.settle(self.source, placement)
        self._decided(hook, placement, downtime)

    def _decided(self, hook: str, placement: Placement, downtime: float = 0.0) -> None:
        alive = all(self.cluster.nodes[segment.node].up for segment in placement.segments) and self._linked(placement)
        predicted = self.view.latency(placement) if alive else math.nan
        self.cluster.recorder.decisions.add(
            DecisionRow(
                self.cluster.now, self.source, hook, str(placement), placement.split_point(self.source), predicted,
                downtime, str(self.cluster.knowledge),
            )
        )  # fmt: skip

    def adapt_story(self, every: float, until: float) -> Story:
        """Ask ``adapt`` every so often [s] until arrivals end."""
        turn = 0
        while True:
            free = max(self.cluster.now, self.held_until)  # turns missed while making ready, or down, are left out
            turn = max(turn + 1, math.ceil(free / every))
            if turn * every >= until:
                return
            yield max(turn * every, self.cluster.now)
            if self.placement is None or not self.cluster.nodes[self.source].up:
                continue
            if not self._linked(self.placement):
                self.place()
                continue
            change = self.technique.adapt(self.view, self.placement)
            if change is not None:
                if change.lead:  # built beside the old one, which serves meanwhile
                    yield self.cluster.wait(change.lead)
                    if not self.view.fits(change.placement):  # no longer: a node went down, or others took the room
                        continue
                self._adopt(change.placement, "adapt", change.downtime)
                self._stale_at = -math.inf
                self.held_until = self.cluster.now + change.downtime

    # -- arrivals ------------------------------------------------------------------------------------------------

    def user_story(self, pauses: Iterator[float], until: float) -> Story:
        """Ask, wait for the answer, think, ask again."""
        while self.cluster.now < until:
            if self.away:
                yield back(self.away, self.cluster.now)
                if self.cluster.now >= until:
                    return
            yield from self.admit()
            yield self.cluster.wait(next(pauses))

    def stories(self, arrivals: Arrivals, until: float, streams: Streams) -> Iterator[Story]:
        """Yield the stories that are this device's own: its users, where each waits for an answer, and its timer."""
        if isinstance(arrivals, ClosedLoop):
            for user in range(arrivals.users):
                yield self.user_story(arrivals.pauses(streams["thinking", self.source, str(user)]), until)
        if self._adapts:
            yield self.adapt_story(self.technique.every, until)  # type: ignore[attr-defined]


def arrivals_story(services: Sequence[Service], arrivals: OpenLoop, until: float, streams: Streams) -> Story:
    """Begin the requests of all *services* at their times before *until* [s].

    One story for all devices: their times come merged, so that the calendar holds one arrival and not one a device.
    """
    drawn = ((service, arrivals.times(streams["arrivals", service.source])) for service in services)
    sources = [present(times, service.away, until) if service.away else times for service, times in drawn]
    window = until * min(1.0, MERGED / max(1.0, arrivals.expected(until) * len(services)))
    admits = [service.admit for service in services]
    start = services[0].cluster.env.start
    for times, owners in merged(sources, until, window):
        for time, owner in zip(times, owners, strict=True):
            yield time
            start(admits[owner]())
