"""What must be conserved, in any world: bytes, joules, layers, seconds and requests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import Results, Scenario, Simulation
from simulator.techniques.device_only import DeviceOnly
from simulator.techniques.fixed_split import FixedSplit
from simulator.techniques.min_latency import MinLatency
from simulator.techniques.server_only import ServerOnly
from simulator.testing import worlds

TECHNIQUES = st.sampled_from([DeviceOnly(), ServerOnly(), FixedSplit(split_point=1), MinLatency()])
PARTS = ["queue_s", "compute_s", "transfer_s", "delay_s", "software_s", "recovery_s", "hold_s"]
calm = given(scenario=worlds(failures=False), technique=TECHNIQUES)
stormy = given(scenario=worlds(), technique=TECHNIQUES)
often = settings(max_examples=60)


def play(scenario: Scenario, technique) -> Results:
    return Simulation(scenario.with_technique(technique)).run()


@calm
@often
def test_bytes_handed_over_are_bytes_delivered(scenario, technique):
    results = play(scenario, technique)
    links, requests, spans = results.links, results.requests, results.spans
    assert links["sent_bytes"].tolist() == pytest.approx(links["received_bytes"].tolist())
    assert (links["sent_bytes"] <= links["capacity_bytes"] * (1 + 1e-9) + carried_at_once(scenario)).all()
    transfers = spans[spans["kind"] == "transfer"]
    crossed = transfers["sent_bytes"] * [1 + name.count("+") for name in transfers["resource"]]  # a fair leg is several
    assert links["sent_bytes"].sum() == pytest.approx(crossed.sum())
    assert requests["sent_bytes"].sum() == pytest.approx(transfers["sent_bytes"].sum())


def carried_at_once(scenario: Scenario) -> float:
    """Return the most bytes that a full token bucket lets through beyond the capacity."""
    return max(link.burst for link in scenario.entry.links.values())


@calm
@often
def test_energy_is_the_integral_of_power_over_the_spans(scenario, technique):
    """Recomputed from the spans: idle power all along, busy power while slots work, radio power while bytes flow."""
    simulation = Simulation(scenario.with_technique(technique))
    results = simulation.run()
    spans = results.spans
    end = results.meta["end_s"]
    for row in results.nodes.itertuples():
        facts = simulation.cluster.nodes[row.node].facts
        power = facts.hardware
        here = spans[(spans["kind"] == "compute") & (spans["resource"] == row.node)]
        busy = slot_seconds(here["start_s"].to_numpy(), here["finish_s"].to_numpy(), facts.slots)
        radio = 0.0
        for span in spans[spans["kind"] == "transfer"].itertuples():
            channels = span.resource.split("+")
            first, last = channels[0], channels[-1]
            seconds = on_air(span, scenario, simulation.cluster.network.wires[channels[0]].channel.connection)
            if seconds is None:
                break
            radio += (
                power.transmit.value * seconds * (simulation.cluster.network.wires[first].channel.sender == row.node)
            )
            radio += (
                power.receive.value * seconds * (simulation.cluster.network.wires[last].channel.receiver == row.node)
            )
        else:
            expected = power.idle.value * end + (power.busy.value - power.idle.value) / facts.slots * busy + radio
            assert row.energy_j == pytest.approx(expected, rel=1e-9)
        assert row.busy_s == pytest.approx(busy, rel=1e-9, abs=1e-12)
        assert row.utilisation == pytest.approx(busy / (facts.slots * end), rel=1e-9, abs=1e-12)


def slot_seconds(starts: np.ndarray, finishes: np.ndarray, slots: int) -> float:
    """Return the integral over time of how many slots work: jobs present, but never more than there are."""
    edges = np.unique(np.concatenate([starts, finishes]))
    middles = (edges[1:] + edges[:-1]) / 2
    present = ((starts[:, None] <= middles) & (middles < finishes[:, None])).sum(axis=0)
    return float((np.minimum(present, slots) * np.diff(edges)).sum())


def on_air(span, scenario: Scenario, connection: str) -> float | None:
    """Return how long the bytes of a transfer flowed; None for a slow start, which pauses between its windows."""
    return None if connection == "slow-start" else span.finish_s - span.start_s


@calm
@often
def test_what_requests_add_up_to_is_what_nodes_used_above_idle(scenario, technique):
    simulation = Simulation(scenario.with_technique(technique))
    results = simulation.run()
    idle = sum(node.facts.hardware.idle.value for node in simulation.cluster.nodes.values()) * results.meta["end_s"]
    assert results.requests["energy_j"].sum() == pytest.approx(
        results.nodes["energy_j"].sum() - idle, rel=1e-6, abs=1e-9
    )
    assert (results.requests["device_energy_j"] <= results.requests["energy_j"] + 1e-12).all()


@calm
@often
def test_each_layer_of_each_request_runs_once(scenario, technique):
    results = play(scenario, technique)
    compute = results.spans[results.spans["kind"] == "compute"]
    layers = len(scenario.library.models[0])
    for _, pieces in compute.groupby(["source", "request"]):
        runs = sorted(zip(pieces["from_layer"], pieces["to_layer"], strict=True))
        assert [start for start, _ in runs] == [0, *(stop for _, stop in runs[:-1])]
        assert runs[-1][1] == layers
    assert compute.groupby(["source", "request"]).ngroups == len(results.requests)


@stormy
@often
def test_the_seven_parts_add_up_to_the_latency(scenario, technique):
    requests = play(scenario, technique).requests
    answered = requests[requests["outcome"] != "unfinished"]
    assert answered[PARTS].sum(axis=1).tolist() == pytest.approx(answered["latency_s"].tolist(), rel=1e-9, abs=1e-12)
    assert (answered[PARTS] >= -1e-12).all(axis=None)
    assert (answered["finish_s"] - answered["arrival_s"]).tolist() == pytest.approx(answered["latency_s"].tolist())


@stormy
@often
def test_the_spans_say_where_the_time_went(scenario, technique):
    results = play(scenario, technique)
    spans = results.spans[results.spans["completed"]]
    length = (spans["finish_s"] - spans["start_s"]).groupby([spans["source"], spans["request"], spans["kind"]]).sum()
    for row in results.requests[results.requests["outcome"] != "unfinished"].itertuples():
        for kind in ("compute", "transfer", "software"):
            seen = length.get((row.source, row.request, kind), 0.0)
            assert seen == pytest.approx(getattr(row, f"{kind}_s"), rel=1e-9, abs=1e-9)


@given(scenario=worlds(), technique=TECHNIQUES, drain=st.booleans())
@often
def test_nothing_vanishes(scenario, technique, drain):
    """As many rows as requests came, numbered without a gap, whatever fails and wherever the run is cut."""
    simulation = Simulation(scenario.with_({"drain": drain}).with_technique(technique))
    admitted = {service.source: 0 for service in simulation.services}
    for service in simulation.services:
        count_admissions(service, admitted)
    requests = simulation.run().requests
    assert requests.groupby("source").size().to_dict() == {name: n for name, n in admitted.items() if n}
    for _, rows in requests.groupby("source"):
        assert sorted(rows["request"]) == list(range(len(rows)))
    unfinished = requests[requests["outcome"] == "unfinished"]
    assert unfinished["latency_s"].isna().all()
    if drain and not scenario.entry.dynamics:
        assert unfinished.empty
    if not drain:
        assert not (requests["finish_s"] > scenario.entry.until).any()


def count_admissions(service, admitted) -> None:
    """Count admissions beside the table: each request draws one number."""
    draws = service._draws

    def counted():
        for draw in draws:
            admitted[service.source] += 1
            yield draw

    service._draws = counted()


@given(scenario=worlds(failures=False), technique=TECHNIQUES)
@settings(max_examples=30)
def test_a_channel_serves_one_message_at_a_time_and_a_node_as_many_as_it_has_slots(scenario, technique):
    simulation = Simulation(scenario.with_technique(technique))
    spans = simulation.run().spans
    for name, group in spans[spans["kind"].isin(["compute", "transfer"])].groupby("resource"):
        if name in simulation.cluster.nodes:
            facts = simulation.cluster.nodes[name].facts
            most = math.inf if facts.concurrency == "shared" else facts.slots
        else:
            channel = simulation.cluster.network.wires[name.split("+")[0]].channel
            most = 1 if channel.sharing == "fifo" and channel.connection != "slow-start" else math.inf
        steps = sorted([(t, 1) for t in group["start_s"]] + [(t, -1) for t in group["finish_s"]])
        assert max(np.cumsum([step for _, step in merged(steps)])) <= most


def merged(steps: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Let what ends within rounding of a beginning end first."""
    return sorted(((round(time, 9), step) for time, step in steps), key=lambda s: (s[0], s[1]))


@stormy
@often
def test_finished_layers_run_again_only_if_their_node_has_failed_since(scenario, technique):
    """What a node has done stays done as long as the node lives."""
    results = play(scenario, technique)
    spans = results.spans[(results.spans["kind"] == "compute") & results.spans["completed"]]
    outages = results.failures.groupby("name")["down_s"].apply(list).to_dict()
    for _, pieces in spans.sort_values("start_s").groupby(["source", "request"]):
        done: dict[int, tuple[str, float]] = {}
        for piece in pieces.itertuples():
            for layer in range(piece.from_layer, piece.to_layer):
                if layer in done:
                    node, finish = done[layer]
                    assert any(finish <= down <= piece.start_s for down in outages.get(node, []))
                done[layer] = (piece.resource, piece.finish_s)
