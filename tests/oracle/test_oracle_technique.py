"""``oracle``: exact where it says so, and beaten by nobody; and the quick estimate behind it against the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulator import Placement, Scenario, Simulation, Technique, run
from simulator.results.statistics import t_interval
from simulator.techniques.adaptive import Adaptive
from simulator.techniques.min_latency import MinLatency
from simulator.techniques.oracle import Oracle
from simulator.testing import Seeded, random_world, tiny


class Fixed(Technique):
    """One placement, by number in the view's list."""

    number: int

    def place(self, view, request=None):
        return view.splits()[self.number]


def traced(tmp_path, rng, duration=20.0):
    """Write a bandwidth that changes at random, with outages, and return what to say of it in a scenario."""
    starts = np.concatenate([[0.0], np.sort(rng.uniform(0.01, duration - 0.01, 30))])
    values = rng.lognormal(-1.0, 1.2, 31) * (rng.random(31) > 0.15)
    rows = "\n".join(f"{start!r},{value!r}" for start, value in zip(starts.tolist(), values.tolist(), strict=True))
    path = tmp_path / "fading.csv"
    path.write_text(f"# unit: MB/s; end: wrap; duration_s: {duration}\nstart_s,value\n{rows}\n")
    return {"trace": str(path)}


@pytest.mark.parametrize("seed", range(12))
def test_alone_its_promise_is_kept_and_no_placement_is_faster(tmp_path, seed):
    """One request at a random time on a fading link and a loaded server: every placement is played, one by one."""
    rng = np.random.default_rng(seed)
    instants = tmp_path / "one.csv"
    instants.write_text(f"t_s\n{rng.uniform(0, 60)!r}\n")
    load = tmp_path / "load.csv"
    load.write_text("# kind: cpu; unit: %; end: wrap; duration_s: 0.2\nstart_s,value\n0,0\n0.13,90\n")
    scenario = tiny(
        {
            "until": "61 s",
            "variability": "none",
            "links.uplink.bandwidth": traced(tmp_path, rng),
            "nodes.edge.load": {"trace": str(load)},
            "workload.arrivals": {"kind": "replay", "trace": str(instants)},
        }
    )
    oracle = run(scenario, Oracle())
    found = float(oracle.requests["latency_s"].iloc[0])
    assert oracle.decisions["predicted_s"].iloc[0] == pytest.approx(found, rel=1e-9)
    count = len(Simulation(scenario).services[0].view.splits())
    played = [float(run(scenario, Fixed(number=i)).requests["latency_s"].iloc[0]) for i in range(count)]
    assert found == pytest.approx(min(played), rel=1e-9)


def test_it_sees_the_queue_it_would_join():
    """Five at once: each further one waits 0.1 s for the link, until 0.6 s on the device is as good as the fifth."""
    requests = {"kind": "closed", "users": 7, "think": "9 s"}
    frame = run(tiny({"workload.arrivals": requests, "until": "1 s"}), Oracle()).requests
    assert frame["placement"].str.startswith("pi").any()
    assert frame["latency_s"].max() < 0.75
    blind = run(tiny({"workload.arrivals": requests, "until": "1 s"}), MinLatency()).requests
    assert frame["latency_s"].mean() < blind["latency_s"].mean()


@pytest.mark.parametrize("knowledge", ["last-transfer", {"ewma": 0.3}, {"probe": "2 s", "bytes": "20 kB"}])
def test_no_sensing_policy_beats_it_on_average(tmp_path, knowledge):
    """Over 30 worlds each: the interval of the difference lies above zero."""
    differences: dict[str, list[float]] = {"adaptive": [], "min-latency": []}
    for seed in range(30):
        scenario = tiny(
            {
                "until": "60 s",
                "seed": seed,
                "links.uplink.bandwidth": traced(tmp_path, np.random.default_rng(seed)),
                "workload.arrivals.rate": "0.5 /s",
                "knowledge": {"bandwidth": knowledge},
                "record": "requests",
            }
        )
        best = run(scenario, Oracle()).summary()["latency_mean_s"]
        for name, technique in (("adaptive", Adaptive(every=2.0)), ("min-latency", MinLatency())):
            differences[name].append(run(scenario, technique).summary()["latency_mean_s"] - best)
    for found in differences.values():
        assert t_interval(found, level=0.99).low > 0


