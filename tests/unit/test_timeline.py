"""The timeline is a Trace Event Format file whose arrows hold on to their slices."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import pytest

from simulator import Simulation
from simulator.foundation.errors import ResultsError
from simulator.results.timeline import timeline, write_timeline
from simulator.techniques.fixed_split import FixedSplit
from simulator.techniques.min_latency import MinLatency
from simulator.testing import Seeded, random_world, tiny


def split(**changes):
    return Simulation(tiny({"until": "5 s", **changes}).with_technique(FixedSplit(split_point=1))).run()


WORLDS = [split(), split(**{"workload.arrivals.rate": "9 /s", "nodes.edge.slots": 2})] + [
    Simulation(random_world(Seeded(seed)).with_technique(MinLatency())).run() for seed in range(8)
]


def events(results, phase: str) -> list[dict]:
    return [event for event in timeline(results)["traceEvents"] if event["ph"] == phase]


def place(event: dict) -> tuple[int, int]:
    return event["pid"], event["tid"]


@pytest.mark.parametrize("results", WORLDS)
def test_every_piece_of_work_is_one_slice(results):
    spans = results.spans[results.spans["kind"].isin(["compute", "transfer"])]
    slices = events(results, "X")
    assert len(slices) == len(spans) > 0
    assert sorted(s["ts"] for s in slices) == pytest.approx(sorted(spans["start_s"] * 1e6))
    assert sorted(s["ts"] + s["dur"] for s in slices) == pytest.approx(sorted(spans["finish_s"] * 1e6))
    names = {event["pid"]: event["args"]["name"] for event in events(results, "M") if event["name"] == "process_name"}
    assert sorted(names[s["pid"]] for s in slices) == sorted(spans["resource"])


@pytest.mark.parametrize("results", WORLDS)
def test_slices_of_one_lane_never_overlap_and_every_lane_has_a_name(results):
    lanes = defaultdict(list)
    for s in events(results, "X"):
        lanes[place(s)].append((s["ts"], s["ts"] + s["dur"]))
    for slices in lanes.values():
        slices.sort()
        assert all(end <= start * (1 + 1e-12) for (_, end), (start, _) in pairwise(slices))
    named = [place(event) for event in events(results, "M") if event["name"] == "thread_name"]
    assert sorted(named) == sorted(lanes)


@pytest.mark.parametrize("results", WORLDS)
def test_every_arrow_holds_on_to_a_slice_at_both_ends(results):
    slices = defaultdict(list)
    for s in events(results, "X"):
        slices[place(s)].append(s)
    tails, heads = events(results, "s"), events(results, "f")
    assert [event["id"] for event in tails] == [event["id"] for event in heads] == list(range(1, len(heads) + 1))
    for tail, head in zip(tails, heads, strict=True):
        start = [s for s in slices[place(tail)] if s["ts"] <= tail["ts"] <= s["ts"] + s["dur"]]
        end = [s for s in slices[place(head)] if s["ts"] == head["ts"]]
        assert {s["name"] for s in start} & {s["name"] for s in end}  # and both are the same request's
        assert tail["ts"] <= head["ts"]
        assert head["bp"] == "e"
    requests = {s["name"] for group in slices.values() for s in group}
    assert len(heads) == sum(map(len, slices.values())) - len(requests)  # one arrow between two pieces of work


def test_arrows_lead_from_the_device_over_the_link_to_the_server_and_back():
    results = split()
    names = {event["pid"]: event["args"]["name"] for event in events(results, "M") if event["name"] == "process_name"}
    ways = [
        (names[tail["pid"]], names[head["pid"]])
        for tail, head in zip(events(results, "s"), events(results, "f"), strict=True)
    ]
    there = [("pi", "uplink.up"), ("uplink.up", "edge"), ("edge", "uplink.down")]
    assert sorted(ways) == sorted(there * len(results.requests))
    assert list(names.values()) == ["pi", "edge", "uplink.up", "uplink.down"]  # nodes first


def test_a_slice_says_what_it_is():
    compute, transfer = (s["args"] for s in events(split(), "X")[:2])
    assert compute == {"what": "layers 0-1", "completed": True, "waited_ms": 0, "energy_j": 0}
    assert transfer["what"] == "50.0 kB"


def test_it_is_written_as_json(tmp_path):
    results = split()
    write_timeline(results, tmp_path / "deep" / "t.json")
    written = json.loads((tmp_path / "deep" / "t.json").read_text())
    assert written == timeline(results)
    assert (written["displayTimeUnit"], written["otherData"]["technique"]) == ("ms", "fixed-split")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"t\.json: cannot be written: "):
        write_timeline(results, tmp_path / "file" / "t.json")


def test_it_needs_the_pieces_of_work():
    with pytest.raises(ResultsError, match='a timeline needs the pieces of work; set "record: spans" in the scenario'):
        timeline(split(record="requests"))
