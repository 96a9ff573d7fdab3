"""The block bootstrap: what it keeps of a recording exactly, what it keeps up to a block, and its use in a scenario."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Scenario, Simulation, Trace
from simulator.foundation.errors import ScenarioError, TraceError
from simulator.scenario.build import build
from simulator.testing import tiny
from simulator.traces.bootstrap import Bootstrap


def recording(values, lengths=None, end="wrap") -> Trace:
    lengths = [1.0] * len(values) if lengths is None else lengths
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    return Trace(edges[:-1], values, float(edges[-1]), end, "drive.csv", "measured")


def stretches(trace: Trace) -> list[float]:
    """Lengths of all stretches of zeros of a trace that wraps [s]."""
    edges = [*trace.starts, trace.duration]
    pieces = [(b - a, value == 0.0) for (a, b), value in zip(pairwise(edges), trace.values, strict=True)]
    if all(zero for _, zero in pieces):
        return [trace.duration]
    first = next(i for i, (_, zero) in enumerate(pieces) if not zero)
    found, running = [], 0.0
    for length, zero in [*pieces[first:], *pieces[:first]]:
        if zero:
            running += length
        elif running:
            found.append(running)
            running = 0.0
    return [*found, running] if running else found


def one(traces, duration: float, block: float = 30.0, seed: int = 0) -> Trace:
    return Bootstrap.of(traces, block).generate(np.random.default_rng(seed), duration)


def drawn(traces, seeds: int, duration: float, block: float) -> list[Trace]:
    found = Bootstrap.of(traces, block)
    return [found.generate(np.random.default_rng(seed), duration) for seed in range(seeds)]


DRIVE = recording(
    [5, 7, 0, 0, 3, 4, 4, 0, 9, 8, 6, 2, 0, 0, 0, 1, 7, 3],
    [1, 2, 3, 1, 1, 2, 1, 7, 1, 1, 2, 1, 2, 2, 1, 3, 1, 2],
)


def test_same_seed_same_trace_and_whence():
    found, again, other = (one([DRIVE], 120.0, 10.0, seed) for seed in (1, 1, 2))
    assert (list(found.starts), list(found.values)) == (list(again.starts), list(again.values))
    assert list(found.values) != list(other.values)
    assert (found.duration, found.end, found.grade) == (120.0, "wrap", "transferred")
    assert found.source == "synthetic: block bootstrap of drive.csv"


def test_of_a_constant_it_is_the_constant():
    found = one([recording([4.0], [60.0])], 500.0)
    assert set(found.values) == {4.0}
    assert found.mean() == pytest.approx(4.0)


@given(
    values=st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0, 3.0]), min_size=2, max_size=25).filter(any),
    more=st.lists(st.sampled_from([0.0, 4.0]), min_size=1, max_size=4).filter(any),
    lengths=st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=29, max_size=29),
    block=st.sampled_from([0.3, 5.0, 200.0]),
    duration=st.floats(90.0, 200.0),
    seed=st.integers(0, 2**32),
)
def test_outages_are_whole_and_values_are_recorded_ones(values, more, lengths, block, duration, seed):
    traces = [recording(values, lengths[: len(values)]), recording(more, lengths[25 : 25 + len(more)])]
    found = one(traces, duration, block, seed)
    recorded = {round(length, 9) for trace in traces for length in stretches(trace)}
    assert {round(length, 9) for length in stretches(found)} <= recorded
    assert set(found.values) <= {*values, *more}
    assert found.duration == duration


@pytest.mark.parametrize("block", [0.5, 6.0, 40.0])
def test_mean_and_share_of_outages_are_the_recording_s(block):
    """In traces twenty times as long as the longest outage; what is left of the ends' effect is at most 1 % there."""
    traces = drawn([DRIVE], 3000, 160.0, block)
    assert all(trace.values[0] > 0 for trace in traces)  # behind an outage, not in it: what the end has too much of
    gone = sum(stretches(DRIVE)) / DRIVE.duration
    shares = np.array([sum(stretches(trace)) / trace.duration for trace in traces])
    assert abs(shares.mean() - gone) < 4 * shares.std() / math.sqrt(len(shares)) + 0.01 * gone
    means = np.array([trace.mean() for trace in traces])
    assert abs(means.mean() - DRIVE.mean()) < 4 * means.std() / math.sqrt(len(means)) + 0.01 * DRIVE.mean()


