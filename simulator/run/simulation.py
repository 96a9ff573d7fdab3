"""``Simulation``: one run, alive. A pure function of (scenario, seed, version).

The placement of every source is checked before the clock starts, so that what cannot work is an error in a scenario
and not a surprise in the middle of a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from simulator.foundation.errors import OffingError, ScenarioError
from simulator.foundation.randomness import Streams
from simulator.profiles.hardware import worst
from simulator.profiles.library import Library
from simulator.results.frames import Results
from simulator.results.record import LinkRow, NodeRow, Recorder
from simulator.run.offered import link_load, node_load
from simulator.run.provenance import provenance
from simulator.scenario.build import build
from simulator.scenario.scenario import Scenario
from simulator.techniques.registry import name_of, read_technique
from simulator.techniques.technique import Technique
from simulator.workloads.arrivals import ClosedLoop
from simulator.workloads.dynamics import outage_story
from simulator.workloads.inference import Service, arrivals_story
from simulator.workloads.mobility import roaming_story
from simulator.workloads.sensors import Sensors
from simulator.world.view import View

Progress = Callable[[float, int], None]
"""Called now and then with the simulated time [s] and the requests finished."""

SLICES = 200  # of a run: progress is told after each


class Simulation:
    """A scenario made live; :meth:`run` it once."""

    def __init__(self, scenario: Scenario, seed: int | None = None) -> None:
        """Build the world.

        Args:
            scenario: what to simulate.
            seed: instead of the scenario's.

        Raises:
            ScenarioError: with every problem found.
        """
        if seed is not None:
            scenario = scenario.with_({"seed": seed}) if scenario.entry.seed != seed else scenario
        self.scenario = scenario
        entry = scenario.entry
        self.streams = Streams(entry.seed)
        self.parts = build(scenario)
        self.recorder = Recorder(spans=entry.record == "spans")
        self.cluster = self.parts.cluster(self.streams, self.recorder)
        believed = self.parts.believed(self.streams)
        arrivals = self.parts.arrivals
        if not isinstance(arrivals, ClosedLoop):
            self.cluster.others = max(0.0, arrivals.expected(entry.until) - 1.0) / entry.until
        self.cluster.residency.copies = scenario.technique.copies()
        deadline = entry.workload.deadline or math.inf
        self.services: list[Service] = []
        for source in self.parts.sources:
            technique = scenario.technique.start(self.streams["technique", source])
            view = View(self.cluster, source, believed, technique.asks == "request")
            away = self.parts.happenings.away.get(source, ())
            self.services.append(Service(self.cluster, view, technique, deadline, self.streams, away))

    def run(self, progress: Progress | None = None) -> Results:
        """Run to the end and return what happened."""
        entry, env = self.scenario.entry, self.cluster.env
        self.check()
        for outages in self.parts.happenings.outages.values():
            env.start(outage_story(outages, self.cluster))
        sensors = Sensors(self.cluster, [s.view for s in self.services], entry.until, self.streams)
        for story in sensors.stories():
            env.start(story)
        for roaming in self.parts.roaming:
            env.start(roaming_story(roaming, self.cluster, sensors.stories))
        arrivals = self.parts.arrivals
        for service in self.services:
            for story in service.stories(arrivals, entry.until, self.streams):
                env.start(story)
        if not isinstance(arrivals, ClosedLoop):
            env.start(arrivals_story(self.services, arrivals, entry.until, self.streams))
        for piece in range(1, SLICES + 1):
            env.run(until=entry.until * piece / SLICES)
            if progress is not None:
                progress(env.now, len(self.recorder.requests))
        offered = node_load(self.cluster.nodes, entry.until), link_load(self.cluster.network, entry.until)
        if entry.drain:
            self._drain()
        if self.cluster.open:
            for service in self.services:
                service.abandon()
        self._final_rows(*offered)
        if progress is not None:
            progress(env.now, len(self.recorder.requests))
        name = name_of(self.scenario.technique)
        return Results.of(
            self.recorder.columns(), self.scenario, name, str(self.parts.knowledge), env.now, provenance(self.parts)
        )

    def _drain(self) -> None:
        """Go on until every request has its answer, or nothing is left that could bring one.

        What else is on the calendar (failures to come, timers of work that was lost) does not keep the clock running.
        """
        env = self.cluster.env
        while self.cluster.open and env.peek() < math.inf:
            env.step()

    def check(self) -> None:
        """Ask every source's first decision now, so that one that cannot work is an error of the scenario.

        Raises:
            ScenarioError: with what is wrong with the placements, or with recordings that end too soon.
        """
        problems: dict[str, None] = dict.fromkeys(self._too_short())
        for service in self.services:
            if service.technique.asks == "view" and self.cluster.nodes[service.source].up:
                try:
                    service.settle()
                except OffingError as error:
                    problems[f"{self.scenario.where('technique')}: {error}"] = None
        if problems:
            raise ScenarioError(*list(problems)[:5])

    def _too_short(self) -> list[str]:
        """Return what is wrong with recordings that must not be left (``end: error``) and end before the run does."""
        until = self.scenario.entry.until
        channels = [wire.channel for wire in self.cluster.network.wires.values()]
        traces = [c.bandwidth for c in channels] + [c.delays for c in channels if c.delays is not None]
        traces += [node.facts.capacity for node in self.cluster.nodes.values()]
        return [
            f"{self.scenario.where('until')}: {until:g} s, but {trace.source} ends at {trace.duration:g} s and says "
            "end: error; shorten until:, or choose end: wrap, hold or zero"
            for trace in traces if trace.end == "error" and trace.duration < until
        ]  # fmt: skip

    def _final_rows(self, node_load: dict[str, float], link_load: dict[str, float]) -> None:
        env = self.cluster.env
        now = env.now
        for name, node in self.cluster.nodes.items():
            busy = node.station.busy()
            possible = now * node.facts.slots
            self.recorder.nodes.add(
                NodeRow(
                    name, node.facts.hardware.name, busy, node.down(), busy / possible if possible else 0.0,
                    node_load[name], node.joules(), node.memory.peak,
                    worst({self.parts.times[node.facts.hardware.name].grade}),
                )
            )  # fmt: skip
        carried = self.cluster.network.carried()
        for wire in self.cluster.network.wires.values():
            c = wire.channel
            handed, delivered = carried[c.name]
            self.recorder.links.add(
                LinkRow(
                    c.name, c.sender, c.receiver, handed, delivered, c.bandwidth.recorded(now), c.station or c.name,
                    link_load[c.name],
                )
            )  # fmt: skip


def run(
    scenario: str | Path | Scenario,
    technique: Technique | str | None = None,
    seed: int | None = None,
    library: Library | None = None,
    progress: Progress | None = None,
) -> Results:
    """Simulate *scenario* and return the results.

    Args:
        scenario: a file, the name of a shipped one (``quick/split_inference``), or a ``Scenario``.
        technique: instead of the scenario's, registered or not, or by name: ``fixed-split:split_point=32``.
        seed: instead of the scenario's.
        library: where models and hardware are found, instead of the shipped ones.
        progress: called now and then with the simulated time [s] and the requests finished.

    Raises:
        ScenarioError: with every problem found.
    """
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario, library)
    if technique is not None:
        scenario = scenario.with_technique(read_technique(technique) if isinstance(technique, str) else technique)
    return Simulation(scenario, seed).run(progress)
