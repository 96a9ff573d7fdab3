"""The verb ``offing fidelity``: how far the simulator is from what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from calibration.fidelity import page
from calibration.fidelity.comparison import Comparison, Dataset
from calibration.fidelity.datasets import find, names
from calibration.fidelity.report import as_plain
from calibration.fidelity.tables import right, tables
from simulator.commands.options import JsonOption
from simulator.commands.tables import wide_console
from simulator.foundation.errors import ResultsError


def fidelity(
    dataset: Annotated[
        str | None, typer.Argument(help="adaptive-dnn, branchynet, portend, profiles, scission, scission-tl, testbed.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All data sets, one after the other.")] = False,
    fit: Annotated[Path | None, typer.Option(help="Fit on this file, in the set's own format.")] = None,
    check: Annotated[Path | None, typer.Option(help="Predict the rows of this file, which may be new.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for figures, errors and rows; with --all a page.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a goal is missed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare simulated with measured times: errors by segment, and the regret of the split it would choose."""
    if every == (dataset is not None):
        raise ResultsError(f"name one data set or say --all; known: {', '.join(names())}")
    if every and (fit or check):
        raise ResultsError("--fit and --check are files of one data set; name it instead of --all")
    chosen = [find(name) for name in names()] if dataset is None else [find(dataset)]
    found = [(one, _compared(one, fit, check)) for one in chosen]
    if out is not None:
        files = page.write(found, out) if every else _save(*found[0], out)
        Console(stderr=True, soft_wrap=True).print("  ".join(map(str, files)), markup=False, highlight=False)
    if as_json:
        plainly = [as_plain(comparison) for _, comparison in found]
        sys.stdout.write(json.dumps(plainly if every else plainly[0], indent=1) + "\n")
    else:
        for one, comparison in found:
            _print(one, comparison)
    if strict and any(goal.verdict == "missed" for _, comparison in found for goal in comparison.goals):
        raise typer.Exit(1)


def _compared(dataset: Dataset, fit: Path | None, check: Path | None) -> Comparison:
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task(f"{dataset.NAME}: simulating what was measured")
        return dataset.compare(fit, check)


def _save(dataset: Dataset, comparison: Comparison, out: Path) -> list[Path]:
    """Write figure, errors and the rows themselves."""
    files = page.picture(dataset, comparison).save(out)
    target = out / f"{dataset.NAME}.rows.csv"
    try:
        comparison.rows.to_csv(target, index=False)
    except OSError as error:
        raise ResultsError(f"{target}: cannot be written: {error.strerror}") from None
    return [*files, target]


def _print(dataset: Dataset, comparison: Comparison) -> None:
    console = wide_console()
    console.print(f"[bold]{escape(dataset.NAME)}[/bold]: {escape(dataset.TITLE)}", highlight=False)
    console.print(f"measured on: {escape(comparison.measured_on)}", highlight=False)
    console.print(f"{comparison.evidence}\n", highlight=False)
    for title, frame, below in tables(comparison):
        table = Table(title=escape(title), title_justify="left", box=None, caption=below, caption_justify="left")
        for column in frame.columns:
            table.add_column(escape(str(column)), justify="right" if right(frame[column]) else "left")
        for row in frame.itertuples(index=False):
            table.add_row(*map(escape, row))
        console.print(table, "", highlight=False)
    for note in comparison.notes:
        console.print(f"note: {note}", markup=False, highlight=False)
    console.print()
