"""The referee: random small FIFO worlds, each request against a textbook SimPy model, to 1e-9.

The textbook side is written from plain facts: one process per request, one ``simpy.Resource`` per processor and per
direction of a link, service times worked out segment by segment. It shares no code with the stations it judges; only
the instants of arrival are taken over, for they are an input.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
import simpy

from simulator import Library, Placement, Scenario, Segment, Simulation, Technique
from simulator.foundation.errors import NodeDown
from simulator.physics.engine import Environment
from simulator.physics.station import Fifo, Shared
from simulator.profiles.trace import Trace
from simulator.testing import chain, machine

SEEDS = range(60)


class Cuts(Technique):
    """Each device's own cuts: layers up to the first on it, up to the second on the edge, the rest in the cloud."""

    cuts: tuple[tuple[str, tuple[int, int]], ...]

    def place(self, view, request=None):
        edge, cloud = dict(self.cuts)[view.source]
        layers = len(view.model)
        return Placement((Segment(view.source, 0, edge), Segment("edge", edge, cloud), Segment("cloud", cloud, layers)))


# -- plain facts ---------------------------------------------------------------------------------------------------


@dataclass
class Steps:
    """A capacity that repeats: ``(length [s], capacity)`` one after the other."""

    pieces: list[tuple[float, float]]

    def finish(self, start: float, work: float) -> float:
        """Walk the pieces from time 0, and from *start* on take their capacity off *work*."""
        now = 0.0
        while True:
            for length, capacity in self.pieces:
                end = now + length
                if end > start and capacity > 0:
                    begin = max(now, start)
                    if work <= capacity * (end - begin) or length == np.inf:
                        return begin + work / capacity
                    work -= capacity * (end - begin)
                now = end

    def trace(self) -> Trace:
        if len(self.pieces) == 1:
            return Trace.of(self.pieces[0][1])
        ends = np.cumsum([length for length, _ in self.pieces]).tolist()
        return Trace([0.0, *ends[:-1]], [capacity for _, capacity in self.pieces], ends[-1], "wrap")


@dataclass
class NodeFacts:
    slots: int
    share: Steps
    slowdown: float
    seconds: list[float]
    cold: float
    wake: float
    rest: float
    last_end: float = -np.inf
    present: int = 0
    resource: simpy.Resource | None = None


@dataclass
class WireFacts:
    """One direction of one link."""

    rate: Steps
    delay: float
    framing: float
    burst: float
    slow: bool
    message: float
    byte: float
    resource: simpy.Resource | None = None
    tokens: float = 0.0
    filled: float = 0.0


@dataclass
class World:
    sizes: list[float]
    nodes: dict[str, NodeFacts] = field(default_factory=dict)
    wires: dict[tuple[str, str], WireFacts] = field(default_factory=dict)
    cuts: dict[str, tuple[int, int]] = field(default_factory=dict)
    data: dict = field(default_factory=dict)


def steps(rng, low, high, traces) -> Steps:
    if not traces:
        return Steps([(np.inf, float(rng.uniform(low, high)))])
    pieces = [(float(rng.uniform(0.05, 3.0)), float(rng.uniform(low, high))) for _ in range(rng.integers(2, 6))]
    pieces.insert(int(rng.integers(0, len(pieces))), (float(rng.uniform(0.05, 1.0)), 0.0))
    return Steps(pieces)


