"""The verb ``offing reproduce``: what papers claim, held against what the simulator says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis.claims.kinds import CONSISTENT, HOLDS, MISSED, NOT_RUN, REPRODUCED
from analysis.claims.reproduce import Reproduction, reproduce, reproduce_all
from analysis.claims.system import Quantity, installed
from analysis.claims.verdicts import Outcome, by_verdict
from analysis.figures.claims import draw
from simulator.commands.options import JsonOption
from simulator.commands.tables import number, plain, wide_console
from simulator.foundation.errors import RegistryError

COLOURS = {REPRODUCED: "green", CONSISTENT: "green", HOLDS: "green", NOT_RUN: "dim", **dict.fromkeys(MISSED, "yellow")}


def reproduce_command(
    system: Annotated[str | None, typer.Argument(help="A system by the name of its technique, e.g. fedadapt.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All systems, those that are not built yet too.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the figures and their tables.")] = None,
    table: Annotated[Path | None, typer.Option(help="A table of claims in place of the shipped one.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where a claim is not reproduced.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Hold the claims of a paper against the simulator: claimed, simulated, interval, verdict, reason, evidence."""
    if every == (system is not None):
        known = ", ".join(installed())
        raise RegistryError(f"say what to reproduce: a system, or --all. Known: {known}")
    found = reproduce_all(table) if system is None else [reproduce(system, table)]
    files = [] if out is None else [file for each in found for file in _draw(each, out)]
    outcomes = [outcome for each in found for outcome in each.outcomes]
    if as_json:
        sys.stdout.write(json.dumps({"claims": [plain(outcome.row()) for outcome in outcomes]}, indent=1) + "\n")
    else:
        _print(found, outcomes)
        for file in files:
            Console(soft_wrap=True).print(str(file), markup=False, highlight=False)
    if strict and any(outcome.verdict in MISSED for outcome in outcomes):
        raise typer.Exit(1)


def _draw(found: Reproduction, out: Path) -> list[Path]:
    if found.system is None:
        return []
    pictures = [draw(found), *found.system.pictures()]
    return [file for picture in pictures for file in picture.save(out)]


def _print(found: list[Reproduction], outcomes: list[Outcome]) -> None:
    console = wide_console()
    for each in found:
        reasons = list(dict.fromkeys(outcome.reason for outcome in each.outcomes if outcome.reason))
        console.print(_table(each, reasons))
        notes = Table(box=None, show_header=False)
        for index, reason in enumerate(reasons, start=1):
            notes.add_row(f"[{index}]", escape(reason))
        console.print(notes)
        console.print()
    counts = Table(title=f"{len(outcomes)} claims", title_justify="left", box=None, show_header=False)
    for verdict, count in by_verdict(outcomes).items():
        counts.add_row(verdict, str(count))
    console.print(counts)


def _table(found: Reproduction, reasons: list[str]) -> Table:
    """Lay out one system; the reasons stand below, by their number."""
    table = Table(title=escape(found.name), title_justify="left", box=None)
    table.add_column("claim", style="cyan", no_wrap=True)
    table.add_column("quantity")
    for column in ("claimed", "simulated", "95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("unit", "kind", "verdict", "reason", "inputs"):
        table.add_column(column, no_wrap=column != "verdict")
    for outcome in found.outcomes:
        claim, quantity = outcome.claim, outcome.quantity
        first = HOLDS if outcome.verdict.startswith(HOLDS + " ") else outcome.verdict
        table.add_row(
            escape(claim.id),
            escape(f"{claim.quantity}: {claim.condition}" if claim.condition else claim.quantity),
            f"{_sign(claim.comparison)}{claim.written}",
            "-" if quantity.simulated is None else _digits(quantity.simulated),
            _interval(quantity),
            escape(claim.unit),
            claim.kind,
            escape(outcome.verdict),
            f"[{reasons.index(outcome.reason) + 1}]" if outcome.reason else "",
            ", ".join(quantity.grades),
            style=COLOURS.get(first),
        )
    return table


def _sign(comparison: str) -> str:
    return {"le": "≤ ", "ge": "≥ ", "up-to": "up to ", "ordering": "> ", "about": "≈ "}.get(comparison, "")


def _digits(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e12 else number(value)


def _interval(quantity: Quantity) -> str:
    """Write the interval, where something is random."""
    if quantity.low is None or quantity.high is None or quantity.low == quantity.high:
        return ""
    return f"{number(quantity.low)} to {number(quantity.high)}"
