"""Hardware files: every number with its unit and its evidence, or an error that names the key."""

from __future__ import annotations

import copy
import json
import re

import pytest
import yaml
from rich.console import Console

from analysis import compare
from analysis.figures import differences
from analysis.subject import Subject
from simulator import Library, Results, Scenario, run
from simulator.commands.tables import summary_tables
from simulator.foundation.errors import ProfileError
from simulator.profiles.hardware import OperatorRate, Rates, Software, read_hardware, worst
from simulator.profiles.library import shipped
from simulator.techniques.device_only import DeviceOnly
from simulator.techniques.server_only import ServerOnly
from simulator.testing import machine

PI = shipped() / "hardware" / "raspberry-pi-4.yaml"
GONE = object()


@pytest.fixture
def altered(tmp_path):
    """Write the Pi's file with one value changed (or taken away) and return its path."""

    def write(dotted, value):
        data = copy.deepcopy(yaml.safe_load(PI.read_text()))
        *parents, last = dotted.split(".")
        here = data
        for key in parents:
            here = here[key]
        if value is GONE:
            del here[last]
        else:
            here[last] = value
        path = tmp_path / "pi.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    return write


FACTS = {
    "memory": "2 GiB", "power.idle": "5 W", "power.busy": "5 W", "radio.transmit": "5 W", "radio.receive": "5 W",
    "cold.cost": "5 ms", "cold.after": "5 ms", "software.message": "5 ms", "software.byte": "1.3 ms/MB",
}  # fmt: skip


@pytest.mark.parametrize("key", FACTS)
def test_no_number_is_silently_zero(altered, key):
    for dotted in (key, f"{key}.grade", f"{key}.source", f"{key}.value"):
        with pytest.raises(ProfileError) as caught:
            read_hardware(altered(dotted, GONE))
        example = FACTS[key]
        assert str(caught.value).endswith(f'pi.yaml: {key} needs {{value: "{example}", grade: ..., source: ...}}')


def test_what_waking_takes_may_be_unknown_but_not_half_told(altered):
    told = {"value": "0.5 ms", "grade": "measured", "source": "stopwatch"}
    assert read_hardware(altered("cold.cost.value", "5 ms")).wake is None
    known = read_hardware(altered("cold.wake", told))
    assert known.wake.value == pytest.approx(5e-4)
    assert "cold.wake" in known.numbers()
    with pytest.raises(ProfileError, match=r"cold\.wake needs \{value"):
        read_hardware(altered("cold.wake", {"value": "0.5 ms"}))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("memory.value", "4", 'memory: 4 has no unit; write e.g. "2 GiB"'),
        ("power.idle.value", "4 ms", "power.idle: \"ms\" is not a unit of power in '4 ms'."),
        (
            "power.busy.grade",
            "rumoured",
            "power.busy.grade: 'rumoured' is none of measured, transferred, published, guessed",
        ),
        ("cold.cost.value", "-1 ms", "cold.cost: -1 ms is out of range: a duration is zero or more"),
        ("rates.launch", "fast", "rates.launch: 'fast' is not a duration"),
        (
            "rates.operators.conv.compute",
            "22 GFLOP",
            'rates.operators.conv.compute: "GFLOP" is not a unit of compute rate',
        ),
        ("rates.operators.norm.memory", "0 B/s", "rates.operators.norm.memory: 0 B/s is out of range"),
        ("rates.grade", "rumoured", "rates.grade: 'rumoured' is none of measured,"),
        ("rates.launch", GONE, "rates need grade, source, launch and operators; missing 'launch'"),
        ("rates.source", GONE, "rates need grade, source, launch and operators; missing 'source'"),
        ("rates.operators.conv", "22 GFLOP/s", "rates.operators: write each as conv: {compute: 10 GFLOP/s}"),
        ("rates", "fast", "rates.operators: write each as conv: {compute: 10 GFLOP/s}"),
        ("name", GONE, "a hardware file is a mapping with a name"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(altered, key, value, sentence):
    with pytest.raises(ProfileError) as caught:
        read_hardware(altered(key, value))
    assert f"pi.yaml: {sentence}" in str(caught.value)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"- a list"])