def make_world(seed: int, traces: bool) -> tuple[World, Scenario]:
    rng = np.random.default_rng(seed)
    layers = int(rng.integers(2, 6))
    world = World(sizes=rng.uniform(1e3, 2e5, layers + 1).tolist())
    times, machines = {}, []
    data = world.data = {
        "name": f"referee {seed}", "seed": seed, "until": "30 s", "model": "tiny", "variability": "none",
        "nodes": {}, "links": {},
    }  # fmt: skip
    devices = [f"d{i}" for i in range(rng.integers(1, 5))]
    for name in (*devices, "edge", "cloud"):
        pace = 1.0 if name in devices else 0.2
        seconds = (pace * rng.uniform(1e-3, 0.1, layers)).tolist()
        cold, rest = float(rng.choice([0.0, 0.004, 0.03])), float(rng.uniform(0.01, 1.0))
        wake = float(rng.choice([0.001, 0.01, np.inf]))
        slots, partitioned = int(rng.integers(1, 4)), bool(rng.integers(0, 2))
        node = NodeFacts(slots, steps(rng, 0.5, 1.0, traces), 1.7 if partitioned else 1.0, seconds, cold, wake, rest)
        if not traces:
            node.share = Steps([(np.inf, 1.0)])
        world.nodes[name] = node
        times[name] = seconds
        machines.append(machine(name, cold=cold, rest=rest, **({} if np.isinf(wake) else {"wake": wake})))
        entry = {"kind": "device" if name in devices else "server", "hardware": name, "slots": slots}
        if partitioned:
            entry |= {"concurrency": "partitioned", "slowdown": 1.7}
        data["nodes"][name] = entry
    for name, ends in [(f"link-{d}", (d, "edge")) for d in devices] + [("core", ("edge", "cloud"))]:
        make_link(rng, world, name, ends, traces)
    for device in devices:
        world.cuts[device] = tuple(sorted(rng.integers(0, layers + 1, 2).tolist()))
    every = 0.25 * len(devices)
    arrivals = {"kind": "poisson", "rate": f"{1 / every} /s"}
    if rng.integers(0, 2):
        arrivals = {"kind": "periodic", "every": f"{every} s", "phase": "random"}
    data["workload"] = {"kind": "inference", "sources": devices, "arrivals": arrivals}
    data["technique"] = {"kind": "device-only"}
    scenario = Scenario.from_dict(data, Library(models=[chain(world.sizes, times)], machines=machines))
    return world, scenario.with_technique(Cuts(cuts=tuple(world.cuts.items())))


def make_link(rng, world: World, name: str, ends: tuple[str, str], traces: bool) -> None:
    half = bool(rng.integers(0, 2))
    both = steps(rng, 1e5, 5e6, traces)
    rates = {"bandwidth": both} if half else {"up": both, "down": steps(rng, 1e5, 5e6, traces)}
    delay, framing = float(rng.uniform(0, 0.05)), float(rng.uniform(1.0, 1.2))
    burst = float(rng.choice([0.0, 3e4])) if not traces and not half else 0.0
    slow = bool(rng.integers(0, 3) == 0)
    message, byte = float(rng.uniform(0, 2e-3)), float(rng.uniform(0, 3e-9))
    for index, pair in enumerate((ends, ends[::-1])):
        rate = rates["bandwidth"] if half else rates[("up", "down")[index]]
        wire = WireFacts(rate, delay, framing, burst, slow, message, byte, tokens=burst)
        world.wires[pair] = wire
    world.data["links"][name] = {
        "between": list(ends), "delay": f"{delay!r} s", "framing": framing, "burst": f"{burst!r} B",
        "duplex": "half" if half else "full", "connection": "slow-start" if slow else "persistent",
        "software": {"message": f"{message!r} s", "byte": f"{byte!r} s/B"},
        **dict.fromkeys(rates, "1 B/s"),  # the capacities themselves go in below, as traces
    }  # fmt: skip


def with_traces(simulation: Simulation, world: World) -> Simulation:
    """Give the live stations the capacities of the facts (a scenario file would need a trace file for each)."""
    for wire in simulation.cluster.network.wires.values():
        facts = world.wires[wire.channel.sender, wire.channel.receiver]
        capacity = facts.rate.trace()
        object.__setattr__(wire.channel, "bandwidth", capacity)
        wire.fifo.__init__(wire.fifo.env, wire.fifo.name, capacity, wire.fifo.down, 1, facts.burst)
    for name, node in simulation.cluster.nodes.items():
        station = node.station
        station.__init__(station.env, station.name, world.nodes[name].share.trace(), station.down, station.servers)
    return simulation


# -- the textbook --------------------------------------------------------------------------------------------------


