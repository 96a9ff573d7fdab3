"""Plans: a placement resolved into tasks, so that a request looks nothing up on its way.

A task says what to wait for (``submit``) and, when that is over, writes it into the request's accounts (``book``):
layers on a node, a message on one leg of a route, or software at either end. A story does nothing but submit, wait
and book, task by task; what has been reached when a failure strikes is known from the task it struck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from simulator.foundation.errors import NodeDown
from simulator.physics.engine import Story, Ticket
from simulator.physics.network import Leg, Network, Route, windows
from simulator.physics.node import Node
from simulator.physics.station import Shared
from simulator.profiles.placement import Placement
from simulator.results.record import Table
from simulator.world.request import Request
from simulator.world.sensing import Sensor
from simulator.world.timing import Timing


@dataclass(frozen=True, slots=True)
class Books:
    """Where tasks write: the span table (None where spans are off), the sensor, whether radios use power."""

    spans: Table | None
    sensor: Sensor
    radios: bool
    source: str
    """The device whose requests these are."""


class Task(Protocol):
    """A piece of work of one request."""

    def submit(self, request: Request) -> Ticket | float | None:
        """Hand the work over and return what to wait for; None where :meth:`story` must be followed instead."""

    def book(self, request: Request, begin: float, ticket: Any) -> None:
        """Write down what was waited for since *begin* [s]: the ticket or time that ``submit`` gave."""

    def lost(self, request: Request, begin: float, now: float) -> None:
        """Write down that a failure took the work away."""


class Compute:
    """Layers [start, stop) on a node."""

    __slots__ = ("books", "home", "node", "seconds", "start", "station", "stop", "timing", "watts")

    def __init__(self, node: Node, timing: Timing, start: int, stop: int, books: Books) -> None:
        """Take the node, its layer times, and the layers."""
        self.node = node
        self.timing = timing
        self.start = start
        self.stop = stop
        self.books = books
        self.watts = node.watts_per_slot
        self.home = node.name == books.source
        # Where the time is the same for every request and the node has no cold start, the way to its station is short.
        fixed = not timing.varies
        self.seconds = timing.seconds(start, stop, 0, 0) * (1.0 if node.cold else node.slowdown) if fixed else -1.0
        self.station = node.station if fixed and not node.cold else None

    def submit(self, request: Request) -> Ticket:
        """Put the layers on the node's processor."""
        station, seconds = self.station, self.seconds
        if station is not None:
            return station.submit(seconds)
        if seconds < 0.0:
            seconds = self.timing.seconds(self.start, self.stop, request.draw, self.node.salt)
        return self.node.compute(seconds)

    def book(self, request: Request, begin: float, ticket: Ticket, busy: float | None = None) -> None:
        """Add to the request's queueing, computing and energy; *busy* is the time it had, where it had to share."""
        start = ticket.start
        service = ticket.finish - start
        joules = self.watts * (service if busy is None else busy)
        request.queue += start - begin
        request.compute += service
        request.energy += joules
        if self.home:
            request.device_energy += joules
        spans = self.books.spans
        if spans is not None:
            spans.add(("compute", self.node.name, request.source, request.number, begin, start, ticket.finish,
                       self.start, self.stop, 0.0, joules, True))  # fmt: skip

    def lost(self, request: Request, begin: float, now: float) -> None:
        """Add to the request's time lost."""
        request.recovery += now - begin
        if self.books.spans is not None:
            self.books.spans.add(("compute", self.node.name, request.source, request.number, begin, begin, now,
                                  self.start, self.stop, 0.0, 0.0, False))  # fmt: skip


class SharedCompute(Compute):
    """The same on a processor that its jobs share: each pays for its part of the power."""

    __slots__ = ()

    def book(self, request: Request, begin: float, ticket: Ticket, busy: float | None = None) -> None:
        """Add to the request's accounts, with the part of the processor that it had."""
        super().book(request, begin, ticket, ticket.occupied)  # type: ignore[attr-defined]


def compute(node: Node, timing: Timing, start: int, stop: int, books: Books) -> Compute:
    """Return the task of layers [start, stop) on *node*."""
    kind = SharedCompute if isinstance(node.station, Shared) else Compute
    return kind(node, timing, start, stop, books)


