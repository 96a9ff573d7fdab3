"""Replications: the same runs whatever the number of processes, one value each, saved whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support import Fixed

from simulator import Placement, Results, ScenarioError, Simulation, Technique, replicate
from simulator.foundation.errors import ResultsError
from simulator.results.replications import across
from simulator.testing import Seeded, random_world, tiny

WORLD = {"seed": 5, "replications": 4, "warmup": "mser-5", "until": "20 s", "workload.arrivals.rate": "4 /s"}
QUICK = "quick/split_inference"
SHORT = ("--set", "until=10 s", "--set", "replications=3")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def runs() -> list[Results]:
    return replicate(tiny(WORLD), jobs=1)


# -- the runs ------------------------------------------------------------------------------------------------------


def test_each_is_the_run_of_its_seed_and_no_other(runs, tmp_path):
    assert [run.meta["seed"] for run in runs] == [5, 6, 7, 8]
    for run in runs:
        seed = run.meta["seed"]
        alone = Simulation(tiny(WORLD).with_({"seed": seed, "replications": 1})).run()
        assert contents(run.save(tmp_path / f"a{seed}")) == contents(alone.save(tmp_path / f"b{seed}"))
    assert len({run.requests["latency_s"].sum() for run in runs}) == 4


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_number_of_processes_changes_no_byte(runs, jobs, tmp_path):
    one = Results.save_all(runs, tmp_path / "one")
    several = Results.save_all(replicate(tiny(WORLD), jobs=jobs), tmp_path / "several")
    assert contents(one) == contents(several)
    assert len(contents(one)) > 4 * 6


def test_random_worlds_too(tmp_path):
    scenario = random_world(Seeded(3))
    here, there = (replicate(scenario, 3, jobs=jobs) for jobs in (1, 2))
    assert contents(Results.save_all(here, tmp_path / "a")) == contents(Results.save_all(there, tmp_path / "b"))


def test_how_many_and_by_which_technique_may_be_said():
    assert len(replicate(tiny(), jobs=1)) == 1
    assert len(replicate(tiny(WORLD), 2, jobs=1)) == 2
    assert replicate(tiny(), 1, "server-only")[0].meta["technique"] == "server-only"
    assert replicate(tiny(), 1, Fixed.at(("@", 0, 3)))[0].requests["split_point"].eq(3).all()
    assert replicate("quick/split_inference", 1)[0].meta["seed"] == 1


def test_a_technique_that_only_this_function_knows_goes_along():
    """As one defined in a notebook: the other process cannot import it."""

    class Turn(Technique):
        at: int = 2

        def place(self, view, request=None):
            return Placement.split(view.source, "edge", self.at, 3)

    made = replicate(tiny(WORLD), 3, Turn(at=1), jobs=2)
    assert [run.meta["seed"] for run in made] == [5, 6, 7]
    assert all((run.requests["split_point"] == 1).all() for run in made)


def test_progress_counts_the_runs():
    seen = []
    for jobs in (1, 2):
        replicate(tiny(WORLD), jobs=jobs, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2


def test_what_is_wrong_is_said_as_in_one_run():
    with pytest.raises(ScenarioError, match="jobs: 0 came; it must be 1 or more"):
        replicate(tiny(), jobs=0)
    with pytest.raises(ScenarioError, match="replications: 0 came; it must be 1 or more"):
        replicate(tiny(), 0)
    with pytest.raises(ScenarioError, match="replications: 0 came"):
        tiny({"replications": 0})
    with pytest.raises(ScenarioError, match="seed"):
        replicate(tiny({"seed": 2**63 - 2}), 3)
    for jobs in (1, 2):
        with pytest.raises(ScenarioError, match="technique: "):
            replicate(tiny(), 2, Fixed.at(("nowhere", 0, 3)), jobs=jobs)


def test_replications_are_no_physics():
    one, many = tiny(), tiny({"replications": 9})
    assert one.hash() == many.hash()
    assert "replications: 1\n" in one.text()
    assert "replications: 9\n" in many.text()
    assert Simulation(one).run().meta["run_id"] == Simulation(many).run().meta["run_id"]


# -- their figures -------------------------------------------------------------------------------------------------


def test_a_figure_is_students_interval_over_one_value_per_run(runs):
    found = across(runs)
    for key in set(found["figures"]) & set(runs[0].summary()):
        values = [run.summary()[key] for run in runs]
        error = stats.sem(values)
        low, high = stats.t.interval(0.95, 3, np.mean(values), error) if error else (values[0], values[0])
        figure = found["figures"][key]
        assert figure["values"] == values
        assert (figure["mean"], figure["low"], figure["high"]) == pytest.approx((np.mean(values), low, high))
    assert found["seeds"] == [5, 6, 7, 8]
    assert found["requests"] + found["warmup_requests"] == sum(len(run.requests) for run in runs)
    pooled = np.concatenate([run.requests["latency_s"] for run in runs])
    assert found["figures"]["latency_p95_s"]["mean"] != pytest.approx(np.quantile(pooled, 0.95), rel=1e-6)


def test_a_run_without_an_answer_leaves_no_interval(runs):
    empty = replicate(tiny({"until": "1 us", "seed": 1}), 3, jobs=1)
    figure = across(empty)["figures"]["latency_mean_s"]
    assert (figure["low"], figure["problem"]) == (None, "3 of 3 are not numbers")


def test_what_cannot_be_put_together_is_refused(runs):
    with pytest.raises(ResultsError, match="an interval needs at least two"):
        across(runs[:1])
    with pytest.raises(ResultsError, match="runs of different scenarios or techniques came"):
        across([runs[0], replicate(tiny(), 1, "server-only")[0]])


def test_warnings_say_which_run_and_are_not_too_many():
    over = replicate(tiny({"workload.arrivals.rate": "60 /s", "seed": 2}), 9, "device-only", jobs=1)
    found = across(over)
    assert found["warnings"][0].startswith("seed 2: pi is unstable: ")
    assert len(found["warnings"]) == 6
    assert found["warnings"][-1].startswith("and 4 more warnings")
    assert list(found["unstable"]) == [str(seed) for seed in range(2, 11)]


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_folder_of_runs_is_read_again(runs, tmp_path):
    many = Results.save_all(runs, tmp_path / "many")
    assert sorted(path.name for path in many.iterdir()) == ["seed-5", "seed-6", "seed-7", "seed-8"]
    assert across(Results.load_all(many)) == across(runs)
    one = runs[0].save(tmp_path / "one")
    assert [run.meta["seed"] for run in Results.load_all(one)] == [5]
    assert Results.load(many / "seed-6").summary() == runs[1].summary()
    with pytest.raises(ResultsError, match="is not a saved run"):
        Results.load_all(tmp_path)


def test_seeds_are_in_order_of_number(tmp_path):
    made = replicate(tiny({"seed": 9}), 3, jobs=1)
    read = Results.load_all(Results.save_all(made[::-1], tmp_path / "many"))
    assert [run.meta["seed"] for run in read] == [9, 10, 11]


def test_nothing_but_saved_runs_is_replaced(runs, tmp_path):
    many = Results.save_all(runs, tmp_path / "many")
    with pytest.raises(ResultsError, match="exists already"):
        Results.save_all(runs, many)
    Results.save_all(runs[:2], many, force=True)
    assert sorted(path.name for path in many.iterdir()) == ["seed-5", "seed-6"]
    runs[0].save(many, force=True)
    assert (many / "meta.json").is_file()
    mine = Results.save_all(runs, tmp_path / "mine")
    (mine / "thesis.tex").write_text("years of work")
    with pytest.raises(ResultsError, match="exists already"):
        Results.save_all(runs, mine, force=True)
    assert (mine / "thesis.tex").read_text() == "years of work"
    (mine / "thesis.tex").unlink()
    runs[0].save(mine / "best")
    with pytest.raises(ResultsError, match="exists already"):
        Results.save_all(runs, mine, force=True)


def test_a_write_that_fails_leaves_nothing(runs, tmp_path, monkeypatch):
    def full(self, draft):
        if self.meta["seed"] == 7:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Results, "_write", full)
    with pytest.raises(ResultsError, match="cannot be written: No space left on device"):
        Results.save_all(runs, tmp_path / "many")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ResultsError, match="two runs of seed-5 came"):
        Results.save_all([runs[0], runs[0]], tmp_path / "twice")


# -- the command ---------------------------------------------------------------------------------------------------


def test_run_makes_them_and_show_shows_them_again(offing, tmp_path):
    code, out, err = offing("run", QUICK, *SHORT, "--out", "saved", "--jobs", "2", "--json")
    assert (code, err) == (0, "")
    assert offing("show", "saved", "--json") == (0, out, "")
    found = json.loads(out)
    assert found["seeds"] == [1, 2, 3]
    figure = found["figures"]["latency_mean_s"]
    assert figure["low"] < figure["mean"] < figure["high"]
    code, table, err = offing("run", QUICK, *SHORT, "--jobs", "1")
    assert (code, err) == (0, "")
    assert offing("show", "saved")[1] == table
    for text in ("seeds 1 to 3", "95 % interval", "median latency", "energy per request", "one value each"):
        assert text in table
    assert "hold" not in table


def test_a_place_that_is_taken_is_told_before_anything_runs(offing, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    monkeypatch.setattr("simulator.commands.run.replicate", None)
    code, _, err = offing("run", QUICK, *SHORT, "--out", "mine")
    assert code == 2
    assert "mine exists already" in err
    code, _, err = offing("run", QUICK, *SHORT, "--timeline", "t.json")
    assert code == 2
    assert "a timeline shows one run; choose it with --set replications=1 --seed N" in err


def test_warnings_stand_under_the_table(offing):
    busy = ("--set", "technique={kind: device-only}", "--set", "workload.arrivals.rate=50 /s", "--set", "until=10 s")
    out = " ".join(offing("run", QUICK, *busy)[1].split())
    assert "Warning: pi is unstable: " in out
    assert "no interval: a station is unstable" in out
    assert json.loads(offing("run", QUICK, *busy, "--json")[1])["warnings"]
    assert "Warning: seed 1: pi is unstable: " in offing("run", QUICK, *busy, "--set", "replications=2")[1]


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_nothing_that_looks_whole_and_nobody_behind(blow, tmp_path):
    mark = f"{tmp_path}/saved"
    command = [sys.executable, "-m", "simulator", "run", QUICK, "--set", "until=300 h", "--set", "replications=4",
               "--set", "record=requests", "--jobs", "2", "--out", mark]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    end = time.monotonic() + 60
    while busy(process.pid) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert process.poll() is None, process.communicate()
    if blow == signal.SIGINT:  # what a terminal does: to the whole group
        os.killpg(process.pid, blow)
    else:
        process.kill()
    _, err = process.communicate(timeout=60)
    if blow == signal.SIGINT:
        assert process.returncode == 130
        assert "Stopped; nothing was written." in err
        assert "Traceback" not in err
    assert not Path(mark).exists()
    end = time.monotonic() + 30
    while members(process.pid) and time.monotonic() < end:
        time.sleep(0.2)
    assert not members(process.pid)


def members(session: int) -> dict[int, float]:
    """Return the live processes of a session (Linux), and the seconds of processor each has had."""
    found = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found[int(place.parent.name)] = int(fields[11]) / os.sysconf("SC_CLK_TCK")
    return found


def busy(session: int) -> int:
    """Return how many processes that it started are at work, and no longer being imported."""
    return sum(seconds > 5 for pid, seconds in members(session).items() if pid != session)