class Textbook:
    """The same world in plain SimPy."""

    def __init__(self, world: World) -> None:
        self.world, self.env = world, simpy.Environment()
        for node in world.nodes.values():
            node.resource = simpy.Resource(self.env, node.slots)
        for (a, b), wire in world.wires.items():
            other = world.wires[b, a]
            wire.resource = other.resource if other.resource and other.rate is wire.rate else simpy.Resource(self.env)

    def latencies(self, arrivals: list[tuple[float, str, int]]) -> dict[tuple[str, int], float]:
        found: dict[tuple[str, int], float] = {}

        def starter():
            for time, source, number in arrivals:
                yield self.env.timeout(time - self.env.now)
                self.env.process(self.request(source, number, time, found))

        self.env.process(starter())
        self.env.run()
        return found

    def request(self, source: str, number: int, arrival: float, found):
        world = self.world
        edge, cloud = world.cuts[source]
        here = source
        for node, start, stop in ((source, 0, edge), ("edge", edge, cloud), ("cloud", cloud, len(world.sizes) - 1)):
            if start < stop:
                yield from self.message(here, node, world.sizes[start])
                yield from self.compute(world.nodes[node], start, stop)
                here = node
        yield from self.message(here, source, world.sizes[-1])
        found[source, number] = self.env.now - arrival

    def compute(self, node: NodeFacts, start: int, stop: int):
        work = sum(node.seconds[start:stop]) * node.slowdown
        if node.present == 0 and self.env.now > node.last_end + node.rest:
            work += min(node.cold, node.wake + work)
        node.present += 1
        with node.resource.request() as turn:
            yield turn
            yield self.env.timeout(node.share.finish(self.env.now, work) - self.env.now)
        node.present -= 1
        node.last_end = self.env.now

    def message(self, sender: str, receiver: str, size: float):
        if sender == receiver:
            return
        path = self.path(sender, receiver)
        hops = [self.world.wires[pair] for pair in itertools.pairwise(path)]
        yield self.env.timeout(hops[0].message + hops[0].byte * size)
        for index, wire in enumerate(hops):
            if index == 0 and wire.slow:
                yield from self.slow_start(wire, size * wire.framing, 2 * sum(hop.delay for hop in hops))
            else:
                yield from self.transmit(wire, size * wire.framing)
            yield self.env.timeout(wire.delay)
        yield self.env.timeout(hops[-1].message + hops[-1].byte * size)

    def path(self, sender: str, receiver: str) -> list[str]:
        if (sender, receiver) in self.world.wires:
            return [sender, receiver]
        return [sender, "edge", receiver]

    def transmit(self, wire: WireFacts, framed: float):
        with wire.resource.request() as turn:
            yield turn
            now = self.env.now
            if wire.burst:  # tokens trickle in at the link's rate; bytes that find one pass at once
                rate = wire.rate.pieces[0][1]
                wire.tokens = min(wire.burst, wire.tokens + rate * (now - wire.filled))
                at_once = min(framed, wire.tokens)
                wire.tokens -= at_once
                yield self.env.timeout((framed - at_once) / rate)
                wire.filled = self.env.now
            else:
                yield self.env.timeout(wire.rate.finish(now, framed) - now)

    def slow_start(self, wire: WireFacts, framed: float, round_trip: float):
        window = 10 * 1500.0
        while True:
            opened = self.env.now
            yield from self.transmit(wire, min(window, framed))
            framed -= min(window, framed)
            if framed == 0:
                return
            if self.env.now >= opened + round_trip:  # the pipe is full: the rest follows without a pause
                yield from self.transmit(wire, framed)
                return
            yield self.env.timeout(opened + round_trip - self.env.now)
            window *= 2


@pytest.mark.parametrize("traces", [False, True], ids=["constant", "traces"])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_request_takes_what_the_textbook_says(seed, traces):
    world, scenario = make_world(seed, traces)
    requests = with_traces(Simulation(scenario), world).run().requests
    arrivals = list(requests[["arrival_s", "source", "request"]].itertuples(index=False, name=None))
    expected = Textbook(world).latencies(arrivals)
    assert len(expected) == len(requests) > 20
    for row in requests.itertuples():
        assert row.latency_s == pytest.approx(expected[row.source, row.request], rel=1e-9, abs=1e-12)


