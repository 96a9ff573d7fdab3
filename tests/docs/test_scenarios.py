"""Every scenario we ship validates, and the quick ones are quick and say something."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from simulator import Scenario, Simulation
from simulator.profiles.library import shipped

APART = {"profiles", "hardware", "traces", "networks", "loads", "outages"}
FILES = sorted(path for path in shipped().rglob("*.yaml") if path.relative_to(shipped()).parts[0] not in APART)


def named(path: Path) -> str:
    return str(path.relative_to(shipped()).with_suffix(""))


def test_there_are_the_scenarios_the_readme_speaks_of():
    expected = {"split_inference", "shared_access_point", "busy_server", "three_tiers"}
    assert expected <= {path.stem for path in FILES if path.parent.name == "quick"}


@pytest.mark.parametrize("name", [named(path) for path in FILES])
def test_a_shipped_scenario_runs_to_its_end(name):
    begin = time.process_time()
    results = Simulation(Scenario.load(name)).run()
    assert time.process_time() - begin < 15  # "quick" with room for a slow, shared machine
    assert set(results.requests["outcome"]) <= {"done", "late"}
    assert len(results.requests) > 50


def test_the_server_of_busy_server_moves_the_cut():
    used = Simulation(Scenario.load("quick/busy_server")).run().requests["placement"]
    assert used.nunique() > 1
