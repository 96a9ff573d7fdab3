"""What the verbs of ``offing traces`` have in common: how a file is asked for, read, and told about."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from simulator.commands.tables import number, seconds
from simulator.foundation.errors import TraceError, UnitError, did_you_mean
from simulator.foundation.units import DURATION, Dimension
from simulator.profiles.trace import End
from simulator.traces.format import Request, known_formats
from simulator.traces.reader import read_file
from simulator.traces.recording import Found, Reading, Recording, Report

T = TypeVar("T")

FileArgument = Annotated[Path, typer.Argument(help="A recording, in any format of `offing traces formats`.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="Its format, where the file cannot tell it.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="What it is wanted as: bandwidth, cpu, mobility ...")]
MemberOption = Annotated[str | None, typer.Option("--member", help="Which file of an archive.")]
SeriesOption = Annotated[str | None, typer.Option("--series", help="Which of several in the file.")]
UnitOption = Annotated[str | None, typer.Option("--unit", help="Of its values, where the file does not say it.")]
StepOption = Annotated[str | None, typer.Option("--step", help="Time from row to row, where the file does not say it.")]
TimeOption = Annotated[str | None, typer.Option("--time", help="Column of times, in a CSV of your own.")]
ValueOption = Annotated[str | None, typer.Option("--value", help="Column of values there.")]
EndOption = Annotated[str | None, typer.Option("--end", help="What follows: wrap, hold, zero or error.")]
RepairOption = Annotated[bool, typer.Option("--repair", help="Mend what is wrong in the file, and say so.")]

ENDS: tuple[End, ...] = get_args(End)
SHOWN = 20
"""So many series of a file stand in the table."""
MBIT = 1e6


def quantity(text: str, dimension: Dimension, option: str) -> float:
    """Return what was given for *option*: a plain number is in the SI unit.

    Raises:
        UnitError: if it is no such quantity.
    """
    try:
        plain = float(text)
    except ValueError:
        plain = None
    try:
        return dimension.parse(text) if plain is None else dimension.check(plain, text)
    except UnitError as error:
        raise UnitError(f"{option}: {error}") from None


def asked(
    kind: str | None = None,
    form: str | None = None,
    member: str | None = None,
    series: str | None = None,
    unit: str | None = None,
    step: str | None = None,
    end: str | None = None,
    repair: bool = False,
    time: str | None = None,
    value: str | None = None,
) -> Request:
    """Return what the options of a verb ask of a file.

    Raises:
        TraceError: if there is no such kind or end.
        UnitError: if the step is none.
    """
    kinds = sorted({each for known in known_formats().values() for each in known.kinds})
    for option, given, allowed in (("--kind", kind, kinds), ("--end", end, ENDS)):
        if given is not None and given not in allowed:
            raise TraceError(f'{option}: "{given}" is none of {", ".join(allowed)}.{did_you_mean(given, allowed)}')
    stride = None if step is None else quantity(step, DURATION, "--step")
    if stride == 0.0:
        raise TraceError("--step: 0 s from row to row; a step is longer than that")
    follows = next((each for each in ENDS if each == end), None)
    return Request(kind, form, unit, follows, member, series, stride, repair, time, value)


def read_with_bar(path: Path, request: Request) -> Reading:
    """Read all that a file holds, with a progress bar on standard error."""
    return with_bar(read_file, path, request)


def with_bar(read: Callable[[Path, Request], T], path: Path, request: Request) -> T:
    """Return what *read* makes of a file, with a progress bar on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return read(path, request)
    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("read", total=None)
        told = replace(request, progress=lambda done, total: bar.update(task, completed=done, total=total))
        return read(path, told)


# -- for programs ----------------------------------------------------------------------------------------------------


def as_object(reading: Reading, series: Mapping[str, Found]) -> dict[str, Any]:
    """Return what is known of a file as one JSON object: in bit/s and seconds."""
    return {
        "file": reading.file,
        "format": reading.format,
        "sha256": reading.sha256,
        "series": {name: _object(found) for name, found in series.items()},
    }


def _object(found: Found) -> dict[str, Any]:
    about: dict[str, Any] = dict(found.facts())
    if isinstance(found, Recording):
        about |= {
            key: getattr(found, key) for key in ("end", "layer", "direction", "grade", "epoch", "round_trip")
        }  # fmt: skip
    return about | {"report": found.report.as_dict()}


# -- for people ------------------------------------------------------------------------------------------------------


def tables(reading: Reading, series: Mapping[str, Found]) -> Iterator[Table]:
    """Yield the tables on a file and on *series* of it."""
    yield _file(reading, series)
    if len(series) == 1:
        yield _one(next(iter(series.values())))
    else:
        yield _many(series)
    yield report_table(series.values(), reading)


def _rows(title: str) -> Table:
    table = Table(title=escape(title), title_justify="left", box=None, show_header=False, min_width=60)
    table.add_column("what", style="cyan", no_wrap=True)
    table.add_column("value", overflow="fold")
    return table


def _file(reading: Reading, series: Mapping[str, Found]) -> Table:
    table = _rows(reading.file)
    known = known_formats().get(reading.format)
    table.add_row("format", escape(f"{reading.format}: {known.title}" if known else reading.format))
    table.add_row("sha256", reading.sha256)
    if len(reading.series) > 1:
        shown = "" if len(series) == len(reading.series) else f", of which this is {next(iter(series))}"
        table.add_row("series", escape(f"{len(reading.series):,}{shown}"))
    return table


