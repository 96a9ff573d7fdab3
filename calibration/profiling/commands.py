"""The verb ``offing profile``. Light to import: torch is loaded when the verb runs."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from calibration.zoo import ZOO, ZOOS, Cell, cells, require_torch, resolve
from simulator.commands.options import JsonOption
from simulator.commands.tables import wide_console
from simulator.foundation.errors import ProfileError, did_you_mean

DEVICES = ("cpu", "cuda", "cuda-graph")
"""What can be measured."""


def profile(
    model: Annotated[
        str | None, typer.Argument(help=f"{', '.join(ZOO)}, torchvision:NAME, or package.module:function")
    ] = None,
    zoo: Annotated[str | None, typer.Option(help=f"A whole list of models instead: {' or '.join(ZOOS)}.")] = None,
    input_shape: Annotated[str | None, typer.Option("--input", help="Whole input, e.g. 1x3x224x224.")] = None,
    batch: Annotated[str | None, typer.Option(help="Inputs per run, e.g. 8 or 1,2,4,8; 1 unless --input says.")] = None,
    threads: Annotated[int, typer.Option(help="Threads within an operator.")] = 1,
    size: Annotated[int | None, typer.Option(help="Side of a square colour image, e.g. 224.")] = None,
    repeats: Annotated[int, typer.Option(help="Rounds per attempt.")] = 31,
    splits: Annotated[int, typer.Option(help="Cuts at which head and tail are run by themselves, as a check.")] = 3,
    device: Annotated[
        str, typer.Option(help=f"{', '.join(DEVICES)} (a captured graph). CUDA: inference alone.")
    ] = "cpu",
    hardware: Annotated[str | None, typer.Option(help="Name of this machine's folder; made from the CPU's.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of all hardware.")] = Path("scenarios/profiles"),
    no_training: Annotated[bool, typer.Option("--no-training", help="Measure inference alone.")] = False,
    again: Annotated[bool, typer.Option("--again", help="With --zoo: take also what is there.")] = False,
    default_malloc: Annotated[bool, typer.Option("--default-malloc", help="Let the C library trim its heap.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="Keep a profile that fails the gate, with a flag.")] = False,
    load_only: Annotated[
        bool, typer.Option("--load-only", help="Take load time and first call again; layer times stay.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a model layer by layer on this machine and write its profile, with load time and first call.

    Needs PyTorch. The sum of the layers has to be within 3 % of the whole model's time (of a training step's within
    5 %), else up to five retries are made and then nothing is written. For clean numbers pin the process to one quiet
    core: taskset -c 1 offing profile resnet18. With --zoo, models whose files are there are skipped, so a stopped run
    goes on where it was.
    """
    if zoo is not None:
        _only_with_a_model(model=model, input=input_shape, batch=batch, size=size, load_only=load_only or None)
        wanted = cells(zoo)
    else:
        wanted = [_cell(model, input_shape, batch, size)]
    if device not in DEVICES:
        raise ProfileError(
            f'--device "{device}" is not known.{did_you_mean(device, DEVICES)} Known: {", ".join(DEVICES)}'
        )
    if no_training or load_only or device != "cpu":
        wanted = [replace(cell, training=False) for cell in wanted]
    require_torch()
    campaign, machine, cuda = (
        importlib.import_module(f"calibration.profiling.{name}") for name in ("campaign", "machine", "cuda")
    )
    if device != "cpu":
        cuda.require_cuda()
    facts = machine.machine_facts(threads, device)
    if hardware is not None and not re.fullmatch(r"\w[\w.-]*", hardware):
        raise ProfileError(f'--hardware "{hardware}" names a folder: letters, digits, ".", "-" and "_"')
    place = campaign.Place(out / (hardware or machine.default_name(facts)), facts)
    how = campaign.How(threads, repeats, not default_malloc, accept, device, splits)
    if zoo is not None:
        _whole_zoo(campaign, wanted, how, place, again, as_json)
        return
    taken, refused = _one_model(campaign, wanted[0], how, place, load_only)
    if as_json:
        found = [{"file": str(place.folder / f"{name}.csv"), **entry} for name, entry in taken.items()]
        typer.echo(json.dumps(found[0] if len(wanted[0].batches) == 1 else found))
    else:
        for name, entry in taken.items():
            _show(place.folder / f"{name}.csv", entry)
    if refused:
        raise ProfileError("; ".join(f"{name} {why}" for name, why in refused.items()))


def _one_model(campaign: Any, cell: Cell, how: Any, place: Any, load_only: bool) -> tuple[Any, dict[str, str]]:
    """Take one model's profiles under a bar; return their entries by name, and why others were not saved."""
    with told_under_a_bar(cell.name) as (_, tell):
        if load_only:
            return campaign.start_again(cell, how, place, tell), {}
        reasons = campaign.attempt(cell, min(cell.batches), how.device)[1] if cell.training else {}
        if "inference" not in reasons and "training" in reasons:
            raise ProfileError(
                f"{cell.name} cannot be trained at batch {min(cell.batches)}: {reasons['training']}. "
                "Choose another batch or input, or measure inference alone with --no-training"
            )
        taken, refused = campaign.take(cell, how, place, tell)
        return taken, refused


