"""From a scenario to live objects: groups unfolded, names resolved, everything that cannot work refused.

All findings are collected and raised together, each with the line it stands on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from simulator.foundation.errors import OffingError, ScenarioError, did_you_mean
from simulator.foundation.randomness import Streams
from simulator.physics.engine import Environment
from simulator.physics.network import Channel, Network
from simulator.physics.node import Node, NodeFacts, capacity_left
from simulator.profiles.hardware import Hardware, Software
from simulator.profiles.model import LayerTimes, ModelProfile
from simulator.profiles.trace import Trace
from simulator.results.record import Recorder
from simulator.scenario.access import Access
from simulator.scenario.capacity import Capacity
from simulator.scenario.happenings import Happenings, World, resolve_happenings
from simulator.scenario.inputs import find_file
from simulator.scenario.knowledge import resolve_knowledge, unaffordable
from simulator.scenario.scenario import Scenario
from simulator.scenario.schema import ClosedEntry, LinkEntry, PeriodicEntry, PoissonEntry
from simulator.scenario.topology import with_topology
from simulator.scenario.transfer import as_used, framing, misused
from simulator.traces.outages import find_outages
from simulator.workloads.arrivals import Arrivals, ClosedLoop, Periodic, Poisson
from simulator.workloads.mobility import Roaming
from simulator.world.cluster import Cluster
from simulator.world.sensing import Knowledge
from simulator.world.timing import Timing

T = TypeVar("T")

MOST = 1e9
"""Requests that a run may expect; more would take days and hundreds of GB."""


@dataclass
class Parts:
    """A scenario taken apart and resolved: plain facts, nothing alive yet."""

    scenario: Scenario
    model: ModelProfile
    machines: dict[str, Hardware]
    times: dict[str, LayerTimes]
    """Layer times by machine."""
    beliefs: dict[str, LayerTimes]
    """The same as techniques believe in them, but for a random error."""
    nodes: dict[str, NodeFacts]
    channels: list[Channel]
    sources: list[str]
    arrivals: Arrivals
    knowledge: Knowledge
    happenings: Happenings
    groups: dict[str, list[str]] = field(default_factory=dict)
    roaming: list[Roaming] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """What was left out or merged of what the scenario names."""

    def cluster(self, streams: Streams, recorder: Recorder) -> Cluster:
        """Make the parts live on a new clock."""
        env = Environment()
        nodes = {name: Node(env, facts) for name, facts in self.nodes.items()}
        variability = self.scenario.entry.variability
        timings = {name: Timing(times, variability) for name, times in self.times.items()}
        network = Network(env, self.channels, [name for name, facts in self.nodes.items() if facts.kind == "server"])
        for roaming in self.roaming:
            network.attach(roaming.turns[0][1])
        cluster = Cluster(env, nodes, network, self.model, timings, self.knowledge, recorder)
        size = self.scenario.entry.workload.input_bytes
        if size is not None:
            cluster.cut_bytes[0] = size
        return cluster

    def believed(self, streams: Streams) -> dict[str, list[float]]:
        """Return the layer times techniques believe in, as prefix sums by node [s]."""
        error = self.knowledge.profile_error
        prefixes = {}
        for hardware, times in self.beliefs.items():
            seconds = times.seconds
            if error:
                factors = streams["knowledge", hardware].normal(1.0, error, len(seconds)).clip(min=0.05)
                times = LayerTimes(hardware, tuple(s * f for s, f in zip(seconds, factors.tolist(), strict=True)))
            prefixes[hardware] = times.prefix()
        return {name: prefixes[facts.hardware.name] for name, facts in self.nodes.items()}


class _Builder:
    """Collects problems while it resolves one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.entry = scenario.entry
        self.problems: list[str] = []
        self.streams = Streams(scenario.entry.seed)
        self.groups: dict[str, list[str]] = {}
        self.machines: dict[str, Hardware] = {}
        self.nodes: dict[str, NodeFacts] = {}
        self.capacities: dict[str, Trace] = {}  # of channels, before anything is drawn
        self.drawn: dict[tuple[str, ...], Trace] = {}
        self.access = Access(scenario.entry, self.streams)

    def attempt(self, place: tuple[str | int, ...], make: Callable[[], T]) -> T | None:
        """Return what *make* makes; an error becomes a problem at *place*."""
        try:
            return make()
        except OffingError as error:
            self.problem(place, str(error))
            return None

    def problem(self, place: tuple[str | int, ...], text: str) -> None:
        self.problems.append(f"{self.scenario.where(*place)}: {text}")

    def build(self) -> Parts:
        entry, library = self.entry, self.scenario.library
        model = self.attempt(
            ("model",), lambda: library.model(entry.model.name, entry.model.input, entry.workload.batch)
        )
        if not isinstance(entry.warmup, str) and entry.warmup >= entry.until:
            self.problem(
                ("warmup",),
                f"{entry.warmup:g} s leave nothing of a run of {entry.until:g} s; shorten warmup:, or lengthen until:",
            )
        for name in entry.nodes:
            self.unfold_node(name)
        channels = [channel for name in entry.links for channel in self.link(name)]
        for name, text in self.access.parallel(channels):
            self.problem(("links", name), text)
        times = self.times(model) if model is not None else {}
        sources = self.sources()
        arrivals = self.arrivals()
        happenings = self.happenings(channels)
        knowledge = resolve_knowledge(entry.knowledge, self.scenario.technique)
        for key, text in unaffordable(knowledge, channels, self.capacities):
            self.problem(("knowledge", key), text)
        beliefs = self.beliefs(model, times, knowledge) if model is not None else times
        if self.problems or model is None or arrivals is None:
            raise ScenarioError(*self.problems)
        return Parts(
            self.scenario, model, self.machines, times, beliefs, self.nodes, channels, sources, arrivals, knowledge,
            happenings, self.groups, self.access.roaming,
        )  # fmt: skip

    # -- nodes ---------------------------------------------------------------------------------------------------

    def unfold_node(self, name: str) -> None:
        entry = self.entry.nodes[name]
        place = ("nodes", name)
        machine = self.machines.get(entry.hardware) or self.attempt(
            (*place, "hardware"), lambda: self.scenario.library.hardware(entry.hardware)
        )
        members = [name] if entry.count is None else [f"{name}-{i}" for i in range(entry.count)]
        self.groups[name] = members
        if entry.position is not None:
            wrong = entry.position.mismatch(name, len(members), entry.count is not None)
            if wrong:
                self.problem((*place, "position"), wrong)
        if machine is None:
            return
        self.machines[entry.hardware] = machine
        left = capacity_left(entry.load.trace, entry.competitors)
        for member in members:
            if member in self.nodes or (member in self.entry.nodes and member != name):
                self.problem(place, f'its member "{member}" has the name of another node; rename one of them')
                continue
            if entry.load.random_offset:
                left = capacity_left(self.trace(entry.load, "load", member), entry.competitors)
            self.nodes[member] = NodeFacts(
                member, entry.kind, machine, machine.memory.value if entry.memory is None else entry.memory,
                entry.slots, entry.concurrency, entry.slowdown or 1.0, left,
                entry.competitors,
            )  # fmt: skip

    def trace(self, capacity: Capacity, *name: str) -> Trace:
        if capacity.generator is not None:
            if name not in self.drawn:  # members of a group on one shared link meet here
                self.drawn[name] = capacity.generator.generate(self.streams[name], capacity.period)
            return self.drawn[name]
        if not capacity.random_offset:
            return capacity.trace
        return capacity.trace.shifted(self.streams["offset", *name].random() * capacity.trace.duration)

    def times(self, model: ModelProfile) -> dict[str, LayerTimes]:
        times = {}
        for name, entry in self.entry.nodes.items():
            machine = self.machines.get(entry.hardware)
            if machine is not None and machine.name not in times:
                found = self.attempt(("nodes", name, "hardware"), lambda machine=machine: model.times_on(machine))  # type: ignore[misc]
                if found is not None:
                    times[machine.name] = found
        return times

    def beliefs(self, model: ModelProfile, times: dict[str, LayerTimes], knowledge: Knowledge) -> dict[str, LayerTimes]:
        if knowledge.profile != "predicted":
            return times
        machines = [machine for machine in self.machines.values() if machine.name in times]
        place = ("knowledge", "profile")
        found = {m.name: self.attempt(place, lambda m=m: model.predicted_on(m)) for m in machines}  # type: ignore[misc]
        return {name: predicted for name, predicted in found.items() if predicted is not None}

    # -- links ---------------------------------------------------------------------------------------------------

    def link(self, name: str) -> list[Channel]:
        link = self.entry.links[name]
        place = ("links", name)
        ends = []
        for index, end in enumerate(link.between):
            if end not in self.groups and end not in self.nodes:
                known = list(dict.fromkeys([*self.entry.nodes, *self.nodes]))
                hint = did_you_mean(end, known) or f" Known: {', '.join(known[:12])}{' ...' if len(known) > 12 else ''}"
                self.problem((*place, "between", index), f'no node named "{end}".{hint}')
                return []
            ends.append(self.groups.get(end, [end]))
        if name in self.groups or name in self.nodes:
            self.problem(
                place, f'a node is named "{name}" too; rename the link, so that a failure can say which it means'
            )
            return []
        if link.between[0] == link.between[1]:
            self.problem((*place, "between"), f'both ends are "{link.between[0]}"; a link joins two nodes')
            return []
        if ends[0][0] in self.nodes and ends[1][0] in self.nodes:
            for key, text in misused(link, *self.kinds(ends[0][0], ends[1][0])):
                self.problem((*place, key), text)
        if link.attach is not None:
            return self.roam(name, link, ends)
        if len(ends[0]) > 1 and len(ends[1]) > 1:
            self.problem(
                (*place, "between"),
                "both ends are groups; give each member of one its own link, or let devices that move have one at a "
                "time: attach: {to: nearest, interruption: 50 ms}",
            )
            return []
        pairs = [(a, b) for a in ends[0] for b in ends[1] if a in self.nodes and b in self.nodes]
        if link.shared and len(pairs) == 1:
            self.problem((*place, "shared"), "neither end is a group, so there is nobody to share it with")
        return [channel for a, b in pairs for channel in self.channels(name, link, a, b, len(pairs) > 1)]

    def kinds(self, *names: str) -> Iterator[str]:
        return (self.nodes[name].kind for name in names)

    def roam(self, name: str, link: LinkEntry, ends: list[list[str]]) -> list[Channel]:
        """Return the channels of a link of which each device has one at a time: to all sites it comes nearest to."""
        turned = self.access.turns(name, ends, self.groups, self.nodes, self.problem)
        made: list[Channel] = []
        for device, called in turned.items():
            for site, own in called.items():
                pair = (device, site) if device in ends[0] else (site, device)
                made += self.channels(name, link, *pair, False, own, f"{name}[{site}]")
        return made

    def channels(
        self, name: str, link: LinkEntry, a: str, b: str, group: bool, own: str = "", cell: str = ""
    ) -> list[Channel]:
        """Return both directions of a link between two nodes; of an access link with its *own* name and its *cell*."""
        member = (b if len(self.groups.get(link.between[1], [b])) > 1 else a) if group else ""
        called = own or (f"{name}[{member}]" if group and not link.shared else name)
        drawn = cell if cell and link.shared else called  # who shares a cell shares its capacity
        made = []
        for direction, sender, receiver in (("up", a, b), ("down", b, a)):
            capacity = link.bandwidth or (link.up if direction == "up" else link.down)
            assert capacity is not None  # the schema has seen to it
            # a radio link fades in both directions together: one draw where one bandwidth: says both
            directed = () if link.bandwidth is not None else (direction,)
            station = ""
            if link.sharing == "airtime":
                station = f"medium {link.medium or cell or name}"
            elif link.shared or link.duplex == "half":
                shared = cell or name
                station = (shared if link.shared else called) + ("" if link.duplex == "half" else f".{direction}")
            software = Software(link.software.message, link.software.byte) if link.software is not None else None
            delays = link.delay.trace
            if delays is not None and link.delay.random_offset:
                delays = delays.shifted(self.streams["offset", "delay", called].random() * delays.duration)
            made.append(
                Channel(
                    name=f"{called}.{direction}" + (f"[{member}]" if group and link.shared else ""),
                    link=called,
                    sender=sender,
                    receiver=receiver,
                    bandwidth=as_used(
                        self.trace(capacity, "bandwidth", drawn, *directed), capacity, *self.kinds(sender, receiver)
                    ),
                    delay=link.delay.mean,
                    delays=delays,
                    roams=bool(cell),
                    framing=framing(link, capacity),
                    burst=link.burst,
                    connection=link.connection,
                    sharing=link.sharing,
                    station=station,
                    send=software or self.nodes[sender].hardware.software,
                    receive=software or self.nodes[receiver].hardware.software,
                )
            )
            self.capacities[made[-1].name] = capacity.trace
        return made

    # -- workload and the rest -----------------------------------------------------------------------------------

    def sources(self) -> list[str]:
        found: list[str] = []
        for index, name in enumerate(self.entry.workload.sources):
            place = ("workload", "sources", index)
            members = self.groups.get(name, [name] if name in self.nodes else [])
            if not members:
                self.problem(place, f'no node named "{name}".{did_you_mean(name, [*self.groups, *self.nodes])}')
            for member in members:
                if member in found:
                    self.problem(place, f'"{member}" is a source twice')
                elif member in self.nodes:
                    found.append(member)
        return found

    def arrivals(self) -> Arrivals | None:
        entry = self.entry.workload.arrivals
        if isinstance(entry, PoissonEntry):
            self.bounded("rate", entry.rate)
            return Poisson(entry.rate)
        if isinstance(entry, PeriodicEntry):
            self.bounded("every", 1.0 / entry.every)
            return Periodic(entry.every, entry.phase)
        if isinstance(entry, ClosedEntry):
            return ClosedLoop(entry.users, entry.think, entry.spread)
        document, library = self.scenario.document, self.scenario.library
        place = ("workload", "arrivals", "trace")
        path = self.attempt(place, lambda: find_file(entry.trace, document.folder, library.folder))
        if path is None:
            return None
        replayed = self.attempt(place, lambda: entry.arrivals(path))
        if replayed is not None:
            self.bounded("scale", replayed.expected(self.entry.until) / self.entry.until)
        return replayed

    def bounded(self, key: str, rate: float) -> None:
        """Refuse what no computer would live to see the end of."""
        devices = sum(len(self.groups.get(name, [])) for name in self.entry.workload.sources)
        if rate * self.entry.until * devices > MOST:
            self.problem(
                ("workload", "arrivals", key),
                f"some {rate * self.entry.until * devices:.0e} requests would come; a run takes at most {MOST:.0e}: "
                f"{'raise' if key == 'every' else 'lower'} {key}:, or shorten until:",
            )

    def happenings(self, channels: list[Channel]) -> Happenings:
        shelf = self.scenario.library.folder
        unused = dict.fromkeys(self.access.unused())  # links of devices that move to where they never come
        world = World(
            self.groups, {name for name, facts in self.nodes.items() if facts.kind == "device"},
            [*(channel.link for channel in channels), *unused], self.streams, self.entry.until, self.scenario.find,
            lambda name: find_outages(name, shelf / "outages"), self.problem, bool(self.problems),
        )  # fmt: skip
        found = resolve_happenings(self.entry.dynamics, world)
        for name in unused.keys() & found.outages.keys():
            del found.outages[name]
        return found


def build(scenario: Scenario) -> Parts:
    """Resolve *scenario*.

    Raises:
        ScenarioError: with every problem found.
    """
    whole, told = with_topology(scenario)
    parts = _Builder(whole).build()
    parts.told += [*told, *parts.happenings.told]
    return parts
