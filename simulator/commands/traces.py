"""``offing traces``: what a recording holds, how it was read, and making it our own form."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.commands.options import JsonOption
from simulator.commands.readings import (
    EndOption,
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
    as_object,
    asked,
    quantity,
    read_with_bar,
    tables,
    with_bar,
)  # fmt: skip
from simulator.commands.tables import plain, wide_console
from simulator.foundation.errors import TraceError
from simulator.foundation.units import DURATION, PERIOD, SIZE
from simulator.profiles.trace import End, Trace
from simulator.traces.algebra import clip as clipped
from simulator.traces.algebra import resample as resampled
from simulator.traces.facts import DIMENSIONS
from simulator.traces.format import known_formats
from simulator.traces.reader import choose, read_trace
from simulator.traces.recording import LARGEST, UNITS, Found, Reading, Recording
from simulator.traces.writing import write_csv, write_parquet

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
WRITERS = {".csv": write_csv, ".csv.gz": write_csv, ".parquet": write_parquet}
"""What a name ends in → what writes it."""


def formats(as_json: JsonOption = False) -> None:
    """List the formats that recordings are read in, and what they hold."""
    rows: list[dict[str, Any]] = [
        {"format": form.name, "aliases": list(form.aliases), "kinds": list(form.kinds), "title": form.title}
        for form in known_formats().values()
    ]
    if as_json:
        _print_json({"formats": rows})
        return
    table = Table(box=None)
    for column in ("format", "kinds", "what it is"):
        table.add_column(column, style="cyan" if column == "format" else None)
    for row in rows:
        table.add_row(", ".join([row["format"], *row["aliases"]]), ", ".join(row["kinds"]), escape(row["title"]))
    wide_console().print(table)


def describe(
    file: FileArgument,
    form: FormatOption = None,
    kind: KindOption = None,
    member: MemberOption = None,
    series: SeriesOption = None,
    unit: UnitOption = None,
    step: StepOption = None,
    time: TimeOption = None,
    value: ValueOption = None,
    repair: RepairOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a recording holds and how it was read: rows, units, holes, zeros, means, and what was assumed."""
    reading = read_with_bar(file, asked(kind, form, member, series, unit, step, None, repair, time, value))
    wanted = _wanted(reading, series)
    if as_json:
        _print_json(as_object(reading, wanted))
        return
    _print_tables(reading, wanted)


