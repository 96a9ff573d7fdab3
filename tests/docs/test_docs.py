"""What README and docs say, runs.

How a fenced block is marked decides what happens with it, file by file, in order, in one folder per file:

- ``bash``: each line is run (``offing ...`` only), ``python``: executed, all blocks of a file in one namespace;
- ``text`` right behind one of these: what it must have printed; a line ``...`` stands for anything;
- a first line ``# NAME.yaml`` (or .py ...), or a name behind the language: the block is also written to that file, and
  validated if it is a scenario;
- ``console``, ``toml`` and others are only read;
- ``<!-- not run here: REASON -->`` in the line above: not run. There should be few.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support import recordings

from analysis import draw
from simulator import Scenario
from simulator.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(p for p in ROOT.glob("docs/**/*.md") if "_build" not in p.parts)])
FENCE = re.compile(r"^( *)```(\S*) *([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"#\s*([\w./-]+\.(?:yaml|csv|json|py|toml))\s*$", re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run here: (.+) -->\s*\Z")
NEEDS_DATA = {
    "docs/how-to/profile_a_model.md",
    "docs/explanation/exits_and_variants_measured.md",
    "docs/explanation/unseen_devices.md",
}


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str
    line: int
    skipped: bool
    file: str
    """Name of the file it stands for."""


def blocks_of(page: Path) -> list[Block]:
    source = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(source):
        indent, language, name, body = match.groups()
        text = "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        line = source.count("\n", 0, match.start()) + 1
        first = FILE.match(text)
        skipped = bool(NOT_RUN.search(source[: match.start()].rstrip(" ")))
        found.append(Block(language, text, line, skipped, first.group(1) if first else name))
    return found


def test_there_are_pages_with_blocks_and_few_are_left_out():
    blocks = [block for page in PAGES for block in blocks_of(page)]
    runnable = [block for block in blocks if block.language in ("bash", "python")]
    assert len(runnable) >= 12
    assert sum(block.skipped for block in runnable) <= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page, tmp_path, monkeypatch, update_golden):
    if str(page.relative_to(ROOT)) in NEEDS_DATA:
        recordings("scission")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    namespace: dict[str, object] = {"__name__": "page"}
    printed = ""
    for block in blocks_of(page):
        if block.skipped:
            continue
        if block.file:
            file = tmp_path / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        if block.language in ("bash", "python"):
            printed = run_bash(block.text) if block.language == "bash" else run_python(page, block, namespace)
        elif block.language == "text" and printed:
            if update_golden and not fits(block.text, printed):
                rewrite(page, block, printed)
            assert fits(block.text, printed), f"{page.name}:{block.line}: it printed\n{printed}"
            printed = ""
        elif block.language == "yaml" and block.file and "nodes:" in block.text:
            Scenario.load(tmp_path / block.file)
        elif block.language in ("yaml", "toml"):
            assert block.language == "toml" or yaml.safe_load(block.text) is not None


def run_bash(text: str) -> str:
    output = io.StringIO()
    for command in itertools.chain.from_iterable(line.split(" && ") for line in text.splitlines() if line.strip()):
        program, *arguments = shlex.split(command, comments=True)
        assert program == "offing", f"only offing is run here, not {program}; mark the block as not run"
        quiet = contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors := io.StringIO())
        with quiet[0], quiet[1], pytest.raises(SystemExit) as end:
            main(arguments)
        assert not end.value.code, f"{command}: exit code {end.value.code}: {errors.getvalue()}"
    return output.getvalue()


def run_python(page: Path, block: Block, namespace: dict[str, object]) -> str:
    code = compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, namespace)
    return output.getvalue()


def fits(expected: str, printed: str) -> bool:
    """Return whether *printed* is as *expected*, spaces apart; a line ``...`` stands for any lines."""
    rest, free = lines(printed), False
    for line in lines(expected):
        if line == "...":
            free = True
            continue
        while free and rest and rest[0] != line:
            rest = rest[1:]
        if not rest or rest[0] != line:
            return False
        rest, free = rest[1:], False
    return free or not rest


def lines(text: str) -> list[str]:
    """Return the lines of *text*, however wide their columns are."""
    return [" ".join(line.split()) for line in text.strip("\n").splitlines()]


def rewrite(page: Path, block: Block, printed: str) -> None:
    """Put the whole output in place of *block*: shorten it by hand with lines of ``...``."""
    source = page.read_text(encoding="utf-8")
    page.write_text(source.replace(block.text, re.sub(r" +$", "", printed, flags=re.MULTILINE), 1), encoding="utf-8")
    pytest.fail(f"{page.name}:{block.line} was written anew; look at the diff and run again")


@pytest.mark.parametrize("name", ["cuts", "gantt"])
def test_the_pictures_shown_are_of_today(name):
    shown = pd.read_csv(ROOT / "docs" / "images" / f"{name}.csv")
    pd.testing.assert_frame_equal(shown, draw(name, "quick/split_inference").table, check_dtype=False, rtol=1e-6)
