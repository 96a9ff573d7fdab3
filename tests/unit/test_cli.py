"""The command line, called in this process: what stands on which stream, and the exit codes."""

from __future__ import annotations

import json

import jsonschema
import pytest

from simulator import Library, Results, Scenario, cli, run
from simulator.commands import run as run_module
from simulator.commands.tables import seconds
from simulator.profiles.library import shipped
from simulator.scenario.document import read_document
from simulator.techniques.registry import installed
from simulator.testing import Seeded, random_world, tiny

QUICK = "quick/split_inference"
SHORT = ("--set", "until=5 s")


def one_object(answer: tuple[int, str, str]) -> dict:
    """Return the object of a command with ``--json``: all of its standard output, and nothing on the other."""
    code, out, err = answer
    assert (code, err) == (0, "")
    found = json.loads(out)  # refuses anything before or after it
    assert isinstance(found, dict)
    return found


# -- run and show --------------------------------------------------------------------------------------------------


def test_run_prints_what_run_returns(offing):
    results = run(Scenario.load(QUICK).with_({"until": "5 s"}), seed=4)
    assert one_object(offing("run", QUICK, *SHORT, "--seed", "4", "--json")) == results.summary()


def test_run_without_json_prints_tables_and_nothing_on_the_other_stream(offing):
    code, out, err = offing("run", QUICK, *SHORT)
    assert (code, err) == (0, "")
    for text in ("quick split inference", "min-latency", "latency median", "goodput", "where a request's time went"):
        assert text in out


def test_settings_are_yaml_and_reach_the_scenario(offing):
    summary = one_object(
        offing("run", QUICK, *SHORT, "--set", "technique={kind: server-only}", "--set", "nodes.edge.slots=1", "--json")
    )
    assert summary["technique"] == "server-only"
    assert list(summary["placements"]) == ["edge 0-153"]
    assert one_object(offing("run", QUICK, *SHORT, "--set", "seed=9", "--json"))["seed"] == 9
    assert one_object(offing("run", QUICK, *SHORT, "--set", "seed=9", "--seed", "8", "--json"))["seed"] == 8


def test_show_is_run_once_more(offing, tmp_path):
    answer = offing("run", QUICK, *SHORT, "--out", "saved", "--timeline", "t.json", "--json")
    assert one_object(offing("show", "saved", "--json")) == one_object(answer)
    assert Results.load(tmp_path / "saved").meta["until_s"] == 5
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert offing("show", "saved")[1] == offing("run", QUICK, *SHORT)[1]


def test_where_it_was_saved_is_told_on_the_other_stream(offing):
    code, _, err = offing("run", QUICK, *SHORT, "--out", "saved")
    assert (code, err) == (0, "saved in saved\n")
    code, _, err = offing("run", QUICK, *SHORT, "--out", "saved")
    assert code == 2
    assert "saved exists already; choose another --out, or --force to replace a saved run" in err
    assert offing("run", QUICK, *SHORT, "--out", "saved", "--force", "--seed", "2")[0] == 0
    assert one_object(offing("show", "saved", "--json"))["seed"] == 2


def test_numbers_that_json_does_not_know_are_null(offing):
    summary = one_object(offing("run", QUICK, "--set", "until=1 us", "--json"))
    assert (summary["requests"], summary["latency_mean_s"]) == (0, None)
    assert offing("run", QUICK, "--set", "until=1 us")[0] == 0  # and the tables stand it too


def test_validate(offing):
    assert offing("validate", QUICK) == (
        0,
        f"{Scenario.load(QUICK).document.name} is valid: 2 nodes, 1 links, model mobilenet_v2 with 153 layers and "
        f"{len(Library().model('mobilenet_v2').cuts())} cuts, technique min-latency\n",
        "",
    )


# -- what is wrong ends with 2 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu", QUICK], 'no command named "rnu". Did you mean "run"? Commands: run, validate, show,'),
        (["run", "quick/split"], "quick/split: no such scenario file."),
        (["run", QUICK, "--set", "nodes.egde.slots=2"], "no 'egde' there. Did you mean \"edge\"?"),
        (["run", QUICK, "--set", "until"], "--set until: write PATH=VALUE"),
        (["run", QUICK, "--set", "until=["], "--set until=[: the value is not valid YAML"),
        (["validate", QUICK, "--set", "until=5"], "until: 5 has no unit"),
        (["validate", QUICK, "--set", "technique={kind: fixed-split, split_point: 999}"], 'is outside "mobilenet_v2"'),
        (["run", QUICK, "--seed", "-1"], "invalid value for '--seed'"),
        (["run"], "scenario"),
        (["show", "nowhere"], "nowhere is not a saved run (made with --out)"),
        (["run", QUICK, "--set", "record=requests", "--timeline", "t.json"], "a timeline needs the pieces of work"),
    ],
)
def test_wrong_input_ends_with_2_and_a_sentence(offing, arguments, said):
    code, out, err = offing(*arguments)
    assert (code, out) == (2, "")
    assert said.lower() in " ".join(err.replace("│", " ").split()).lower()
    assert "Traceback" not in err


