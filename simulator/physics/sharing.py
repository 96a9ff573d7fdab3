"""Fluid sharing: flows that cross the same channels at once, each at its max-min fair rate.

One solver serves both fair disciplines, because both fill progressively: all flows grow together until some resource
is used up, its flows stop growing, the others go on (Bertsekas & Gallager, Data Networks, section 6.5.2).

- ``max-min``: a channel of capacity ``C(t)``; a flow of rate ``x`` uses ``x`` of it.
- ``airtime``: a radio medium of capacity 1; a flow on a channel of rate ``r(t)`` uses ``x / r`` of it. Equal
  transmission opportunities give all stations one throughput, ``1 / sum(1 / r_i)``, so one slow station slows all
  (the 802.11 anomaly: Heusse et al., INFOCOM 2003).

Rates are solved again only within the connected component that a change touches: one link shared by every route made
another simulator a hundred times slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

from simulator.foundation.errors import Down
from simulator.physics.engine import Environment, Ticket
from simulator.profiles.trace import Trace


class Resource:
    """Something flows use up together: a channel's capacity, or the time of a radio medium."""

    __slots__ = ("capacity", "flows", "name")

    def __init__(self, name: str, capacity: Trace) -> None:
        """Take a name and the capacity over time (bytes/s for a channel, 1 for a medium)."""
        self.name = name
        self.capacity = capacity
        self.flows: dict[Flow, None] = {}  # a dict, as a set that keeps its order


Use: TypeAlias = tuple[Resource, Trace | None]
"""A resource, and the channel's own rate [B/s] where what is used up is airtime."""


class Flow:
    """One transfer under way; ``uses`` says how much of each resource one byte/s of it takes."""

    __slots__ = ("delay", "left", "rate", "since", "ticket", "turn", "uses")

    def __init__(self, uses: list[Use], work: float, now: float, delay: float) -> None:
        """Take the resources (with the channel's own rate where use is airtime), the bytes, and what follows [s]."""
        self.uses = uses
        self.left = work
        self.since = now
        self.rate = 0.0
        self.turn: list[bool] = [False]
        self.delay = delay
        self.ticket = Ticket(now, math.inf, self)


class Fair:
    """All fluid flows of one run."""

    def __init__(self, env: Environment) -> None:
        """Take the clock."""
        self.env = env

    def submit(self, uses: list[Use], work: float, delay: float = 0.0) -> Ticket:
        """Begin a flow of *work* bytes over *uses* now; its ticket completes *delay* after all are through."""
        flow = Flow(uses, work, self.env.now, delay)
        for resource, _ in uses:
            resource.flows[flow] = None
        self._solve([flow])
        return flow.ticket

    def fail(self, uses: list[Use], down: Callable[[str, float], Down], name: str) -> None:
        """Lose every flow over any of *uses* (the channels of a link); their stories meet *down*."""
        # By identity: the channels of a group may have equal uses, and only those of this link are down.
        lost = dict.fromkeys(flow for use in uses for flow in use[0].flows if any(mine is use for mine in flow.uses))
        others = [other for flow in lost for other in self._neighbours(flow) if other not in lost]
        for flow in lost:
            self._leave(flow)
        self._solve(others)
        for flow in lost:
            self.env.fail(flow.ticket, down(name, self.env.now))

    def _neighbours(self, flow: Flow) -> dict[Flow, None]:
        return dict.fromkeys(other for resource, _ in flow.uses for other in resource.flows)

    def _leave(self, flow: Flow) -> None:
        flow.turn[0] = False
        for resource, _ in flow.uses:
            del resource.flows[flow]

    def _solve(self, changed: Iterable[Flow]) -> None:
        """Bring the components of the *changed* flows up to date and set their timers."""
        seen: dict[Flow, None] = {}
        for flow in changed:
            if flow in seen:
                continue
            component = {flow: None}
            frontier = [flow]
            while frontier:
                for other in self._neighbours(frontier.pop()):
                    if other not in component:
                        component[other] = None
                        frontier.append(other)
            seen.update(component)
            self._settle(component)
            fill(component, self.env.now)
            self._set_timer(component)

    def _settle(self, component: Iterable[Flow]) -> None:
        now = self.env.now
        for flow in component:
            flow.left -= flow.rate * (now - flow.since)
            flow.since = now

    def _set_timer(self, component: dict[Flow, None]) -> None:
        now = self.env.now
        turn = [True]  # one mark per solution: False once any of its flows is solved anew
        soonest = math.inf
        for flow in component:
            flow.turn[0] = False
            flow.turn = turn
            if flow.left <= 0:
                soonest = now
            elif flow.rate > 0:
                soonest = min(soonest, now + flow.left / flow.rate)
            for resource, own in flow.uses:
                soonest = min(soonest, (own or resource.capacity).next_change(now))
        turn[0] = True
        if math.isfinite(soonest):
            self.env.at(soonest, lambda: self._fire(component, turn))

    def _fire(self, component: dict[Flow, None], turn: list[bool]) -> None:
        if not turn[0]:
            return
        now = self.env.now
        self._settle(component)
        # What is left of a flow that ends now is rounding: less than the clock can resolve at its rate.
        done = {flow: None for flow in component if flow.left <= max(4e-16 * now, 1e-15) * flow.rate + 1e-9}
        for flow in done:
            self._leave(flow)
        self._solve(flow for flow in component if flow not in done)
        for flow in done:
            flow.ticket.finish = now
            if flow.delay:
                self.env.at(now + flow.delay, flow.ticket)
            else:
                self.env.wake(flow.ticket)


def fill(flows: Iterable[Flow], now: float) -> None:
    """Set the max-min fair rate [B/s] of each of *flows* (a whole connected component) at time *now*."""
    cost: dict[Flow, dict[Resource, float]] = {}
    free: dict[Resource, float] = {}
    load: dict[Resource, float] = {}
    growing: dict[Flow, None] = {}
    for flow in flows:
        cost[flow] = {}
        flow.rate = 0.0
        for resource, own in flow.uses:
            rate = own.at(now) if own is not None else 1.0
            each = 1.0 / rate if rate > 0 else math.inf
            cost[flow][resource] = cost[flow].get(resource, 0.0) + each
            free[resource] = resource.capacity.at(now)
        if all(math.isfinite(each) for each in cost[flow].values()):
            growing[flow] = None
    for flow in growing:
        for resource, each in cost[flow].items():
            load[resource] = load.get(resource, 0.0) + each
    level = 0.0
    while growing:
        step, tight = min(((free[r] / load[r], r) for r in load if load[r] > 0), key=lambda pair: pair[0])
        level += step
        for resource in load:
            free[resource] -= step * load[resource]
        full = [r for r in load if r is tight or free[r] <= 1e-12 * max(1.0, r.capacity.at(now))]
        for flow in [flow for flow in growing if any(r in cost[flow] for r in full)]:
            flow.rate = level
            del growing[flow]
            for resource, each in cost[flow].items():
                load[resource] -= each
        for resource in [r for r in load if r in full or not any(r in cost[flow] for flow in growing)]:
            del load[resource]
