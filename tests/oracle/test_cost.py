"""An unloaded request takes what the formulas say: ``View.latency`` (``physics.cost``), and sums done by hand here."""

from __future__ import annotations

import pytest
from support import Fixed, play

from simulator import Library, Scenario, Simulation, Trace
from simulator.physics import cost
from simulator.testing import Seeded, chain, machine, random_world, tiny

EXACT = {"rel": 1e-9, "abs": 1e-12}
ALONE = {"kind": "periodic", "every": "100 s", "phase": "random"}  # one request in a run of 100 s

SIZES = (1e5, 5e4, 2e4, 1e3)  # of tiny(): input, after each layer
PI, EDGE = (0.1, 0.2, 0.3), (0.01, 0.02, 0.03)
MB = 1e6


def latency(scenario: Scenario, *segments: tuple[str, int, int], alone: bool = True) -> float:
    """Return the latency of the only request of *scenario*."""
    if alone:
        scenario = scenario.with_({"until": "100 s", "variability": "none", "workload.arrivals": ALONE})
    requests = play(scenario, *segments).requests
    assert len(requests) == 1
    return requests["latency_s"][0]


def at(time: float, scenario: Scenario) -> Scenario:
    """Return *scenario* with one request, at *time*: the periodic one, moved by an offset file of its own."""
    return scenario.with_(
        {"until": f"{time + 1e-6} s", "workload.arrivals": {"kind": "periodic", "every": f"{time} s"}}
    )


