"""AdaptiveDNN's requests again, in the simulator: one run per network and condition, one request per cut.

What was fitted becomes plain input of a scenario: a ``ModelProfile`` with one layer between any two cuts, two machines
with their background load and software cost, a shaped link. The parts of a request are read back from its spans.
Requests come one by one, far enough apart that the token bucket is full again, as they did then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from calibration.measured.adaptive_dnn_fit import LEVELS, NetworkFit
from calibration.measured.adaptive_dnn_link import Array
from calibration.measured.replay import InTurn, in_a_row, machine, one_by_one
from simulator.foundation.errors import ProfileError
from simulator.physics.engine import Story
from simulator.profiles.hardware import Fact
from simulator.profiles.model import LayerTimes, ModelProfile
from simulator.profiles.placement import Placement
from simulator.run.simulation import Simulation
from simulator.scenario.scenario import Scenario
from simulator.world.cluster import Cluster
from simulator.world.request import Request

EDGE, CLOUD, LINK = "edge", "cloud", "uplink"
APART = 1000.0
"""From one request to the next [s]; a request takes 10 at most."""
SOURCE = "AdaptiveDNN, benchmark of 2020-05-27, medians"
PARTS = ("edge_s", "cloud_s", "serialise_s", "uplink_s", "queue_s", "downlink_s", "hold_s", "total_s")


@dataclass(frozen=True)
class Condition:
    """Operating levels of one run."""

    net_mbps: int
    cloud_cpu: int
    edge_mem: int
    cloud_mem: int
    edge_cpu: int

    def __str__(self) -> str:
        """Write ``50 Mbit/s, cloud CPU 100 %``: the rate, and what is stressed."""
        names = ("cloud CPU", "edge memory", "cloud memory", "edge CPU")
        levels = (self.cloud_cpu, self.edge_mem, self.cloud_mem, self.edge_cpu)
        return ", ".join([f"{self.net_mbps} Mbit/s", *(f"{n} {v} %" for n, v in zip(names, levels, strict=True) if v)])


@dataclass(frozen=True)
class Part:
    """One side's times under a condition: what its layers take, and what a part takes beyond its layers [s]."""

    inside: Array
    """Until each cut (edge) or behind it (cloud), shape (cuts,); never less with more layers."""
    beside: Array
    """For this cut alone: a part run as a network of its own has costs that no layer has."""


def parts(fit: NetworkFit, condition: Condition) -> tuple[Part, Part]:
    """Return head and tail times of all cuts, in the order of the network, at the processor's full capacity [s].

    What the machine as a whole is slowed by is the nodes' background load and is divided out.
    """
    head = fit.edge.seconds(fit.cuts, condition.edge_cpu, condition.edge_mem) / fit.edge.slowdown(condition.edge_cpu)
    tail = fit.cloud.seconds(fit.cuts, condition.cloud_cpu, condition.cloud_mem)
    tail = tail / fit.cloud.slowdown(condition.cloud_cpu)
    grown = np.minimum.accumulate(head[::-1])[::-1]
    fallen = np.minimum.accumulate(tail)
    return Part(grown, head - grown), Part(fallen, tail - fallen)


def profile(fit: NetworkFit, edge: Part, cloud: Part) -> ModelProfile:
    """Return the network as one layer before the first cut, one between any two, and one behind the last.

    The last was never run on the edge, nor the first (but in networks whose first cut is their input) on the cloud:
    there the other machine's time stands, by the ratio of the two over all layers that both have run.
    """
    head, tail = np.diff(edge.inside), -np.diff(cloud.inside)
    ratio = head.sum() / tail.sum() if len(head) and tail.sum() > 0 and head.sum() > 0 else 1.0
    on_edge = [edge.inside[0], *head, cloud.inside[-1] * ratio]
    on_cloud = [edge.inside[0] / ratio, *tail, cloud.inside[-1]]
    sizes = [fit.sizes[cut] for cut in fit.cuts]
    names = [f"until cut {cut}" for cut in fit.cuts] + ["rest"]
    times = [
        LayerTimes(machine, tuple(map(float, seconds)), grade="transferred", source=SOURCE)
        for machine, seconds in ((EDGE, on_edge), (CLOUD, on_cloud))
    ]
    return in_a_row(f"{fit.model} (AdaptiveDNN)", names, [sizes[0], *sizes, 0.0], times)  # the answer is a few bytes


class Requests(InTurn):
    """Request k uses cut k, after the server has built the tail for it."""

    senses = "nothing"

    late: tuple[float, ...]
    """Per cut: what its transfer waits for beyond the link's law [s]."""
    building: tuple[float, ...]
    """Per cut: what the server has to build the tail, from the request's beginning [s of its whole processor]."""
    edge_beside: tuple[float, ...]
    cloud_beside: tuple[float, ...]

    def serve(self, request: Request, cluster: Cluster) -> Story:
        """Compute the head, wait, send, wait for the server to be ready, compute the tail, answer."""
        k, placement = request.number, self.placements[request.number]
        if self.building[k]:
            cluster.node(CLOUD).compute(self.building[k])  # the tail's layers queue behind it
        yield from _beside(cluster, EDGE, self.edge_beside[k], request)
        yield from cluster.compute(EDGE, 0, k + 1, request)
        begin = cluster.now
        yield cluster.wait(self.late[k])
        cluster.held(request, begin)
        yield from cluster.send(EDGE, CLOUD, cluster.cut_bytes[k + 1], request)
        yield from cluster.compute(CLOUD, k + 1, placement.end, request)
        yield from _beside(cluster, CLOUD, self.cloud_beside[k], request)
        yield from cluster.send(CLOUD, EDGE, cluster.answer_bytes, request)
        return placement


