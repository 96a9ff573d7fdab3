"""Results: saved and loaded whole, and summed up as plain pandas would."""

from __future__ import annotations

import math
import os

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from simulator import Results, Simulation
from simulator.foundation.errors import ResultsError
from simulator.results import files
from simulator.results.record import BLOCK, TABLES, Recorder, RequestRow, Table
from simulator.techniques.min_latency import MinLatency
from simulator.testing import Seeded, random_world, tiny

CHANGES = {
    "workload.deadline": "250 ms",
    "workload.arrivals.rate": "4 /s",
    "warmup": "3 s",
    "until": "20 s",
    "dynamics": [{"kind": "failure", "node": "edge", "at": {"time": "5 s"}, "repair_after": "1 s"}],
}


@pytest.fixture(scope="module")
def results() -> Results:
    return Simulation(tiny(CHANGES)).run()


# -- summary -------------------------------------------------------------------------------------------------------


def nearest_rank(values: pd.Series, percent: int) -> float:
    """Return the smallest value that at least *percent* of all do not exceed."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else float("nan")


def by_pandas(frame: pd.DataFrame, warmup: float, until: float, deadline: float | None) -> dict:
    kept = frame[frame["arrival_s"] >= warmup]
    answered = kept.dropna(subset="finish_s")
    before_the_end = answered[answered["finish_s"] <= until]
    in_time = before_the_end[before_the_end["latency_s"] <= (math.inf if deadline is None else deadline)]
    return {
        "requests": len(kept),
        "outcomes": kept["outcome"].value_counts().to_dict(),
        "latency_mean_s": answered["latency_s"].mean(),
        **{f"latency_p{q}_s": nearest_rank(answered["latency_s"], q) for q in (50, 95, 99)},
        "throughput_per_s": len(before_the_end) / (until - warmup),
        "goodput_per_s": len(in_time) / (until - warmup),
        "request_device_energy_j": answered["device_energy_j"].mean(),
        "latency_parts_s": {
            part: answered[f"{part}_s"].mean()
            for part in ("queue", "compute", "transfer", "delay", "software", "recovery", "hold")
        },
        "placements": kept["placement"].value_counts().to_dict(),
    }


def assert_summary(results: Results) -> None:
    summary, meta = results.summary(), results.meta
    for key, value in by_pandas(results.requests, meta["warmup_s"], meta["until_s"], meta["deadline_s"]).items():
        assert summary[key] == pytest.approx(value, nan_ok=True), key
    nodes = results.nodes.set_index("node")
    assert summary["energy_j"] == pytest.approx(nodes["energy_j"].sum())
    assert summary["node_energy_j"] == nodes["energy_j"].to_dict()
    assert summary["node_utilisation"] == nodes["utilisation"].to_dict()
    assert sum(summary["latency_parts_s"].values()) == pytest.approx(summary["latency_mean_s"], nan_ok=True)


def test_the_summary_is_what_pandas_says(results):
    assert_summary(results)
    assert set(results.summary()["outcomes"]) == {"done", "late"}
    assert len(results.requests) > results.summary()["requests"]  # the warm-up is in the rows, not in the summary


@pytest.mark.parametrize("seed", range(6))
def test_of_random_worlds_too(seed):
    changes = {"drain": False, "warmup": "2 s"} if seed % 2 else {}
    assert_summary(Simulation(random_world(Seeded(seed)).with_technique(MinLatency()).with_(changes)).run())


def test_a_degraded_answer_may_be_late_as_well(results):
    columns = {**results.columns, "requests": dict(results.columns["requests"])}
    columns["requests"]["outcome"] = np.full(len(results.requests), "degraded", object)
    degraded = Results(columns, results.meta, "")
    assert (
        degraded.summary()["goodput_per_s"]
        == results.summary()["goodput_per_s"]
        < results.summary()["throughput_per_s"]
    )


def test_without_a_deadline_every_answer_is_good():
    summary = Simulation(tiny()).run().summary()
    assert summary["deadline_s"] is None
    assert summary["goodput_per_s"] == summary["throughput_per_s"] > 0


def test_nobody_asked():
    results = Simulation(tiny({"until": "1 us"})).run()
    summary = results.summary()
    assert (summary["requests"], summary["outcomes"], summary["throughput_per_s"]) == (0, {}, 0)
    assert math.isnan(summary["latency_p95_s"])
    assert list(results.requests.columns[4:]) == list(RequestRow._fields)


# -- frames --------------------------------------------------------------------------------------------------------


def test_frames_begin_with_who_they_are(results):
    for name in TABLES:
        frame = results.frame(name)
        assert list(frame.columns[:4]) == ["run_id", "scenario", "technique", "seed"]
        assert list(frame.columns[4:]) == list(TABLES[name]._fields)
        assert set(frame["technique"]) <= {"min-latency"}
    assert results.requests["arrival_s"].is_monotonic_increasing
    assert results.failures[["name", "kind", "down_s", "up_s"]].to_numpy().tolist() == [["edge", "node", 5, 6]]
    assert results.requests is results.requests  # made once
    assert_frame_equal(results.links, results.frame("links"))


def test_what_was_not_recorded_is_told():
    bare = Simulation(tiny({"record": "requests"})).run()
    with pytest.raises(
        ResultsError, match=r'no frame "spans" \(record: spans in the scenario switches it on\); it has: req'
    ):
        _ = bare.spans
    with pytest.raises(ResultsError, match=r'this run has no frame "rounds"; it has: requests, decisions, failures, '):
        bare.frame("rounds")


def test_rows_are_the_same_however_many_blocks_they_fill():
    for count in (0, 1, BLOCK, 2 * BLOCK + 3):
        table = Table(TABLES["failures"])
        rows = [(f"n{i}", "node", float(i), math.inf) for i in range(count)]
        for row in rows:
            table.add(row)
        assert len(table) == count
        columns = table.columns()
        assert list(zip(*(column.tolist() for column in columns.values()), strict=True)) == rows
        assert columns["down_s"].dtype == np.float64


def test_a_table_that_is_off_is_not_there():
    recorder = Recorder(spans=False)
    assert recorder.spans is None
    assert list(recorder.tables()) == ["requests", "decisions", "failures", "handovers", "nodes", "links"]


# -- files ---------------------------------------------------------------------------------------------------------


def test_what_is_loaded_is_what_was_saved(results, tmp_path):
    folder = results.save(tmp_path / "deep" / "run")
    again = Results.load(folder)
    for name in TABLES:
        assert_frame_equal(again.frame(name), results.frame(name))
    assert again.summary() == results.summary()
    assert (again.meta, again.provenance, again.scenario_text) == (
        results.meta,
        results.provenance,
        results.scenario_text,
    )
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["scenario.yaml", "meta.json", "provenance.json", *(f"{name}.parquet" for name in TABLES)]
    )
    assert [path.name for path in folder.parent.iterdir()] == ["run"]  # no draft is left


def test_the_same_run_gives_the_same_bytes(results, tmp_path):
    results.save(tmp_path / "one")
    Simulation(tiny(CHANGES)).run().save(tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_an_empty_folder_may_be_filled(results, tmp_path):
    (tmp_path / "run").mkdir()
    assert Results.load(results.save(tmp_path / "run")).meta == results.meta


def test_a_folder_that_holds_anything_is_not_touched(results, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    for force in (False, True):
        with pytest.raises(
            ResultsError, match="exists already; choose another --out, or --force to replace a saved run"
        ):
            results.save(tmp_path, force=force)
    assert (tmp_path / "mine.txt").read_text() == "precious"
    with pytest.raises(ResultsError, match="exists already"):
        results.save(tmp_path / "mine.txt", force=True)


def test_force_replaces_a_saved_run_and_nothing_else(results, tmp_path):
    results.save(tmp_path / "run")
    other = Simulation(tiny({"seed": 3})).run()
    with pytest.raises(ResultsError, match="exists already"):
        other.save(tmp_path / "run")
    assert Results.load(tmp_path / "run").meta["seed"] == 0
    other.save(tmp_path / "run", force=True)
    assert Results.load(tmp_path / "run").meta["seed"] == 3


def test_a_run_that_cannot_be_written_leaves_nothing(results, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(ResultsError, match=r"run: cannot be written: No space left on device"):
        results.save(tmp_path / "run")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written: "):
        results.save(tmp_path / "file" / "run")


@pytest.mark.parametrize("broken", ["meta.json", "provenance.json", "scenario.yaml", "requests.parquet"])
def test_a_folder_that_is_no_saved_run(results, tmp_path, broken):
    folder = results.save(tmp_path / "run")
    if broken.endswith(("json", "parquet")):
        (folder / broken).write_text("{")
    else:
        (folder / broken).unlink()
    with pytest.raises(ResultsError, match=r"run is not a saved run \(made with --out\): "):
        Results.load(folder)
    with pytest.raises(ResultsError, match="is not a saved run"):
        Results.load(tmp_path / "elsewhere")


def test_a_run_is_known_by_what_made_it(results):
    ids = {
        Simulation(tiny(changes), seed).run().meta["run_id"]
        for changes, seed in [({}, 0), ({}, 1), ({"until": "9 s"}, 0), ({"technique.kind": "device-only"}, 0)]
    }
    assert len(ids) == 4
    assert Simulation(tiny()).run().meta["run_id"] in ids
    provenance = results.provenance
    assert set(provenance) == {
        "offing",
        "model",
        "times",
        "hardware",
        "networks",
        "loads",
        "inputs",
        "told",
        "scenario_hash",
    }
    assert provenance["times"]["board"]["grade"] == "measured"
    assert provenance["hardware"]["rack"]["memory"]["grade"] == "guessed"
