"""The same techniques as a notebook has them: unregistered, passed as objects."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

from simulator import Scenario, run
from simulator.testing import check_technique


@pytest.fixture
def my_lab(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "third_party")
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "my_lab"]:
        del sys.modules[name]


@pytest.mark.usefixtures("my_lab")
def test_a_policy_of_fifteen_lines_runs_and_keeps_its_promise():
    from my_lab.frugal import FrugalSplit

    assert len(inspect.getsource(FrugalSplit).splitlines()) <= 16
    slow, quick = (run("quick/split_inference", FrugalSplit(budget=budget)) for budget in (10.0, 0.001))
    best = run("quick/split_inference")
    # With time to spare it saves energy; without any it is the fastest, as min-latency is.
    assert slow.summary()["request_device_energy_j"] < quick.summary()["request_device_energy_j"]
    assert quick.summary()["latency_mean_s"] == pytest.approx(best.summary()["latency_mean_s"])
    check_technique(FrugalSplit())


@pytest.mark.usefixtures("my_lab")
def test_a_bandit_in_one_class_learns():
    from my_lab.bandit import SplitBandit

    assert len(inspect.getsource(SplitBandit).splitlines()) <= 25
    # One user who waits for each answer: what a request takes is then the doing of its own split.
    alone = {"workload.arrivals": {"kind": "closed", "think": "100 ms"}, "until": "900 s"}
    scenario = Scenario.load("quick/split_inference").with_(alone)
    results = run(scenario, SplitBandit(explore=0.1))
    latency = results.requests["latency_s"].to_numpy()
    assert np.median(latency[-300:]) < 0.8 * np.median(latency[:30])
    again = run(scenario, SplitBandit(explore=0.1))
    assert again.requests.equals(results.requests)  # its state is a run's own
    check_technique(SplitBandit())
