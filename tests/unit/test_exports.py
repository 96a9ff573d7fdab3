"""The public surface: this list, no more and no less."""

from __future__ import annotations

from pathlib import Path

import pytest

import simulator

PUBLIC = [
    "Bytes", "BytesPerSecond", "Failure", "Hardware", "Layer", "LayerTimes", "Library", "ModelProfile", "OffingError",
    "PerSecond", "Period", "Placement", "Recovery", "Redeployment", "Request", "Results", "Scenario", "ScenarioError",
    "Seconds", "Segment", "Simulation", "Technique", "Trace", "View", "replicate", "run",
]  # fmt: skip
API = Path(__file__).parents[2] / "docs" / "reference" / "api.md"
UNITS = {"Bytes", "BytesPerSecond", "PerSecond", "Period", "Seconds"}


def test_these_names_and_no_others():
    assert simulator.__all__ == PUBLIC
    assert sorted(PUBLIC) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_is_there_says_what_it_is_and_stands_in_the_reference(name):
    thing = getattr(simulator, name)
    if name not in UNITS:
        assert thing.__doc__
        assert thing.__module__.startswith("simulator.")
    assert (
        f"{name}\n" in API.read_text()
        or f"`{name}`" in API.read_text()
        or name in UNITS | {"OffingError", "ScenarioError"}
    )


def test_a_star_brings_nothing_else():
    names: dict[str, object] = {}
    exec("from simulator import *", names)
    assert sorted(set(names) - {"__builtins__"}) == PUBLIC