def _one(found: Found) -> Table:
    facts = found.facts()
    table = _rows("what is in it")
    kind = str(facts.pop("kind"))
    table.add_row("kind", escape(f"{kind}, {about}" if (about := _about(found)) else kind))
    if isinstance(found, Recording):
        table.add_row("grade", found.grade)
        if found.epoch:
            table.add_row("began", escape(found.epoch))
    if "segments" in facts:
        facts.pop("rows")
        facts.pop("unit")
        shortest, longest = facts.pop("shortest_segment_s"), facts.pop("longest_segment_s")
        table.add_row("segments", f"{facts.pop('segments'):,}, of {seconds(shortest)} to {seconds(longest)}")
        zero, run = facts.pop("zero_s"), facts.pop("longest_zero_s")
        duration = facts.pop("duration_s")
        table.add_row("duration", span(duration))
        table.add_row("mean over time", level(kind, facts.pop("mean")))
        table.add_row("least to most", f"{level(kind, facts.pop('min'))} to {level(kind, facts.pop('max'))}")
        volume = facts.pop("volume")
        if kind == "bandwidth":
            table.add_row("volume", "endless" if math.isinf(duration) else f"{number(volume / 8e6)} MB")
        table.add_row("at zero", f"{span(zero)}, {span(run)} at a stretch" if zero else "never")
    for key, value in facts.items():
        name = key.removesuffix("_s").replace("_", " ")
        table.add_row(escape(name), escape(_written(key, value)))
    return table


def _about(found: Found) -> str:
    """Return what a recording was taken of: ``goodput, down``."""
    if not isinstance(found, Recording):
        return ""
    said = []
    if found.kind == "bandwidth":
        said = [f"layer {found.layer}", f"direction {found.direction}"]
    elif found.kind == "latency":
        said = ["there and back" if found.round_trip else "one way"]
    return ", ".join([*said, *([f"end: {found.end}"] if found.end else [])])


def _many(series: Mapping[str, Found]) -> Table:
    table = Table(title="what is in it", title_justify="left", box=None)
    table.add_column("series", style="cyan", overflow="fold")
    for column in ("kind", "rows", "duration", "mean", "most", "at zero"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for name, found in list(series.items())[:SHOWN]:
        facts = found.facts()
        rows = facts.get("rows", facts.get("nodes", 0))
        cells = [span(facts.get("duration_s", facts.get("span_s"))), "", "", ""]
        if "segments" in facts:
            cells[1:] = [level(found.kind, facts["mean"]), level(found.kind, facts["max"]), span(facts["zero_s"])]
        table.add_row(escape(name), found.kind, f"{rows:,}", *cells)
    if len(series) > SHOWN:
        table.add_row(f"... and {len(series) - SHOWN:,} more", "", "", "", "", "", "")
    return table


def report_table(found: Any, reading: Reading) -> Table:
    """Return the table on how a file was read."""
    table = _rows("how it was read")
    total = _sum([each.report for each in found])
    counts = {key: getattr(total, key) for key in ("dropped", "merged", "reordered")}
    table.add_row("rows", f"{total.rows:,} read, " + ", ".join(f"{value:,} {key}" for key, value in counts.items()))
    if total.units:
        table.add_row("units", escape(", ".join(f"{unit} ({rows:,} rows)" for unit, rows in total.units.items())))
    if total.holes:
        table.add_row("holes", f"{total.holes:,}, together {span(total.hole_s)}")
    for name in ("assumed", "repaired"):
        for index, sentence in enumerate(dict.fromkeys(getattr(total, name))):
            table.add_row(name if index == 0 else "", escape(sentence))
    return table


def _sum(reports: list[Report]) -> Report:
    """Add up reports; series that share one count once."""
    total = Report()
    for report in {id(each): each for each in reports}.values():
        for key in ("rows", "dropped", "merged", "reordered", "holes", "hole_s"):
            setattr(total, key, getattr(total, key) + getattr(report, key))
        for unit, rows in report.units.items():
            total.units[unit] = total.units.get(unit, 0) + rows
        total.assumed += report.assumed
        total.repaired += report.repaired
    return total


def level(kind: str, value: float) -> str:
    """Write a value of a recording of *kind* for people."""
    if kind == "bandwidth":
        return f"{number(value / MBIT)} Mbit/s"
    if kind == "latency":
        return seconds(value)
    return f"{number(100 * value)} %" if kind == "cpu" else number(value) + (" /s" if kind == "rate" else "")


def span(value: float | None) -> str:
    """Write a length of time for people, with days or hours beside many seconds."""
    if value is None:
        return ""
    if math.isinf(value):
        return "endless"
    text = f"{value:,.0f} s" if value >= 1e4 else seconds(value)
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if value >= 2 * size:
            return f"{text} ({value / size:.1f} {unit})"
    return text


def report_line(found: Recording) -> str:
    """Say in a few words what is in a recording: ``bandwidth: 10 min, mean 23 Mbit/s``."""
    facts = found.facts()
    if "segments" in facts:
        return f"{found.kind}: {span(facts['duration_s'])}, mean {level(found.kind, facts['mean'])}"
    return f"{found.kind}: {facts['rows']:,} rows, {span(facts.get('span_s', facts.get('duration_s')))}"


def _written(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value[:SHOWN])) + (f" and {len(value) - SHOWN} more" if len(value) > SHOWN else "")
    if isinstance(value, float):
        return span(value) if key.endswith("_s") else f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
