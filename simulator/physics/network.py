"""Links and routes: how bytes get from one node to another.

The transfer law, per message (terms and their weight: the project's calibration notes; with them predictions of real
split runs fall within 1 to 3 %)::

    software at the sender          a + b * bytes
    per leg of the route            framing * bytes through the leg's capacity trace, token bucket included,
                                    in windows that double every round trip where a connection starts slowly
                                    + propagation delay
    software at the receiver        a + b * bytes

A *leg* is one FIFO channel, or a run of fair-shared channels that the message crosses as one fluid flow. Propagation
delays the message, never the next one behind it. Where the delay changes over time, a message has the one that holds
when it is handed to the leg.

A device that *roams* has one link to each of several access points, and is attached to one of them at a time; routes
lead over that one alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, cast

import networkx as nx

from simulator.foundation.errors import LinkDown, PlacementError
from simulator.physics.engine import Environment, Ticket
from simulator.physics.sharing import Fair, Resource
from simulator.physics.station import Fifo
from simulator.profiles.hardware import Software
from simulator.profiles.trace import Trace

Sharing = Literal["fifo", "max-min", "airtime"]
Connection = Literal["none", "persistent", "slow-start"]

SEGMENT = 1448.0  # payload bytes of a TCP segment with time stamps in a 1500-byte frame
FRAME = 1500.0
HOP = 1e9  # a hop weighs more than any delay [s]: fewest hops first, then least delay
INITIAL_WINDOW = 10  # segments: RFC 6928


@dataclass(frozen=True)
class Channel:
    """One direction of one link, as plain facts; what is under way on it lives in its station."""

    name: str
    """Link name and direction, such as ``uplink.up``."""
    link: str
    sender: str
    receiver: str
    bandwidth: Trace
    """Capacity [B/s]."""
    delay: float
    """Propagation delay [s]; the mean of ``delays``, where it changes."""
    framing: float = FRAME / SEGMENT
    """Bytes on the wire per byte of payload."""
    burst: float = 0.0
    """Credit of the token bucket that shapes the link [B]."""
    connection: Connection = "persistent"
    sharing: Sharing = "fifo"
    station: str = ""
    """Channels of one station take turns or share: half duplex, one wire for a group, a radio medium."""
    send: Software = field(default=Software())
    """Cost of a message that begins here, at the sender."""
    receive: Software = field(default=Software())
    """Cost of a message that ends here, at the receiver."""
    delays: Trace | None = None
    """Propagation delay over time [s], where it changes."""
    roams: bool = False
    """Whether it is one of several of which its device has one attached at a time."""


class Wire:
    """A channel alive: its station (FIFO) or its resource (fair), and whether anything can be put on it."""

    __slots__ = ("attached", "channel", "failed", "fifo", "opens", "resource", "since", "up", "uses")

    def __init__(self, channel: Channel, station: Fifo | Resource) -> None:
        """Take the facts and the station, which other wires may share."""
        self.channel = channel
        self.fifo = station if isinstance(station, Fifo) else None
        self.resource = station if isinstance(station, Resource) else None
        own = channel.bandwidth if channel.sharing == "airtime" else None
        self.uses = None if self.resource is None else (self.resource, own)
        self.attached = not channel.roams
        self.failed = False
        self.up = self.attached
        if self.fifo is not None:
            self.fifo.up = self.up
        self.since = 0.0
        self.opens = -math.inf
        """When the interruption of the last handover is over [s]."""


class Route:
    """The way from one node to another: its legs, its delay, and the software cost at its ends."""

    __slots__ = ("changes", "delay", "legs", "receive", "round_trip", "send", "slow", "wires")

    def __init__(self, wires: Sequence[Wire], legs: Sequence[Leg]) -> None:
        """Take the wires in order, and the same grouped into legs."""
        self.wires = tuple(wires)
        self.delay = math.fsum(wire.channel.delay for wire in wires)
        self.round_trip = 2.0 * self.delay
        self.send = wires[0].channel.send
        self.receive = wires[-1].channel.receive
        self.slow = wires[0].channel.connection == "slow-start"
        self.legs = tuple(legs)
        self.changes = any(leg.changes for leg in legs)
        """Whether its delay does."""

    def round_trip_at(self, time: float) -> float:
        """Return twice the propagation delay at *time* [s]."""
        return 2.0 * math.fsum(leg.delay_at(time) for leg in self.legs) if self.changes else self.round_trip


class Leg:
    """What a message crosses in one go: a FIFO channel, or fair channels as one flow (shared by all routes over it)."""

    __slots__ = ("changes", "delay", "delivered", "fifo", "framing", "handed", "name", "uses", "wires")

    def __init__(self, wires: Sequence[Wire]) -> None:
        """Take one FIFO wire, or one or more fair ones."""
        self.wires = tuple(wires)
        self.fifo = wires[0].fifo
        self.uses = [wire.uses for wire in wires if wire.uses is not None]
        self.framing = max(wire.channel.framing for wire in wires)
        self.delay = math.fsum(wire.channel.delay for wire in wires)
        self.changes = any(wire.channel.delays is not None for wire in wires)
        """Whether its delay does."""
        self.name = "+".join(wire.channel.name for wire in wires)
        self.handed = 0.0
        """Bytes given to this leg so far, framing included."""
        self.delivered = 0.0
        """Bytes that have come out."""

    @property
    def opens(self) -> float:
        """When the last handover's interruption is over [s]; minus infinity where there was none."""
        return max(wire.opens for wire in self.wires)

    def delay_at(self, time: float) -> float:
        """Return the propagation delay of a message handed over at *time* [s]."""
        if not self.changes:
            return self.delay
        channels = (wire.channel for wire in self.wires)
        return math.fsum(c.delay if c.delays is None else c.delays.at(time) for c in channels)