def test_a_bug_is_not_called_wrong_input(offing, monkeypatch):
    def bug(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(run_module, "_load", bug)
    with pytest.raises(ZeroDivisionError):
        cli.main(["run", QUICK])


def test_stopping_it_is_said(offing, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "_load", stop)
    assert offing("run", QUICK) == (130, "", "Stopped; nothing was written.\n")


# -- what there is -------------------------------------------------------------------------------------------------


def test_help_and_version(offing):
    code, out, err = offing("--help")
    assert (code, err) == (0, "")
    assert all(verb.partition(".")[0] in out for verb in cli.verbs())
    assert offing("--version") == (0, "offing 0.1.0\n", "")
    assert "--timeline" in offing("run", "-h")[1]


def test_techniques(offing):
    listed = {row["name"]: row for row in one_object(offing("techniques", "--json"))["techniques"]}
    assert list(listed) == list(installed())
    assert listed["fixed-split"]["required"] == ["split_point"]
    assert listed["fixed-split"]["parameters"] == {"split_point": None, "server": None}
    assert listed["min-latency"]["what"] == "Take the placement of least estimated latency."
    code, out, _ = offing("techniques")
    assert code == 0
    assert "split_point (required), server=None" in out


def test_models(offing):
    listed = one_object(offing("models", "--json"))["models"]
    assert [(row["model"], row["input"], row["batch"], row["hardware"]) for row in listed] == Library().profiles()
    vgg16 = next(row for row in listed if row["model"] == "vgg16")
    assert vgg16["parameters_mb"] == pytest.approx(138_357_544 * 4 / 1e6, rel=1e-4)  # as its paper counts them
    assert 30 < vgg16["gflop"] < 32
    assert "vgg16" in offing("models")[1]


def test_hardware(offing):
    listed = {row["name"]: row for row in one_object(offing("hardware", "--json"))["hardware"]}
    assert list(listed) == Library().hardware_names()
    assert listed["raspberry-pi-4"]["memory_gib"] == 4
    assert (listed["raspberry-pi-4"]["profiled"], listed["raspberry-pi-4"]["rates"]) == (0, "transferred")
    profiled = {row[0] for row in Library().profiles() if row[3] == "epyc-zen5-1t"}
    assert listed["epyc-zen5-1t"]["profiled"] == len(profiled)
    assert "raspberry-pi-4" in offing("hardware")[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.345, "12.35 s"),
        (0.0123, "12.3 ms"),
        (4.2e-5, "42 us"),
        (0, "0 s"),
        (float("nan"), "-"),
        (None, "-"),
        (1e-9, "1e-09 s"),
    ],
)
def test_times_have_a_unit_that_fits(value, text):
    assert seconds(value) == text


# -- the schema ----------------------------------------------------------------------------------------------------


@pytest.fixture
def schema(offing):
    found = one_object(offing("schema"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def test_every_shipped_scenario_fits_the_schema(schema):
    files = sorted(shipped().glob("quick/*.yaml"))
    assert len(files) >= 4
    for path in files:
        schema.validate(read_document(path).data)


@pytest.mark.parametrize("seed", range(10))
def test_random_scenarios_fit_it_too(schema, seed):
    schema.validate(random_world(Seeded(seed)).document.data)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "tiny", "input": 224}}, {"model": {"name": "tiny", "input": "224"}},
        {"nodes.edge.load": 0.4}, {"nodes.edge.load": "40 %"}, {"nodes.edge.load": {"trace": "busy_server_cpu.csv"}},
        {"knowledge": {"profile": {"error": 0.1}, "bandwidth": {"ewma": 0.3}}},
        {"knowledge.profile": {"error": "10 %"}},
    ],
)  # fmt: skip
def test_what_may_be_written_in_two_ways_fits_in_both(schema, changes):
    schema.validate(tiny(changes).document.data)


@pytest.mark.parametrize(
    ("key", "value"),
    [("until", 10), ("sead", 1), ("nodes", {}), ("model", 5), ("workload", {"kind": "inference"}), ("drain", "maybe")],
)
def test_what_is_wrong_does_not_fit(schema, key, value):
    with pytest.raises(jsonschema.ValidationError):
        schema.validate({**tiny().document.data, key: value})


def test_the_schema_says_what_things_mean(schema):
    nodes = schema.schema["$defs"]["NodeEntry"]["properties"]
    assert nodes["load"]["default"] == "0 %"
    assert nodes["slots"]["description"].startswith("Requests served at once")
    assert schema.schema["properties"]["until"]["examples"] == ["100 ms"]
