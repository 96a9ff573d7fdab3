"""Recordings that may be nowhere: where they are looked for, what is used instead, and what a run says of it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from support import recordings

from simulator import Results, Scenario, Simulation
from simulator.foundation.errors import ScenarioError
from simulator.profiles import library
from simulator.scenario.build import build
from simulator.testing import tiny

TRACE = "# kind: bandwidth; unit: Mbit/s; duration_s: 4; end: wrap\nstart_s,value\n0,8\n2,4\n"
OUTAGES = "down_s,up_s,share\n1,2,1\n"
SAID = {"trace": "set/net.csv", "otherwise": {"generate": "4g"}}


@pytest.fixture
def others(tmp_path, monkeypatch):
    """An empty folder of recordings."""
    folder = tmp_path / "others"
    (folder / "set").mkdir(parents=True)
    monkeypatch.setenv("OFFING_DATA", str(folder))
    return folder


@pytest.fixture
def world(tmp_path, others):
    (tmp_path / "mine").mkdir()

    def make(said: object = SAID, key: str = "links.uplink.bandwidth", **changes) -> Scenario:
        base = tiny({"until": "20 s", **changes})
        data = dict(base.document.data)
        *above, last = key.split(".")
        here = data
        for part in above:
            here = here.setdefault(part, {})
        here[last] = said
        return Scenario.from_dict(data, base.library, tmp_path / "mine")

    return make


def speed(scenario: Scenario) -> str:
    return build(scenario).channels[0].bandwidth.source


def lines(scenario: Scenario) -> list[str]:
    return [each.line for each in scenario.inputs()]


# -- where a file is looked for --------------------------------------------------------------------------------------


def test_where_a_file_is_found_first(world, others, tmp_path):
    """Nowhere, among the recordings of others, beside the scenario: the nearer the stronger."""
    assert speed(world()).startswith("synthetic 4g")
    assert lines(world()) == ["links.uplink.bandwidth: synthetic 4g, since set/net.csv was not found"]
    (others / "set" / "net.csv").write_text(TRACE)
    assert speed(world()) == "net.csv"
    assert lines(world()) == ["links.uplink.bandwidth: set/net.csv (recorded)"]
    (tmp_path / "mine" / "set").mkdir()
    (tmp_path / "mine" / "set" / "net.csv").write_text(TRACE.replace("8", "16"))
    assert build(world()).channels[0].bandwidth.at(0) == 2e6
    assert lines(world()) == ["links.uplink.bandwidth: set/net.csv (beside the scenario)"]


def test_a_shipped_file_is_said_to_be_one():
    assert lines(Scenario.load("quick/busy_server")) == ["nodes.edge.load: busy_server_cpu.csv (shipped)"]
    assert lines(Scenario.load("quick/split_inference")) == []


def test_a_file_that_is_wrong_is_never_replaced(world, others):
    (others / "set" / "net.csv").write_text("start_s,value\n0,fast\n")
    with pytest.raises(ScenarioError, match=r"links\.uplink\.bandwidth: net\.csv"):
        world()
    (others / "set" / "net.csv").write_text("")
    with pytest.raises(ScenarioError, match=r"links\.uplink\.bandwidth: "):
        world()


def test_what_is_said_instead_is_checked_where_the_file_is_there_too(world, others):
    (others / "set" / "net.csv").write_text(TRACE)
    with pytest.raises(ScenarioError, match=r'links\.uplink\.bandwidth\.otherwise: .*"5g"'):
        world({**SAID, "otherwise": {"generate": "5g"}})
    with pytest.raises(ScenarioError, match=r"links\.uplink\.bandwidth\.otherwise\.generat: unknown key"):
        world({**SAID, "otherwise": {"generat": "4g"}})
    with pytest.raises(ScenarioError, match=r"links\.uplink\.bandwidth\.otherwise: 50 has no unit"):
        world({**SAID, "otherwise": "50"})


def test_a_file_that_is_nowhere_and_has_no_stand_in_is_an_error_that_says_where_it_was_looked_for(world, others):
    with pytest.raises(
        ScenarioError, match=r'"set/net\.csv" is neither beside .*Nor is it in the folder of recordings'
    ):
        world({"trace": "set/net.csv"})


def test_the_folder_of_recordings(monkeypatch, tmp_path):
    monkeypatch.setenv("OFFING_DATA", str(tmp_path))
    assert library.recordings_folder() == tmp_path
    monkeypatch.delenv("OFFING_DATA")
    package = tmp_path / "checkout" / "simulator"
    monkeypatch.setattr(library, "__file__", str(package / "profiles" / "library.py"))
    assert library.recordings_folder() is None
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert library.recordings_folder() == tmp_path / "shared" / "data"
    (package / "shipped").mkdir(parents=True)  # as in an installed wheel
    assert library.recordings_folder() is None


# -- what else may be nowhere ----------------------------------------------------------------------------------------


def test_stand_ins_of_stand_ins(world, others):
    nested = {"trace": "a.csv", "otherwise": {"trace": "b.csv", "otherwise": "5 MB/s"}}
    assert build(world(nested)).channels[0].bandwidth.constant == 5e6
    assert lines(world(nested)) == [
        "links.uplink.bandwidth: b.csv, since a.csv was not found",
        "links.uplink.bandwidth.otherwise: 5 MB/s, since b.csv was not found",
    ]
    (others / "b.csv").write_text(TRACE)
    assert speed(world(nested)) == "b.csv"
    (others / "a.csv").write_text(TRACE)
    assert lines(world(nested)) == ["links.uplink.bandwidth: a.csv (recorded)"]


def test_a_load(world, others):
    said = {"trace": "load.csv", "otherwise": {"generate": "server-day"}}
    assert build(world(said, "nodes.edge.load")).nodes["edge"].capacity.source.startswith("synthetic server-day")
    assert build(world({**said, "otherwise": "25 %"}, "nodes.edge.load")).nodes["edge"].capacity.constant == 0.875
    (others / "load.csv").write_text("# kind: cpu; unit: %; duration_s: 2\nstart_s,value\n0,0\n1,100\n")
    assert build(world(said, "nodes.edge.load")).nodes["edge"].capacity.at(1.5) == 0.5


def test_outages(world, others):
    said = {"kind": "outages", "node": "edge", "trace": "out.csv",
            "otherwise": {"up": {"constant": "3 s"}, "down": {"constant": "1 s"}}}  # fmt: skip
    lengths = [o.length for o in build(world([said], "dynamics")).happenings.outages["edge"]]
    assert set(lengths[1:]) == {1.0}
    assert (
        "up: {constant: 3 s}, down: {constant: 1 s}, since out.csv was not found" in lines(world([said], "dynamics"))[0]
    )
    (others / "out.csv").write_text(OUTAGES)
    assert [o.start for o in build(world([said], "dynamics")).happenings.outages["edge"]] == [1]
    assert lines(world([said], "dynamics")) == ["dynamics[0]: out.csv (recorded)"]


def test_churn(world, others):
    said = {"kind": "churn", "device": "pi", "trace": "out.csv",
            "otherwise": {"present": {"constant": "3 s"}, "absent": {"constant": "1 s"}}}  # fmt: skip
    assert len(build(world([said], "dynamics")).happenings.away["pi"]) >= 4
    (others / "out.csv").write_text(OUTAGES)
    assert build(world([said], "dynamics")).happenings.away["pi"] == [(1, 2)]


def test_positions(world, others):
    written = {"points": ["0, 0", "0, 1"], "speed": "100 km/h"}
    moving = world({"trace": "way.csv", "otherwise": written}, "nodes.pi.position").entry.nodes["pi"].position
    assert moving.path.duration == pytest.approx(6_371_008.8 * 3.141592653589793 / 180 / (100 / 3.6))
    assert lines(world({"trace": "way.csv", "otherwise": written}, "nodes.pi.position"))[0].startswith(
        "nodes.pi.position: "
    )
    (others / "way.csv").write_text("t_s,lat,lon\n0,0,0\n7,0,1\n")
    there = world({"trace": "way.csv", "otherwise": written}, "nodes.pi.position").entry.nodes["pi"].position
    assert there.path.duration == 7
    standing = world({"trace": "no.csv", "otherwise": ["1, 2"]}, "nodes.pi.position").entry.nodes["pi"].position
    assert standing.places == ((1.0, 2.0),)
    for wrong, sentence in (
        ({**written, "step": "1 s"}, "needs exactly one of"),
        ({"points": ["0, 0", "0, 1"]}, "needs exactly one of"),
        ({"points": ["0, 200"], "speed": "1 km/h"}, "is on no globe"),
        ({**written, "sped": "1 km/h"}, r"position\.sped: unknown key.* Did you mean .speed.\?"),
    ):
        with pytest.raises(ScenarioError, match=sentence):
            world(wrong, "nodes.pi.position")


# -- what a run says and keeps ---------------------------------------------------------------------------------------


def test_the_hash_counts_what_is_really_used(world, others):
    absent = world().hash()
    (others / "set" / "net.csv").write_text(TRACE)
    there = world().hash()
    (others / "set" / "net.csv").write_text(TRACE.replace("2,4", "2,44"))
    changed = world().hash()
    assert len({absent, there, changed}) == 3
    (others / "set" / "net.csv").unlink()
    assert world().hash() == absent


def test_a_saved_run_names_and_hashes_recordings_of_others_and_copies_none(world, others, tmp_path):
    (others / "set" / "net.csv").write_text(TRACE)
    results = Simulation(world()).run()
    saved = results.save(tmp_path / "run")
    assert not (saved / "traces").exists()
    assert TRACE not in "".join(p.read_text() for p in saved.iterdir() if p.suffix in (".yaml", ".json"))
    kept = Results.load(saved)
    digest = hashlib.sha256(TRACE.encode()).hexdigest()
    assert kept.provenance["inputs"] == [
        {"where": "links.uplink.bandwidth", "trace": "set/net.csv", "origin": "recorded", "sha256": digest}
    ]
    assert kept.meta["inputs"] == kept.summary()["inputs"] == ["links.uplink.bandwidth: set/net.csv (recorded)"]
    again = Scenario.load(saved / "scenario.yaml", world().library)
    assert Simulation(again).run().requests.equals(results.requests)
    (others / "set" / "net.csv").unlink()
    instead = Simulation(Scenario.load(saved / "scenario.yaml", world().library)).run()
    assert instead.provenance["inputs"][0]["sha256"] == "nowhere"
    assert instead.meta["run_id"] != results.meta["run_id"]


def test_a_saved_run_keeps_what_lies_beside_the_scenario(world, tmp_path):
    (tmp_path / "mine" / "net.csv").write_text(TRACE)
    results = Simulation(world({"trace": "net.csv", "otherwise": {"generate": "4g"}})).run()
    saved = results.save(tmp_path / "run")
    assert [file.read_text() for file in (saved / "traces").iterdir()] == [TRACE]
    shutil.rmtree(tmp_path / "mine")
    again = Simulation(Scenario.load(saved / "scenario.yaml", world().library)).run()
    assert again.requests["latency_s"].equals(results.requests["latency_s"])


def test_the_printed_table_says_it(offing, monkeypatch):
    monkeypatch.setenv("OFFING_DATA", "nowhere")
    code, out, _ = offing("run", "recorded/car_4g_handover", "--set", "until='10 s'")
    assert code == 0
    assert "synthetic 4g, since bandwidth/ghent-4g-lte/report_car_0002.json was not found" in out
    code, out, _ = offing(
        "run", "recorded/car_4g_handover", "--set", "until='10 s'", "--set", "replications=2", "--jobs", "1"
    )
    assert code == 0
    assert "inputs" in out


# -- the shipped scenarios -------------------------------------------------------------------------------------------

SHIPPED = ("car_4g_handover", "server_day", "outages_week")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_without_recordings(name, monkeypatch, tmp_path):
    monkeypatch.setenv("OFFING_DATA", str(tmp_path))
    check(name, Simulation(Scenario.load(f"recorded/{name}")).run(), "synthetic", "transferred")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_with_recordings(name, monkeypatch):
    monkeypatch.setenv("OFFING_DATA", str(recordings("bandwidth").parent))
    check(name, Simulation(Scenario.load(f"recorded/{name}")).run(), "(recorded)", None)


def check(name: str, results: Results, word: str, grade: str | None) -> None:
    assert len(results.meta["inputs"]) == 1
    assert word in results.meta["inputs"][0]
    networks = results.provenance["networks"]
    if name == "car_4g_handover":
        assert grade is None or {network["grade"] for network in networks.values()} == {grade}
        assert len(results.handovers) == 2
        assert results.requests["placement"].str.contains("mast-2").any()
    elif name == "server_day":
        assert results.requests["placement"].nunique() > 1
        assert results.requests["arrival_s"].max() > 80_000
    else:
        down = results.failures
        assert set(down["name"]) == {"edge"}
        assert len(down) > 5
        local = ~results.requests["placement"].str.contains("edge")
        assert 0.005 < local.mean() < 0.6


def test_waiting_for_the_repair_costs_more_than_going_on_at_the_device(monkeypatch, tmp_path):
    monkeypatch.setenv("OFFING_DATA", str(tmp_path))
    scenario = Scenario.load("recorded/outages_week").with_({"until": "2 d"})
    waits = Simulation(scenario.with_({"technique": {"kind": "server-only"}})).run().summary()
    goes = Simulation(scenario).run().summary()
    assert waits["latency_parts_s"]["recovery"] > 100 * goes["latency_parts_s"]["recovery"]
    assert goes["latency_p99_s"] < 1 < waits["latency_p99_s"]


def test_no_shipped_scenario_names_a_file_of_ours_that_is_not_there():
    for path in sorted(Path(library.shipped() / "recorded").glob("*.yaml")):
        for each in Scenario.load(path).inputs():
            assert each.path is not None or each.instead, path