def transfer(
    file: FileArgument,
    start: Annotated[str, typer.Option(help="When it begins: seconds, or '10 s'.")],
    size: Annotated[str, typer.Option("--bytes", help="How much is sent: bytes, or '1 MB'.")],
    form: FormatOption = None,
    member: MemberOption = None,
    series: SeriesOption = None,
    unit: UnitOption = None,
    step: StepOption = None,
    time: TimeOption = None,
    value: ValueOption = None,
    end: EndOption = None,
    repair: RepairOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say when a transfer over the bare link ends: the recording alone, without framing or delay."""
    begin, work = quantity(start, DURATION, "--start"), quantity(size, SIZE, "--bytes")
    request = asked("bandwidth", form, member, series, unit, step, end, repair, time, value)
    trace = with_bar(read_trace, file, request)
    if not trace.recorded(begin) + work < LARGEST:
        raise TraceError(f"{work:g} bytes from {begin:g} s on: more comes through until then than can be counted")
    done = trace.finish(begin, work)
    if math.isinf(done):
        raise TraceError(
            f"{file.name}: {work:g} bytes from {begin:g} s on never arrive: with end: {trace.end} too little comes "
            "through (--end wrap starts the recording again)"
        )
    if as_json:
        _print_json({"end_s": done, "duration_s": done - begin})
        return
    typer.echo(f"{work:,.15g} bytes from {begin:.15g} s on are through at {done!r} s, after {done - begin!r} s.")


def import_(
    file: FileArgument,
    out: Annotated[Path, typer.Option(help="Where to write: NAME.csv, NAME.parquet, or with --all a folder.")],
    form: FormatOption = None,
    kind: KindOption = None,
    member: MemberOption = None,
    series: SeriesOption = None,
    every: Annotated[bool, typer.Option("--all", help="Write every series, each to a file in --out.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="With --all: Parquet instead of CSV.")] = False,
    unit: UnitOption = None,
    step: StepOption = None,
    time: TimeOption = None,
    value: ValueOption = None,
    end: EndOption = None,
    scale: Annotated[float | None, typer.Option(help="Factor on every value.")] = None,
    clip: Annotated[str | None, typer.Option(help="No value above this, e.g. '50 Mbit/s'.")] = None,
    resample: Annotated[str | None, typer.Option(help="Means over steps of this length, e.g. '1 s'.")] = None,
    repair: RepairOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Convert a recording to the project's own form (CSV or Parquet), and say how it was read."""
    request = asked(kind, form, member, series, unit, step, end, repair, time, value)
    if every and series is not None:
        raise TraceError("--all and --series: give one of them")
    if parquet and not every:
        raise TraceError("--parquet goes with --all; else the name says it: --out NAME.parquet")
    suffix = (".parquet" if parquet else ".csv") if every else free_file(out, force, file)
    change = _Change(scale, clip, resample)
    reading = read_with_bar(file, request)
    wanted = dict(reading.series) if every else {series or "": choose(reading, series)}
    kept = {
        name: change.of(_ours(_recording(reading, found), reading, name, request.end)) for name, found in wanted.items()
    }
    places = _places(out, list(kept), suffix) if every else dict.fromkeys(kept, out)
    for place in places.values():
        free_file(place, force, file)
    if every:
        _make(out)
    for count, (name, recording) in enumerate(kept.items()):
        try:
            WRITERS[suffix](recording, places[name])
        except KeyboardInterrupt:
            Console(stderr=True).print(f"Stopped; {count} of {len(kept)} files were written, each whole.")
            raise typer.Exit(130) from None
    if as_json:
        files = {name: str(place) for name, place in places.items()}
        _print_json(as_object(reading, kept) | {"files": files})
        return
    _print_tables(reading, kept)
    written = str(out) if not every else f"{len(places)} files in {out}"
    Console(stderr=True, soft_wrap=True).print(f"written: {written}", markup=False, highlight=False)


# -- shared ----------------------------------------------------------------------------------------------------------


class _Change:
    """What ``--scale``, ``--clip`` and ``--resample`` do to a recording of steps."""

    def __init__(self, scale: float | None, clip: str | None, resample: str | None) -> None:
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise TraceError(f"--scale {scale:g}: a factor is above zero")
        self.scale, self.clip = scale, clip
        self.step = None if resample is None else quantity(resample, PERIOD, "--resample")

    def of(self, recording: Recording) -> Recording:
        """Return the recording changed; what was scaled or clipped is not as it was measured.

        Raises:
            TraceError: if it has no values over time, or they grow beyond all measure.
        """
        if self.scale is None and self.clip is None and self.step is None:
            return recording
        if recording.kind not in UNITS:
            raise TraceError(f"--scale, --clip, --resample: a recording of {recording.kind} has no values over time")
        end: End = "hold" if math.isinf(recording.duration) else "zero"
        bits = 8.0 if recording.kind == "bandwidth" else 1.0
        trace = Trace(recording.columns["start_s"], recording.columns["value"] / bits, recording.duration, end)
        done, grade = [], recording.grade
        if self.scale is not None:
            trace, grade = trace.scaled(self.scale), _weaker(grade)
            done.append(f"scaled by {self.scale:g}")
        if self.clip is not None:
            ceiling = quantity(self.clip, DIMENSIONS[recording.kind], "--clip")
            trace, grade = clipped(trace, ceiling), _weaker(grade)
            done.append(f"clipped at {self.clip}")
        if self.step is not None:
            trace = resampled(trace, self.step)
            done.append(f"means over {self.step:g} s")
        columns = {"start_s": np.array(trace.starts), "value": np.array(trace.values) * bits}
        source = ", ".join([recording.source, *done])
        changed = replace(recording, columns=columns, duration=trace.duration, grade=grade, source=source)
        if problem := changed.problem():
            raise TraceError(f"{', '.join(done)}: {problem}")
        return changed


def _weaker(grade: str) -> str:
    return "transferred" if grade == "measured" else grade


def _wanted(reading: Reading, series: str | None) -> Mapping[str, Found]:
    return reading.series if series is None else {series: choose(reading, series)}


def _recording(reading: Reading, found: Found) -> Recording:
    """Return *found*, which must be a recording.

    Raises:
        TraceError: if it is none.
    """
    if not isinstance(found, Recording):
        raise TraceError(f"{reading.file} holds a {found.kind}, which has no form of ours; it is used as it is")
    return found


def _ours(recording: Recording, reading: Reading, series: str, end: End | None) -> Recording:
    """Return *recording* with what our form keeps of where it came from; what it says of that itself stays.

    Raises:
        TraceError: if *end* does not suit it.
    """
    last = end or recording.end
    if math.isinf(recording.duration) and last not in (None, "hold"):
        raise TraceError(f"--end {last}: {reading.file} does not say when its last segment ends; --end hold does")
    source = recording.source or f"{reading.file}{f', {series}' if series else ''} ({reading.format})"
    return replace(recording, end=last, source=source, original=recording.original or reading.sha256)


def free_file(out: Path, force: bool, original: Path | None = None) -> str:
    """Return the suffix of *out*, a file that may be written.

    Raises:
        TraceError: if it is there already, or its name does not say CSV or Parquet.
    """
    suffix = next((ending for ending in WRITERS if out.name.lower().endswith(ending)), None)
    if suffix is None:
        raise TraceError(f"--out {out}: a name ends in {', '.join(WRITERS)}")
    if out.is_dir():
        raise TraceError(f"--out {out}: is a folder; give the name of a file")
    if out.exists():
        if original is not None and original.exists() and out.samefile(original):
            raise TraceError(f"--out {out}: is the recording itself; give another name")
        if not force:
            raise TraceError(f"--out {out}: exists already; give another name, or --force to replace it")
    return suffix


def _places(folder: Path, names: list[str], suffix: str) -> dict[str, Path]:
    """Return where each series goes: files named after them, told apart where their names differ in signs alone."""
    places: dict[str, Path] = {}
    taken: set[str] = set()
    for name in names:
        stem = plain_name = re.sub(r"[^\w.+-]+", "_", name).strip("._")[:120] or "trace"
        count = 1
        while stem.lower() in taken:
            count += 1
            stem = f"{plain_name}-{count}"
        taken.add(stem.lower())
        places[name] = folder / f"{stem}{suffix}"
    return places


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraceError(f"--out {folder}: cannot be made: {error.strerror}") from None


def _print_tables(reading: Reading, series: Mapping[str, Found]) -> None:
    console = wide_console()
    for table in tables(reading, series):
        console.print(table, highlight=False)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(plain(value), indent=1) + "\n")
