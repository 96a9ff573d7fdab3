"""A run is a function of (scenario, seed, version): nothing else may change it, and nothing else may it change."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from scipy import stats
from support import play

from simulator import Scenario, Simulation, run
from simulator.physics.engine import Environment
from simulator.physics.node import Node, NodeFacts
from simulator.techniques.device_only import DeviceOnly
from simulator.techniques.min_latency import MinLatency
from simulator.techniques.server_only import ServerOnly
from simulator.testing import machine, tiny, worlds
from simulator.world.timing import Timing

FRAMES = ("requests", "spans", "decisions", "failures", "nodes", "links")
few = settings(max_examples=25)


def digests(scenario: Scenario, folder) -> dict[str, str]:
    Simulation(scenario).run().save(folder)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@given(scenario=worlds(), technique=st.sampled_from([MinLatency(), ServerOnly()]))
@few
def test_same_seed_same_bytes(tmp_path_factory, scenario, technique):
    """Every file of a saved run, Parquet and the rest, to the last byte."""
    folder = tmp_path_factory.mktemp("runs")
    first = digests(scenario.with_technique(technique), folder / "first")
    assert first == digests(scenario.with_technique(technique), folder / "second")
    assert {f"{name}.parquet" for name in FRAMES} < set(first)


def test_same_seed_same_bytes_in_another_process(tmp_path):
    """Other hash seeds, other addresses, the same bytes."""
    code = (
        "import sys; from simulator import run; "
        "run('quick/split_inference').save(sys.argv[1])"
    )  # fmt: skip
    for name, hash_seed in (("first", "1"), ("second", "2")):
        environment = {"PYTHONHASHSEED": hash_seed, "PATH": ""}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, env=environment)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


def test_another_seed_gives_another_run():
    first, second = run(tiny(), seed=1).requests, run(tiny(), seed=2).requests
    assert first["arrival_s"].tolist() != second["arrival_s"].tolist()


@given(scenario=worlds(), other=worlds())
@few
def test_a_run_does_not_notice_others_in_the_process(scenario, other):
    """Built first and run last, and in turns with another, it gives what it gives alone."""
    scenario = scenario.with_technique(MinLatency())
    alone = Simulation(scenario).run()
    early = Simulation(scenario)
    neighbour = Simulation(other)
    between = Simulation(scenario).run(lambda now, done: neighbour.cluster.env.run(until=now + 1e-9))
    late = early.run()
    for name in FRAMES:
        assert_frame_equal(alone.frame(name), between.frame(name))
        assert_frame_equal(alone.frame(name), late.frame(name))


@given(scenario=worlds(), kind=st.sampled_from(["device", "server"]))
@few
def test_an_idle_node_changes_nothing_but_its_own_row(scenario, kind):
    """Nobody can reach it. It stands before the others in the file, so that no count or order can hide it."""
    scenario = scenario.with_technique(MinLatency())
    idle = {"aaa-idle": {"kind": kind, "hardware": "rack"}}
    with_idle = scenario.with_({"nodes": idle | scenario.document.data["nodes"]})
    before, after = Simulation(scenario).run(), Simulation(with_idle).run()
    for name in FRAMES:
        one, two = (results.frame(name).drop(columns="run_id") for results in (before, after))
        if name == "nodes":
            assert two["node"].tolist() == ["aaa-idle", *one["node"]]
            two = two[two["node"] != "aaa-idle"].reset_index(drop=True)
        assert_frame_equal(one, two)


@given(scenario=worlds(failures=False))
@few
def test_two_techniques_meet_the_same_world(scenario):
    """The same arrivals, the same capacities (seen in what each channel could have carried until one instant)."""
    if scenario.entry.workload.arrivals.kind == "closed":
        return  # a user's next request waits for the answer: there the pauses are the world, not the arrivals
    cut = scenario.with_({"drain": False})
    runs = [Simulation(cut.with_technique(technique)).run() for technique in (DeviceOnly(), MinLatency())]
    one, two = (results.requests[["source", "request", "arrival_s"]] for results in runs)
    assert_frame_equal(one, two)
    assert runs[0].links["capacity_bytes"].tolist() == runs[1].links["capacity_bytes"].tolist()


def test_a_recording_begins_at_the_same_random_place_for_two_techniques(tmp_path):
    path = tmp_path / "steps.csv"
    path.write_text("# unit: MB/s; duration_s: 60; end: wrap\nstart_s,value\n0,1\n20,3\n40,0.5\n")
    scenario = tiny({"links.uplink.bandwidth": {"trace": str(path), "offset": "random"}, "nodes.pi.count": 3})
    bandwidths = []
    for technique in (DeviceOnly(), ServerOnly()):
        wires = Simulation(scenario.with_technique(technique)).cluster.network.wires
        bandwidths.append({name: wire.channel.bandwidth.starts for name, wire in wires.items()})
    assert bandwidths[0] == bandwidths[1]
    assert len({tuple(starts) for starts in bandwidths[0].values()}) == 3, "each link elsewhere in the recording"


def test_what_the_device_alone_draws_is_what_it_draws_in_a_group():
    """Streams are named: other devices leave a device's arrivals as they were."""
    few, many = (play(tiny({"nodes.pi.count": count, "until": "60 s"}), ("@", 0, 3)).requests for count in (2, 5))
    for name in ("pi-0", "pi-1"):
        arrivals = [frame.loc[frame["source"] == name, "arrival_s"].tolist() for frame in (few, many)]
        assert arrivals[0] == arrivals[1]
        assert len(arrivals[0]) > 20


# -- a request's repeats on several nodes --------------------------------------------------------------------------


def repeats_met(names: list[str], repeats: int, requests: int = 20_000) -> pd.DataFrame:
    """Return the number of the repeat that each request meets on each node."""
    draws = np.random.default_rng(3).integers(1, 2**31, requests).tolist()
    salts = {name: Node(Environment(), NodeFacts(name, "server", machine("rack"), 1.0)).salt for name in names}
    timing = tuple((float(i),) for i in range(repeats))
    model_times = type("Times", (), {"repeats": timing, "prefix": lambda self, i=0: [0.0, float(i)]})()
    clock = Timing(model_times, "measured")
    return pd.DataFrame({name: [clock.seconds(0, 1, draw, salt) for draw in draws] for name, salt in salts.items()})


NAMES = ["pi", "edge", "cloud", *(f"pi-{i}" for i in range(8)), *(f"edge-{i}" for i in range(4))]


@pytest.mark.parametrize("repeats", [2, 31, 100])
def test_each_node_meets_each_repeat_as_often(repeats):
    """Chi-square against the uniform law, at 1 in 10,000 for each node."""

    met = repeats_met(NAMES, repeats)
    for name in NAMES:
        counts = met[name].value_counts().reindex(np.arange(float(repeats)), fill_value=0)
        assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("repeats", [2, 31, 100])
def test_the_repeats_of_two_nodes_are_independent(repeats):
    """Correlation within what chance gives in 20,000 pairs (5 standard errors); and the joint law, by chi-square."""
    met = repeats_met(NAMES, repeats)
    for one, two in combinations(NAMES, 2):
        assert abs(met[one].corr(met[two])) < 5 / np.sqrt(len(met)), (one, two)
    joint = pd.crosstab(met["pi"] % 5, met["edge"] % 5)
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / len(met)
    assert ((joint - expected) ** 2 / expected).to_numpy().sum() < 60  # 16 degrees of freedom or fewer
