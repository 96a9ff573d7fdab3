"""Every notebook runs from top to bottom, says the same in both its forms, and holds no logic of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
where = {"metadata": {"path": sys.argv[2]}}
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
print(sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])))
"""


def cells(path: Path) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def test_there_is_one():
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_draws(notebook, tmp_path):
    # In a process of its own: warnings of Jupyter's are not ours to treat as errors.
    command = [sys.executable, "-c", RUN, str(notebook), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) >= 1


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_pair_is_in_step(notebook):
    assert cells(notebook) == cells(notebook.with_suffix(".py")), "run: jupytext --sync notebooks/*.ipynb"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs_and_without_branches(notebook):
    stored = json.loads(notebook.read_text(encoding="utf-8"))
    assert not any(cell.get("outputs") for cell in stored["cells"])
    code = [line.lstrip() for kind, source in cells(notebook) if kind == "code" for line in source.splitlines()]
    assert not [line for line in code if line.startswith(("if ", "elif ", "while ", "def main"))]