def test_the_worlds_are_worth_refereeing():
    """Between them they hold every feature, and requests that wait."""
    worlds = [make_world(seed, False) for seed in SEEDS]
    wires = [wire for world, _ in worlds for wire in world.wires.values()]
    assert any(wire.slow for wire in wires)
    assert any(wire.burst for wire in wires)
    assert any(0 < edge < cloud < len(world.sizes) - 1 for world, _ in worlds for edge, cloud in world.cuts.values())
    assert any(link["duplex"] == "half" for world, _ in worlds for link in world.data["links"].values())
    nodes = [node for world, _ in worlds for node in world.nodes.values()]
    assert any(node.cold for node in nodes)
    assert any(node.wake + min(node.seconds) < node.cold for node in nodes)  # and the other form of it matters
    queued = sum((with_traces(Simulation(s), w).run().requests["queue_s"] > 1e-3).sum() for w, s in worlds[:10])
    assert queued > 100


# -- processor sharing, event by event -----------------------------------------------------------------------------


def shared_by_hand(jobs: list[tuple[float, float]], servers: int, share: Steps) -> list[float]:
    """Return when each of *jobs* (arrival, work) ends: between any two events all rates are constant."""
    left = {i: work for i, (_, work) in enumerate(jobs)}
    ends = [np.nan] * len(jobs)
    edges = sorted({0.0, *np.cumsum([length for _ in range(400) for length, _ in share.pieces]).tolist()})
    now = 0.0
    while left:
        present = [i for i in left if jobs[i][0] <= now]
        middle = min(edge for edge in edges if edge > now)
        capacity = capacity_at(share, (now + middle) / 2)  # the same all the way to the next edge
        rate = capacity * min(1.0, servers / len(present)) if present else 0.0
        coming = min((jobs[i][0] for i in left if jobs[i][0] > now), default=np.inf)
        soonest = min((left[i] for i in present), default=np.inf)
        then = min(coming, middle, now + soonest / rate if rate else np.inf)
        for i in present:
            left[i] -= rate * (then - now)
            if left[i] <= 1e-12:
                ends[i] = then
                del left[i]
        now = then
    return ends


def capacity_at(share: Steps, time: float) -> float:
    period = sum(length for length, _ in share.pieces)
    time %= period
    for length, capacity in share.pieces:
        if time < length:
            return capacity
        time -= length
    return share.pieces[0][1]


@pytest.mark.parametrize("seed", range(20))
def test_processor_sharing_equals_a_solution_event_by_event(seed):
    rng = np.random.default_rng(seed)
    share = Steps([(1000.0, 1.0)]) if seed % 2 else steps(rng, 0.2, 1.0, traces=True)
    servers = int(rng.integers(1, 4))
    jobs = list(zip(np.cumsum(rng.exponential(0.3, 25)).tolist(), rng.uniform(0.05, 1.0, 25).tolist(), strict=True))
    env = Environment()
    station = Shared(env, "cpu", share.trace(), NodeDown, servers)
    ends: dict[int, float] = {}

    def story(i, arrival, work):
        yield arrival
        yield station.submit(work)
        ends[i] = env.now

    for i, (arrival, work) in enumerate(jobs):
        env.start(story(i, arrival, work))
    env.run()
    assert [ends[i] for i in range(len(jobs))] == pytest.approx(shared_by_hand(jobs, servers, share), rel=1e-9)


@pytest.mark.parametrize("servers", [1, 3])
def test_a_station_without_variability_serves_in_order_of_arrival(servers):
    """Equal jobs on equal servers: job ``i`` starts when it comes or when job ``i - servers`` ends (by hand)."""
    env, gap, work = Environment(), 0.1, 0.45
    station = Fifo(env, "cpu", Trace.of(1.0), NodeDown, servers)
    tickets = []

    def story():
        for i in range(40):
            yield i * gap
            tickets.append(station.submit(work))

    env.start(story())
    env.run()
    ends: list[float] = []
    for i, ticket in enumerate(tickets):
        ends.append(max(i * gap, ends[i - servers] if i >= servers else 0.0) + work)
        assert ticket.finish == pytest.approx(ends[i], rel=1e-12)
