"""The timeline is a Trace Event Format file that viewers draw whole: lanes of their own, arrows that hold on to slices.

What viewers ask was learnt by opening such files in Perfetto v52 (its trace processor counts what it drops): thread
numbers are unique and none is 0 or that of a process; times are kept in whole nanoseconds, in which slices of one lane
must not overlap either; NaN is no JSON.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from simulator import Redeployment, Simulation, Technique
from simulator.foundation.errors import ResultsError
from simulator.results.timeline import timeline, write_timeline
from simulator.techniques.fixed_split import FixedSplit
from simulator.techniques.min_latency import MinLatency
from simulator.testing import Seeded, random_world, tiny


def split(**changes):
    return Simulation(tiny({"until": "5 s", **changes}).with_technique(FixedSplit(split_point=1))).run()


FAILURES = [
    {"kind": "failure", "node": "edge", "at": {"time": "1 s"}, "repair_after": "500 ms"},
    {"kind": "failure", "link": "uplink", "at": {"time": "3 s"}},
    {"kind": "failure", "node": "edge", "at": {"time": "2 s"}, "repair_after": "250 ms"},
]
CROWD = {
    "nodes.edge.slots": 6,
    "nodes.pi.count": 4,
    "workload.arrivals.rate": "20 /s",
    "links.uplink.sharing": "max-min",
}
WORLDS = [
    split(),
    split(**{"workload.arrivals.rate": "9 /s", "nodes.edge.slots": 2}),
    split(**{"workload.arrivals.rate": "9 /s", "dynamics": FAILURES}),
    split(**CROWD),
] + [Simulation(random_world(Seeded(seed)).with_technique(MinLatency())).run() for seed in range(8)]


def events(results, phase: str) -> list[dict]:
    return [event for event in timeline(results)["traceEvents"] if event["ph"] == phase]


def pieces(results) -> list[dict]:
    return [event for event in events(results, "X") if event["cat"] != "failure"]


def named(results, what: str) -> dict[int, str]:
    key = "pid" if what == "process_name" else "tid"
    return {event[key]: event["args"]["name"] for event in events(results, "M") if event["name"] == what}


def place(event: dict) -> tuple[int, int]:
    return event["pid"], event["tid"]


def nanoseconds(microseconds: float) -> int:
    return round(microseconds * 1e3)


@pytest.mark.parametrize("results", WORLDS)
def test_every_piece_of_work_is_one_slice(results):
    spans = results.spans[results.spans["kind"].isin(["compute", "transfer"])]
    slices = pieces(results)
    assert len(slices) == len(spans) > 0
    assert sorted(s["ts"] for s in slices) == pytest.approx(sorted(spans["start_s"] * 1e6), abs=1e-3)
    assert sorted(s["ts"] + s["dur"] for s in slices) == pytest.approx(sorted(spans["finish_s"] * 1e6), abs=1e-3)
    names = named(results, "process_name")
    assert Counter(names[s["pid"]] for s in slices) == Counter(spans["resource"])


@pytest.mark.parametrize("results", WORLDS)
def test_slices_of_one_lane_never_overlap_to_the_nanosecond(results):
    lanes = defaultdict(list)
    for s in events(results, "X"):
        for time in (s["ts"], s["dur"]):
            assert time * 1e3 == pytest.approx(nanoseconds(time), abs=1e-2)
        lanes[place(s)].append((nanoseconds(s["ts"]), nanoseconds(s["ts"]) + nanoseconds(s["dur"])))
    for slices in lanes.values():
        slices.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(slices))


@pytest.mark.parametrize("results", WORLDS)
def test_every_lane_has_a_name_and_a_number_that_is_no_other_lanes_and_no_process(results):
    threads = [event for event in events(results, "M") if event["name"] == "thread_name"]
    drawn = {place(event) for phase in "Xisf" for event in events(results, phase)}
    assert sorted(map(place, threads)) == sorted(drawn)
    numbers = [event["tid"] for event in threads]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & ({0} | set(named(results, "process_name")))


@pytest.mark.parametrize("results", WORLDS)
def test_every_arrow_holds_on_to_a_slice_at_both_ends(results):
    slices = defaultdict(list)
    for s in pieces(results):
        slices[place(s)].append(s)
    tails, heads = events(results, "s"), events(results, "f")
    assert [event["id"] for event in tails] == [event["id"] for event in heads] == list(range(1, len(heads) + 1))
    for tail, head in zip(tails, heads, strict=True):
        at = nanoseconds(tail["ts"])
        start = [s for s in slices[place(tail)] if 0 <= at - nanoseconds(s["ts"]) <= nanoseconds(s["dur"])]
        end = [s for s in slices[place(head)] if s["ts"] == head["ts"]]
        assert {s["name"] for s in start} & {s["name"] for s in end}  # and both are the same request's
        assert tail["ts"] <= head["ts"]
        assert head["bp"] == "e"
    requests = {s["name"] for group in slices.values() for s in group}
    assert len(heads) == sum(map(len, slices.values())) - len(requests)  # one arrow between two pieces of work


def test_arrows_lead_from_the_device_over_the_link_to_the_server_and_back():
    results = split()
    names = named(results, "process_name")
    ways = [
        (names[tail["pid"]], names[head["pid"]])
        for tail, head in zip(events(results, "s"), events(results, "f"), strict=True)
    ]
    there = [("pi", "uplink.up"), ("uplink.up", "edge"), ("edge", "uplink.down")]
    assert sorted(ways) == sorted(there * len(results.requests))
    assert [names[pid] for pid in sorted(names)] == ["decisions", "pi", "edge", "uplink.up", "uplink.down"]


def test_a_slice_says_what_it_is():
    first, second = pieces(split())[:2]
    assert (first["name"], first["cat"], second["cat"]) == ("#0 pi", "compute", "transfer")
    compute, transfer = first["args"], second["args"]
    assert compute == {"what": "layers 0-1", "completed": True, "waited_ms": 0, "energy_j": 0}
    assert transfer["what"] == "50.0 kB"


# -- what happened beside ------------------------------------------------------------------------------------------


def test_failures_are_slices_on_a_track_of_their_own():
    results = split(**{"workload.arrivals.rate": "9 /s", "dynamics": FAILURES})
    processes, threads = named(results, "process_name"), named(results, "thread_name")
    found = [s for s in events(results, "X") if s["cat"] == "failure"]
    seen = [(processes[s["pid"]], threads[s["tid"]], s["name"], s["ts"], s["dur"], s["args"]) for s in found]
    end = pytest.approx(results.meta["end_s"] * 1e6 - 3e6, abs=1e-3)
    assert seen == [
        ("failures", "edge", "edge down", 1e6, 5e5, {"kind": "node", "repaired": "1.5 s"}),
        ("failures", "edge", "edge down", 2e6, 2.5e5, {"kind": "node", "repaired": "2.25 s"}),
        ("failures", "uplink", "uplink down", 3e6, end, {"kind": "link", "repaired": "never"}),
    ]


class Moves(Technique):
    """All on the server; from the second second on, all on the device."""

    every: float = 2.0

    def place(self, view, request=None):
        return view.splits()[0]

    def adapt(self, view, current):
        return Redeployment(view.splits()[-1], downtime=0.25) if view.now < 3 else None


def test_decisions_are_instants_and_hold_nothing_that_is_not_json():
    results = Simulation(tiny({"until": "5 s", "nodes.pi.count": 2}).with_technique(Moves())).run()
    instants = events(results, "i")
    rows = results.decisions
    assert len(instants) == len(rows) == 4
    assert [e["ts"] for e in instants] == (rows["time_s"] * 1e6).tolist()
    threads = named(results, "thread_name")
    assert [threads[e["tid"]] for e in instants] == rows["source"].tolist()
    assert [e["name"] for e in instants] == (rows["hook"] + ": " + rows["answer"]).tolist()
    assert {e["name"].split(":")[0] for e in instants} == {"place", "adapt"}
    assert instants[0]["args"]["predicted_s"] == rows["predicted_s"][0]
    blind = {**results.columns["decisions"], "predicted_s": np.full(len(rows), np.nan)}
    unknown = replace(results, columns={**results.columns, "decisions": blind})
    assert "predicted_s" not in events(unknown, "i")[0]["args"]
    json.dumps(timeline(unknown), allow_nan=False)


def test_a_probe_is_drawn_and_no_arrow_leads_to_it():
    results = split()
    row = ("probe", "uplink.up", "pi", -1, 0.5, 0.5, 0.7, 0, 0, 1e5, 0.0, True)
    spans = results.columns["spans"]
    more = {name: np.append(values, value) for (name, values), value in zip(spans.items(), row, strict=True)}
    probed = replace(results, columns={**results.columns, "spans": more})
    probe = next(s for s in pieces(probed) if s["cat"] == "probe")
    assert (probe["name"], probe["ts"], probe["dur"], probe["args"]["what"]) == ("probe of pi", 5e5, 2e5, "100.0 kB")
    assert len(events(probed, "s")) == len(events(results, "s"))


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
