"""Sensing: what can be known of a link by those who use it.

``oracle`` reads the truth, which is legal but never silent: the knowledge in force stands in every result table.
``last-transfer`` and ``ewma`` know what transfers have shown, waits behind others included; before the first transfer
they know the capacity at the start of the run, as a speed test at deployment would have shown it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from simulator.physics.network import Leg
from simulator.profiles.trace import Trace

Method = Literal["oracle", "last-transfer", "ewma"]


@dataclass(frozen=True)
class Knowledge:
    """What techniques of a run may know."""

    bandwidth: Method = "oracle"
    weight: float = 0.3
    """Weight of the newest transfer in ``ewma``."""
    load: Literal["oracle", "none"] = "oracle"
    """Background load of processors; ``none`` takes every processor for idle."""
    queues: Literal["oracle", "none"] = "none"
    """How many jobs wait at a node."""
    profile_error: float = 0.0
    """Relative error (standard deviation) of the layer times techniques believe in; 0 = as measured."""

    def __str__(self) -> str:
        """Write ``bandwidth oracle, load oracle, profile measured``."""
        bandwidth = f"ewma {self.weight:g}" if self.bandwidth == "ewma" else self.bandwidth
        profile = f"error {self.profile_error:.0%}" if self.profile_error else "measured"
        return f"bandwidth {bandwidth}, load {self.load}, profile {profile}, queues {self.queues}"


class BandwidthSensor:
    """What is known of the capacity of each leg."""

    def __init__(self, knowledge: Knowledge) -> None:
        """Take how bandwidth is known."""
        self.oracle = knowledge.bandwidth == "oracle"
        self.weight = knowledge.weight if knowledge.bandwidth == "ewma" else 1.0
        self.version = 0
        """Counts what was learnt and what went up or down, so that a standing decision knows when it is stale."""
        self._known: dict[Leg, float] = {}
        self._traces: dict[Leg, Trace] = {}

    def rate(self, leg: Leg, now: float) -> float:
        """Return the capacity of *leg* as known at *now* [B/s]."""
        if self.oracle:
            return min(wire.channel.bandwidth.at(now) for wire in leg.wires)
        if leg not in self._known:
            self._known[leg] = min(wire.channel.bandwidth.at(0.0) for wire in leg.wires)
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

    def observe(self, leg: Leg, framed: float, seconds: float) -> None:
        """Learn that *framed* bytes took *seconds* on *leg*, from handing them over to the last one sent."""
        if self.oracle or seconds <= 0 or framed <= 0:
            return
        before = self.rate(leg, 0.0)
        known = before + self.weight * (framed / seconds - before)
        if not math.isclose(known, before, rel_tol=1e-9):  # less is rounding, and nothing to decide anew about
            self._known[leg] = known
            self.version += 1