# -- the formula ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_an_unloaded_request_equals_the_estimate_for_every_placement(seed):
    """Random worlds of every sharing, connection, duplex, burst, framing, load and concurrency; cold costs added."""
    calm = {
        "until": "100 s",
        "variability": "none",
        "workload.arrivals": ALONE,
        "knowledge": {},
        "nodes.device.count": 1,
    }
    scenario = random_world(Seeded(seed), failures=False)
    scenario = scenario.with_(calm)
    simulation = Simulation(scenario)
    view = simulation.services[0].view
    options = view.splits()
    assert len(options) >= 2
    for option in options[:: max(1, len(options) // 8)]:
        nodes = [simulation.cluster.nodes[segment.node] for segment in option.segments]
        cold = sum(node.cold / node.facts.capacity.at(0.0) for node in nodes)
        measured = Simulation(scenario.with_technique(Fixed.as_in(option))).run().requests
        assert measured["latency_s"].tolist() == [pytest.approx(view.latency(option) + cold, **EXACT)]


def test_the_parts_of_the_estimate_are_the_parts_of_the_request():
    scenario = tiny({"until": "100 s", "workload.arrivals": ALONE, "links.uplink.software": {"message": "1 ms"}})
    row = play(scenario, ("pi", 0, 1), ("edge", 1, 3)).requests.iloc[0]
    network = Simulation(scenario).cluster.network
    there, back = cost.Parts(), cost.Parts()
    cost.message(network.route("pi", "edge"), SIZES[1], 0.0, there)
    cost.message(network.route("edge", "pi"), SIZES[3], 0.0, back)
    for part in ("transfer", "delay", "software"):
        assert row[f"{part}_s"] == pytest.approx(getattr(there, part) + getattr(back, part), **EXACT)
    assert row["software_s"] == pytest.approx(4e-3, **EXACT)  # both ends, both ways


# -- by hand -------------------------------------------------------------------------------------------------------


def test_device_only():
    assert latency(tiny(), ("pi", 0, 3)) == pytest.approx(0.6, **EXACT)


@pytest.mark.parametrize("split", [0, 1, 2])
def test_split(split):
    expected = sum(PI[:split]) + SIZES[split] / MB + 0.01 + sum(EDGE[split:]) + SIZES[3] / MB + 0.01
    assert latency(tiny(), ("pi", 0, split), ("edge", split, 3)) == pytest.approx(expected, **EXACT)


def test_framing_and_software():
    changes = {
        "links.uplink.connection": "persistent",
        "links.uplink.software": {"message": "2 ms", "byte": "1 ms/MB"},
    }
    up, down = (1500 / 1448 * size / MB + 0.01 + 2 * (2e-3 + 1e-9 * size) for size in (1e5, 1e3))
    assert latency(tiny(changes), ("edge", 0, 3)) == pytest.approx(up + 0.06 + down, **EXACT)


def test_up_and_down_differ():
    scenario = tiny({"links.uplink": {"between": ["pi", "edge"], "up": "8 Mbit/s", "down": "2 Mbit/s", "delay": "0 s",
                                      "connection": "none"}})  # fmt: skip
    assert latency(scenario, ("edge", 0, 3)) == pytest.approx(0.1 + 0.06 + 1e3 / 0.25e6, **EXACT)
    turned = scenario.with_({"links.uplink.between": ["edge", "pi"]})
    assert latency(turned, ("edge", 0, 3)) == pytest.approx(1e5 / 0.25e6 + 0.06 + 1e-3, **EXACT)


def three_tiers() -> Scenario:
    times = {"board": PI, "rack": EDGE, "hall": (0.001, 0.002, 0.003)}
    library = Library(models=[chain(SIZES, times)], machines=[machine(name) for name in times])
    data = tiny().document.data
    data["nodes"]["cloud"] = {"kind": "server", "hardware": "hall"}
    data["links"]["core"] = {
        "between": ["edge", "cloud"],
        "bandwidth": "10 MB/s",
        "delay": "30 ms",
        "framing": 1.1,
    }
    return Scenario.from_dict(data, library)


def test_each_hop_stores_and_forwards():
    up = 1e5 / MB + 0.01 + 1.1 * 1e5 / 1e7 + 0.03
    down = 1.1 * 1e3 / 1e7 + 0.03 + 1e3 / MB + 0.01
    assert latency(three_tiers(), ("cloud", 0, 3)) == pytest.approx(up + 0.006 + down, **EXACT)


def test_device_edge_cloud_and_back():
    to_edge, to_cloud = 5e4 / MB + 0.01, 1.1 * 2e4 / 1e7 + 0.03
    back = 1.1 * 1e3 / 1e7 + 0.03 + 1e3 / MB + 0.01
    expected = 0.1 + to_edge + 0.02 + to_cloud + 0.003 + back
    assert latency(three_tiers(), ("pi", 0, 1), ("edge", 1, 2), ("cloud", 2, 3)) == pytest.approx(expected, **EXACT)


def test_slow_start_waits_a_round_trip_for_each_window_until_one_covers_it():
    """100 kB at 10 MB/s with 20 ms there and back: 15 kB and 30 kB take less than that, the 55 kB left end in time."""
    scenario = tiny({"links.uplink.connection": "slow-start", "links.uplink.bandwidth": "10 MB/s",
                     "links.uplink.framing": 1.0})  # fmt: skip
    up = 0.02 + 0.02 + 55e3 / 1e7 + 0.01
    down = 1e3 / 1e7 + 0.01  # within the first window
    assert latency(scenario, ("edge", 0, 3)) == pytest.approx(up + 0.06 + down, **EXACT)


def test_slow_start_on_a_slow_link_costs_nothing_once_a_window_covers_the_round_trip():
    """At 0.5 MB/s the first window (15 kB: 30 ms) is longer than the round trip (20 ms)."""
    scenario = tiny({"links.uplink.connection": "slow-start", "links.uplink.bandwidth": "0.5 MB/s",
                     "links.uplink.framing": 1.0})  # fmt: skip
    assert latency(scenario, ("edge", 0, 3)) == pytest.approx(1e5 / 5e5 + 0.01 + 0.06 + 1e3 / 5e5 + 0.01, **EXACT)


@pytest.mark.parametrize(("burst", "up"), [(0.0, 0.1), (3e4, 0.07), (1e5, 0.0), (5e5, 0.0)])
def test_a_full_bucket_lets_its_burst_through_at_once(burst, up):
    scenario = tiny({"links.uplink.burst": f"{burst} B"})
    down = max(0.0, 1e3 - burst) / MB
    assert latency(scenario, ("edge", 0, 3)) == pytest.approx(up + 0.01 + 0.06 + down + 0.01, **EXACT)


def test_the_bucket_remembers():
    """Two requests 50 ms apart, 100 kB each, burst 30 kB at 1 MB/s: the second finds the bucket empty."""
    scenario = tiny({"links.uplink.burst": "30 kB", "until": "0.06 s", "variability": "none",
                     "workload.arrivals": {"kind": "periodic", "every": "50 ms"}})  # fmt: skip
    first, second = play(scenario, ("edge", 0, 3)).requests["latency_s"]
    rest = 0.01 + 0.06 + 0.01
    assert first == pytest.approx(0.07 + rest, **EXACT)
    assert second == pytest.approx(0.17 - 0.05 + rest, **EXACT)


@pytest.mark.parametrize(
    ("load", "competitors", "factor"), [("50 %", 1, 1 / 0.75), ("100 %", 1, 2.0), ("50 %", 3, 1.6)]
)
def test_background_load_leaves_one_part_in_its_competitors_and_itself(load, competitors, factor):
    scenario = tiny({"nodes.pi.load": load, "nodes.pi.competitors": competitors})
    assert latency(scenario, ("pi", 0, 3)) == pytest.approx(0.6 * factor, **EXACT)


def test_a_part_of_a_partitioned_machine_is_slower():
    scenario = tiny({"nodes.edge.concurrency": "partitioned", "nodes.edge.slots": 4, "nodes.edge.slowdown": 3.2})
    assert latency(scenario, ("edge", 0, 3)) == pytest.approx(0.1 + 0.01 + 0.06 * 3.2 + 0.001 + 0.01, **EXACT)


def test_a_rested_machine_is_cold_once():
    """Requests at 0, 1, 2 s ... take 0.6 s each; after 0.4 s of rest a machine that cools in 0.3 s is cold again."""
    library = Library(models=tiny().library.models, machines=[machine("board", cold=0.05, rest=0.3), machine("rack")])
    scenario = Scenario.from_dict(tiny().document.data, library)
    every = {"until": "2.5 s", "workload.arrivals": {"kind": "periodic", "every": "1 s"}}
    assert play(scenario.with_(every), ("pi", 0, 3)).requests["latency_s"].tolist() == pytest.approx([0.65] * 3)
    library.machines[0] = machine("board", cold=0.05, rest=0.5)
    scenario = Scenario.from_dict(tiny().document.data, library)
    assert play(scenario.with_(every), ("pi", 0, 3)).requests["latency_s"].tolist() == pytest.approx([0.65, 0.6, 0.6])


@pytest.mark.parametrize(("wake", "more"), [(None, 0.7), (0.05, 0.65), (0.3, 0.7)])
def test_a_short_job_is_not_charged_more_than_waking_and_its_own_time(wake, more):
    """0.6 s of work on a machine that rested: at most 0.7 s more, or its own time and what waking takes."""
    facts = {"cold": 0.7, "rest": 0.3} | ({} if wake is None else {"wake": wake})
    library = Library(models=tiny().library.models, machines=[machine("board", **facts), machine("rack")])
    scenario = Scenario.from_dict(tiny().document.data, library)
    assert play(scenario, ("pi", 0, 3)).requests["latency_s"].iloc[0] == pytest.approx(0.6 + more)


# -- traces at their instant ---------------------------------------------------------------------------------------


def recorded(tmp_path, kind: str, unit: str, rows: str) -> dict[str, str]:
    path = tmp_path / f"{kind}.csv"
    path.write_text(f"# kind: {kind}; unit: {unit}; duration_s: 4; end: wrap\nstart_s,value\n{rows}")
    return {"trace": str(path)}


def test_a_request_meets_the_capacity_of_its_instant(tmp_path):
    """1 MB/s, then nothing, then 2 MB/s: 100 kB sent at 0.95 s sees 50 kB of the first and the rest after the gap."""
    trace = recorded(tmp_path, "bandwidth", "MB/s", "0,1\n1,0\n3,2\n")
    scenario = tiny({"links.uplink.bandwidth": trace, "variability": "none"})
    requests = play(at(0.95, scenario), ("edge", 0, 3)).requests
    assert requests["arrival_s"].tolist() == pytest.approx([0.0, 0.95])
    assert requests["latency_s"][0] == pytest.approx(0.1 + 0.01 + 0.06 + 0.001 + 0.01, **EXACT)
    assert requests["latency_s"][1] == pytest.approx((3.025 - 0.95) + 0.01 + 0.06 + 1e3 / 2e6 + 0.01, **EXACT)


def test_layers_meet_the_load_of_their_instant(tmp_path):
    """0.6 s of work begun at 0.9 s: 0.1 s at full speed, then at half (one competitor wants all)."""
    load = recorded(tmp_path, "cpu", "%", "0,0\n1,100\n")
    scenario = tiny({"nodes.pi.load": load, "variability": "none"})
    requests = play(at(0.9, scenario), ("pi", 0, 3)).requests
    assert requests["latency_s"].tolist() == pytest.approx([0.6, 0.1 + 0.5 / 0.5], **EXACT)


def test_the_formula_integrates_a_trace_as_the_station_does(tmp_path):
    trace = Trace([0.0, 1.0, 3.0], [1e6, 0.0, 2e6], 4.0, "wrap")
    path = recorded(tmp_path, "bandwidth", "MB/s", "0,1\n1,0\n3,2\n")
    scenario = tiny({"links.uplink.bandwidth": path})
    route = Simulation(scenario).cluster.network.route("pi", "edge")
    for start in (0.0, 0.37, 0.95, 1.0, 2.9, 3.999, 41.3):
        for size in (0.0, 1.0, 1e5, 1e7):
            arrived = cost.message(route, size, start, cost.Parts())
            assert trace.integral(arrived - 0.01) - trace.integral(start) == pytest.approx(size, rel=1e-9, abs=1e-3)


# -- more bandwidth ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(15))
def test_more_bandwidth_never_lengthens_an_unloaded_request(seed):
    """The only thing that changes is the capacity; the placement stays, so no technique can make up for it."""
    scenario = random_world(Seeded(seed), failures=False).with_({"nodes.device.count": 1, "knowledge": {}})
    last = float("inf")
    for rate in (1e4, 3e4, 1e5, 5e5, 2e6, 2e7):
        ways = ("bandwidth",) if scenario.entry.links["access"].bandwidth is not None else ("up", "down")
        faster = scenario.with_({f"links.access.{way}": f"{rate} B/s" for way in ways})
        now = latency(faster, ("edge", 0, len(faster.library.model("random"))))
        assert now < last
        last = now