def test_each_outage_is_as_frequent_as_recorded():
    lengths = np.array([length for trace in drawn([DRIVE], 100, 3000.0, 6.0) for length in stretches(trace)])
    assert set(np.round(lengths, 9)) == {4.0, 5.0, 7.0}
    assert [np.mean(np.isclose(lengths, each)) for each in (4.0, 5.0, 7.0)] == pytest.approx([1 / 3] * 3, abs=0.02)


def test_memory_is_kept_up_to_a_block():
    """Steps apart in one block are as correlated as recorded, others not at all: the factor is exp(-lag / block)."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(20_000)
    values = [noise[0]]
    for each in noise[1:]:
        values.append(0.98 * values[-1] + math.sqrt(1 - 0.98**2) * each)
    real = recording(np.array(values) + 10.0)
    block = 20.0
    samples = [np.array(trace.values) for trace in drawn([real], 40, 5000.0, block)]
    pool, spread = np.mean(real.values), np.var(real.values)
    for lag in (1, 5, 20, 60):
        ours = np.mean([((s[:-lag] - pool) * (s[lag:] - pool)).mean() for s in samples]) / spread
        theirs = ((np.array(real.values)[:-lag] - pool) * (np.array(real.values)[lag:] - pool)).mean() / spread
        assert ours == pytest.approx(theirs * math.exp(-lag / block), abs=0.05), lag


def test_blocks_do_not_run_from_one_recording_into_the_next():
    found = one([recording([1, 2]), recording([5, 6])], 4000.0, 1e9)
    pairs = set(pairwise(found.values))
    assert pairs <= {(1, 2), (2, 1), (2, 5), (5, 6), (6, 5), (6, 1)}
    assert {(2, 1), (2, 5), (6, 5), (6, 1)} <= pairs  # either may follow


def test_scaled():
    found = Bootstrap.of([DRIVE], 10.0)
    half, whole = (each.generate(np.random.default_rng(3), 60.0) for each in (found.scaled(0.5), found))
    assert list(half.values) == pytest.approx([value / 2 for value in whole.values])
    assert found.scaled(1.0) is found
    assert found.mean == pytest.approx(DRIVE.mean())


def test_what_cannot_be():
    with pytest.raises(TraceError, match="at least one recording"):
        one([], 60.0)
    with pytest.raises(TraceError, match="has no end"):
        one([Trace.of(3.0)], 60.0)
    with pytest.raises(TraceError, match=r"drive\.csv is zero everywhere"):
        one([recording([0, 0], end="hold")], 60.0)
    with pytest.raises(TraceError, match="outage of 7 s, for which a trace of 5 s has no room"):
        one([DRIVE], 5.0)
    with pytest.raises(TraceError, match="block: 0 s came; it must be above zero"):
        one([DRIVE], 60.0, 0.0)


# -- in a scenario ---------------------------------------------------------------------------------------------------

FILE = """# kind: bandwidth; unit: Mbit/s; duration_s: 90
start_s,value
0,20
1,8
2,0
6,11
7,30
{rest}"""


@pytest.fixture
def folder(tmp_path):
    rest = "".join(f"{second},{10 + second % 7}\n" for second in range(8, 90))
    (tmp_path / "drive.csv").write_text(FILE.format(rest=rest), encoding="utf-8")
    (tmp_path / "load.csv").write_text(
        "# kind: cpu; unit: %; duration_s: 1200\nstart_s,value\n0,10\n300,60\n600,0\n900,30\n", encoding="utf-8"
    )
    return tmp_path


def scenario(folder, **changes) -> Scenario:
    data = tiny().document.data | {}
    plain = Scenario.from_dict(data, tiny().library, folder)
    entry = {"generate": "bootstrap", "from": "drive.csv", "block": "10 s"}
    return plain.with_({"links.uplink.bandwidth": entry | changes})


def test_a_link_plays_blocks_of_the_file(folder):
    found = {channel.name: channel.bandwidth for channel in build(scenario(folder)).channels}
    trace = found["uplink.up"]
    assert (trace.duration, trace.grade) == (600.0, "transferred")
    assert trace.source == "synthetic: block bootstrap of drive.csv"
    assert set(stretches(trace)) == {4.0}
    again = {channel.name: channel.bandwidth for channel in build(scenario(folder)).channels}
    assert list(again["uplink.up"].values) == list(trace.values)
    other = {channel.name: channel.bandwidth for channel in build(scenario(folder).with_({"seed": 9})).channels}
    assert list(other["uplink.up"].values) != list(trace.values)


def test_the_file_counts_in_the_hash_and_is_kept_with_the_run(folder):
    before = scenario(folder)
    said = before.recordings()
    assert [name for name, _ in said.values()] == ["drive.csv"]
    assert next(iter(said)) in before.text()
    digest = before.hash()
    text = (folder / "drive.csv").read_text(encoding="utf-8")
    (folder / "drive.csv").write_text(text.replace("\n0,20", "\n0,21"), encoding="utf-8")
    assert scenario(folder).hash() != digest


def test_a_saved_run_runs_again(folder, tmp_path):
    first = Simulation(scenario(folder)).run()
    first.save(tmp_path / "run")
    again = Simulation(Scenario.load(tmp_path / "run" / "scenario.yaml", tiny().library)).run()
    assert again.requests["latency_s"].tolist() == first.requests["latency_s"].tolist()


def test_a_node_draws_a_load(folder):
    node = {"generate": "bootstrap", "from": "load.csv", "block": "10 min"}
    parts = build(scenario(folder).with_({"nodes.edge.load": node}))
    left = parts.nodes["edge"].capacity
    assert left.duration == 86_400.0
    assert {round(value, 6) for value in left.values} == {0.95, 0.7, 1.0, 0.85}
    assert left.source == "synthetic: block bootstrap of load.csv"


def test_nodes_draw_shipped_loads_of_their_own():
    device = next(iter(tiny().document.data["nodes"]))
    changes = {f"nodes.{device}.count": 2, f"nodes.{device}.load": {"generate": "server-day", "scale": 0.5}}
    one, two = (build(tiny(changes)).nodes[f"{device}-{i}"].capacity for i in (0, 1))
    assert (one.duration, len(one.values)) == (86_400.0, 288)
    assert list(one.values) != list(two.values)
    assert min(one.values) >= 1 - 0.5 * 0.79 / 2 - 1e-12
    assert one.grade == "transferred"
    assert one.source.startswith("synthetic server-day x 0.5 (fitted to 25 machines of one day: PlanetLab")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"links.uplink.bandwidth": {"from": "nowhere.csv"}}, '"nowhere.csv"'),
        ({"links.uplink.bandwidth": {"block": "10"}}, "links.uplink.bandwidth.block: 10 has no unit"),
        ({"links.uplink.bandwidth": {"block": "0.5 s"}}, "block: 0.5 s came, but a segment of drive.csv lasts"),
        ({"links.uplink.bandwidth": {"period": "3 s"}}, "period: 3 s came, but drive.csv has an outage of 4 s"),
        ({"links.uplink.bandwidth": {"offset": "random"}}, "links.uplink.bandwidth.offset: unknown key"),
        ({"links.uplink.bandwidth": {"from": "load.csv"}}, "load.csv is a trace of cpu, but bandwidth is needed here"),
        ({"nodes.edge.load": {"generate": "4g"}}, 'generate: "4g" is not a load, which is wanted here; known: server'),
        ({"nodes.edge.load": {"generate": "server-day", "scale": 2.0}}, "would reach 158%"),
        ({"nodes.edge.load": {"generate": "server-day", "period": "2 min"}}, "lasts from 300 s to"),
        ({"nodes.edge.load": {"generate": "server-dya"}}, 'Did you mean "server-day"?'),
    ],
)
def test_what_is_refused(folder, changes, sentence):
    entry = {"generate": "bootstrap", "from": "drive.csv", "block": "10 s"}
    key, value = next(iter(changes.items()))
    with pytest.raises(ScenarioError) as caught:
        scenario(folder).with_({key: (entry | value) if key.startswith("links") else value})
    assert sentence in str(caught.value)


def test_a_network_s_name_for_a_bandwidth_only_and_from_is_needed(folder):
    with pytest.raises(ScenarioError, match=r'"server-day" is not a bandwidth, .* known: 3g, .*, wifi, bootstrap'):
        tiny({"links.uplink.bandwidth": {"generate": "server-day"}})
    with pytest.raises(ScenarioError, match=r"links.uplink.bandwidth.from: is missing; add it \(File"):
        tiny({"links.uplink.bandwidth": {"generate": "bootstrap"}})
