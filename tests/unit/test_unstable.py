"""What was offered to each station, exactly; and who is told that a run has no steady state."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from support import play

from simulator import Library, Results, Scenario, Simulation
from simulator.foundation.errors import NodeDown
from simulator.physics.engine import Environment
from simulator.physics.station import Fifo, Shared
from simulator.profiles.trace import Trace
from simulator.results.statistics import mser5
from simulator.results.steady import in_order
from simulator.testing import Seeded, chain, machine, random_world, tiny

EVERY = {"kind": "periodic", "every": "100 ms"}
SERVER = ("edge", 0, 3)
DEVICE = ("@", 0, 3)


def device(changes: Mapping[str, Any], service: float = 0.1, spread: bool = False) -> Scenario:
    """Return a device alone, its only layer of *service* [s], exponential where it is to be spread."""
    law = -service * np.log1p(-(np.arange(500) + 0.5) / 500)
    repeats = {"board": [(s,) for s in law.tolist()]} if spread else None
    model = chain((0.0, 0.0), {"board": (float(law.mean()) if spread else service,)}, repeats=repeats)
    data = {
        "name": "queue", "until": "60 s", "record": "requests", "model": "tiny",
        "nodes": {"pi": {"kind": "device", "hardware": "board"}},
        "workload": {"kind": "inference", "sources": ["pi"], "arrivals": EVERY},
        "technique": {"kind": "device-only"},
    }  # fmt: skip
    return Scenario.from_dict(data, Library(models=[model], machines=[machine("board")])).with_(changes)


def poisson(rate: float) -> dict[str, Any]:
    return {"workload.arrivals": {"kind": "poisson", "rate": f"{rate} /s"}}


def offered(results: Results, name: str) -> float:
    nodes, links = results.nodes.set_index("node"), results.links.set_index("channel")
    return float((nodes if name in nodes.index else links).loc[name, "offered"])


# -- the column ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("concurrency", ["slots", "shared"])
@pytest.mark.parametrize(("slots", "service"), [(1, 0.05), (1, 0.25), (3, 0.7)])
def test_a_node_is_offered_its_service_times(drain, concurrency, slots, service):
    changes = {"drain": drain, "nodes.pi.slots": slots, "nodes.pi.concurrency": concurrency, "until": "10 s"}
    results = Simulation(device(changes, service)).run()
    assert len(results.requests) == 100
    assert offered(results, "pi") == pytest.approx(100 * service / (10 * slots), rel=1e-9)


@pytest.mark.parametrize("concurrency", ["slots", "shared"])
def test_background_load_counts_as_time_in_service(concurrency):
    changes = {"nodes.pi.load": "100 %", "nodes.pi.concurrency": concurrency, "until": "10 s"}
    results = Simulation(device(changes, 0.08)).run()
    assert offered(results, "pi") == pytest.approx(2 * 0.8, rel=1e-9)


@pytest.mark.parametrize("make", [Fifo, Shared])
def test_admitted_work_under_a_trace_is_time_until_all_of_it_is_done(make):
    env = Environment()
    station = make(env, "cpu", Trace([0.0, 4.0], [1.0, 0.25], math.inf, "hold"), NodeDown)
    for _ in range(3):
        station.submit(2.0)
    env.run(until=1.0)
    assert station.admitted() == pytest.approx(4 + 2 / 0.25)
    env.run()
    assert station.admitted() == station.busy() == pytest.approx(12.0)


def test_what_a_failure_took_away_counts_as_far_as_it_was_served():
    for make in (Fifo, Shared):
        env = Environment()
        station = make(env, "cpu", Trace.of(1.0), NodeDown)
        env.fail = lambda *_: None  # nobody waits
        station.submit(5.0)
        env.run(until=2.0)
        station.fail()
        assert station.admitted() == pytest.approx(2.0)


def test_a_link_is_offered_its_bytes():
    results = play(tiny({"workload.arrivals": EVERY}), SERVER)
    assert offered(results, "uplink.up") == pytest.approx(100 * 1e5 / (1e6 * 10))
    # 80 ms at the least from the request to its answer: one is not yet on its way when the arrivals end
    on_the_way_back = offered(results, "uplink.down") * 1e7 / 1e3
    assert 98 <= round(on_the_way_back, 6) <= 99
    assert on_the_way_back == pytest.approx(round(on_the_way_back))


def test_what_is_sent_while_the_run_drains_does_not_count():
    results = play(tiny({"workload.arrivals": EVERY, "links.uplink.bandwidth": "500 kB/s"}), SERVER)
    sent = results.links.set_index("channel")["sent_bytes"]
    assert offered(results, "uplink.up") == pytest.approx(2.0)
    assert offered(results, "uplink.down") < 0.6 * sent["uplink.down"] / 5e6


def test_a_link_under_a_trace_can_carry_its_integral_and_its_burst(tmp_path):
    (tmp_path / "link.csv").write_text("# kind: bandwidth; unit: Mbit/s; end: hold\nstart_s,value\n0,8\n5,16\n")
    scenario = tiny({"workload.arrivals": EVERY, "links.uplink.burst": "1 MB"})
    data = scenario.document.data
    del data["links"]["uplink"]["bandwidth"]
    data["links"]["uplink"] |= {"up": {"trace": "link.csv", "end": "hold"}, "down": "1 MB/s"}
    results = play(Scenario.from_dict(data, scenario.library, tmp_path), SERVER)
    assert offered(results, "uplink.up") == pytest.approx(1e7 / (5e6 + 1e7 + 1e6))


@pytest.mark.parametrize("sharing", ["fifo", "max-min"])
def test_two_directions_of_half_duplex_are_one_station(sharing):
    results = play(
        tiny({"workload.arrivals": EVERY, "links.uplink.duplex": "half", "links.uplink.sharing": sharing}), SERVER
    )
    up, down = offered(results, "uplink.up"), offered(results, "uplink.down")
    answers = 1e7 * (up - 100 * 1e5 / 1e7) / 1e3
    assert up == down
    assert 95 < answers < 100  # those on their way when the arrivals ended, whole messages
    assert answers == pytest.approx(round(answers), abs=1e-6)
    assert set(results.links["station"]) == {"uplink"}


def group(changes: Mapping[str, Any]) -> Scenario:
    return tiny({"nodes.pi.count": 4, "workload.arrivals": {"kind": "periodic", "every": "500 ms"}} | dict(changes))


def test_a_link_shared_by_a_group_is_offered_what_all_send():
    results = play(group({"links.uplink.shared": True}), SERVER)
    up = results.links[results.links["channel"].str.contains("up")].query("sender != 'edge'")
    assert len(up) == 4
    assert up["station"].nunique() == 1
    assert up["offered"].to_numpy() == pytest.approx(4 * 20 * 1e5 / 1e7)
    apart = play(group({}), SERVER).links.query("sender != 'edge'")
    assert apart["offered"].to_numpy() == pytest.approx(20 * 1e5 / 1e7)


def test_airtime_is_counted_at_each_channels_own_rate():
    """Four stations on one medium, up at 1 MB/s and down at 0.5 MB/s."""
    scenario = group({})
    data = scenario.document.data
    del data["links"]["uplink"]["bandwidth"]
    data["links"]["uplink"] |= {"sharing": "airtime", "medium": "air", "up": "1 MB/s", "down": "0.5 MB/s"}
    results = play(Scenario.from_dict(data, scenario.library), SERVER)
    sent = results.links.set_index("channel")["sent_bytes"]
    up = sum(size for name, size in sent.items() if name.endswith("up") or ".up" in name)
    down = sent.sum() - up
    assert set(results.links["station"]) == {"medium air"}
    assert results.links["offered"].nunique() == 1
    assert results.links["offered"].iloc[0] == pytest.approx(up / 1e7 + down / 0.5e7, abs=8 * 1e3 / 0.5e7)


@pytest.mark.parametrize("seed", range(8))
def test_in_random_worlds_it_is_the_work_of_the_spans(seed):
    """What was offered covers what was done: never less than the share of time spent in service until then."""
    results = Simulation(random_world(Seeded(seed)).with_({"drain": False})).run()
    for name, share, load in results.nodes[["node", "utilisation", "offered"]].itertuples(index=False):
        assert load >= share * (1 - 1e-9), name
    for row in results.links.itertuples():
        alone = (results.links["station"] == row.station).sum() == 1
        if alone and row.capacity_bytes:
            assert row.offered <= row.sent_bytes / row.capacity_bytes * (1 + 1e-9), row.channel


# -- the warning ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drain", [True, False])
def test_at_capacity_nothing_is_said(drain):
    """D/D/1 with a service that takes as long as the time between arrivals, both with rounding."""
    for every, until in ((0.1, 60), (0.3, 59.9), (0.07, 33.3), (1 / 3, 7)):
        changes = {"workload.arrivals": {"kind": "periodic", "every": f"{every!r} s"}, "until": f"{until} s",
                   "drain": drain}  # fmt: skip
        results = Simulation(device(changes, every)).run()
        assert offered(results, "pi") >= 1 - 1e-12
        assert results.summary()["unstable"] == {}
        assert results.summary()["warnings"] == []


@pytest.mark.parametrize("drain", [True, False])
def test_just_above_it_is(drain):
    results = Simulation(device({"drain": drain}, 0.102)).run()
    assert results.summary()["unstable"] == {"pi": pytest.approx(1.02)}


@pytest.mark.parametrize("drain", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_m_m_1_below_and_above(seed, drain):
    changes = {"until": "400 s", "seed": seed, "drain": drain}
    calm = Simulation(device(changes | poisson(9.0), spread=True)).run().summary()
    over = Simulation(device(changes | poisson(12.0), spread=True)).run().summary()
    assert (calm["unstable"], calm["warnings"]) == ({}, [])
    assert over["unstable"] == {"pi": pytest.approx(1.2, rel=0.15)}
    assert over["latency_mean_low_s"] is None
    assert over["latency_mean_interval"] == "a station is unstable"


def test_chance_is_no_overload():
    """Short runs at 0.9: some are offered more than they can do, by chance; at most 2.5 % (two errors) are told so."""
    runs = [Simulation(device({"until": "10 s", "seed": s} | poisson(9.0), spread=True)).run() for s in range(200)]
    assert sum(offered(run, "pi") > 1 for run in runs) > 20
    assert sum(bool(run.summary()["unstable"]) for run in runs) <= 10


def test_the_sentence():
    link = play(tiny({"workload.arrivals": EVERY, "links.uplink.bandwidth": "500 kB/s"}), SERVER).summary()
    assert link["warnings"] == [
        "uplink.up is unstable: 2.00 times the bytes it can carry in 10 s were handed to it; latencies grow with the "
        "length of the run, so no mean or interval of them means anything"
    ]
    node = play(tiny({"workload.arrivals": EVERY}), DEVICE).summary()
    assert node["warnings"][0].startswith("pi is unstable: 6.00 times the work it can do in 10 s was handed to it; ")


def test_one_station_of_many_channels_is_named_once():
    found = play(group({"links.uplink.shared": True, "workload.arrivals.every": "100 ms"}), SERVER).summary()
    assert list(found["unstable"].values()) == [pytest.approx(4.0)]
    assert found["warnings"][0].startswith("uplink.up is unstable: 4.00 times")
    half = play(tiny({"workload.arrivals": EVERY, "links.uplink.duplex": "half",
                      "links.uplink.bandwidth": "500 kB/s"}), SERVER).summary()  # fmt: skip
    assert list(half["unstable"]) == ["uplink"]


def test_the_worst_come_first_and_the_rest_is_counted():
    found = play(group({"workload.arrivals.every": "100 ms", "nodes.pi.count": 9}), DEVICE).summary()
    assert len(found["unstable"]) == 9
    assert len(found["warnings"]) == 6
    assert found["warnings"][-1].startswith("and so are 4 more stations")


def test_a_closed_loop_overloads_nothing():
    arrivals = {"kind": "closed", "users": 40, "think": "0 s"}
    results = Simulation(device({"workload.arrivals": arrivals, "until": "5 s"})).run()
    assert offered(results, "pi") > 1.5
    assert results.summary()["unstable"] == {}


def test_nothing_asked_nothing_said():
    summary = Simulation(device({"until": "1 us"} | poisson(1.0))).run().summary()
    assert (summary["requests"], summary["unstable"], summary["warnings"]) == (0, {}, [])


# -- the warm-up ---------------------------------------------------------------------------------------------------


def test_a_warm_up_is_found_in_the_latencies():
    results = Simulation(device({"warmup": "mser-5", "until": "100 s"} | poisson(6.0), spread=True)).run()
    summary = results.summary()
    frame = results.requests
    assert results.meta["warmup"] == summary["warmup"] == "mser-5"
    assert summary["warmup_requests"] == (frame["arrival_s"] < results.meta["warmup_s"]).sum()
    assert summary["requests"] + summary["warmup_requests"] == len(frame)
    assert summary["warmup_s"] in (0.0, *frame["arrival_s"])
    assert summary["latency_mean_s"] == pytest.approx(frame["latency_s"][summary["warmup_requests"] :].mean())


def test_it_finds_the_end_of_a_busy_start(tmp_path):
    """Nine competitors for 20 s leave a tenth of the processor: about 80 requests wait when they go."""
    (tmp_path / "load.csv").write_text("# kind: cpu; unit: %; end: hold\nstart_s,value\n0,100\n20,0\n")
    data = device({"warmup": "mser-5", "until": "200 s"} | poisson(5.0), spread=True).document.data
    data["nodes"]["pi"] |= {"load": {"trace": "load.csv", "end": "hold"}, "competitors": 9}
    library = device({}, spread=True).library
    results = Simulation(Scenario.from_dict(data, library, tmp_path)).run()
    frame = results.requests
    assert results.meta["warmup_s"] == frame["arrival_s"][mser5(frame["latency_s"]).first]
    assert 20 <= results.meta["warmup_s"] < 60
    assert results.meta["warmup_steady"]


def test_the_order_of_arrival_does_not_depend_on_that_of_the_rows():
    rows = [(1.0, "b", 0), (0.5, "b", 9), (1.0, "a", 7), (1.0, "a", 3), (0.0, "c", 1)]
    for shuffled in itertools.permutations(rows):
        arrival, source, request = (list(column) for column in zip(*shuffled, strict=True))
        columns = {"arrival_s": np.array(arrival), "source": np.array(source, object), "request": np.array(request)}
        assert [shuffled[i] for i in in_order(columns)] == sorted(rows)


def test_no_steady_state_is_told():
    few = Simulation(device({"warmup": "mser-5", "until": "3 s"}, 0.01)).run().summary()
    assert few["warnings"][0].startswith("no steady state was found (MSER-5): too few requests were answered")
    assert few["latency_mean_interval"] == "no steady state was found"
    growing = Simulation(device({"warmup": "mser-5"}, 0.2)).run()
    assert not growing.meta["warmup_steady"]
    assert len(growing.summary()["warnings"]) == 2


def test_a_warm_up_as_said_is_kept_as_said():
    results = Simulation(device({"warmup": "1500 ms"}, 0.01)).run()
    assert (results.meta["warmup"], results.meta["warmup_s"]) == ("1500 ms", 1.5)
    assert Simulation(device({}, 0.01)).run().meta["warmup"] == "0 s"


def test_saved_and_loaded_it_is_the_same(tmp_path):
    scenario = group({"warmup": "mser-5", "until": "30 s", "workload.arrivals": EVERY, "links.uplink.shared": True})
    results = Simulation(scenario).run()
    assert Results.load(results.save(tmp_path / "run")).summary() == results.summary()
