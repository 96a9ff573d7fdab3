"""Sensing: what can be known of the world by those who use it, and who has to be told when that changes.

``oracle`` reads the truth, which is legal but never silent: the knowledge in force stands in every result table.
``last-transfer`` and ``ewma`` know what transfers have shown, waits behind others included; a ``probe`` knows what
its own messages have shown, and nothing else; a report knows what a server said when it sent it. Before the first of
these a policy knows the capacity at the start of the run (after an outage there), as a speed test at deployment shows
it, and takes servers for idle. Probes and reports cross the links like any message (``workloads/sensors.py``).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from simulator.physics.network import Leg
from simulator.physics.station import Fifo
from simulator.profiles.trace import Trace

Method = Literal["oracle", "last-transfer", "ewma", "probe"]


@dataclass(frozen=True)
class Messages:
    """Messages sent for the sake of knowing."""

    every: float
    """Time from one to the next [s]."""
    size: float
    """Bytes of one, before framing."""

    def __str__(self) -> str:
        """Write ``every 5 s, 1000 kB``."""
        size = f"{self.size / 1e3:g} kB" if self.size >= 1e3 else f"{self.size:g} B"
        return f"every {self.every:g} s, {size}"


@dataclass(frozen=True)
class Knowledge:
    """What techniques of a run may know."""

    bandwidth: Method = "oracle"
    weight: float = 1.0
    """Weight of the newest transfer in ``ewma``."""
    probe: Messages | None = None
    """What a ``probe`` sends, in each direction of each link in use."""
    load: Literal["oracle", "none", "reported"] = "oracle"
    """Background load of processors; ``none`` takes every processor for idle."""
    queues: Literal["oracle", "none", "reported"] = "none"
    """How many jobs wait at a node."""
    load_report: Messages | None = None
    queue_report: Messages | None = None
    profile: Literal["measured", "predicted", "error"] = "measured"
    """The layer times techniques believe in: those of the world, as predicted from rates, or with an error."""
    profile_error: float = 0.0
    """Relative error (standard deviation) of the layer times."""
    unused: bool = False
    """Whether nobody looks, so that nothing needs to be measured."""
    foresight: bool = False
    """Also what is to come: the traces, and the queues as they stand. For the bound that no policy reaches."""

    @property
    def true(self) -> bool:
        """Whether nothing is sensed: what is known is so, or nobody looks."""
        return self.unused or (self.bandwidth, self.load, self.profile) == ("oracle", "oracle", "measured")

    def __str__(self) -> str:
        """Write ``bandwidth oracle, load oracle, profile measured, queues none``."""
        bandwidth = {"ewma": f"ewma {self.weight:g}", "probe": f"probed {self.probe}"}.get(
            self.bandwidth, self.bandwidth
        )
        load = f"reported {self.load_report}" if self.load == "reported" else self.load
        profile = f"error {self.profile_error:.0%}" if self.profile == "error" else self.profile
        queues = f"reported {self.queue_report}" if self.queues == "reported" else self.queues
        if self.unused:
            return "nothing: it decides the same whatever is known"
        if self.foresight:
            return "everything, and the traces to come"
        return f"bandwidth {bandwidth}, load {load}, profile {profile}, queues {queues}"


class Watch:
    """Counts what one device has learnt, so that its standing decision knows when it is stale."""

    __slots__ = ("changes",)

    def __init__(self) -> None:
        """Begin with nothing learnt."""
        self.changes = 0


class Sensor:
    """What is known of the capacity of each leg, of each server's load and queue, and by whom."""

    def __init__(self, knowledge: Knowledge) -> None:
        """Take how it is known."""
        self.oracle = knowledge.bandwidth == "oracle"
        self._probed = knowledge.bandwidth == "probe"
        self.weight = knowledge.weight
        self._known: dict[Leg, float] = {}
        self._traces: dict[Leg, Trace] = {}
        self._sent: dict[tuple[Fifo, str], float] = {}
        self._watches: list[Watch] = []
        self._followed: dict[Watch, tuple[Leg, ...]] = {}
        self._watching: dict[Leg, list[Watch]] = {}
        self._users: defaultdict[Fifo, dict[Watch, None]] = defaultdict(dict)
        self._reports: dict[tuple[str, str, str], float] = {}

    # -- who is told ---------------------------------------------------------------------------------------------

    def watch(self, legs: Iterable[Leg]) -> Watch:
        """Return the count of what is learnt by one who uses *legs*."""
        watch = Watch()
        self._watches.append(watch)
        self._followed[watch] = ()
        self.follow(watch, legs)
        return watch

    def follow(self, watch: Watch, legs: Iterable[Leg]) -> None:
        """Tell *watch* from now on of what is learnt of *legs*, and of no others."""
        for leg in self._followed[watch]:
            self._watching[leg].remove(watch)
            if leg.fifo is not None:
                self._users[leg.fifo].pop(watch, None)
        self._followed[watch] = tuple(legs)
        for leg in self._followed[watch]:
            self._watching.setdefault(leg, []).append(watch)
            if leg.fifo is not None:
                self._users[leg.fifo][watch] = None

    def watched(self, leg: Leg) -> bool:
        """Return whether anybody uses *leg*."""
        return bool(self._watching.get(leg))

    def changed(self) -> None:
        """Tell everybody that something went up or down."""
        for watch in self._watches:
            watch.changes += 1

    # -- bandwidth -----------------------------------------------------------------------------------------------

    def rate(self, leg: Leg, now: float) -> float:
        """Return the capacity of *leg* as known at *now* [B/s]."""
        if self.oracle:
            return min(wire.channel.bandwidth.at(now) for wire in leg.wires)
        if leg not in self._known:
            self._known[leg] = min(_at_first(wire.channel.bandwidth) for wire in leg.wires)
        return self._known[leg]

    def trace(self, leg: Leg, now: float) -> Trace:
        """Return the capacity known at *now* as a constant, for the cost formulas."""
        rate = self.rate(leg, now)
        trace = self._traces.get(leg)
        if trace is None or trace.constant != rate:
            trace = self._traces[leg] = Trace.of(rate)
        return trace

    def next_change(self, leg: Leg, now: float) -> float:
        """Return when the known capacity may change by itself [s]."""
        return min(wire.channel.bandwidth.next_change(now) for wire in leg.wires) if self.oracle else math.inf

    def observe(self, leg: Leg, sender: str, framed: float, begin: float, finish: float, probe: bool = False) -> None:
        """Learn that *framed* bytes, handed over by *sender* at *begin*, had crossed *leg* at *finish* [s].

        Where there are probes, only they show anything. A sender knows of its own messages before, and of all where
        it has the wire for itself; waits behind those of others look like a slow link to it.
        """
        if leg.fifo is not None:  # on a link that is shared all the time, messages do not wait for each other
            key = (leg.fifo, sender if len(self._users[leg.fifo]) > 1 else "")
            begin = max(begin, self._sent.get(key, begin))
            self._sent[key] = finish
        if finish <= begin or framed <= 0 or probe != self._probed:
            return
        before = self.rate(leg, 0.0)
        known = before + self.weight * (framed / (finish - begin) - before)
        if not math.isclose(known, before, rel_tol=1e-9):  # less is rounding, and nothing to decide anew about
            self._known[leg] = known
            for watch in self._watching.get(leg, ()):
                watch.changes += 1

    # -- servers -------------------------------------------------------------------------------------------------

    def report(self, what: str, node: str, device: str, value: float, watch: Watch) -> None:
        """Learn at *device* what *node* has said of its ``load`` (the share of it that is left) or ``queue``."""
        if self._reports.get((what, node, device)) != value:
            self._reports[what, node, device] = value
            watch.changes += 1

    def reported(self, what: str, node: str, device: str, before: float) -> float:
        """Return what *node* said last to *device*; *before* it has said anything."""
        return self._reports.get((what, node, device), before)


def _at_first(trace: Trace) -> float:
    """Return what *trace* is when it first is anything: nobody deploys a service in the middle of an outage."""
    now = 0.0
    while not trace.at(now) and now < math.inf:
        now = trace.next_change(now)
    return trace.at(now) if now < math.inf else 0.0
