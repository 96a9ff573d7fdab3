"""The profiles and hardware that come with the project keep what their formats promise. No torch needed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import median

import pytest
import yaml

from calibration import ZOO
from simulator.profiles.hardware import GRADES, read_hardware
from simulator.profiles.library import Library, read_profile, shipped

MEASURED = shipped() / "profiles" / "epyc-zen5-1t"
PROFILES = sorted(path for path in MEASURED.glob("*_b*.csv") if not path.name.endswith(".repeats.csv"))
HARDWARE = sorted((shipped() / "hardware").glob("*.yaml"))
MACHINE = json.loads((MEASURED / "machine.json").read_text(encoding="utf-8"))
TICK = MACHINE["tick_overhead_ns"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_model_of_the_zoo_is_shipped_at_its_usual_input():
    assert [path.stem for path in PROFILES] == sorted(f"{name}_{recipe.tag}_b1" for name, recipe in ZOO.items())
    assert sorted(MACHINE["profiles"]) == [path.stem for path in PROFILES]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_layers_add_up_to_the_whole_within_three_percent(path):
    entry = MACHINE["profiles"][path.stem]
    assert abs(entry["additivity"]) <= 0.03
    total = sum(max(0, int(row["fwd_cpu_ns"]) - TICK) for row in rows_of(path))
    assert total == pytest.approx(entry["plain_cpu_ns"], rel=0.03)
    assert entry["flags"] == []
    assert entry["grade"] == "measured"


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_repeats_fit_the_table(path):
    repeats = path.with_name(f"{path.stem}.repeats.csv")
    assert repeats.stat().st_size <= 60_000
    runs = rows_of(repeats)
    assert len(runs) == MACHINE["profiles"][path.stem]["repeats"] == 31
    for row in rows_of(path):
        assert int(row["fwd_cpu_ns"]) == round(median(int(run[row["node"]]) for run in runs))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_the_table_weighs_what_the_model_weighs(path):
    rows = rows_of(path)
    assert sum(int(row["params"]) for row in rows) == ZOO[rows[0]["model"]].parameters
    assert {row["schema_version"] for row in rows} == {"1"}
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
