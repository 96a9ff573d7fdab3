"""``Cluster``: what a story may do: compute, send, wait, ask for a placement. It owns the live nodes and links.

Each verb is a generator to be used with ``yield from``; it takes its time on the stations, books it to the request,
and raises ``NodeDown`` or ``LinkDown`` where a failure takes the work away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import simpy

from simulator.foundation.errors import Down, OffingError
from simulator.physics.engine import Environment, Story
from simulator.physics.network import Leg, Network
from simulator.physics.node import Node
from simulator.profiles.model import ModelProfile
from simulator.profiles.placement import Placement, along, fewer
from simulator.results.record import Recorder
from simulator.world.memory import Residency
from simulator.world.plan import Books, Plan, Probe, Report, SlowTransfer, Software, Task, Transfer, compute
from simulator.world.request import Request
from simulator.world.sensing import Knowledge, Sensor
from simulator.world.timing import Timing

MOST = 20_000
"""Placements that a device has to choose from; three nodes with 150 cuts have 11,500, four would have 600,000."""


class Cluster:
    """All that is alive in one run, and the verbs of stories."""

    def __init__(
        self,
        env: Environment,
        nodes: Mapping[str, Node],
        network: Network,
        model: ModelProfile,
        timings: Mapping[str, Timing],
        knowledge: Knowledge,
        recorder: Recorder,
    ) -> None:
        """Put the parts together.

        Args:
            env: the clock.
            nodes: nodes by name.
            network: links and routes.
            model: the network that is served.
            timings: layer times by hardware name.
            knowledge: what techniques may know.
            recorder: where rows go.
        """
        self.env = env
        self.nodes = nodes
        self.network = network
        self.model = model
        self.knowledge = knowledge
        self.sensor = Sensor(knowledge)
        self.recorder = recorder
        self.timing = {name: timings[node.facts.hardware.name] for name, node in nodes.items()}
        self.open: dict[Request, None] = {}
        """Requests without an answer yet, oldest first."""
        self.others = 0.0
        """How many requests a device sends per second beside any one of them, as far as that is fixed beforehand."""
        self.ups = 0
        """Counts failures and repairs, so that who kept a list of what is up knows when it is old."""
        self.varies = any(timing.varies for timing in timings.values())
        """Whether requests draw which measured repeat they meet."""
        traces = [node.facts.capacity for node in nodes.values()] + [
            w.channel.bandwidth for w in network.wires.values()
        ]
        self.steady = all(trace.constant is not None for trace in traces)
        """Whether no capacity ever changes."""
        self.cut_bytes = {cut.index: cut.bytes for cut in model.cuts()}
        """Bytes that cross each valid cut."""
        self.residency = Residency(model, nodes)
        self.answer_bytes = model.layers[-1].out_bytes
        self._repairs: dict[str, simpy.Event] = {}
        self._handovers: dict[str, simpy.Event] = {}
        self._told: dict[str, Callable[[], None]] = {}
        self._guests: dict[str, dict[str, None]] = {}
        self._options: dict[tuple[tuple[str, ...], ...], tuple[Placement, ...]] = {}
        self._radios = any(node.transmit or node.receive for node in nodes.values())

    @property
    def now(self) -> float:
        """The time [s]."""
        return self.env._now

    # -- the verbs of stories ------------------------------------------------------------------------------------

    def compute(self, node: str, start: int, stop: int, request: Request) -> Story:
        """Run layers [start, stop) on *node*, for *request*."""
        books = self._books(request.source)
        return self.perform([compute(self.node(node), self.timing[node], start, stop, books)], request)

    def send(self, sender: str, receiver: str, size: float, request: Request) -> Story:
        """Send a message of *size* bytes from *sender* to *receiver*, for *request*."""
        return self.perform(list(self._message(sender, receiver, size, self._books(request.source))), request)

    def perform(self, tasks: Iterable[Task], request: Request) -> Story:
        """Do *tasks* one after the other, for *request*.

        Raises:
            NodeDown, LinkDown: where a failure takes the work away.
        """
        env = self.env
        for task in tasks:
            begin = env._now
            try:
                ticket = task.submit(request)
                if ticket is None:
                    yield from task.story(request)  # type: ignore[attr-defined]
                else:
                    yield ticket
                    task.book(request, begin, ticket)
            except Down:
                task.lost(request, begin, env._now)
                raise

    def plan(self, source: str, placement: Placement, here: str | None = None, layer: int = 0) -> Plan:
        """Resolve *placement* for requests of *source* whose tensors before *layer* lie on node *here*."""
        here = here or source
        books = self._books(source)
        tasks: list[Task] = []
        reached: list[tuple[str, int]] = []

        def go(to: str, size: float) -> None:
            for task in self._message(str(here), to, size, books):
                tasks.append(task)
                reached.append((str(here), layer))

        for s in placement.segments:
            if s.stop <= layer:
                continue
            if self.network.roaming and s.node in self.network.roaming and s.node != source:
                self._guests.setdefault(s.node, {})[source] = None
            if s.node != here:
                go(s.node, self.cut_bytes[layer])
                here = s.node
            tasks.append(compute(self.nodes[here], self.timing[here], layer, s.stop, books))
            reached.append((here, layer))
            layer = s.stop
        if here != source:
            go(source, self.crossing(layer))
        label = (placement.split_point(source), str(placement))
        return Plan(placement, label, tuple(tasks), tuple(reached))

    def _message(
        self, sender: str, receiver: str, size: float, books: Books, kind: type[Transfer] = Transfer
    ) -> Iterator[Task]:
        """Yield the tasks of a message of *size* bytes."""
        route, ends = self.network.route(sender, receiver), (self.node(sender), self.node(receiver))
        cost = route.send.seconds(size)
        if cost:
            yield Software(ends[0], cost, books)
        for leg in route.legs:
            first, last = self.nodes[leg.wires[0].channel.sender], self.nodes[leg.wires[-1].channel.receiver]
            if route.slow and leg is route.legs[0]:
                yield SlowTransfer(self.network, leg, size, first, last, books, route)
            else:
                yield kind(self.network, leg, size, first, last, books)
        cost = route.receive.seconds(size)
        if cost:
            yield Software(ends[1], cost, books)

    def probe(self, leg: Leg, sender: str, receiver: str, size: float) -> Task:
        """Return the task of a message of *size* bytes on *leg* alone, sent to see how long it takes."""
        return Probe(self.network, leg, size, self.node(sender), self.node(receiver), self._books(sender))

    def report(self, sender: str, receiver: str, size: float) -> Iterator[Task]:
        """Return the tasks of a report of *size* bytes."""
        return self._message(sender, receiver, size, self._books(sender), Report)

    def _books(self, source: str) -> Books:
        return Books(self.recorder.spans, self.sensor, self._radios, source)

    def wait(self, seconds: float) -> float:
        """Return the time in *seconds* from now, to be yielded."""
        return self.env._now + seconds

    def join(self, stories: Iterable[Story]) -> simpy.Event:
        """Begin *stories* side by side; yield the event to wait for all."""
        return self.env.join(stories)

    def repair(self, name: str) -> simpy.Event:
        """Return the event that the node or link *name* is up again."""
        if name not in self._repairs:
            self._repairs[name] = self.env.event()
        return self._repairs[name]

    def handover(self, device: str) -> simpy.Event:
        """Return the event that *device* is handed over to another link (never, for one that does not roam)."""
        if device not in self._handovers:
            self._handovers[device] = self.env.event()
        return self._handovers[device]

    def tell(self, device: str, moved: Callable[[], None]) -> None:
        """Call *moved* at each handover that changes the ways of *device*, before anybody waiting goes on."""
        self._told[device] = moved

    # -- what dynamics do ----------------------------------------------------------------------------------------

    def hand_over(self, device: str, before: str, link: str, interruption: float) -> None:
        """Take *device* from the link *before* to *link*, which carries nothing for as long as the *interruption* [s].

        Transfers under way on the one before are lost.
        """
        self.network.attach(link, before, self.env._now + interruption)
        for name in (device, *self._guests.pop(device, ())):
            if name in self._told:
                self._told[name]()
        self.network.leave(before)
        event = self._handovers.pop(device, None)
        if event is not None:
            event.succeed()

    def fail(self, name: str) -> None:
        """Take the node or link *name* down."""
        self.ups += 1
        self.sensor.changed()
        self.network.troubled = True
        if name in self.nodes:
            self.nodes[name].fail()
        else:
            self.network.fail(name)

    def restore(self, name: str) -> None:
        """Bring the node or link *name* up again."""
        self.ups += 1
        self.sensor.changed()
        if name in self.nodes:
            self.nodes[name].restore()
        else:
            self.network.restore(name)
        event = self._repairs.pop(name, None)
        if event is not None:
            event.succeed()

    # -- bookkeeping ---------------------------------------------------------------------------------------------

    def _span(self, kind: str, resource: str, request: Request, begin: float) -> None:
        if self.recorder.spans is not None:
            self.recorder.spans.add((kind, resource, request.source, request.number, begin, begin, self.env._now,
                                   0, 0, 0.0, 0.0, True))  # fmt: skip

    def recovered(self, request: Request, begin: float) -> None:
        """Book the time since *begin* to recovery."""
        request.recovery += self.env._now - begin
        self._span("recovery", request.source, request, begin)

    def held(self, request: Request, begin: float) -> None:
        """Book the time since *begin* to waiting for a redeployment."""
        request.hold += self.env._now - begin
        self._span("hold", request.source, request, begin)

    def crossing(self, layer: int) -> float:
        """Return the bytes that go on when the layers before *layer* are done: behind the last, the answer."""
        return self.answer_bytes if layer == len(self.model) else self.cut_bytes[layer]

    def options(self, chains: tuple[tuple[str, ...], ...]) -> tuple[Placement, ...]:
        """Return every placement along *chains* of nodes, each cut valid (kept, since chains seldom change).

        Where these would be more than ``MOST``, they are spread over fewer nodes.
        """
        if chains not in self._options:
            cuts, layers = sorted(self.cut_bytes), len(self.model)
            found = (option for chain in fewer(chains, len(cuts), MOST) for option in along(chain, cuts, layers))
            self._options[chains] = tuple(dict.fromkeys(found))
        return self._options[chains]

    def node(self, name: str) -> Node:
        """Return the node *name*.

        Raises:
            OffingError: if there is none.
        """
        try:
            return self.nodes[name]
        except KeyError:
            raise OffingError(f'no node named "{name}"; there are: {", ".join(self.nodes)}') from None
