"""The verb ``offing traces plot``: a picture of a recording, with its table."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analysis.figures.recording import draw
from simulator.commands.options import JsonOption
from simulator.commands.readings import (
    FileArgument,
    FormatOption,
    KindOption,
    MemberOption,
    RepairOption,
    SeriesOption,
    StepOption,
    TimeOption,
    UnitOption,
    ValueOption,
    asked,
    quantity,
    read_with_bar,
)  # fmt: skip
from simulator.foundation.errors import ResultsError, UnitError
from simulator.foundation.units import SIZE
from simulator.traces.reader import choose
from simulator.traces.recording import Recording


def plot_trace(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="Folder for the picture and its table.")] = Path("figures"),
    form: FormatOption = None,
    kind: KindOption = None,
    member: MemberOption = None,
    series: SeriesOption = None,
    unit: UnitOption = None,
    step: StepOption = None,
    time: TimeOption = None,
    value: ValueOption = None,
    size: Annotated[str, typer.Option("--bytes", help="Size of the transfers whose time is shown.")] = "1 MB",
    repair: RepairOption = False,
    svg: Annotated[bool, typer.Option("--svg", help="Write SVG too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw a recording: over time, its distribution, its outages, what a transfer takes; places on a map."""
    work = quantity(size, SIZE, "--bytes")
    if work == 0.0:
        raise UnitError("--bytes: 0 take no time; write e.g. --bytes '1 MB'")
    reading = read_with_bar(file, asked(kind, form, member, series, unit, step, None, repair, time, value))
    found = choose(reading, series)
    whole = f"{reading.file}, {series}" if series else reading.file
    grade = f"  ·  evidence: {found.grade}" if isinstance(found, Recording) else ""
    caption = f"offing {version('offing')}  ·  format: {reading.format}  ·  sha256 {reading.sha256[:12]}{grade}"
    picture = draw(found, f"{found.kind.capitalize()}: {whole}", caption, _slug(whole), work)
    table = out / f"{picture.name}.csv"
    if table.exists() and table.samefile(file):
        raise ResultsError(
            f"{table} is the recording itself, which the figure's table would replace; choose another --out"
        )
    files = [str(each) for each in picture.save(out, svg)]
    if as_json:
        sys.stdout.write(json.dumps({"figures": {picture.name: files}}, indent=1) + "\n")
        return
    Console(soft_wrap=True).print("  ".join(files), markup=False, highlight=False)


def _slug(text: str) -> str:
    bare = re.sub(r"\.(csv|json|txt|log|parquet|graphml)(\.gz)?(?=$|,)", "", text)
    return re.sub(r"[^\w.+-]+", "_", bare).strip("._")
