"""``offing traces generate``: a synthetic trace as a file, from a shipped generator or from blocks of a recording."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from simulator.commands.readings import (
    FormatOption,
    MemberOption,
    RepairOption,
    SeriesOption,
    StepOption,
    UnitOption,
    asked,
    quantity,
    read_with_bar,
    report_line,
)
from simulator.commands.traces import WRITERS, ForceOption, free_file
from simulator.foundation.errors import TraceError, did_you_mean
from simulator.foundation.randomness import Streams
from simulator.foundation.units import PERIOD
from simulator.profiles.library import shipped
from simulator.profiles.trace import Trace
from simulator.traces.bootstrap import Bootstrap
from simulator.traces.format import Request
from simulator.traces.generator import Generator, find_generator, generator_names
from simulator.traces.outages import OutageGenerator, find_outages
from simulator.traces.reader import as_trace, choose
from simulator.traces.recording import Recording, Report

BOOTSTRAP = "bootstrap"
SHELVES = ("networks", "loads", "outages")
"""Folders of shipped generators: of bandwidth, of processor load, of outages."""
MOST = 20_000_000
"""Segments that a trace may have."""
MOST_OUTAGES = 1_000_000


def generate(
    duration: Annotated[str, typer.Option(help="How long: seconds, or '10 min'.")],
    out: Annotated[Path, typer.Option(help="Where to write: NAME.csv or NAME.parquet.")],
    name: Annotated[str | None, typer.Argument(help="A shipped generator (4g, server-day ...), or bootstrap.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trace.")] = 0,
    files: Annotated[list[Path] | None, typer.Option("--from", help="bootstrap: a recording; may be repeated.")] = None,
    block: Annotated[str, typer.Option(help="bootstrap: mean length of what is played at a stretch.")] = "30 s",
    scale: Annotated[float, typer.Option(help="Factor on every value.")] = 1.0,
    form: FormatOption = None,
    member: MemberOption = None,
    series: SeriesOption = None,
    unit: UnitOption = None,
    step: StepOption = None,
    repair: RepairOption = False,
    force: ForceOption = False,
) -> None:
    """Write a synthetic trace: from a shipped generator, or put together from blocks of recordings (--from)."""
    length = quantity(duration, PERIOD, "--duration")
    if not (math.isfinite(scale) and scale > 0):
        raise TraceError(f"--scale {scale:g}: a factor is above zero")
    suffix = free_file(out, force)
    rng = Streams(seed)["generate", name or BOOTSTRAP]
    if files:
        if name not in (None, BOOTSTRAP):
            raise TraceError(f'"{name}" is a shipped generator and takes nothing from a file; leave it out, or --from')
        request = asked(None, form, member, series, unit, step, None, repair)
        generator: Generator | OutageGenerator = _bootstrap(files, request, quantity(block, PERIOD, "--block"))
    else:
        generator = _shipped(name)
    if isinstance(generator, OutageGenerator):
        recording = _outages(generator, rng, length, scale)
    else:
        if length / generator.step > MOST:
            raise TraceError(f"--duration {duration}: more than {MOST:.0e} steps of {generator.step:g} s")
        chosen = generator.scaled(scale)
        if chosen.kind != "bandwidth" and chosen.peak > 1:
            raise TraceError(f"--scale {scale:g}: loads up to {chosen.peak:.0%} came; a load is at most 100 %")
        recording = as_recording(chosen, chosen.generate(rng, length))
    WRITERS[suffix](recording, out)
    Console(stderr=True, soft_wrap=True).print(
        f"{report_line(recording)}, {recording.source}; seed {seed}; written to {out}", markup=False, highlight=False
    )


def as_recording(generator: Generator, trace: Trace) -> Recording:
    """Return a drawn trace as a recording, in the units of files."""
    bandwidth = generator.kind == "bandwidth"
    columns = {"start_s": np.array(trace.starts), "value": np.array(trace.values) * (8.0 if bandwidth else 1.0)}
    return Recording(
        "bandwidth" if bandwidth else "cpu", columns, Report(rows=len(trace.starts)), trace.duration, trace.end,
        layer=generator.layer,
        direction=generator.direction, grade=generator.grade, source=generator.evidence,
    )  # fmt: skip


def _shipped(name: str | None) -> Generator | OutageGenerator:
    """Return the shipped generator *name*.

    Raises:
        TraceError: if there is none, with the nearest name.
    """
    shelves = {shelf: generator_names(shipped() / shelf) for shelf in SHELVES}
    known = [each for names in shelves.values() for each in names]
    if name is None or name == BOOTSTRAP:
        hint = f"give a recording with --from, or a shipped generator: {', '.join(known)}"
        raise TraceError(f"bootstrap of what? {hint}" if name else f"what to generate? {hint}")
    for shelf, names in shelves.items():
        if name in names:
            return (find_outages if shelf == "outages" else find_generator)(name, shipped() / shelf)
    raise TraceError(
        f'no generator named "{name}".{did_you_mean(name, [*known, BOOTSTRAP])} Known: {", ".join(known)}, {BOOTSTRAP}'
    )


def _bootstrap(files: list[Path], request: Request, block: float) -> Bootstrap:
    """Return the bootstrap of recordings, which must be of one kind.

    Raises:
        TraceError: if one cannot be read or is of another kind, or the block is shorter than their segments.
    """
    traces, recordings, kinds = [], [], {}
    for file in files:
        reading = read_with_bar(file, request)
        found = choose(reading, request.series)
        if not isinstance(found, Recording) or found.kind not in ("bandwidth", "cpu"):
            raise TraceError(f"--from {reading.file}: is a trace of {found.kind}; expected one of bandwidth or cpu")
        kinds[found.kind] = reading.file
        recordings.append(found)
        traces.append(as_trace(found, reading.file, "hold" if math.isinf(found.duration) else "zero"))
    if len(kinds) > 1:
        which = " and ".join(f"{file} of {kind}" for kind, file in kinds.items())
        raise TraceError(f"--from: {which}; expected recordings of one kind")
    made = Bootstrap.of(traces, block, kind="bandwidth" if "bandwidth" in kinds else "load").as_recorded(recordings)
    if block < made.step:
        raise TraceError(
            f"--block {block:g} s: a segment of {made.name} lasts {made.step:.3g} s (mean); give a block of several"
        )
    return made


def _outages(generator: OutageGenerator, rng: np.random.Generator, length: float, scale: float) -> Recording:
    if scale != 1.0:
        raise TraceError(f"--scale: outages are not scaled; {generator.name} says how long they are")
    expected = length / (generator.between.mean + generator.length.mean)
    if expected > MOST_OUTAGES:
        raise TraceError(f"--duration: some {expected:.0e} outages would come; at most {MOST_OUTAGES:.0e} can")
    rows = generator.draw(rng, length)
    if not rows:
        raise TraceError(f"no outage of {generator.name} begins within {length:g} s; give a longer --duration")
    columns = dict(zip(("down_s", "up_s", "share"), np.array(rows).T, strict=True))
    return Recording(
        "failures", columns, Report(rows=len(rows)), float(columns["up_s"].max()), grade=generator.grade,
        source=generator.evidence,
    )  # fmt: skip
