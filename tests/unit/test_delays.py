"""Delays that change over time, by hand: a message has the delay that holds when it is handed to the leg."""

from __future__ import annotations

import pytest
from support import Fixed

from simulator import Placement, Results, Scenario, ScenarioError, Simulation
from simulator.physics import cost
from simulator.testing import tiny

ONE = 0.1 + 0.06 + 0.001
"""A request of ``tiny()`` at the server, less its two delays: 100 kB up, 0.06 s, 1 kB down, at 1 MB/s."""


def world(tmp_path, delay: dict, asks: list[float], changes: dict | None = None) -> Scenario:
    """Return ``tiny()`` with a delay of 10 ms until 1 s, 50 ms until 2 s, 0 until 4 s, and again."""
    (tmp_path / "late.csv").write_text(
        "# kind: latency; unit: ms; duration_s: 4; end: wrap\nstart_s,value\n0,10\n1,50\n2,0\n"
    )
    (tmp_path / "asks.csv").write_text("t_s\n" + "".join(f"{time}\n" for time in asks))
    data = dict(tiny().document.data) | {"variability": "none"}
    data["links"] = {"uplink": {**data["links"]["uplink"], "delay": {"trace": "late.csv"} | delay}}
    data["workload"] = {**data["workload"], "arrivals": {"kind": "replay", "trace": "asks.csv"}}
    scenario = Scenario.from_dict(data, tiny().library, tmp_path)
    return scenario.with_(changes) if changes else scenario


def go(scenario: Scenario) -> Results:
    return Simulation(scenario.with_technique(Fixed.at(("edge", 0, 3)))).run()


@pytest.mark.parametrize(
    ("asks", "up", "down"),
    [
        (0.0, 0.01, 0.01),
        (0.95, 0.01, 0.05),  # handed over at 0.95 s with 10 ms, the answer after 1 s with 50 ms
        (1.0, 0.05, 0.05),
        (1.95, 0.05, 0.0),
        (2.5, 0.0, 0.0),
        (3.95, 0.0, 0.01),  # the trace wraps at 4 s
        (4.99, 0.01, 0.05),
    ],
)
def test_a_message_has_the_delay_of_its_start(tmp_path, asks, up, down):
    row = go(world(tmp_path, {"of": "one-way"}, [asks])).requests.iloc[0]
    assert row["latency_s"] == pytest.approx(ONE + up + down)
    assert row["delay_s"] == pytest.approx(up + down)


def test_two_on_the_way_have_each_their_own(tmp_path):
    """The second waits for the wire until after the step: what counts is when it was handed over."""
    rows = go(world(tmp_path, {}, [0.95, 0.99])).requests
    assert rows["delay_s"].tolist() == pytest.approx([0.06, 0.06])
    assert rows["queue_s"].iloc[1] >= 0.06


@pytest.mark.parametrize("sharing", ["max-min", "airtime"])
def test_on_links_that_are_shared(tmp_path, sharing):
    row = go(world(tmp_path, {}, [0.95], {"links.uplink.sharing": sharing})).requests.iloc[0]
    assert row["latency_s"] == pytest.approx(ONE + 0.06)


def test_half_of_a_round_trip_is_each_ways(tmp_path):
    results = go(world(tmp_path, {"of": "round-trip"}, [1.0]))
    assert results.requests["delay_s"].tolist() == pytest.approx([0.05])
    said = results.provenance["networks"]["uplink.up delay"]
    assert said == {"grade": "transferred", "source": "late.csv, half of each round trip"}


def test_scale_and_offset(tmp_path):
    assert go(world(tmp_path, {"scale": 2.0}, [0.0])).requests["delay_s"].tolist() == pytest.approx([0.04])
    assert go(world(tmp_path, {"offset": "1 s"}, [0.0])).requests["delay_s"].tolist() == pytest.approx([0.1])


