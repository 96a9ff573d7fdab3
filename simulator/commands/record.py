"""``offing record cpu``: how busy this machine's processor is, as a trace that a scenario can use.

The load of an interval is the share of all cores' time in it that was not idle, as the operating system counts it
(psutil; on Linux ``/proc/stat``, in hundredths of a second, so short intervals are coarse). It is that of the whole
machine, also where this program may use a part of it only.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from simulator.commands.readings import level, quantity, span
from simulator.commands.traces import WRITERS, ForceOption, free_file
from simulator.foundation.errors import TraceError
from simulator.foundation.units import DURATION
from simulator.traces.recording import Recording, Report

SHORTEST = 0.1
"""Between two looks [s]: ten ticks of the clock that Linux counts processor time with."""
Load = Callable[[], float]


def cpu(
    length: Annotated[str, typer.Option("--seconds", help="How long: seconds, or '10 min'.")],
    every: Annotated[str, typer.Option(help="From one look to the next.")] = "1 s",
    out: Annotated[Path, typer.Option(help="Where to write: NAME.csv or NAME.parquet.")] = Path("cpu.csv"),
    force: ForceOption = False,
) -> None:
    """Record the processor load of this machine as a trace, for `load: {trace: cpu.csv}`; Ctrl-C ends it early."""
    duration, step = quantity(length, DURATION, "--seconds"), quantity(every, DURATION, "--every")
    if step < SHORTEST:
        raise TraceError(f"--every {every}: from one look to the next it takes {SHORTEST:g} s at least")
    if duration < step:
        raise TraceError(f"--seconds {length}: shorter than one step of {step:g} s (--every)")
    suffix = free_file(out, force)
    console = Console(stderr=True, soft_wrap=True)
    columns = (TextColumn("recording"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f} s"),
               TextColumn("load {task.fields[load]}"), TimeRemainingColumn())  # fmt: skip
    edges, loads, stopped = [0.0], list[float](), False
    epoch = datetime.now(UTC).isoformat(timespec="seconds")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("record", total=duration, load="")
        try:
            for edge, load in watch(duration, step):
                edges.append(edge)
                loads.append(load)
                bar.update(task, completed=min(edge, duration), load=level("cpu", load))
        except KeyboardInterrupt:
            stopped = True
    if not loads:
        console.print(f"Stopped before the first {step:g} s were over; nothing was written.")
        raise typer.Exit(130)
    recording = as_recording(edges, loads, epoch)
    WRITERS[suffix](recording, out)
    mean = float(recording.facts()["mean"])
    early = "stopped early: " if stopped else ""
    console.print(f"{early}{span(edges[-1])} of load, {level('cpu', mean)} on average, written to {out}", markup=False)
    if stopped:
        raise typer.Exit(130)


def watch(duration: float, step: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[tuple[float, float]]:
    """Yield the end of each step [s since the first look] and the share of processor time used in it.

    Steps end when they were really looked at, which is a little after they were due; a delay does not add up.
    """
    before, begin, count = psutil.cpu_times(), time.monotonic(), 0
    while count * step < duration - step / 2:
        count += 1
        sleep(max(0.0, begin + count * step - time.monotonic()))
        edge, now = time.monotonic() - begin, psutil.cpu_times()
        yield edge, share(before, now)
        before = now


def share(before: tuple[float, ...], now: tuple[float, ...]) -> float:
    """Return the share of processor time between two looks in which something ran; waiting for a disk is idle."""
    spent = {name: max(0.0, getattr(now, name) - getattr(before, name)) for name in getattr(now, "_fields", ())}
    for inside in ("guest", "guest_nice"):  # Linux counts these within user and nice
        spent.pop(inside, None)
    total = sum(spent.values())
    idle = spent.get("idle", 0.0) + spent.get("iowait", 0.0)
    return min(1.0, max(0.0, 1.0 - idle / total)) if total else 0.0


def as_recording(edges: list[float], loads: list[float], epoch: str = "") -> Recording:
    """Return loads between *edges* [s] as a recording of this machine."""
    columns = {"start_s": np.array(edges[:-1]), "value": np.array(loads)}
    return Recording(
        "cpu", columns, Report(rows=len(loads)), edges[-1], "wrap", grade="measured", epoch=epoch, source=machine()
    )


def machine() -> str:
    """Say what processor this is, and how many cores it has."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next(line.partition(":")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    cores = psutil.cpu_count(logical=False)
    threads = psutil.cpu_count() or 1
    return f"{' '.join(model.split())}, {cores or threads} cores, {threads} threads"