def _beside(cluster: Cluster, node: str, seconds: float, request: Request) -> Story:
    """Run what a part takes beyond its layers, and book it as computing."""
    if seconds:
        begin = cluster.now
        ticket = cluster.node(node).compute(seconds)
        yield ticket
        request.queue += ticket.start - begin
        request.compute += ticket.finish - ticket.start
        assert cluster.recorder.spans is not None  # the scenario records them
        cluster.recorder.spans.add(("compute", node, request.source, request.number, begin, ticket.start,
                                    ticket.finish, 0, 0, 0.0, 0.0, True))  # fmt: skip


def scenario(fit: NetworkFit, condition: Condition) -> Scenario:
    """Return the scenario of one network under one condition: request k (from 0) uses the k-th of ``fit.cuts``."""
    edge, cloud = parts(fit, condition)
    shaper, slow = fit.shaper, fit.cloud.slowdown(condition.cloud_cpu)
    answer = shaper.message / 2.0  # ``ready`` is counted until the answer would be back
    ready = [fit.ready.at(cut, condition.net_mbps, condition.cloud_cpu) for cut in fit.cuts]
    layers = len(fit.cuts) + 1
    technique = Requests(
        placements=tuple(Placement.split(EDGE, CLOUD, cut, layers) for cut in range(1, layers)),
        late=tuple(fit.beyond(cut, condition.net_mbps) for cut in fit.cuts),
        building=tuple(max(0.0, when - answer) / slow for when in ready),
        edge_beside=tuple(map(float, edge.beside)),
        cloud_beside=tuple(map(float, cloud.beside)),
    )
    software = {
        "message": Fact(shaper.message / 4.0, "measured", SOURCE), "byte": Fact(shaper.byte / 2.0, "measured", SOURCE),
    }  # fmt: skip
    machines = {name: machine(name, f"AdaptiveDNN's {name} machine, not named", software) for name in (EDGE, CLOUD)}
    link = {
        "between": [EDGE, CLOUD], "bandwidth": f"{condition.net_mbps} Mbit/s", "delay": "0 s",
        "burst": f"{shaper.burst} B", "framing": shaper.framing, "connection": "persistent",
    }  # fmt: skip
    loads = {EDGE: _load(fit.edge.slowdown(condition.edge_cpu)), CLOUD: _load(slow)}
    return one_by_one(profile(fit, edge, cloud), machines, {LINK: link}, APART, technique, loads)


def _load(slowdown: float) -> dict[str, Any]:
    """Return the background load by which everything on a node takes *slowdown* times as long."""
    competitors = max(1, math.ceil(slowdown) - 1)
    share = max(0.0, 1.0 - 1.0 / slowdown) * (1.0 + competitors) / competitors
    return {"load": f"{100.0 * min(1.0, share)} %", "competitors": competitors}


def simulate(fit: NetworkFit, condition: Condition) -> pd.DataFrame:
    """Return the simulated parts of a request at each cut of one network under one condition [s], by cut."""
    spans = Simulation(scenario(fit, condition)).run().columns["spans"]
    number = spans["request"]
    took, waited = spans["finish_s"] - spans["start_s"], spans["start_s"] - spans["queued_s"]
    kind, place = spans["kind"].astype(str), spans["resource"].astype(str)
    masks = {
        "edge_s": (kind == "compute") & (place == EDGE),
        "cloud_s": (kind == "compute") & (place == CLOUD),
        "serialise_s": kind == "software",
        "uplink_s": (kind == "transfer") & (place == f"{LINK}.up"),
        "downlink_s": (kind == "transfer") & (place == f"{LINK}.down"),
        "hold_s": kind == "hold",
    }
    count = len(fit.cuts)
    table = {name: np.bincount(number[mask], took[mask], count) for name, mask in masks.items()}
    table["queue_s"] = np.bincount(number, waited, count)
    ends = np.zeros(count)
    np.maximum.at(ends, number, spans["finish_s"])
    table["total_s"] = ends - APART * np.arange(count)
    return pd.DataFrame(table, index=pd.Index(fit.cuts, name="cut"))[list(PARTS)]


def replay(fits: Mapping[str, NetworkFit], rows: pd.DataFrame) -> pd.DataFrame:
    """Return *rows* with ``predicted_`` columns of :data:`PARTS` and the ``grade`` of what they rest on.

    Only the model, the levels and the cut of a row are looked at, never its times.

    Raises:
        ProfileError: if a model or a cut was not fitted.
    """
    found = []
    groups: Any = rows.groupby(["model", *LEVELS], sort=False)
    for (model, *levels), part in groups:
        fit = fits.get(str(model))
        if fit is None:
            raise ProfileError(f'no fit of network "{model}"; fitted: {", ".join(sorted(fits))}')
        strange = sorted(set(part["cut"]) - set(fit.cuts))
        if strange:
            raise ProfileError(f'"{model}": no row to fit has the cuts {", ".join(map(str, strange))}')
        condition = Condition(*map(int, levels))
        times = simulate(fit, condition).loc[part["cut"]]
        sure = [
            fit.edge.measured(cut, condition.edge_cpu, condition.edge_mem)
            and fit.cloud.measured(cut, condition.cloud_cpu, condition.cloud_mem)
            and (cut, condition.net_mbps) in fit.late
            for cut in part["cut"]
        ]
        own = {f"predicted_{name}": times[name].to_numpy() for name in PARTS}
        found.append(part.assign(**own, grade=np.where(sure, "measured", "transferred")))
    together: pd.DataFrame = pd.concat(found).loc[rows.index]
    return together
