"""The profiles and hardware that come with the project keep what their formats promise. No torch needed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import mean, median

import pytest
import yaml

from calibration import ZOO, fit_rates
from calibration.devices.fit import as_yaml_rates, errors_by_operator, leave_one_out, samples_of_profile
from calibration.zoo import cells
from simulator import Scenario, run
from simulator.profiles.hardware import GRADES, read_hardware
from simulator.profiles.library import Library, shipped
from simulator.profiles.profile_files import read_profile

MEASURED = shipped() / "profiles" / "epyc-zen5-1t"
PROFILES = sorted(path for path in MEASURED.glob("*_b*.csv") if path.name.count(".") == 1)  # not what lies beside one
MODELS = sorted({path.stem.rsplit("_", 2)[0] for path in PROFILES})
HARDWARE = sorted((shipped() / "hardware").glob("*.yaml"))
MACHINE = json.loads((MEASURED / "machine.json").read_text(encoding="utf-8"))
BATCHES = (1, 2, 4, 8, 16, 32)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_what_is_shipped_belongs_to_the_standard_zoo_and_is_whole():
    standard = {
        f"{cell.recipe.name}_{cell.recipe.tag}_b{batch}" for cell in cells("standard") for batch in cell.batches
    }
    assert {path.stem for path in PROFILES} <= standard
    assert {f"{name}_32_b{batch}" for name in ("vgg5", "vgg8") for batch in BATCHES} <= {path.stem for path in PROFILES}
    assert sorted(MACHINE["profiles"]) == [path.stem for path in PROFILES]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_layers_add_up_to_the_whole_within_three_percent(path):
    entry = MACHINE["profiles"][path.stem]
    assert abs(entry["additivity"]) <= 0.03
    (times,) = read_profile(path).measured.values()
    assert sum(times.seconds) == pytest.approx(entry["plain_cpu_ns"] * 1e-9, rel=0.03)
    assert sum(times.seconds) == pytest.approx(entry["sum_cpu_ns"] * 1e-9, rel=1e-3)  # medians of 31 are whole
    assert (entry["repeats"], entry["clock"]) == (31, "cpu")
    assert entry["flags"] == []
    assert entry["grade"] == "measured"


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_knows_its_load_and_first_call(path):
    (times,) = read_profile(path).measured.values()
    entry = MACHINE["profiles"][path.stem]
    assert entry["starts"] == 5
    assert entry["first_call_ns"] > entry["warm_call_ns"] > 0
    assert 1e-3 < times.load < 1
    assert 0 < times.first_call < 1
    # A few calls in, on a machine that wanders between two paces: the bounds are those of a wrong unit or model.
    assert 0.5 < entry["warm_call_ns"] / entry["plain_cpu_ns"] < 3


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_repeats_fit_the_table(path):
    repeats = path.with_name(f"{path.stem}.repeats.csv")
    assert repeats.stat().st_size <= 100_000
    runs = rows_of(repeats)
    assert len(runs) == MACHINE["profiles"][path.stem]["repeats"] == 31
    for row in rows_of(path):
        assert int(row["fwd_cpu_ns"]) == round(median(int(run[row["node"]]) for run in runs))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_the_table_weighs_what_the_model_weighs(path):
    rows = rows_of(path)
    assert sum(int(row["params"]) for row in rows) == ZOO[rows[0]["model"]].parameters
    assert {row["schema_version"] for row in rows} <= {"1", "2"}
    assert [int(row["idx"]) for row in rows] == list(range(len(rows)))
    assert "other" not in {row["operator"] for row in rows}
    assert all(int(row["fwd_p90_ns"]) >= int(row["fwd_ns"]) for row in rows)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_what_crosses_a_cut_is_the_same_to_the_profiler_and_to_the_simulator(path):
    cuts = {cut.index: (len(cut.tensors), cut.bytes) for cut in read_profile(path).cuts()}
    for row in rows_of(path):
        if row["cut_ok"] == "1":
            assert cuts[int(row["idx"])] == (int(row["live_n"]), int(row["live_bytes"])), row["node"]


def test_the_machine_file_tells_no_paths_or_hosts():
    text = json.dumps(MACHINE)
    assert '"/' not in text
    assert MACHINE["machine"]["threads"] == 1
    assert "malloc" in MACHINE["profiles"]["vgg16_224_b1"]


@pytest.mark.parametrize("path", HARDWARE, ids=lambda path: path.stem)
def test_hardware_files_parse_and_every_number_has_a_source(path):
    hardware = read_hardware(path)
    assert hardware.name == path.stem
    assert hardware.title
    for name, fact in hardware.facts().items():
        assert fact.grade in GRADES, name
        assert len(fact.source) > 10, name
        assert fact.grade != "guessed" or "not measured" in fact.source or "common" in fact.source, name
    if hardware.rates is not None:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["rates"]["source"]


@pytest.mark.parametrize("name", ["vgg5", "vgg8"])
def test_batches_take_longer_but_less_than_in_proportion_and_weigh_in_proportion(name):
    models = [Library().model(name, batch=batch) for batch in BATCHES]
    seconds = [sum(model.measured["epyc-zen5-1t"].seconds) for model in models]
    assert seconds == sorted(seconds)
    for batch, model, total in zip(BATCHES, models, seconds, strict=True):
        assert total < 1.1 * batch * seconds[0]
        assert [layer.flops for layer in model.layers] == [batch * layer.flops for layer in models[0].layers]
        assert [cut.bytes for cut in model.cuts()] == [batch * cut.bytes for cut in models[0].cuts()]


@pytest.mark.parametrize(("batch", "grade"), [(8, "measured"), (12, "transferred")])
def test_a_scenario_runs_in_batches_that_were_measured_and_between_them(batch, grade):
    changes = {"model": "vgg5", "workload.batch": batch, "nodes.pi.hardware": "epyc-zen5-1t", "until": "5 s"}
    results = run(Scenario.load("quick/split_inference").with_(changes))
    assert set(results.requests["outcome"]) == {"done"}
    times = Library().model("vgg5", batch=batch).measured["epyc-zen5-1t"]
    assert times.grade == grade
    runs, cold = [sum(repeat) for repeat in times.repeats], Library().hardware("epyc-zen5-1t").cold.value
    assert results.requests["compute_s"].between(min(runs) * (1 - 1e-9), (max(runs) + cold) * (1 + 1e-9)).all()
    low, high = (sum(Library().model("vgg5", batch=b).measured["epyc-zen5-1t"].seconds) for b in (8, 16))
    assert sum(times.seconds) == pytest.approx(low + (batch - 8) / 8 * (high - low))


def test_the_rates_of_the_measured_machine_are_the_fit_and_say_how_far_off_they_are():
    hardware = Library().hardware("epyc-zen5-1t")
    models = [Library().model(name, batch=1) for name in Library().model_names()]
    samples = [sample for model in models for sample in samples_of_profile(model, hardware.name)]
    file = yaml.safe_load((shipped() / "hardware" / "epyc-zen5-1t.yaml").read_text(encoding="utf-8"))
    fit = fit_rates(samples)
    assert {key: file["rates"][key] for key in ("launch", "operators")} == as_yaml_rates(fit)
    source = " ".join(file["rates"]["source"].split())
    totals = [error.total for error in leave_one_out(samples).values()]
    spread = f"({min(totals):+.1%} to {max(totals):+.1%})"
    told = f"leaving one model out, end to end MAPE {mean(map(abs, totals)):.1%} {spread}"
    assert told.replace("%", " %") in source
    for name, error in errors_by_operator(fit, samples).items():
        assert f"{name} {error.mape:.0%}".replace("%", " %") in source
    assert hardware.rates.grade == "transferred"


@pytest.mark.parametrize("name", MODELS)
def test_a_measured_model_can_be_predicted_too_and_the_measurement_comes_first(name):
    hardware, model = Library().hardware("epyc-zen5-1t"), Library().model(name)
    measured, predicted = model.times_on(hardware), model.predicted_on(hardware)
    assert (measured.grade, predicted.grade) == ("measured", "transferred")
    ratio = sum(predicted.seconds) / sum(measured.seconds)
    assert 0.7 < ratio < 1.4  # in sample
    assert predicted.load == pytest.approx(measured.load * ratio)
    by_hand = sum(
        hardware.rates.launch
        + (layer.flops / rate.compute if rate.compute else 0)
        + ((layer.in_bytes + layer.out_bytes + layer.param_bytes) / rate.memory if rate.memory else 0)
        for layer in model.layers
        if (rate := hardware.rates.operators.get(layer.operator)) is not None
    )
    assert sum(predicted.seconds) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("name", "macs"),
    [  # torchvision's documentation ("GFLOPS" there are multiply-adds), two digits after the point
        ("alexnet", 0.71),
        ("resnet18", 1.81),
        ("resnet50", 4.09),
        ("vgg16", 15.47),
        ("mobilenet_v2", 0.30),
        ("mobilenet_v3_large", 0.22),
        ("densenet121", 2.83),
    ],
)
def test_the_work_is_as_published(name, macs):
    flops = sum(layer.flops for layer in Library().model(name, "224").layers)
    assert flops / 2e9 == pytest.approx(macs, abs=0.006)


def test_every_shipped_model_has_times_on_every_shipped_machine():
    library = Library()
    for name in library.hardware_names():
        for model in library.model_names():
            times = library.model(model).times_on(library.hardware(name))
            assert sum(times.seconds) > 0


def test_the_pi_is_slower_than_the_server_core_and_more_so_for_depthwise_layers():
    library = Library()

    def seconds(model: str, machine: str) -> float:
        return sum(library.model(model).times_on(library.hardware(machine)).seconds)

    slowdown = {m: seconds(m, "raspberry-pi-4") / seconds(m, "epyc-zen5-1t") for m in ("vgg16", "mobilenet_v2")}
    assert 1 < slowdown["vgg16"] < slowdown["mobilenet_v2"]
