"""Blame: by hand, by the definition read out instant by instant, and against the other tables."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import Results, Simulation
from simulator.foundation.errors import ResultsError
from simulator.results.blame import STATES, link_of, why
from simulator.results.record import Columns
from simulator.techniques.fixed_split import FixedSplit
from simulator.techniques.min_latency import MinLatency
from simulator.techniques.server_only import ServerOnly
from simulator.testing import tiny, worlds

SECONDS = [f"{state}_s" for state in STATES]
OCCUPY = ["compute", "transfer"]
TECHNIQUES = st.sampled_from([ServerOnly(), FixedSplit(split_point=1), MinLatency()])
PARTS = {
    "queue_s": (),
    "compute_s": ("compute",),
    "transfer_s": ("transfer",),
    "delay_s": ("propagation",),
    "software_s": ("software",),
    "recovery_s": ("recovery", "lost compute", "lost transfer"),
    "hold_s": ("hold",),
}
TWO_AT_ONCE = {"until": "1 s", "workload.arrivals": {"kind": "closed", "users": 2, "think": "10 s"}}


def split(changes=None, split_point: int = 1) -> Results:
    """Two requests at 0 s; each computes 0.1 s, sends 0.05 s, flies 0.01 s, computes 0.05 s, answers 0.001 + 0.01 s."""
    scenario = tiny(TWO_AT_ONCE | (changes or {}))
    return Simulation(scenario.with_technique(FixedSplit(split_point=split_point))).run()


def account(results: Results, resource: str) -> list[float]:
    return results.blame.set_index("resource").loc[resource, SECONDS].tolist()


# -- by hand -------------------------------------------------------------------------------------------------------


def test_two_requests_by_hand():
    results = split()
    assert results.requests["finish_s"].tolist() == pytest.approx([0.221, 0.321])
    #                        busy   failed starved blocked idle
    by_hand = {
        "pi": [0.2, 0, 0, 0.121, 0.679],
        "uplink.up": [0.1, 0, 0.1 + 0.05, 0.321 - 0.25, 0.679],
        "edge": [0.1, 0, 0.16 + 0.05, 0.321 - 0.31, 0.679],
        "uplink.down": [0.002, 0, 0.21 + 0.31 - 0.211, 0.01, 0.679],
    }
    assert results.blame["resource"].tolist() == ["pi", "edge", "uplink.up", "uplink.down"]
    assert results.blame["kind"].tolist() == ["node", "node", "link", "link"]
    for resource, seconds in by_hand.items():
        assert account(results, resource) == pytest.approx(seconds, abs=1e-12)


def test_a_slot_that_nobody_needs_is_idle_while_the_other_works():
    # [0, .16) starved; [.16, .21) half busy, half starved (the second is upstream); [.21, .26) starved;
    # [.26, .31) half busy; the first has been answered at .221, so that the other half has nothing to do
    assert account(split({"nodes.edge.slots": 2}), "edge") == pytest.approx(
        [0.05, 0, 0.16 + 0.025 + 0.05, 0.011, 0.679 + 0.025], abs=1e-12
    )


def test_who_is_down_is_nothing_else():
    dynamics = [
        {"kind": "failure", "node": "edge", "at": {"time": "50 ms"}, "repair_after": "60 ms"},
        {"kind": "failure", "link": "uplink", "at": {"time": "600 ms"}},
    ]
    results = split({"dynamics": dynamics})
    assert account(results, "edge") == pytest.approx([0.1, 0.06, 0.15, 0.011, 0.679], abs=1e-12)
    assert account(results, "uplink.up") == pytest.approx([0.1, 0.4, 0.15, 0.071, 0.279], abs=1e-12)
    assert account(results, "uplink.down")[1] == pytest.approx(0.4)


def test_work_that_a_failure_cuts_short_is_work():
    dynamics = [{"kind": "failure", "node": "edge", "at": {"time": "180 ms"}, "repair_after": "20 ms"}]
    busy, failed, *_ = account(split({"dynamics": dynamics}), "edge")
    assert busy == pytest.approx(0.02 + 0.1)
    assert failed == pytest.approx(0.02)


def test_work_under_way_at_the_end_counts_up_to_it():
    results = split({"until": "170 ms", "drain": False})
    # both computed on the device, the first is 10 ms into its 50 ms on the edge: no span of it, but the node knows
    assert account(results, "edge")[0] == pytest.approx(0.01)
    assert account(results, "pi") == pytest.approx([0.17, 0, 0, 0, 0], abs=1e-12)


def test_what_is_nobodys_request_keeps_a_link_busy():
    results = split()
    spans = {name: values.copy() for name, values in results.columns["spans"].items()}
    probe = [("probe", "uplink.up", "pi", -1, 0.5, 0.5, 0.7, 0, 0, 1e5, 0.0, True)]
    more = {name: np.append(spans[name], value) for name, value in zip(spans, zip(*probe, strict=True), strict=True)}
    probed = replace(results, columns={**results.columns, "spans": more})
    before, after = account(results, "uplink.up"), account(probed, "uplink.up")
    assert np.subtract(after, before) == pytest.approx([0.2, 0, 0, 0, -0.2], abs=1e-12)


@pytest.mark.parametrize(
    ("channel", "link"),
    [
        ("uplink.up", "uplink"),
        ("wifi[pi-3].down", "wifi[pi-3]"),
        ("wifi.up[pi-3]", "wifi"),
        ("a.up.down", "a.up"),
        ("edge", "edge"),
    ],
)
def test_the_link_of_a_channel(channel, link):
    assert link_of(channel) == link


def test_a_failure_of_one_members_link_leaves_the_others_up():
    dynamics = [{"kind": "failure", "link": "uplink[pi-1]", "at": {"time": "500 ms"}, "repair_after": "100 ms"}]
    results = split({"nodes.pi.count": 2, "dynamics": dynamics})
    down = results.blame.set_index("resource")["failed_s"]
    assert down[down > 0].to_dict() == pytest.approx({"uplink[pi-1].up": 0.1, "uplink[pi-1].down": 0.1})


def test_it_needs_the_pieces_of_work():
    results = split({"record": "requests"})
    with pytest.raises(ResultsError, match='blame needs the pieces of work; set "record: spans" in the scenario'):
        _ = results.blame
    with pytest.raises(ResultsError, match='the stages of a request need the pieces of work; set "record: spans"'):
        why(results.columns, "pi", 0)


def test_a_run_without_requests_is_idle():
    late = {"kind": "periodic", "every": "5 s", "phase": "random"}
    results = split({"workload.arrivals": late, "until": "10 ms"})
    assert results.requests.empty
    assert (results.blame["idle_s"] == results.blame["length_s"]).all()


# -- in any world --------------------------------------------------------------------------------------------------


@given(scenario=worlds(), technique=TECHNIQUES, drain=st.booleans())
@settings(max_examples=60)
def test_the_five_add_up_and_agree_with_the_other_tables(scenario, technique, drain):
    results = Simulation(scenario.with_({"drain": drain}).with_technique(technique)).run()
    frame, end = results.blame, results.meta["end_s"]
    assert (frame["length_s"] == end).all()
    assert frame[SECONDS].sum(axis=1).tolist() == pytest.approx([end] * len(frame), rel=1e-12)
    assert (frame[SECONDS] >= -1e-12).all(axis=None)
    nodes = frame[frame["kind"] == "node"]
    assert nodes["busy_s"].tolist() == pytest.approx((results.nodes["utilisation"] * end).tolist(), rel=1e-9, abs=1e-9)
    assert nodes["failed_s"].tolist() == pytest.approx(results.nodes["down_s"].tolist(), abs=1e-9)
    links = frame[frame["kind"] == "link"]
    down = (results.failures["up_s"].clip(upper=end) - results.failures["down_s"]).groupby(results.failures["name"])
    expected = links["resource"].map(link_of).map(down.sum()).fillna(0.0)
    assert links["failed_s"].tolist() == pytest.approx(expected.tolist(), abs=1e-9)


@given(scenario=worlds(), technique=TECHNIQUES)
@settings(max_examples=40)
def test_it_is_what_the_definition_says_at_every_instant(scenario, technique):
    simulation = Simulation(scenario.with_technique(technique))
    results = simulation.run()
    slots = {name: node.facts.slots for name, node in simulation.cluster.nodes.items()}
    for row in results.blame.itertuples():
        expected = read_out(results, row.resource, slots.get(row.resource, 1))
        assert [getattr(row, name) for name in SECONDS] == pytest.approx(expected, abs=1e-9)


def read_out(results: Results, resource: str, slots: int) -> list[float]:
    """Return the five times, from one instant at which anything changes to the next."""
    end, spans, requests = results.meta["end_s"], results.spans, results.requests
    here = spans[spans["resource"].map(lambda name: resource in name.split("+")) & spans["kind"].isin(OCCUPY)]
    failures = results.failures[results.failures["name"].isin([resource, link_of(resource)])]
    users = requests.merge(here[["source", "request"]].drop_duplicates()).to_dict("records")
    work = {
        (user["source"], user["request"]): here[
            (here["source"] == user["source"]) & (here["request"] == user["request"])
        ]
        for user in users
    }
    instants = {0.0, end, *here["start_s"], *here["finish_s"], *failures["down_s"], *failures["up_s"]}
    for user in users:
        instants |= {user["arrival_s"], end if math.isnan(user["finish_s"]) else user["finish_s"]}
    times = sorted(t for t in instants if 0 <= t <= end)
    total = dict.fromkeys(STATES, 0.0)
    for begin, finish in pairwise(times):
        now = (begin + finish) / 2
        if ((failures["down_s"] <= now) & (now < failures["up_s"])).any():
            total["failed"] += finish - begin
            continue
        share = min(slots, int(((here["start_s"] <= now) & (now < here["finish_s"])).sum())) / slots
        total["busy"] += share * (finish - begin)
        present = [u for u in users if u["arrival_s"] <= now and not u["finish_s"] <= now]
        mine = [work[user["source"], user["request"]] for user in present]
        if any((pieces["start_s"] > now).any() for pieces in mine):
            state = "starved"
        elif any((pieces["finish_s"] <= now).all() for pieces in mine):
            state = "blocked"
        else:
            state = "idle"
        total[state] += (1 - share) * (finish - begin)
    return list(total.values())


# -- why a request took as long as it did --------------------------------------------------------------------------


def test_stages_by_hand():
    stages = why(split().columns, "pi", 1)
    assert stages["stage"].tolist() == ["compute", "transfer", "propagation", "compute", "transfer", "propagation"]
    assert stages["resource"].tolist() == ["pi", "uplink.up", "uplink.up", "edge", "uplink.down", "uplink.down"]
    assert stages["seconds"].tolist() == pytest.approx([0.2, 0.05, 0.01, 0.05, 0.001, 0.01])
    assert stages["waited_s"].tolist() == pytest.approx([0.1, 0, 0, 0, 0, 0])


@given(scenario=worlds(), technique=TECHNIQUES)
@settings(max_examples=40)
def test_stages_follow_without_a_gap_and_add_up_to_the_latency_part_by_part(scenario, technique):
    results = Simulation(scenario.with_technique(technique)).run()
    answered = results.requests[results.requests["finish_s"].notna()]
    for row in answered.itertuples():
        stages = why(results.columns, row.source, row.request)
        assert [row.arrival_s, *stages["to_s"]] == [*stages["from_s"], row.finish_s]
        assert stages["seconds"].sum() == pytest.approx(row.latency_s, rel=1e-9)
        served = stages["seconds"] - stages["waited_s"]
        for part, kinds in PARTS.items():
            seconds = served[stages["stage"].isin(kinds)].sum() if kinds else stages["waited_s"].sum()
            assert seconds == pytest.approx(getattr(row, part), abs=1e-9)


def test_of_pieces_side_by_side_those_count_that_the_answer_waited_for():
    empty = {name: values[:0] for name, values in split().columns["spans"].items()}
    rows = [
        ("compute", "a", 0.0, 0.0, 1.0),
        ("compute", "b", 0.0, 0.5, 2.0),  # the slower of two
        ("transfer", "l.up", 2.0, 2.0, 2.25),
        ("compute", "c", 2.5, 2.75, 3.0),
    ]
    spans = spans_of(empty, rows)
    requests = split().columns["requests"]
    requests = {name: values[:1].copy() for name, values in requests.items()}
    requests["arrival_s"][0], requests["finish_s"][0] = 0.0, 3.5
    stages = why({"spans": spans, "requests": requests}, "pi", 0)
    assert list(stages.itertuples(index=False, name=None)) == [
        ("compute", "b", 0.0, 2.0, 2.0, 0.5),
        ("transfer", "l.up", 2.0, 2.25, 0.25, 0.0),
        ("propagation", "l.up", 2.25, 2.5, 0.25, 0.0),
        ("compute", "c", 2.5, 3.0, 0.5, 0.25),
        ("other", "", 3.0, 3.5, 0.5, 0.0),
    ]


def spans_of(empty: Columns, rows: list[tuple]) -> Columns:
    frame = pd.DataFrame(rows, columns=["kind", "resource", "queued_s", "start_s", "finish_s"]).assign(
        source="pi", request=0, completed=True
    )
    return {name: frame[name].to_numpy() if name in frame else np.zeros(len(rows)) for name in empty}


def test_a_request_without_an_answer_is_told_up_to_the_last_thing_recorded():
    stages = why(split({"until": "170 ms", "drain": False}).columns, "pi", 0)
    assert stages["stage"].tolist() == ["compute", "transfer"]


def test_a_request_that_never_was():
    columns = split().columns
    with pytest.raises(ResultsError, match=r'no request #7 of "pi"; it sent 2, numbered from 0'):
        why(columns, "pi", 7)
    with pytest.raises(ResultsError, match=r'no request #0 of "po"; requests come from: pi'):
        why(columns, "po", 0)
