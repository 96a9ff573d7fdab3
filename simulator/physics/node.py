"""Nodes: a processor that serves jobs, a memory ledger that says fits or does not fit, and power by state.

Background load is part of the capacity trace: with ``k`` competitors of duty cycle ``u`` on each core a job keeps
``1 - u * k / (1 + k)`` of it (2.00x slower at u = 1, 1.33x at 0.5 for k = 1), never ``1 / (1 - u)``.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Literal

from simulator.foundation.errors import NodeDown
from simulator.physics.engine import Environment, Ticket
from simulator.physics.station import Fifo, Shared
from simulator.profiles.hardware import Hardware
from simulator.profiles.trace import Trace

Concurrency = Literal["slots", "shared", "partitioned"]


def capacity_left(load: Trace, competitors: int) -> Trace:
    """Return the share of a processor that *competitors* per core, busy for the share *load* of time, leave a job."""
    left = [1.0 - u * competitors / (1.0 + competitors) for u in load.values]
    return Trace(load.starts, left, load.duration, load.end, load.source, load.grade)


class Memory:
    """Who holds how much of a node's memory."""

    def __init__(self, node: str, capacity: float) -> None:
        """Take the node's name (for errors) and its *capacity* [B]."""
        self.node = node
        self.capacity = capacity
        self.held: dict[str, float] = {}
        self.peak = 0.0
        """The most that was ever held [B]."""

    @property
    def used(self) -> float:
        """Bytes held now."""
        return math.fsum(self.held.values())

    def fits(self, who: str, size: float) -> bool:
        """Return whether *who* may hold *size* bytes in place of what it holds now."""
        return self.used - self.held.get(who, 0.0) + size <= self.capacity

    def hold(self, who: str, size: float) -> bool:
        """Let *who* hold *size* bytes in place of what it holds now; return False (and change nothing) if too much."""
        if not self.fits(who, size):
            return False
        self.held[who] = size
        self.peak = max(self.peak, self.used)
        return True


@dataclass(frozen=True)
class NodeFacts:
    """What a scenario says of one node."""

    name: str
    kind: Literal["device", "server"]
    hardware: Hardware
    memory: float
    """[B]."""
    slots: int = 1
    concurrency: Concurrency = "slots"
    slowdown: float = 1.0
    """How many times longer a job takes on its part of a partitioned node than the profile says."""
    capacity: Trace = field(default_factory=lambda: Trace.of(1.0))
    """Share of the processor that background load leaves."""
    competitors: int = 1
    """Competing processes per core behind ``capacity``."""


class Node:
    """A node alive."""

    __slots__ = (
        "_up_since", "_warm_until", "cold", "down_seconds", "env", "facts", "memory", "name", "radio_joules",
        "receive", "rest", "salt", "slowdown", "station", "transmit", "watts_per_slot",
    )  # fmt: skip

    def __init__(self, env: Environment, facts: NodeFacts) -> None:
        """Build the station that the facts ask for."""
        self.env = env
        self.facts = facts
        self.name = facts.name
        self.station: Fifo | Shared
        if facts.concurrency == "shared":
            self.station = Shared(env, facts.name, facts.capacity, NodeDown, facts.slots)
        else:
            self.station = Fifo(env, facts.name, facts.capacity, NodeDown, facts.slots)
        self.memory = Memory(facts.name, facts.memory)
        self.slowdown = facts.slowdown
        self.cold = facts.hardware.cold.value
        self.rest = facts.hardware.rest.value
        hardware = facts.hardware
        self.watts_per_slot = (hardware.busy.value - hardware.idle.value) / facts.slots  # added by one busy slot [W]
        self.transmit = hardware.transmit.value
        self.receive = hardware.receive.value
        self.radio_joules = 0.0
        # Odd factor by which a request's random number becomes this node's own.
        self.salt = int.from_bytes(hashlib.sha256(facts.name.encode()).digest()[:4], "little") | 1
        self.down_seconds = 0.0
        self._up_since = -math.inf
        self._warm_until = -math.inf

    @property
    def up(self) -> bool:
        """Whether the node is up."""
        return self.station.up

    def compute(self, seconds: float) -> Ticket:
        """Submit a job that takes *seconds* on the idle, warm node at full capacity."""
        station = self.station
        work = seconds * self.slowdown
        if self.cold:
            if station.env._now > self._warm_until:
                work += self.facts.hardware.cold_start(work)
            ticket = station.submit(work)
            ends = ticket.finish if ticket.finish != math.inf else station.env._now + work
            self._warm_until = max(self._warm_until, ends + self.rest)
            return ticket
        return station.submit(work)

    def fail(self) -> None:
        """Go down: work in flight is lost, memory is emptied."""
        if self.up:
            self.station.fail()
            self.memory.held.clear()

    def kept_since(self, time: float) -> bool:
        """Return whether the node has been up ever since *time* [s], so that it still holds what it was given."""
        return self.up and self._up_since <= time

    def restore(self) -> None:
        """Come up again, empty and cold."""
        if not self.up:
            self.down_seconds += self.env.now - self.station.since
            self.station.restore()
            self._up_since = self.env.now
            self._warm_until = -math.inf

    def down(self) -> float:
        """Return the time spent down until now [s]."""
        return self.down_seconds + (0.0 if self.up else self.env.now - self.station.since)

    def joules(self) -> float:
        """Return the energy used until now: the integral of power over the states idle, busy, off, and the radio."""
        idle = self.facts.hardware.idle.value
        alive = self.env.now - self.down()
        return idle * alive + self.watts_per_slot * self.station.busy() + self.radio_joules