def test_each_link_starts_elsewhere_and_both_directions_together(tmp_path):
    changes = {"nodes.pi.count": 3}
    simulation = Simulation(world(tmp_path, {"offset": "random"}, [0.0], changes))
    traces = {name: wire.channel.delays for name, wire in simulation.cluster.network.wires.items()}
    firsts = {name: (trace.starts[1], trace.values[0]) for name, trace in traces.items()}
    assert len(set(firsts.values())) == 3
    assert all(firsts[f"uplink[pi-{i}].up"] == firsts[f"uplink[pi-{i}].down"] for i in range(3))


def test_a_slow_start_waits_for_the_round_trip_that_holds(tmp_path):
    """100 kB in windows of 15, 30 and 55 kB: two round trips (less what is sent meanwhile) on top of the first."""
    changes = {"links.uplink.connection": "slow-start", "links.uplink.framing": 1.0}
    row = go(world(tmp_path, {}, [1.0], changes)).requests.iloc[0]
    assert row["transfer_s"] - 0.001 == pytest.approx(2 * 0.1 + 0.055)
    row = go(world(tmp_path, {}, [2.0], changes)).requests.iloc[0]
    assert row["transfer_s"] - 0.001 == pytest.approx(0.1)


def test_routes_and_estimates_take_the_mean(tmp_path):
    simulation = Simulation(world(tmp_path, {}, [0.0]))
    route = simulation.cluster.network.route("pi", "edge")
    assert route.delay == pytest.approx((0.01 + 0.05) / 4)
    view = simulation.services[0].view
    whole = Placement.whole("edge", 3)
    assert view.latency(whole) == pytest.approx(ONE + 2 * route.delay)
    parts = cost.Parts()
    cost.message(route, 1e5, 0.95, parts)
    assert parts.delay == 0.01


def test_the_oracle_knows_what_is_to_come(tmp_path):
    """10 s of delay from 1 s on: who asks before is answered by the server, whose answer leaves before; later, none."""
    (tmp_path / "gone.csv").write_text("# kind: latency; unit: s; duration_s: 4; end: hold\nstart_s,value\n0,0\n1,10\n")
    changes = {"links.uplink.delay.trace": "gone.csv", "technique": {"kind": "oracle"}}
    results = Simulation(world(tmp_path, {}, [0.2, 0.9], changes)).run()
    assert results.requests["placement"].tolist() == ["edge 0-3", "pi 0-3"]
    assert results.requests["latency_s"].tolist() == pytest.approx([ONE, 0.6])
    assert results.decisions["predicted_s"].tolist() == pytest.approx([ONE, 0.6])


def test_a_constant_recording_is_a_constant(tmp_path):
    (tmp_path / "flat.csv").write_text("# kind: latency; unit: ms; end: hold\nstart_s,value\n0,10\n")
    asks = [0.0, 1.0, 1.01, 5.0]
    recorded = go(world(tmp_path, {"trace": "flat.csv"}, asks)).requests.drop(columns=["run_id"])
    said = go(world(tmp_path, {}, asks, {"links.uplink.delay": "10 ms"})).requests.drop(columns=["run_id"])
    assert recorded.equals(said)


BAD = {
    "a number": (20, ["links.uplink.delay: 20 has no unit", '"5 ms"']),
    "a word": ("late.csv", ["'late.csv' is not a duration", "a recording is written {trace: FILE}"]),
    "another kind": ({"trace": "rate.csv"}, ["links.uplink.delay", "rate.csv", "latency"]),
    "unknown key": ({"trace": "late.csv", "off": "rtt"}, ["links.uplink.delay.off: unknown key"]),
    "half of what": ({"trace": "late.csv", "of": "rtt"}, ["delay.of: 'rtt' is none of one-way, round-trip"]),
    "nowhere": ({"trace": "lat.csv"}, ["lat.csv", "late.csv"]),
    "an end of zero": ({"trace": "late.csv", "end": "zero"}, ["delay.end: 'zero' is none of wrap, hold, error"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_written_wrong(tmp_path, case):
    (tmp_path / "rate.csv").write_text("# kind: bandwidth; unit: Mbit/s; duration_s: 4\nstart_s,value\n0,10\n")
    delay, words = BAD[case]
    with pytest.raises(ScenarioError) as error:
        world(tmp_path, {}, [0.0], {"links.uplink.delay": delay})
    for word in words:
        assert word in str(error.value), error.value