def test_what_is_no_hardware_file(tmp_path, content):
    path = tmp_path / "pi.yaml"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=r"pi\.yaml: (cannot be read|a hardware file is a mapping)"):
        read_hardware(path)
    with pytest.raises(ProfileError, match=r"no\.yaml: cannot be read"):
        read_hardware(tmp_path / "no.yaml")


def test_the_numbers_are_si_and_keep_their_evidence():
    pi = read_hardware(PI)
    assert (pi.memory.value, pi.memory.grade) == (4 * 2**30, "published")
    assert pi.cold.value == pytest.approx(3e-3)
    assert pi.byte.value == pytest.approx(2.6e-9)
    assert pi.software.seconds(1e6) == pytest.approx(0.9e-3 + 2.6e-3)
    assert pi.rates is not None
    assert pi.rates.operators["conv"] == OperatorRate(22.3e9, 0.473e9)
    assert set(pi.facts()) == {key.split(".")[-1] for key in FACTS} - {"cost", "after"} | {"cold", "rest"}
    assert all(fact.source for fact in pi.facts().values())


@pytest.mark.parametrize("name", Library().hardware_names())
def test_every_shipped_machine_is_called_as_its_file(name):
    assert Library().hardware(name).name == name


def test_the_formula_by_hand():
    rates = Rates(0.001, {"conv": OperatorRate(1e9, 1e6), "pool": OperatorRate(memory=1e6)}, "guessed", "")
    assert rates.seconds("conv", 2e9, 3e6, "") == 0.001 + 2 + 3
    assert rates.seconds("pool", 2e9, 3e6, "") == 0.001 + 3  # a term without a rate is not there
    assert rates.seconds("reshape", 2e9, 3e6, "") == rates.seconds("input", 2e9, 3e6, "") == 0
    with pytest.raises(ProfileError, match=r'^here: no rate for operator class "linear" \(known here: conv, pool\)$'):
        rates.seconds("linear", 1, 1, "here")


def test_software_costs_a_message_and_its_bytes():
    assert Software(0.25, 0.5).seconds(6) == 3.25
    assert Software().seconds(1e9) == 0


def test_a_result_is_as_good_as_its_worst_number():
    assert worst({"measured", "guessed", "published"}) == "guessed"
    assert worst({"measured", "transferred"}) == "transferred"
    assert worst(set()) == "measured"


def test_a_machine_for_tests_has_no_other_numbers():
    assert machine("m", idle=2.0).idle.value == 2.0
    with pytest.raises(TypeError, match="a machine has no speed; it has memory, idle, busy,"):
        machine("m", speed=2.0)


# -- the grade follows every number into results ------------------------------------------------------------------


def graded(altered, operators):
    """Return the Pi's hardware with these operators' rates."""
    return read_hardware(altered("rates.operators", operators))


CONV, GUESS = {"compute": "1 GFLOP/s"}, {"compute": "2 GFLOP/s", "grade": "guessed", "source": "by eye"}


def test_a_class_may_have_evidence_of_its_own_and_only_who_uses_it_is_graded_by_it(altered):
    rates = graded(altered, {"conv": CONV, "depthwise": GUESS}).rates
    assert rates.grade_of(["conv", "conv", "input"]) == "transferred"
    assert rates.grade_of(["conv", "depthwise"]) == "guessed"
    model = Library().model("vgg16")  # no depthwise layers
    nano = Library().hardware("jetson-nano")
    assert model.times_on(nano).grade == "transferred"
    assert Library().model("mobilenet_v2").times_on(nano).grade == "guessed"


