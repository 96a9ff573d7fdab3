"""The verb ``offing compare``: techniques, scenarios or saved runs against each other, in the same worlds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from analysis.comparison import Comparison, shown
from analysis.contestants import Given
from analysis.figures import differences, regret
from analysis.playing import compare
from simulator import Scenario
from simulator.commands.options import JsonOption
from simulator.commands.run import SetOption, read_changes
from simulator.commands.tables import plain, wide_console
from simulator.foundation.errors import ResultsError, ScenarioError
from simulator.results.files import write_folder
from simulator.results.replications import FIGURES


def compare_command(
    contestants: Annotated[
        list[str],
        typer.Argument(
            metavar="X Y [Z ...]",
            help="Scenarios, techniques (name, or name:key=value,...) applied to the one scenario given, saved runs.",
        ),
    ],
    seeds: Annotated[
        int | None, typer.Option(min=1, help="In how many worlds, from the scenario's seed on (20 unless said).")
    ] = None,
    metric: Annotated[str, typer.Option(help=f"What to rank by: {', '.join(FIGURES)}.")] = "latency_mean_s",
    level: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    against: Annotated[str | None, typer.Option(help="Compare all with this one only, not each with each.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; one per core by default.")] = None,
    change: SetOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the tables and figures (must not exist).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare techniques in the same worlds: means, differences and regret, with intervals over seeds."""
    if out is not None and out.exists():
        raise ResultsError(f"{out} exists already; choose another --out")
    given: list[Given] = list(contestants)
    if change:
        given = [_changed(item, read_changes(change)) for item in contestants]
    console = Console(stderr=True)
    columns = TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("runs", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        found = compare(*given, seeds=seeds, metric=metric, level=level, against=against, jobs=jobs, progress=advance)
    if out is not None:
        save(found, out)
    if as_json:
        sys.stdout.write(json.dumps(as_plain(found), indent=1) + "\n")
        return
    _print(found)
    if out is not None:
        console.print(f"tables and figures in {out}", highlight=False)


def _changed(item: str, changes: dict[str, Any]) -> Given:
    """Return the scenario that *item* names, changed; techniques and saved runs stay as they are."""
    if Path(item).is_dir():
        raise ScenarioError(f"--set changes scenarios, and {item} is a saved run; leave one of them out")
    try:
        scenario = Scenario.load(item)
    except ScenarioError:
        if Path(item).is_file():
            raise
        return item
    return scenario.with_(changes)


def save(found: Comparison, out: Path) -> None:
    """Write the tables as CSV and the figures of *found* to the new folder *out*, all or nothing."""
    with write_folder(out) as draft:
        for name in ("runs", "over_time", "means", "differences", "regret"):
            getattr(found, name).to_csv(draft / f"{name}.csv", index=False)
        (draft / "comparison.json").write_text(json.dumps(as_plain(found), indent=1) + "\n", encoding="utf-8")
        for picture in (differences.draw(found), regret.draw(found)):
            picture.save(draft / "figures")


def as_plain(found: Comparison) -> dict[str, Any]:
    """Return *found* as plain data for JSON; what is not a number is null."""
    tables = {name: getattr(found, name).to_dict("records") for name in ("means", "differences", "regret", "runs")}
    told = {"scenario": found.scenario, "metric": found.metric, "level": found.level, "seeds": list(found.seeds)}
    told["grade"] = found.meta.get("grade")
    told["inputs"] = list(found.meta.get("inputs", ()))
    whole: dict[str, Any] = plain({**told, **tables, "warnings": list(found.warnings), "sentence": found.sentence})
    return whole


def _print(found: Comparison) -> None:
    console = wide_console()
    console.print(_ranking(found))
    console.print(_pairs(found))
    if "grade" in found.meta:
        said = f"evidence: {found.meta['grade']}, the weakest grade among the layer times used"
        console.print(said, markup=False, highlight=False)
    for line in found.meta.get("inputs", ()):
        console.print(f"input: {line}", markup=False, highlight=False)
    for warning in found.warnings:
        console.print(f"Warning: {warning}", style="yellow", markup=False, highlight=False)
    console.print(found.sentence, highlight=False, markup=False)


def _ranking(found: Comparison) -> Table:
    seeds = f"seeds {found.seeds[0]} to {found.seeds[-1]}"
    intervals = f"{100 * found.level:g} % intervals over {len(found.seeds)} worlds"
    table = Table(
        title=f"{escape(found.scenario)}  ·  {seeds}  ·  {intervals}",
        title_justify="left",
        box=None,
    )
    name = FIGURES[found.metric].name
    others = [m for m in ("latency_mean_s", "latency_p95_s", "goodput_per_s") if m != found.metric][:2]
    table.add_column("technique", style="cyan")
    for column in (name, *(FIGURES[m].name for m in others), "regret to the best", "best in", "changes", "downtime"):
        table.add_column(column, justify="right")
    regrets = found.regret.set_index("label")
    for row in found.means.to_dict("records"):
        lost = regrets.loc[row["label"]]
        best = row["label"] == found.labels[0]
        half = (row[f"{found.metric}_high"] - row[f"{found.metric}_low"]) / 2
        bound = " (a bound)" if row["label"] in found.bounds else ""
        table.add_row(
            escape(f"{row['label']}{bound}"),
            f"{shown(row[found.metric], found.metric)} ± {shown(half, found.metric)}",
            *(shown(row[m], m) for m in others),
            "-" if best else f"{shown(lost['regret'], found.metric)} ({lost['relative']:.1%})",
            f"{row['best_in']} of {row['seeds']}",
            f"{row['changes']:.1f}",
            shown(row["downtime_s"], "downtime_s"),
        )
    return table


def _pairs(found: Comparison) -> Table:
    count = len(found.differences)
    at_once = f", all {count} at once" if count > 1 else ""
    title = f"differences in {FIGURES[found.metric].name}, world by world{at_once}"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("pair", style="cyan")
    for column in ("difference", "from", "to", "p"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in found.differences.to_dict("records"):
        table.add_row(
            escape(f"{row['a']} - {row['b']}"),
            *(shown(row[key], found.metric) for key in ("difference", "low", "high")),
            "<0.001" if row["p_adjusted"] < 0.001 else f"{row['p_adjusted']:.3f}",
            "" if row["verdict"] == "clear" else row["verdict"],
        )
    return table