def _legs(wires: Sequence[Wire]) -> Iterator[list[Wire]]:
    run: list[Wire] = []
    for wire in wires:
        if wire.fifo is None:
            run.append(wire)
            continue
        if run:
            yield run
            run = []
        yield [wire]
    if run:
        yield run


def windows(framed: float) -> Iterator[float]:
    """Yield the bytes on the wire of each window of a slow start, the last one whatever remains."""
    window = INITIAL_WINDOW * FRAME
    while framed > window:
        yield window
        framed -= window
        window *= 2
    yield framed


class Network:
    """All wires of one run, the routes between nodes, and who is down. Servers pass messages on, devices do not."""

    def __init__(self, env: Environment, channels: Sequence[Channel], relays: Collection[str]) -> None:
        """Take the channels of all links, and the nodes that pass on what is not meant for them."""
        self.env = env
        self.fair = Fair(env)
        self.troubled = False
        """Whether anything has failed yet, or somebody roams; otherwise nobody needs to ask."""
        self.roaming: dict[str, list[tuple[str, str]]] = {}
        """Devices that roam, each with the ends of the routes to and from it that are kept."""
        self.wires: dict[str, Wire] = {}
        self._by_link: dict[str, list[Wire]] = {}
        self._between: dict[tuple[str, str], Wire] = {}
        self._neighbours: dict[str, dict[str, float]] = {}
        self._core: nx.DiGraph[str] = nx.DiGraph()
        """The relays and the links between them; devices hang on it, however many they are."""
        self._core.add_nodes_from(relays)
        self._reach: dict[str, dict[str, list[str]]] = {}
        self._routes: dict[tuple[str, str], Route] = {}
        self._legs: dict[tuple[str, ...], Leg] = {}
        stations: dict[str, Fifo | Resource] = {}
        for channel in channels:
            key = channel.station or channel.name
            station = stations.get(key)
            if station is None:
                station = stations[key] = self._station(channel, key)
            wire = self.wires[channel.name] = Wire(channel, station)
            self._by_link.setdefault(channel.link, []).append(wire)
            if channel.roams:
                self.roaming[self._device(wire)] = []
                self.troubled = True
            else:
                self._join(wire)

    def _join(self, wire: Wire) -> None:
        """Let routes lead over *wire*."""
        channel = wire.channel
        ends, hop = (channel.sender, channel.receiver), HOP + channel.delay
        if ends in self._between and HOP + self._between[ends].channel.delay <= hop:
            return  # of two parallel links the one of less delay is used
        self._between[ends] = wire
        self._neighbours.setdefault(channel.sender, {})[channel.receiver] = hop
        if channel.sender in self._core and channel.receiver in self._core:
            self._core.add_edge(*ends, hop=hop)

    def _device(self, wire: Wire) -> str:
        """Return the end of a wire that roams, for that is no relay."""
        channel = wire.channel
        return channel.receiver if channel.sender in self._core else channel.sender

    def _station(self, channel: Channel, key: str) -> Fifo | Resource:
        if channel.sharing == "fifo":
            return Fifo(self.env, channel.link, channel.bandwidth, LinkDown, burst=channel.burst)
        return Resource(key, Trace.of(1.0) if channel.sharing == "airtime" else channel.bandwidth)

    def route(self, sender: str, receiver: str) -> Route:
        """Return the way with the fewest hops, then the least delay, over all links (up or down).

        Raises:
            PlacementError: if no link leads there.
        """
        key = (sender, receiver)
        found = self._routes.get(key)
        if found is None:
            path = self._path(sender, receiver)
            wires = [self._between[pair] for pair in pairwise(path)]
            found = self._routes[key] = Route(wires, [self._leg(group) for group in _legs(wires)])
            for end in key:
                if end in self.roaming:
                    self.roaming[end].append(key)
        return found

    def leads(self, sender: str, receiver: str) -> bool:
        """Return whether there is a way, over links up or down (from anywhere to itself there is)."""
        if sender == receiver or (sender, receiver) in self._routes:
            return True
        try:
            self._path(sender, receiver)
        except PlacementError:
            return False
        return True

    def _path(self, sender: str, receiver: str) -> list[str]:
        there = self.reachable(sender).get(receiver)
        if there is not None:
            return there
        back = self.reachable(receiver).get(sender)  # every link has both directions
        if back is not None:
            return back[::-1]
        for relay in self.reachable(sender):  # from device to device
            if receiver in self._neighbours.get(relay, {}):
                return [*self.reachable(sender)[relay], receiver]
        now = f" at {self.env.now:g} s" if sender in self.roaming or receiver in self.roaming else ""
        raise PlacementError(f'no link leads from "{sender}" to "{receiver}"{now}; add one under links:')

    def reachable(self, sender: str) -> Mapping[str, list[str]]:
        """Return the relays that *sender* can reach, nearest first, each with the nodes on the way (both ends)."""
        if sender not in self._reach:
            far: dict[str, tuple[float, list[str]]] = {sender: (0.0, [sender])}
            if sender in self._core:
                lengths, paths = self._shortest(sender)
                far |= {name: (lengths[name], path) for name, path in paths.items()}
            else:
                for relay, hop in self._neighbours.get(sender, {}).items():
                    if relay in self._core:
                        lengths, paths = self._shortest(relay)
                        for name, path in paths.items():
                            if name not in far or hop + lengths[name] < far[name][0]:
                                far[name] = (hop + lengths[name], [sender, *path])
            self._reach[sender] = {name: path for name, (_, path) in sorted(far.items(), key=lambda item: item[1][0])}
        return self._reach[sender]

    def _shortest(self, relay: str) -> tuple[dict[str, float], dict[str, list[str]]]:
        lengths, paths = nx.single_source_dijkstra(self._core, relay, weight="hop")
        return cast("dict[str, float]", lengths), cast("dict[str, list[str]]", paths)

    def _leg(self, wires: list[Wire]) -> Leg:
        key = tuple(wire.channel.name for wire in wires)
        return self._legs.setdefault(key, Leg(wires))

    def submit(self, leg: Leg, framed: float, delay: float = 0.0) -> Ticket:
        """Put *framed* bytes on *leg* now; the ticket completes *delay* after the last is sent.

        It fails with ``LinkDown`` where a wire is down, or goes down before the last byte is sent.
        """
        leg.handed += framed
        if leg.fifo is not None:
            return leg.fifo.submit(framed, delay)
        for wire in leg.wires:
            if not wire.up:
                ticket = Ticket(self.env.now, math.inf)
                ticket.story = LinkDown(wire.channel.link, wire.since)
                return ticket
        return self.fair.submit(leg.uses, framed, delay)

    def carried(self) -> dict[str, tuple[float, float]]:
        """Return, by channel, the bytes handed to it and those that came out, over all routes."""
        total = dict.fromkeys(self.wires, (0.0, 0.0))
        for leg in self._legs.values():
            for wire in leg.wires:
                handed, delivered = total[wire.channel.name]
                total[wire.channel.name] = (handed + leg.handed, delivered + leg.delivered)
        return total

    def fail(self, link: str) -> None:
        """Take *link* down, both directions: transfers under way are lost."""
        for wire in self._by_link[link]:
            wire.failed = True
        self._close(link)

    def _close(self, link: str) -> None:
        wires = [wire for wire in self._by_link[link] if wire.up]
        for wire in wires:
            wire.up, wire.since = False, self.env.now
        for wire in wires:
            if wire.fifo is not None and wire.fifo.up:
                wire.fifo.fail()
            elif wire.uses is not None:
                self.fair.fail([wire.uses], LinkDown, link)

    def restore(self, link: str) -> None:
        """Bring *link* up again, empty."""
        for wire in self._by_link[link]:
            wire.failed = False
        self._open(link)

    def _open(self, link: str) -> None:
        for wire in self._by_link[link]:
            wire.up = wire.attached and not wire.failed
            if wire.fifo is not None and wire.up:
                wire.fifo.restore()

    def attach(self, link: str, before: str | None = None, opens: float = -math.inf) -> None:
        """Put the device of *link* on it: routes lead over it from now on, and it carries something from *opens* [s].

        None leads over the one *before* any more; :meth:`leave` it once all who must know of the new one do.
        """
        for wire in self._by_link[before] if before is not None else ():
            ends = wire.channel.sender, wire.channel.receiver
            wire.attached = False
            del self._between[ends], self._neighbours[ends[0]][ends[1]]
        for wire in self._by_link[link]:
            wire.attached, wire.opens = True, opens
            self._join(wire)
        # The device hangs on the relays, so that no way leads over it but its own.
        device = self._device(self._by_link[link][0])
        self._reach.pop(device, None)
        for ends in self.roaming[device]:
            self._routes.pop(ends, None)
        self.roaming[device].clear()
        self._open(link)

    def leave(self, link: str) -> None:
        """Close a *link* that its device is no longer attached to: transfers under way are lost."""
        self._close(link)

    def attached(self, link: str) -> bool:
        """Return whether *link* is one that its device has attached; those that nobody roams over always are."""
        return self._by_link[link][0].attached

    def links(self) -> Mapping[str, list[Wire]]:
        """Return the wires of each link."""
        return self._by_link
