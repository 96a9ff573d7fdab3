"""The wheel outside the checkout, and techniques from a package that is not ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THIRD_PARTY = Path(__file__).parent / "third_party"


def call(*command: str | Path, folder: Path) -> str:
    """Run *command* in *folder*, away from the checkout, and return what it printed."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=folder, env=clean, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """Return the python of an environment that holds our built wheel and the third party's, and no checkout."""
    pytest.importorskip("build", reason="needs the test extra (build)")
    folder = tmp_path_factory.mktemp("outside")
    for source in (ROOT, THIRD_PARTY):
        call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder / "wheels", source, folder=folder)
    call(sys.executable, "-m", "venv", folder / "env", folder=folder)
    python = folder / "env" / "bin" / "python"
    wheels = sorted((folder / "wheels").glob("*.whl"))
    call(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", *wheels, folder=folder)
    # The dependencies come from this environment by path alone: .pth files there (an editable checkout) are not read.
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def offing(python: Path, *arguments: str, folder: Path) -> dict:
    """Return the one JSON object that ``offing`` prints."""
    return json.loads(call(python.parent / "offing", *arguments, "--json", folder=folder))


def test_the_wheel_runs_the_quick_scenario_outside_the_checkout(outside, tmp_path):
    where = call(outside, "-c", "import simulator; print(simulator.__file__)", folder=tmp_path)
    assert str(ROOT) not in where
    report = offing(outside, "run", "quick/split_inference", folder=tmp_path)
    assert report["requests"] > 50
    assert report["outcomes"]["done"] > 0


def test_a_third_party_technique_is_found_and_used_like_ours(outside, tmp_path):
    names = {row["name"] for row in offing(outside, "techniques", folder=tmp_path)["techniques"]}
    assert {"frugal-split", "split-bandit", "min-latency"} <= names
    change = "technique={kind: frugal-split, budget: 350 ms}"
    report = offing(outside, "run", "quick/split_inference", "--set", change, folder=tmp_path)
    assert report["technique"] == "frugal-split"
    change = "technique={kind: split-bandit, explore: 0.2}"
    report = offing(outside, "run", "quick/split_inference", "--set", change, folder=tmp_path)
    assert len(report["placements"]) > 3  # it explores


def test_a_third_party_technique_passes_the_checker(outside, tmp_path):
    check = (
        "from my_lab.frugal import FrugalSplit; from my_lab.bandit import SplitBandit;"
        "from simulator.testing import check_technique;"
        "check_technique(FrugalSplit()); check_technique(SplitBandit()); print('checked')"
    )
    assert call(outside, "-W", "error", "-c", check, folder=tmp_path).strip() == "checked"
