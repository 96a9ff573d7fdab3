"""``offing run``, ``offing validate`` and ``offing show``."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from simulator.commands.options import JsonOption
from simulator.commands.tables import plain, replication_tables, summary_tables, wide_console
from simulator.foundation.errors import ResultsError, ScenarioError
from simulator.results.frames import Results, free_place
from simulator.results.replications import across
from simulator.results.timeline import write_timeline
from simulator.run.regret import senses, under_oracle, with_regret
from simulator.run.replicate import replicate
from simulator.run.simulation import Simulation
from simulator.scenario.scenario import Scenario

ScenarioArgument = Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a value: links.uplink.bandwidth='5 Mbit/s'."),
]


def run_command(
    scenario: ScenarioArgument,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the scenario's seed.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to save the run in (must not exist).")] = None,
    change: SetOption = None,
    timeline: Annotated[Path | None, typer.Option(help="Write a timeline that ui.perfetto.dev opens.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a saved run at --out.")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Replications run at once (default: one per core).", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a scenario and print what happened; with `replications: N` in it, N times with intervals."""
    changes = read_changes(change)
    if seed is not None:
        changes["seed"] = seed
    loaded = _load(scenario, changes)
    if out is not None:
        free_place(out, force)
    if loaded.entry.replications > 1:
        _replicate(loaded, out, force, timeline, jobs, as_json)
        return
    if timeline is not None and loaded.entry.record != "spans":
        raise ResultsError('a timeline needs the pieces of work; set "record: spans" in the scenario')
    simulation = Simulation(loaded)
    results = _with_bar(simulation, loaded.entry.until)
    if senses(loaded):
        oracle = _with_bar(Simulation(under_oracle(loaded)), loaded.entry.until, "the oracle")
        results = with_regret(results, oracle)
    if timeline is not None:
        write_timeline(results, timeline)
    if out is not None:
        results.save(out, force=force)
    _show([results], as_json)
    if not as_json:
        for what, where in (("saved in", out), ("timeline in", timeline)):
            if where is not None:
                Console(stderr=True).print(f"{what} {where}", highlight=False)


def _replicate(
    scenario: Scenario, out: Path | None, force: bool, timeline: Path | None, jobs: int | None, as_json: bool
) -> None:
    """Run all replications, and show and save them."""
    if timeline is not None:
        raise ResultsError("a timeline shows one run; choose it with --set replications=1 --seed N")
    Simulation(scenario).check()  # what cannot work is said before anything is started
    console = Console(stderr=True)
    count = scenario.entry.replications
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("replications", total=count)
        runs = replicate(scenario, jobs=jobs, progress=lambda done, _: bar.update(task, completed=done))
        if senses(scenario):
            bar.update(task, description="the oracle", completed=0)
            oracle = under_oracle(scenario)
            best = replicate(oracle, jobs=jobs, progress=lambda done, _: bar.update(task, completed=done))
            runs = [with_regret(run, other) for run, other in zip(runs, best, strict=True)]
    if out is not None:
        Results.save_all(runs, out, force=force)
    _show(runs, as_json)
    if out is not None and not as_json:
        console.print(f"saved in {out}", highlight=False)


def validate(scenario: ScenarioArgument, change: SetOption = None) -> None:
    """Check a scenario without running it; every problem is shown at once."""
    loaded = _load(scenario, read_changes(change))
    simulation = Simulation(loaded)
    simulation.check()
    parts = simulation.parts
    typer.echo(
        f"{loaded.document.name} is valid: {len(parts.nodes)} nodes, {len({c.link for c in parts.channels})} links, "
        f"model {parts.model.name} with {len(parts.model)} layers and {len(parts.model.cuts())} cuts, "
        f"technique {loaded.document.data['technique']['kind']}"
    )


def show(
    folder: Annotated[Path, typer.Argument(help="A saved run, or a folder of replications.")],
    as_json: JsonOption = False,
) -> None:
    """Print the tables of a saved run, or of saved replications."""
    _show(Results.load_all(folder), as_json)


def _load(scenario: str, changes: dict[str, Any]) -> Scenario:
    loaded = Scenario.load(scenario)
    return loaded.with_(changes) if changes else loaded


def read_changes(pairs: list[str] | None) -> dict[str, Any]:
    """Return the changes that ``--set PATH=VALUE`` asks for, by dotted path.

    Raises:
        ScenarioError: if one is not of that form.
    """
    changes: dict[str, Any] = {}
    for pair in pairs or []:
        path, equals, text = pair.partition("=")
        if not equals or not path.strip():
            raise ScenarioError(f"--set {pair}: write PATH=VALUE, e.g. --set links.uplink.up='5 Mbit/s'")
        try:
            changes[path.strip()] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ScenarioError(f"--set {pair}: the value is not valid YAML") from None
    return changes


def _with_bar(simulation: Simulation, until: float, what: str = "simulating") -> Results:
    """Run with a progress bar of simulated time on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return simulation.run()
    columns = (
        TextColumn(what),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} s, {task.fields[done]:,} requests, "
                   "{task.fields[rate]:,.0f} simulated s/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("run", total=until, done=0, rate=0.0)

        def advance(now: float, done: int) -> None:
            elapsed = bar.tasks[0].elapsed or math.inf
            bar.update(task, completed=min(now, until), done=done, rate=now / elapsed if elapsed else 0.0)

        return simulation.run(advance)


def _show(runs: list[Results], as_json: bool) -> None:
    """Print one run, or several of one scenario."""
    summary = runs[0].summary() if len(runs) == 1 else across(runs)
    if as_json:
        sys.stdout.write(json.dumps(plain(summary), indent=1) + "\n")
        return
    console = wide_console()
    for table in summary_tables(summary) if len(runs) == 1 else replication_tables(summary):
        console.print(table)
    for sentence in summary["warnings"]:
        console.print(f"Warning: {sentence}", style="yellow", markup=False, highlight=False)