class Transfer:
    """A message on one leg of a route."""

    kind: ClassVar[str] = "transfer"
    """Name of its spans."""

    __slots__ = ("books", "delay", "framed", "leg", "network", "receiver", "sender")

    def __init__(self, network: Network, leg: Leg, size: float, sender: Node, receiver: Node, books: Books) -> None:
        """Take the leg, the nodes at its ends, and the message's size [B] before framing."""
        self.network = network
        self.leg = leg
        self.framed = leg.framing * size
        self.delay = -1.0 if leg.changes else leg.delay  # below zero: as it is when the message is handed over
        self.sender = sender
        self.receiver = receiver
        self.books = books

    def submit(self, request: Request) -> Ticket | None:
        """Put the message on the leg; it is there when its last byte has crossed."""
        network, leg, framed, delay = self.network, self.leg, self.framed, self.delay
        if network.troubled:
            if not self.sender.up:
                raise NodeDown(self.sender.name, self.sender.station.since)
            if network.roaming and leg.opens > network.env._now:
                return None
        if delay < 0.0:
            delay = leg.delay_at(network.env._now)
        if leg.fifo is None:
            return network.submit(leg, framed, delay)
        leg.handed += framed
        return leg.fifo.submit(framed, delay)

    def story(self, request: Request) -> Story:
        """Wait until the interruption of a handover is over, then send."""
        came = self.network.env._now
        yield from self._opening()
        begin = self.network.env._now
        ticket = self.submit(request)
        yield ticket
        self._waited(request, came, begin)
        self.book(request, begin, ticket)  # type: ignore[arg-type]

    def _opening(self) -> Story:
        while self.leg.opens > self.network.env._now:
            yield self.leg.opens

    def _waited(self, request: Request, came: float, begin: float) -> None:
        """Write down the wait for the end of an interruption; where the message is lost, :meth:`lost` has it all."""
        if begin > came:
            request.recovery += begin - came
            if self.books.spans is not None:
                self.books.spans.add(("recovery", request.source, request.source, request.number, came, came, begin,
                                      0, 0, 0.0, 0.0, True))  # fmt: skip

    def book(self, request: Request, begin: float, ticket: Ticket, busy: float | None = None) -> None:
        """Add to the request's queueing, transfer and energy; *busy* is how long bytes flowed, where not all along."""
        start, finish, framed = ticket.start, ticket.finish, self.framed
        request.queue += start - begin
        request.transfer += finish - start
        request.delay += self.delay if self.delay >= 0.0 else self.leg.delay_at(begin)
        request.sent += framed
        self.leg.delivered += framed
        books = self.books
        if not books.sensor.oracle:
            books.sensor.observe(self.leg, books.source, framed, begin, finish, self.kind == "probe")
        joules = self._radio(finish - start if busy is None else busy, request) if books.radios else 0.0
        if books.spans is not None:
            books.spans.add((self.kind, self.leg.name, request.source, request.number, begin, start, finish,
                             0, 0, framed, joules, True))  # fmt: skip

    def _radio(self, busy: float, request: Request) -> float:
        sender, receiver = self.sender, self.receiver
        out, back = sender.transmit * busy, receiver.receive * busy
        sender.radio_joules += out
        receiver.radio_joules += back
        request.energy += out + back
        if sender.name == self.books.source:
            request.device_energy += out
        elif receiver.name == self.books.source:
            request.device_energy += back
        return out + back

    def lost(self, request: Request, begin: float, now: float) -> None:
        """Add to the request's time lost."""
        request.recovery += now - begin
        if self.books.spans is not None:
            self.books.spans.add((self.kind, self.leg.name, request.source, request.number, begin, begin, now,
                                  0, 0, self.framed, 0.0, False))  # fmt: skip


class Probe(Transfer):
    """A message sent to see how long it takes."""

    kind = "probe"
    __slots__ = ()


class Report(Transfer):
    """A message in which a server says how it is."""

    kind = "report"
    __slots__ = ()


class SlowTransfer(Transfer):
    """The same on a new connection: window by window, until one covers the round trip."""

    __slots__ = ("route",)

    def __init__(
        self, network: Network, leg: Leg, size: float, sender: Node, receiver: Node, books: Books, route: Route
    ) -> None:
        """Take also the whole route, whose round trip a window waits for."""
        super().__init__(network, leg, size, sender, receiver, books)
        self.route = route

    def submit(self, request: Request) -> None:
        """Answer that there is more than one thing to wait for."""

    def story(self, request: Request) -> Story:
        """Send window by window."""
        env = self.network.env
        came = env._now
        yield from self._opening()
        framed, start, busy, begin = self.framed, math.nan, 0.0, env._now
        round_trip = self.route.round_trip_at(begin)
        for window in windows(framed):
            opened = env._now
            ticket = self._window(window)
            yield ticket
            start = ticket.start if math.isnan(start) else start
            busy += ticket.finish - ticket.start
            framed -= window
            if framed <= 0:
                break
            if env._now >= opened + round_trip:
                ticket = self._window(framed)
                yield ticket
                busy += ticket.finish - ticket.start
                break
            yield opened + round_trip
        finish = env._now
        yield finish + (self.delay if self.delay >= 0.0 else self.leg.delay_at(begin))
        self._waited(request, came, begin)
        self.book(request, begin, Ticket(start, finish), busy)

    def _window(self, size: float) -> Ticket:
        if not self.sender.up:
            raise NodeDown(self.sender.name, self.sender.station.since)
        return self.network.submit(self.leg, size)


class Software:
    """What a message costs the processor at one end; it takes time, and no slot."""

    __slots__ = ("books", "node", "seconds")

    def __init__(self, node: Node, seconds: float, books: Books) -> None:
        """Take the node and the time [s]."""
        self.node = node
        self.seconds = seconds
        self.books = books

    def submit(self, request: Request) -> float:
        """Return when it is over."""
        return self.node.env._now + self.seconds

    def book(self, request: Request, begin: float, ticket: float) -> None:
        """Add to the request's software time."""
        request.software += self.seconds
        if self.books.spans is not None:
            self.books.spans.add(("software", self.node.name, request.source, request.number, begin, begin, ticket,
                                  0, 0, 0.0, 0.0, True))  # fmt: skip

    def lost(self, request: Request, begin: float, now: float) -> None:
        """Nothing takes software time away."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request has to go through, from ``here`` (with everything before some layer done) to its answer."""

    placement: Placement
    label: tuple[int, str]
    """Split point and placement as text, for the records."""
    tasks: tuple[Task, ...]
    reached: tuple[tuple[str, int], ...]
    """Per task: the node that holds the tensors, and the first layer not done, before it; and at the end."""
