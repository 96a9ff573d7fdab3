"""Scenarios as values: changed by path, hashed, written and read again as the same run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from simulator import Scenario, ScenarioError, Simulation, Technique, run
from simulator.foundation.units import Seconds
from simulator.profiles.placement import Placement
from simulator.scenario.document import read_document
from simulator.techniques.device_only import DeviceOnly
from simulator.techniques.fixed_split import FixedSplit
from simulator.techniques.min_latency import MinLatency
from simulator.testing import Seeded, random_world, tiny


def refused(call, *arguments) -> str:
    with pytest.raises(ScenarioError) as caught:
        call(*arguments)
    return str(caught.value)


# -- with_ ---------------------------------------------------------------------------------------------------------


def test_a_change_is_a_change_of_the_document_validated_again():
    before = tiny()
    after = before.with_({"links.uplink.bandwidth": "8 Mbit/s", "nodes.edge.slots": 3, "knowledge.load": "none"})
    assert after.entry.links["uplink"].bandwidth.trace.constant == 1e6
    assert (after.entry.nodes["edge"].slots, after.entry.knowledge.load) == (3, "none")
    assert before.document.data == tiny().document.data  # and of a copy
    assert refused(before.with_, {"nodes.edge.slots": 0}) == "scenario: nodes.edge.slots: 0 came; it must be 1 or more"


def test_paths_into_lists_and_short_forms():
    failing = tiny({"dynamics": [{"kind": "failure", "node": "edge", "at": {"time": "1 s"}}]})
    assert failing.with_({"dynamics.0.at.time": "2 s"}).entry.dynamics[0].at.time == 2
    assert tiny({"workload.sources.0": "pi"}).entry.workload.sources == ("pi",)
    assert tiny({"model.input": 224}).entry.model.input == "224"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nodes.egde.slots", "scenario: nodes.egde.slots: no 'egde' there. Did you mean \"edge\"? Known: pi, edge"),
        ("until.now", "scenario: until.now: until has no parts to set"),
        ("until.right.now", "scenario: until.right.now: until has no parts to set"),
        ("workload.sources.7", "scenario: workload.sources.7: workload.sources has no parts to set"),
        ("nods", 'scenario: nods: unknown key. Did you mean "nodes"? Known here: name, seed,'),
    ],
)
def test_a_path_that_leads_nowhere(path, sentence):
    assert refused(tiny().with_, {path: "5 s"}).startswith(sentence)


class Patient(Technique):
    """Not registered anywhere."""

    patience: Seconds = 1.0

    def place(self, view, request=None):
        return Placement.whole("edge", len(view.model))


def test_a_change_keeps_a_technique_that_no_name_leads_to():
    mine = tiny().with_technique(Patient(patience=2.0))
    assert mine.with_({"until": "5 s"}).technique == Patient(patience=2.0)
    assert mine.with_({"technique": {"kind": "device-only"}}).technique == DeviceOnly()
    assert run(tiny(), Patient(), seed=7).meta["seed"] == 7


# -- with_technique ------------------------------------------------------------------------------------------------


def test_a_technique_is_written_with_units_and_without_its_defaults():
    assert tiny().with_technique(Patient(patience=0.25)).document.data["technique"] == {
        "kind": "Patient", "patience": "0.25 s",
    }  # fmt: skip
    assert tiny().with_technique(MinLatency()).document.data["technique"] == {"kind": "min-latency"}
    split = tiny().with_technique(FixedSplit(split_point=2))
    assert split.document.data["technique"] == {"kind": "fixed-split", "split_point": 2}
    assert Scenario.from_dict(split.document.data, split.library).technique == FixedSplit(split_point=2)


# -- from_dict, hash, text -----------------------------------------------------------------------------------------


def test_from_dict_takes_a_copy_and_asks_for_units():
    data = dict(tiny().document.data)
    scenario = Scenario.from_dict(data, tiny().library)
    data["nodes"]["edge"]["slots"] = 9
    assert scenario.document.data["nodes"]["edge"].get("slots") is None
    assert 'scenario: until: 10 has no unit; write e.g. "100 ms"' in refused(Scenario.from_dict, {**data, "until": 10})


def test_all_that_is_missing_is_told_at_once():
    problems = refused(Scenario.from_dict, {}).splitlines()
    assert [problem.split(": ")[1] for problem in problems] == [
        "name", "until", "model", "nodes", "workload", "technique",
    ]  # fmt: skip
    assert problems[-1].endswith("offing techniques lists them); write e.g. technique: {kind: min-latency}")


def test_the_hash_is_of_what_is_said_but_the_seed():
    plain = tiny().hash()
    assert len(plain) == 12
    assert tiny({"seed": 5}).hash() == tiny().hash() == plain
    changes = [{"until": "11 s"}, {"nodes.edge.slots": 2}, {"technique.kind": "device-only"}, {"name": "other"}]
    assert len({plain, *(tiny(change).hash() for change in changes)}) == 1 + len(changes)


def reread(scenario: Scenario, folder) -> Scenario:
    path = folder / "again.yaml"
    path.write_text(scenario.text(), encoding="utf-8")
    return Scenario.of(read_document(path), scenario.library)


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_a_scenario_written_and_read_again_is_the_same_run(tmp_path_factory, seed):
    before = random_world(Seeded(seed)).with_technique(MinLatency())
    after = reread(before, tmp_path_factory.mktemp("again"))
    assert after.technique == before.technique
    one, other = Simulation(before).run(), Simulation(after).run()
    for name in one.columns:
        identity = ["run_id", "scenario", "technique", "seed"]
        assert_frame_equal(one.frame(name).drop(columns=identity), other.frame(name).drop(columns=identity))


def test_the_text_says_the_defaults_that_matter(tmp_path):
    data = reread(tiny(), tmp_path).document.data
    assert (data["seed"], data["drain"], data["variability"], data["record"]) == (0, True, "measured", "spans")
    assert data["knowledge"] == {"bandwidth": "oracle", "load": "oracle", "profile": "measured", "queues": "none"}
    assert tiny({"knowledge.load": "none"}).text().count("load: none") == 1


# -- where scenarios are found -------------------------------------------------------------------------------------


def test_a_scenario_is_found_by_path_or_by_name(tmp_path):
    by_name = Scenario.load("quick/split_inference")
    assert Scenario.load("quick/split_inference.yaml").hash() == by_name.hash()
    assert Scenario.load(by_name.document.path).hash() == by_name.hash()
    assert by_name.where("until").endswith("split_inference.yaml:4: until")
    assert refused(Scenario.load, tmp_path) == f"{tmp_path}: is a folder; a scenario is a YAML file"
    sentence = refused(Scenario.load, "quick/split_inferense")
    assert sentence.startswith('quick/split_inferense: no such scenario file. Did you mean "quick/split_inference"?')
    assert "hardware" not in sentence  # machines are YAML too, but no scenarios


def test_a_technique_s_parameters_are_checked_at_their_line(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        tiny({"technique": {"kind": "fixed-split", "split_point": 1}}).text().replace("split_point", "split")
    )
    problems = refused(Scenario.load, path, tiny().library).splitlines()
    number = 1 + path.read_text().splitlines().index("  split: 1")
    assert any(f"s.yaml:{number}: technique.split: unknown key." in problem for problem in problems)
    assert any("technique.split_point: is missing; add it" in problem for problem in problems)
