"""Handover, worked out by hand: a car drives past two masts, and what is under way then begins again.

The car drives along the equator, 0.02 degrees in 200 s, a mast at either end: it is handed over at 100 s. A request
that goes to the edge: 100 kB over the radio (1 MB/s) in 0.1 s, 10 ms, over the back haul (100 MB/s) in 1 ms, 2 ms;
0.06 s of computing; 1 kB back in 10 us, 2 ms, 1 ms, 10 ms.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from roads import drive, failure
from support import Fixed

from simulator import Placement, Recovery, Results, Scenario, Simulation, Technique
from simulator.results.timeline import timeline

TURN = 100.0
UP, BACK = 0.1 + 0.01, 0.001 + 0.002
COMPUTE = 0.06
HOME = 1e-5 + 0.002 + 0.001 + 0.01
ALONE = UP + BACK + COMPUTE + HOME
EDGE = (("edge", 0, 3),)


def go(scenario: Scenario, *segments) -> Results:
    """Run it with all requests placed by *segments*."""
    return Simulation(scenario.with_technique(Fixed.at(*segments)) if segments else scenario).run()


def transfers(results: Results, completed: bool = True) -> list[str]:
    spans = results.spans[(results.spans["kind"] == "transfer") & (results.spans["completed"] == completed)]
    return spans.sort_values("start_s")["resource"].tolist()


# -- the car and the masts -----------------------------------------------------------------------------------------


def test_the_car_is_handed_over_half_way_and_the_table_says_so(tmp_path):
    results = go(drive(tmp_path, [1.0, 150.0]), *EDGE)
    row = results.handovers.iloc[0]
    assert len(results.handovers) == 1
    assert (row["device"], row["from_link"], row["to_link"]) == ("car", "radio[mast-0]", "radio[mast-1]")
    assert (row["t_s"], row["interruption_s"]) == (pytest.approx(TURN), 0.05)
    assert results.requests["latency_s"].tolist() == pytest.approx([ALONE, ALONE])
    assert transfers(results) == [
        "radio[mast-0].up", "back[mast-0].up", "back[mast-0].down", "radio[mast-0].down",
        "radio[mast-1].up", "back[mast-1].up", "back[mast-1].down", "radio[mast-1].down",
    ]  # fmt: skip


def test_an_upload_under_way_begins_again_on_the_new_link(tmp_path):
    """Asked 40 ms before: 40 ms in vain, 50 ms of interruption, then the whole way."""
    results = go(drive(tmp_path, TURN - 0.04), *EDGE)
    row = results.requests.iloc[0]
    assert row["finish_s"] == pytest.approx(TURN + 0.05 + ALONE, abs=1e-6)
    assert row["recovery_s"] == pytest.approx(0.04 + 0.05, abs=1e-6)
    assert row["sent_bytes"] == pytest.approx(2 * 1e5 + 2 * 1e3)
    assert row["outcome"] == "done"
    assert transfers(results, completed=False) == ["radio[mast-0].up"]
    links = results.links.set_index("channel")
    lost = links["sent_bytes"] - links["received_bytes"]
    assert lost[lost > 0].to_dict() == {"radio[mast-0].up": pytest.approx(1e5)}


def test_who_computes_at_the_edge_gets_the_answer_over_the_new_link(tmp_path):
    """Asked so that the handover comes in the middle of computing: only the way home is another."""
    results = go(drive(tmp_path, TURN - UP - BACK - 0.03), *EDGE)
    row = results.requests.iloc[0]
    begun = TURN + 0.03 + 1e-5 + 0.002  # at the old mast, whose link is left: the edge sends it again
    again = begun + 1e-5 + 0.002  # by the new mast; the interruption is over at 100.05 s
    assert row["finish_s"] == pytest.approx(TURN + 0.05 + 0.001 + 0.01, abs=1e-6)
    assert row["recovery_s"] == pytest.approx(TURN + 0.05 - again, abs=1e-6)
    assert transfers(results)[-3:] == ["back[mast-0].down", "back[mast-1].down", "radio[mast-1].down"]
    assert [*results.spans[results.spans["kind"] == "compute"]["resource"]] == ["edge"]


def test_what_is_in_the_air_at_the_handover_arrives(tmp_path):
    """The last byte has left 5 ms before: propagation is not taken away, as with a link that fails."""
    results = go(drive(tmp_path, TURN - 0.1 - 0.005), *EDGE)
    row = results.requests.iloc[0]
    assert "radio[mast-0].up" in transfers(results)
    again = 1e-5 + 0.002  # the answer went to the old mast first; by now the interruption is over
    assert row["finish_s"] == pytest.approx(TURN - 0.105 + ALONE + again, abs=1e-6)
    assert row["sent_bytes"] == pytest.approx(2 * 1e5 + 3 * 1e3)


@pytest.mark.parametrize(("after", "waits"), [(0.0, 0.05), (0.02, 0.03), (0.06, 0.0)])
def test_a_message_in_the_interruption_waits_for_its_end(tmp_path, after, waits):
    row = go(drive(tmp_path, TURN + after + 1e-6), *EDGE).requests.iloc[0]
    assert row["latency_s"] == pytest.approx(waits + ALONE, abs=1e-5)
    assert row["recovery_s"] == pytest.approx(waits, abs=1e-5)
    assert row["queue_s"] == 0.0


def test_without_an_interruption_it_goes_on_at_once(tmp_path):
    changes = {"links.radio.attach.interruption": "0 s"}
    row = go(drive(tmp_path, TURN - 0.04, changes), *EDGE).requests.iloc[0]
    assert row["finish_s"] == pytest.approx(TURN + ALONE, abs=1e-6)


def test_a_slow_start_begins_again_as_well(tmp_path):
    changes = {"links.radio.connection": "slow-start", "links.radio.framing": 1.0}
    alone = go(drive(tmp_path, 1.0, changes), *EDGE).requests.iloc[0]["latency_s"]
    row = go(drive(tmp_path, TURN - 0.04, changes), *EDGE).requests.iloc[0]
    assert alone > ALONE
    assert row["finish_s"] == pytest.approx(TURN + 0.05 + alone, abs=1e-6)
    assert row["latency_s"] == pytest.approx(sum(row[part] for part in PARTS), abs=1e-9)


PARTS = ["queue_s", "compute_s", "transfer_s", "delay_s", "software_s", "recovery_s", "hold_s"]


def test_who_works_at_the_mast_itself_goes_there_by_the_other_one(tmp_path):
    """The placement stands: over the new mast and the edge, back to the old one."""
    results = go(drive(tmp_path, TURN - 0.04), ("mast-0", 0, 3))
    assert transfers(results) == [
        "radio[mast-1].up", "back[mast-1].up", "back[mast-0].down",
        "back[mast-0].up", "back[mast-1].down", "radio[mast-1].down",
    ]  # fmt: skip


def test_where_the_old_mast_is_out_of_reach_the_technique_decides_anew(tmp_path):
    scenario = drive(tmp_path, TURN - 0.04, {"technique": {"kind": "server-only"}}, back=False)
    results = go(scenario)
    row = results.requests.iloc[0]
    assert row["placement"] == "mast-1 0-3"
    assert row["finish_s"] == pytest.approx(TURN + 0.05 + UP + COMPUTE + 0.001 + 0.01, abs=1e-6)
    assert results.decisions["answer"].tolist() == ["mast-0 0-3", "mast-0 0-3", "mast-1 0-3"]
    assert results.decisions["hook"].tolist() == ["place", "recover", "place"]


def test_tensors_at_a_mast_that_is_out_of_reach_are_lost(tmp_path):
    """The handover comes while the old mast computes: the answer cannot get home, so that all begins again."""
    results = go(drive(tmp_path, TURN - UP - 0.03, {"technique": {"kind": "server-only"}}, back=False))
    row = results.requests.iloc[0]
    assert row["placement"] == "mast-1 0-3"
    assert row["finish_s"] == pytest.approx(TURN + 0.05 + UP + COMPUTE + 0.001 + 0.01, abs=1e-6)
    assert results.spans[results.spans["kind"] == "compute"]["resource"].tolist() == ["mast-0", "mast-1"]


def test_a_policy_sees_the_servers_of_the_new_mast_first(tmp_path):
    results = go(drive(tmp_path, [1.0, 150.0], {"technique": {"kind": "min-latency"}}))
    assert results.requests["placement"].tolist() == ["mast-0 0-3", "mast-1 0-3"]


@pytest.mark.parametrize("bandwidth", ["last-transfer", {"probe": "1 s", "bytes": "1 kB"}, {"ewma": 0.5}])
def test_sensing_follows(tmp_path, bandwidth):
    """The second mast is slower, so that after a while all stays on the car; nobody knew before."""
    reports = {"reported": "1 s", "bytes": "10 B"}
    changes = {"knowledge": {"bandwidth": bandwidth, "load": reports}, "technique": {"kind": "min-latency"}}
    scenario = drive(tmp_path, [1.0, 150.0], changes)
    results = go(scenario)
    assert results.requests["outcome"].tolist() == ["done", "done"]
    if isinstance(bandwidth, dict) and "probe" in bandwidth:
        spans = results.spans[(results.spans["kind"] == "probe") & results.spans["resource"].str.startswith("radio")]
        early = spans[spans["start_s"] < TURN]["resource"].unique().tolist()
        late = spans[spans["start_s"] > TURN]["resource"].unique().tolist()
        assert sorted(early) == ["radio[mast-0].down", "radio[mast-0].up"]
        assert sorted(late) == ["radio[mast-1].down", "radio[mast-1].up"]
        assert spans["completed"].all()


# -- who decides ---------------------------------------------------------------------------------------------------


class GivesUp(Technique):
    """All at the edge; at a handover the device does the rest by itself, after a pause."""

    def place(self, view, request=None):
        return Placement.whole("edge", 3)

    def recover(self, failure, view):
        assert (failure.kind, failure.name, failure.layer) == ("handover", "radio[mast-0]", 0)
        assert view.now == failure.time == pytest.approx(TURN)
        return Recovery(Placement.whole(view.source, 3), downtime=0.5)


def test_a_technique_says_otherwise(tmp_path):
    results = Simulation(drive(tmp_path, TURN - 0.04).with_technique(GivesUp())).run()
    row = results.requests.iloc[0]
    assert row["finish_s"] == pytest.approx(TURN + 0.5 + 0.6, abs=1e-6)
    assert row["placement"] == "car 0-3"
    assert results.decisions["hook"].tolist() == ["place", "recover"]


def test_a_timer_does_not_outlive_what_it_placed(tmp_path):
    """``adaptive`` on masts that know nothing of each other: what stands cannot be reached, so that it decides anew."""
    scenario = drive(tmp_path, [1.0, 150.0], {"technique": {"kind": "adaptive", "every": "3 s"}}, back=False)
    assert go(scenario).requests["placement"].tolist() == ["mast-0 0-3", "mast-1 0-3"]


def test_the_oracle_counts_the_interruption(tmp_path):
    """In a long one the car is faster alone; shortly before its end there is time for the first layer (0.1 s)."""
    changes = {"links.radio.attach.interruption": "2 s", "technique": {"kind": "oracle"}}
    results = go(drive(tmp_path, [TURN + 0.1, TURN + 1.9], changes))
    assert results.requests["placement"].tolist() == ["car 0-3", "car 0-1 | mast-1 1-3"]
    expected = [0.6, 0.1 + 0.05 + 0.01 + 0.05 + 0.001 + 0.01]
    assert results.decisions["predicted_s"].tolist() == pytest.approx(expected, abs=1e-5)
    assert results.requests["latency_s"].tolist() == pytest.approx(expected, abs=1e-5)


# -- failures beside -----------------------------------------------------------------------------------------------


def test_a_handover_ends_the_wait_for_a_link_that_failed(tmp_path):
    dynamics = [failure("link", "radio[mast-0]", 90.0, None)]
    row = go(drive(tmp_path, 95.0, {"dynamics": dynamics}), *EDGE).requests.iloc[0]
    assert row["finish_s"] == pytest.approx(TURN + 0.05 + ALONE, abs=1e-6)


def test_a_handover_ends_the_wait_for_a_mast_that_failed(tmp_path):
    dynamics = [failure("node", "mast-0", 90.0, None)]
    row = go(drive(tmp_path, 95.0, {"dynamics": dynamics}), *EDGE).requests.iloc[0]
    assert row["finish_s"] == pytest.approx(TURN + 0.05 + ALONE, abs=1e-6)


def test_a_repair_does_not_open_a_link_that_was_left(tmp_path):
    """Down before the handover, repaired after it: who is on the other link knows nothing of it."""
    dynamics = [failure("link", "radio[mast-0]", 99.0, 2.0)]
    simulation = Simulation(drive(tmp_path, 150.0, {"dynamics": dynamics}).with_technique(Fixed.at(*EDGE)))
    assert simulation.run().requests["latency_s"].tolist() == pytest.approx([ALONE])
    up = {name: wire.up for name, wire in simulation.cluster.network.wires.items() if name.startswith("radio")}
    assert up == {
        "radio[mast-0].up": False, "radio[mast-0].down": False, "radio[mast-1].up": True, "radio[mast-1].down": True,
    }  # fmt: skip


def test_a_link_that_is_down_when_the_car_comes_is_waited_for(tmp_path):
    dynamics = [failure("link", "radio[mast-1]", 99.0, 31.0)]
    row = go(drive(tmp_path, TURN - 0.04, {"dynamics": dynamics}), *EDGE).requests.iloc[0]
    assert row["finish_s"] == pytest.approx(130.0 + ALONE, abs=1e-6)


def test_a_failure_of_a_link_that_nobody_comes_to_is_nobodys(tmp_path):
    changes = {"until": "50 s", "dynamics": [failure("link", "radio[mast-1]", 10.0, None)]}
    results = go(drive(tmp_path, 1.0, changes), *EDGE)
    assert len(results.failures) == 0
    assert set(results.links["channel"]) == {
        "radio[mast-0].up", "radio[mast-0].down", *(f"back[mast-{i}].{d}" for i in (0, 1) for d in ("up", "down")),
    }  # fmt: skip


# -- fleets --------------------------------------------------------------------------------------------------------


REPLAY = {"kind": "replay", "trace": "asks.csv"}


def fleet(tmp_path, count: int = 3, changes: dict | None = None, asks: float = 1.0) -> Scenario:
    more = {
        "nodes.car.count": count,
        "nodes.car.position": {"trace": "drive.csv", "end": "wrap", "offset": "random"},
        "workload.arrivals": {"kind": "poisson", "rate": "2 /s"},
    }
    return drive(tmp_path, asks, more | (changes or {}))


def test_each_of_a_fleet_is_elsewhere_on_the_way(tmp_path):
    results = go(fleet(tmp_path), *EDGE)
    assert set(results.handovers["device"]) == {"car-0", "car-1", "car-2"}
    assert results.handovers["t_s"].nunique() == len(results.handovers)
    assert set(results.handovers["from_link"]) == {f"radio[car-{i},mast-{j}]" for i in range(3) for j in range(2)}
    per_car = results.handovers.groupby("device")["t_s"].agg(list)
    assert all(b - a == pytest.approx(TURN) for times in per_car for a, b in pairwise(times))


@pytest.mark.parametrize("sharing", [{"sharing": "airtime"}, {"sharing": "max-min", "shared": True}])
def test_a_handover_takes_along_its_own_transfers_only(tmp_path, sharing):
    """Two cars share a cell: each has half of it for 0.1 s, then one is handed over and the other has the whole."""
    cell = {f"links.radio.{key}": value for key, value in sharing.items()} | {"workload.arrivals": REPLAY}
    turns = go(fleet(tmp_path, 2, cell), *EDGE).handovers
    where = dict(zip(turns["device"], turns["from_link"], strict=True))
    for row in turns.itertuples():  # of two turns that follow each other, one begins where both are
        stays = f"car-{1 - int(row.device[-1])}"
        before = turns[(turns["device"] == stays) & (turns["t_s"] < row.t_s)]
        here = before["to_link"].iloc[-1] if len(before) else where[stays]
        if here.endswith(row.from_link[-7:]):
            break
    results = go(fleet(tmp_path, 2, cell, row.t_s - 0.1), *EDGE)
    uploads = results.spans[results.spans["resource"].str.match(r"radio.*up")].set_index("source")
    assert uploads.loc[stays, "finish_s"] == pytest.approx(row.t_s + 0.05, abs=1e-6)
    assert uploads.loc[[row.device]]["completed"].tolist() == [False, True]
    assert uploads.loc[[row.device]]["finish_s"].tolist() == pytest.approx([row.t_s, row.t_s + 0.05 + 0.1], abs=1e-6)


def test_a_cell_is_shared_by_those_who_are_there(tmp_path):
    """Two cars that stand at one mast, one request each at once: 200 kB through one cell of 1 MB/s take 0.2 s."""
    changes = {"nodes.car": {"kind": "device", "hardware": "board", "count": 2, "position": ["0, -0.01", "0, -0.011"]}}
    for sharing in ({"sharing": "airtime"}, {"sharing": "max-min", "shared": True}):
        cell = {f"links.radio.{key}": value for key, value in sharing.items()}
        results = go(drive(tmp_path, 1.0, changes | cell), *EDGE)
        assert results.requests["transfer_s"].min() >= 0.2
        alone = go(drive(tmp_path, 1.0, changes), *EDGE)
        assert alone.requests["transfer_s"].max() < 0.11


def test_a_cell_that_is_shared_has_one_bandwidth(tmp_path):
    changes = {"bandwidth": {"generate": "4g"}, "sharing": "max-min", "shared": True}
    scenario = fleet(tmp_path, 2, {f"links.radio.{key}": value for key, value in changes.items()})
    wires = Simulation(scenario).cluster.network.wires
    drawn = [[wires[f"radio[car-{i},mast-{j}].up"].channel.bandwidth for i in range(2)] for j in range(2)]
    assert drawn[0][0] is drawn[0][1]
    assert drawn[0][0].values != drawn[1][0].values


def test_the_same_seed_gives_the_same_frames_and_another_other_places(tmp_path):
    runs = [go(fleet(tmp_path, changes={"seed": seed}), *EDGE) for seed in (4, 4, 5)]
    for name in runs[0].columns:
        assert runs[0].frame(name).equals(runs[1].frame(name)), name
    assert not runs[0].handovers["t_s"].equals(runs[2].handovers["t_s"])


def test_once_arrivals_have_ended_everybody_stands_still(tmp_path):
    results = go(fleet(tmp_path, changes={"until": "120 s"}), *EDGE)
    assert results.handovers["t_s"].max() < 120


def test_a_run_drains_where_what_is_waited_for_never_comes(tmp_path):
    """A path that wraps hands over for ever; a run must end all the same."""
    changes = {"nodes.car.position.end": "wrap", "dynamics": [failure("node", "edge", 10.0, None)]}
    results = go(drive(tmp_path, 20.0, changes), *EDGE)
    assert results.requests["outcome"].tolist() == ["unfinished"]


def test_another_device_is_found_where_it_is(tmp_path):
    """A camera on a wire sends its work to the car, which is handed over meanwhile."""
    data = dict(drive(tmp_path, [50.0, TURN - 0.02, 150.0]).document.data)
    data["nodes"] = {**data["nodes"], "camera": {"kind": "device", "hardware": "board"}}
    wire = {"between": ["camera", "edge"], "bandwidth": "100 MB/s", "delay": "0 s", "connection": "none"}
    data["links"] = {**data["links"], "wire": wire}
    data["workload"] = {**data["workload"], "sources": ["camera"]}
    scenario = Scenario.from_dict(data, drive(tmp_path).library, tmp_path)
    (tmp_path / "asks.csv").write_text(f"t_s\n50\n{TURN - 0.02}\n150\n")
    results = go(scenario, ("car", 0, 3))
    assert results.requests["outcome"].tolist() == ["done"] * 3
    assert [name for name in transfers(results) if name.startswith("radio") and name.endswith("down")] == [
        "radio[mast-0].down", "radio[mast-1].down", "radio[mast-1].down",
    ]  # fmt: skip
    late = results.spans[results.spans["queued_s"] > 120]["resource"]
    assert not late.str.contains("mast-0").any()  # nothing is sent where the car no longer is


def test_the_timeline_has_a_slice_for_each_interruption(tmp_path):
    events = timeline(go(drive(tmp_path, 1.0), *EDGE))["traceEvents"]
    slices = [event for event in events if event.get("cat") == "handover"]
    assert [(event["name"], event["dur"]) for event in slices] == [("to radio[mast-1]", pytest.approx(5e4))]
    assert slices[0]["ts"] == pytest.approx(TURN * 1e6)


def test_a_path_without_times(tmp_path):
    (tmp_path / "way.csv").write_text("# kind: sites\nlat,lon\n0,-0.01\n0,0.01\n")
    slow = go(drive(tmp_path, 1.0, {"nodes.car.position": {"trace": "way.csv", "step": "100 s"}}), *EDGE)
    assert slow.handovers["t_s"].tolist() == pytest.approx([50.0])
    metres = 0.02 * math.pi / 180 * 6_371_008.8
    fast = {"nodes.car.position": {"trace": "way.csv", "speed": "20 m/s"}}
    assert go(drive(tmp_path, 1.0, fast), *EDGE).handovers["t_s"].tolist() == pytest.approx([metres / 40])


def test_sites_from_a_file(tmp_path):
    (tmp_path / "sites.csv").write_text("# kind: sites\nlat,lon\n0,-0.01\n0,0.01\n")
    results = go(drive(tmp_path, 1.0, {"nodes.mast.position": {"trace": "sites.csv"}}), *EDGE)
    assert results.handovers["t_s"].tolist() == pytest.approx([TURN])
    assert len(results.files) == 3
