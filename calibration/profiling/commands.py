"""The verb ``offing profile``. Light to import: torch is loaded when the verb runs."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from calibration.zoo import ZOO, require_torch, resolve
from simulator.foundation.errors import ProfileError


def profile(
    model: Annotated[str, typer.Argument(help=f"{', '.join(ZOO)}, or package.module:function")],
    input_shape: Annotated[str | None, typer.Option("--input", help="Whole input, e.g. 1x3x224x224.")] = None,
    batch: Annotated[int | None, typer.Option(help="Inputs per run; 1 unless --input says otherwise.")] = None,
    threads: Annotated[int, typer.Option(help="Threads within an operator.")] = 1,
    size: Annotated[int | None, typer.Option(help="Side of a square colour image, e.g. 224.")] = None,
    repeats: Annotated[int, typer.Option(help="Rounds per attempt.")] = 31,
    hardware: Annotated[str | None, typer.Option(help="Name of this machine's folder; made from the CPU's.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of all hardware.")] = Path("scenarios/profiles"),
    default_malloc: Annotated[bool, typer.Option("--default-malloc", help="Let the C library trim its heap.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="Keep a profile that fails the gate, with a flag.")] = False,
    load_only: Annotated[
        bool, typer.Option("--load-only", help="Take load time and first call again; layer times stay.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure a model layer by layer on this machine and write its profile, with load time and first call.

    Needs PyTorch. The sum of the layers has to be within 3 % of the whole model's time, else up to five retries are
    made and then nothing is written. For clean numbers pin the process to one quiet core: ``taskset -c 1 offing
    profile resnet18``.
    """
    shape = parse_input(input_shape)
    if shape is not None and batch not in (None, shape[0]):
        raise ProfileError(f"--input {input_shape} has batch {shape[0]}, --batch says {batch}; give one of them")
    recipe = resolve(model, size, None if shape is None else shape[1:])
    require_torch()
    profiler, loading, machine, store = (
        importlib.import_module(f"calibration.profiling.{module}")
        for module in ("profiler", "loading", "machine", "store")
    )
    facts = machine.machine_facts(threads)
    hardware = hardware or machine.default_name(facts)
    with _bar() as bar:
        task = bar.add_task(f"{recipe.name} {recipe.tag}", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{recipe.name} {recipe.tag}: {what}", completed=max(done, 0), total=total)

        batch = batch or (shape[0] if shape else 1)
        steady = not default_malloc
        if load_only:
            entry = loading.measure_starts(recipe, batch, threads, steady, progress=tell)
            path = store.add(entry, facts, out, hardware, store.file_name(recipe, batch))
        else:
            measured = profiler.measure(recipe, batch, threads, repeats, steady, accept, tell)
            measured.summary.update(loading.measure_starts(recipe, batch, threads, steady, progress=tell))
            entry = {"nodes": len(measured.facts), **measured.summary}
            path = store.save(measured, facts, out, hardware)
    if as_json:
        typer.echo(json.dumps({"file": str(path), **entry}))
        return
    _show(path, entry)
    if not load_only:
        others = sorted({fact.kind for fact in measured.facts if fact.operator == "other"})
        if others:
            Console().print(f"No operator class for {', '.join(others)}: no hardware but this one can run them.")


def parse_input(text: str | None) -> tuple[int, ...] | None:
    """Return ``"1x3x224x224"`` as numbers.

    Raises:
        ProfileError: unless it is two or more whole numbers above zero.
    """
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) < 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise ProfileError(f'--input "{text}" is not an input; write batch and sizes as 1x3x224x224')
    return tuple(int(part) for part in parts)


def _bar() -> Progress:
    """A progress bar on stderr that leaves nothing behind."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, console=Console(file=sys.stderr), transient=True)


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
    table.add_row("load", f"{entry['load_ns'] / 1e6:.2f} ms")
    first, warm = entry["first_call_ns"], entry["warm_call_ns"]
    table.add_row("first call", f"{first / 1e6:.2f} ms, {(first - warm) / 1e6:.2f} ms above a warm one")
    console = Console()
    console.print(table)
    for flag in entry.get("flags", ()):
        console.print(f"flag: {flag}", markup=False)
    console.print(f"written: {path}", markup=False, soft_wrap=True)