@pytest.mark.parametrize("name", ["quick/busy_server", "quick/split_inference", "quick/adaptive_4g"])
def test_no_policy_beats_it_on_average_in_what_is_shipped(name):
    """Requests queue there; deciding for each request alone it was beaten by 3.7 ms on the first (8 worlds each)."""
    scenario = Scenario.load(name).with_({"record": "requests"})

    def mean(technique):
        return math.fsum(run(scenario, technique, seed).summary()["latency_mean_s"] for seed in range(1, 9)) / 8

    best = mean(Oracle())
    assert best <= mean(Adaptive()) * (1 + 1e-12)
    assert best <= mean(MinLatency()) * (1 + 1e-12)


def test_what_a_job_delays_others_by():
    """Of M/D/1 at 2 a second: the one job of 0.1 s more makes the queue behind it longer by l x**2 / 2 (1 - r)."""
    view = (
        Simulation(tiny({"workload.arrivals.rate": "2 /s", "until": "1000 s"}).with_technique(Oracle()))
        .services[0]
        .view
    )
    estimate = view._estimated((Placement.whole("pi", 3), Placement.whole("edge", 3)))
    others = (2.0 * 1000 - 1) / 1000
    home, away = estimate.burden("pi", others, [1.0, 1.0], [1e6, 1e6])
    assert home == pytest.approx(others * 0.6**2 / (2 * (1 - 0.9)))  # overloaded: at most 0.9
    legs = [(x, min(0.9, others * x)) for x in (0.1, 0.001)]
    assert away == pytest.approx(sum(others * x * x / (2 * (1 - r)) for x, r in legs))


def test_regret_falls_as_probing_gets_more_frequent_until_its_own_cost_shows():
    """On the shipped fading scenario, 10 worlds: a minute between probes, five seconds, a quarter of a second."""
    scenario = Scenario.load("quick/adaptive_4g").with_({"record": "requests"})

    def mean(scenario, technique):
        return math.fsum(run(scenario, technique, seed).summary()["latency_mean_s"] for seed in range(10)) / 10

    best = mean(scenario, Oracle())
    regret = {}
    for every in ("60 s", "5 s", "250 ms"):
        probing = scenario.with_({"knowledge.bandwidth": {"probe": every, "bytes": "100 kB"}})
        regret[every] = mean(probing, MinLatency()) - best
    assert 0 < regret["5 s"] < 0.8 * min(regret["60 s"], regret["250 ms"])


# -- many at once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("foresight", [False, True])
def test_the_fastest_of_many_is_the_formula_s(foresight):
    """In random worlds, at random times, for whatever is known; slow starts and token buckets among them."""
    kinds = {True: 0, False: 0}
    for seed in range(60):
        simulation = Simulation(
            random_world(Seeded(seed), failures=False).with_technique(Oracle() if foresight else MinLatency())
        )
        env, view = simulation.cluster.env, simulation.services[0].view
        differences = []

        def look(view=view, differences=differences):
            options = view.splits()
            differences.append(view.latency(view.fastest(options)) - min(view.latency(o) for o in options))

        for time in (0.5, 3.3, 7.7):
            env.at(time, look)
        simulation.run()
        assert differences == pytest.approx([0.0] * 3, abs=1e-12)
        kinds[view._estimate.linear] += 1
    assert min(kinds.values()) > 5


def test_the_first_of_equals_is_taken():
    """A link without delay or cost and nodes alike: wherever it is cut it takes as long, and it stays at home."""
    free = {"links.uplink.bandwidth": "1000000 Gbit/s", "links.uplink.delay": "0 s"}
    view = Simulation(tiny({"nodes.edge.hardware": "board", **free})).services[0].view
    assert view.fastest(view.splits()) == min(view.splits(), key=view.latency) == Placement.whole("pi", 3)


def test_nobody_waits_for_a_link_that_is_down_if_there_is_another_way():
    """The uplink is down from 2 s to 8 s: who may choose stays at home meanwhile."""
    down = {"kind": "failure", "link": "uplink", "at": {"time": "2 s"}, "repair_after": "6 s"}
    scenario = tiny({"dynamics": [down], "workload.arrivals": {"kind": "periodic", "every": "1 s"}})
    for technique in (Oracle(), MinLatency()):
        frame = run(scenario, technique).requests
        away = frame["arrival_s"].between(2.01, 7.9)
        assert set(frame[away]["placement"]) == {"pi 0-3"}
        assert set(frame[~away & (frame["arrival_s"] != 2.0)]["placement"]) == {"edge 0-3"}