def _whole_zoo(campaign: Any, wanted: list[Cell], how: Any, place: Any, again: bool, as_json: bool) -> None:
    """Take a list of cells under a bar, print what became of each, and end with 1 if one failed, 130 if stopped."""
    with told_under_a_bar("looking at what is there") as (console, tell):

        def say(line: str) -> None:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

        outcome = campaign.campaign(wanted, how, place, again, tell, say)
    if as_json:
        typer.echo(json.dumps({"folder": str(place.folder), **asdict(outcome)}))
    else:
        _show_outcome(outcome, place.folder)
    if outcome.left:
        at = f"{len(outcome.left)} left, next {outcome.left[0]}"
        Console(stderr=True).print(
            f"Stopped; what was done is saved ({at}). The same command goes on from there.", soft_wrap=True
        )
        raise typer.Exit(130)
    if outcome.failed:
        raise typer.Exit(1)


def _only_with_a_model(**given: Any) -> None:
    """Refuse what names or shapes one model where a zoo is asked for."""
    found = [name for name, value in given.items() if value is not None]
    if found:
        words = ", ".join(name if name == "model" else f"--{name.replace('_', '-')}" for name in found)
        raise ProfileError(f"--zoo has its own list of models, inputs and batches; leave out: {words}")


def _cell(model: str | None, input_shape: str | None, batch: str | None, size: int | None) -> Cell:
    """Return the model that was asked for, with its input and batches."""
    if model is None:
        raise ProfileError("name a model (offing profile resnet18) or a list of them (offing profile --zoo standard)")
    shape = parse_input(input_shape)
    batches = parse_batches(batch)
    if shape is not None and batches is not None and batches != shape[:1]:
        raise ProfileError(f"--input {input_shape} has batch {shape[0]}, --batch says {batch}; give one of them")
    recipe = resolve(model, size, None if shape is None else shape[1:])
    return Cell(recipe, batches or (1 if shape is None else shape[0],))


def parse_batches(text: str | None) -> tuple[int, ...] | None:
    """Return ``"1,2,4"`` as numbers, each once, the smallest first.

    Raises:
        ProfileError: unless it is whole numbers above zero.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ProfileError(f'--batch "{text}" is not a list of batch sizes; write e.g. --batch 8 or --batch 1,2,4,8')
    return tuple(sorted({int(part) for part in parts}))


def parse_input(text: str | None) -> tuple[int, ...] | None:
    """Return ``"1x3x224x224"`` as numbers.

    Raises:
        ProfileError: unless it is two or more whole numbers above zero.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) < 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ProfileError(f'--input "{text}" is not an input; write batch and sizes as 1x3x224x224')
    return tuple(int(part) for part in parts)


@contextmanager
def told_under_a_bar(first: str) -> Iterator[tuple[Console, Callable[[str, int, int], None]]]:
    """Show a progress bar on stderr that leaves nothing behind; yields what prints above it, and what moves it."""
    console = Console(file=sys.stderr, soft_wrap=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=max(done, 0), total=total)

        yield console, tell


def _show(path: Path, entry: dict[str, Any]) -> None:
    """Print the result as a small table, and what to be careful about."""
    table = Table("quantity", "value", title=path.stem)
    if "nodes" in entry:
        table.add_row("layers", str(entry["nodes"]))
        table.add_row("plain forward", f"{entry['plain_cpu_ns'] / 1e6:.3f} ms ({entry['clock']} clock)")
        table.add_row("sum of layers", f"{entry['sum_cpu_ns'] / 1e6:.3f} ms")
        table.add_row("additivity", f"{entry['additivity']:+.2%} after {entry['retries']} retries")
        table.add_row("wall / CPU", f"{entry['wall_ratio']:.3f}")
        table.add_row("reference kernels", f"{entry['kernel_drift']:+.1%}")
        table.add_row("cold cost", f"{entry['cold_cost_ns'] / 1e6:.2f} ms after 50 ms of rest")
    if "training" in entry:
        step = entry["training"]
        table.add_row("training step", f"{step['step_cpu_ns'] / 1e6:.3f} ms, layers {step['additivity']:+.2%}")
    if "load_ns" in entry:
        first, warm = entry["first_call_ns"], entry["warm_call_ns"]
        table.add_row("load", f"{entry['load_ns'] / 1e6:.2f} ms")
        table.add_row("first call", f"{first / 1e6:.2f} ms, {(first - warm) / 1e6:.2f} ms above a warm one")
    console = wide_console()
    console.print(table)
    for flag in entry.get("flags", ()):
        console.print(f"flag: {flag}", markup=False)
    if entry.get("others"):
        console.print(f"No operator class for {', '.join(entry['others'])}: no hardware but this one can run them.")
    console.print(f"written: {path}", markup=False, soft_wrap=True)


def _show_outcome(outcome: Any, folder: Path) -> None:
    """Print how many profiles there are of each kind, and each that is not as it should be, with its reason."""
    console = Console(soft_wrap=True)
    for title, reasons in (("impossible", outcome.impossible), ("failed", outcome.failed)):
        for name, reason in reasons.items():
            console.print(f"{title}: {name}: {reason}", markup=False, highlight=False)
    counts = ("measured", "skipped", "impossible", "failed")
    words = ", ".join(f"{len(getattr(outcome, name))} {name}" for name in counts)
    console.print(f"{words} (skipped: already there). Profiles: {folder}", markup=False, highlight=False)