@pytest.mark.parametrize("wrong", [{"grade": "guessed"}, {"source": "by eye"}, {"grade": "good", "source": "by eye"}])
def test_a_class_has_both_grade_and_source_or_neither(altered, wrong):
    with pytest.raises(ProfileError, match=r"rates.operators.conv needs a source and a grade, one of measured"):
        graded(altered, {"conv": CONV | wrong})


@pytest.mark.parametrize("name", Library().hardware_names())
def test_every_number_of_the_file_is_told_with_its_evidence(name):
    data = yaml.safe_load((shipped() / "hardware" / f"{name}.yaml").read_text())
    numbers = Library().hardware(name).numbers()
    written = {key for key, entry in flat(data) if isinstance(entry, dict) and "value" in entry} | {"rates.launch"}
    written |= {f"rates.operators.{op}.{kind}" for op, rate in data["rates"]["operators"].items() for kind in rate}
    assert {key for key in written if not key.endswith((".grade", ".source"))} == set(numbers)
    assert all(fact.grade and fact.source.strip() for fact, _ in numbers.values())


def flat(data, prefix=""):
    """Yield every mapping of a file with its place."""
    for key, entry in data.items():
        if isinstance(entry, dict):
            yield f"{prefix}{key}", entry
            yield from flat(entry, f"{prefix}{key}.")


def test_the_command_lists_all_machines_and_tells_one_in_full(offing):
    listed = json.loads(offing("hardware", "--json")[1])["hardware"]
    assert [row["name"] for row in listed] == Library().hardware_names()
    assert {row["name"]: row["rates"] for row in listed}["raspberry-pi-3-backsolved"] == "guessed"
    told = json.loads(offing("hardware", "raspberry-pi-4", "--json")[1])
    assert told["numbers"]["rates.operators.depthwise.compute"]["value"] == pytest.approx(1.78e9)
    assert told["numbers"]["power.idle"] == {
        "value": 1.6, "unit": "W", "grade": "published", "source": "wall power at rest, geerlingguy/sbc-reviews",
    }  # fmt: skip
    said = offing("hardware", "raspberry-pi-4")[1]
    for words in ("1.78 GFLOP/s", "1.51 ms", "4 GiB", "2.6 ms/MB", "guessed", "published"):
        assert words in said
    assert offing("hardware", "raspberry-pi-9")[0] == 2


def test_a_run_on_guessed_hardware_says_so_in_its_tables_and_figures(tmp_path):
    scenario = Scenario.load("quick/split_inference")
    guessed = scenario.with_({"nodes.edge.hardware": "cloud-gpu-t4"})
    results = run(guessed)
    assert results.summary()["grade"] == "guessed"
    results.save(tmp_path / "saved")
    assert Results.load(tmp_path / "saved").summary()["grade"] == "guessed"
    assert "evidence: guessed" in Subject(results).caption()
    assert "evidence: guessed" in Subject(guessed).caption()
    console = Console(record=True, width=150)
    for table in summary_tables(results.summary()):
        console.print(table)
    said = console.export_text()
    assert re.search(r"evidence +guessed +the weakest grade among the layer times used", said)
    assert re.search(r"energy .*\(power guessed\)", said)


def test_a_comparison_on_guessed_hardware_says_so_in_table_json_and_figure(offing):
    guess = ("--set", "nodes.edge.hardware=cloud-gpu-t4", "--set", "until=5 s", "--seeds", "2")
    given = ("compare", "quick/split_inference", "device-only", "server-only", *guess)
    assert "evidence: guessed, the weakest grade among the layer times used" in offing(*given)[1]
    assert json.loads(offing(*given, "--json")[1])["grade"] == "guessed"
    scenario = Scenario.load("quick/split_inference").with_({"nodes.edge.hardware": "cloud-gpu-t4", "until": "5 s"})
    assert "evidence: guessed" in differences.caption(compare(scenario, DeviceOnly(), ServerOnly(), seeds=2))
