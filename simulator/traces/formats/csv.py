"""Traces as CSV, the project's own form: a first line of facts, then one row per segment, instant, outage or place.

::

    # kind: bandwidth; unit: Mbit/s; duration_s: 600; end: wrap
    start_s,value
    0,12.5
    1,0

For arrivals the column is ``t_s`` alone.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from typing import cast

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.foundation.units import BANDWIDTH, DURATION, RATE, SHARE, Dimension
from simulator.profiles.trace import End
from simulator.traces.format import Format, Options
from simulator.traces.mending import averaged, in_order, not_negative, parse
from simulator.traces.recording import COLUMNS, Direction, Kind, Layer, Recording, Report
from simulator.traces.source import Source

FACTS = ("kind", "unit", "duration_s", "end", "grade", "source", "layer", "direction", "epoch")
DIMENSIONS: dict[str, Dimension] = {
    "bandwidth": BANDWIDTH, "latency": DURATION, "cpu": SHARE, "slowdown": SHARE, "rate": RATE,
}  # fmt: skip


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    lines = source.first_lines(1)
    return bool(lines) and (lines[0].startswith("#") or _names(lines[0]) in _known_columns())


def read(source: Source, options: Options) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    rows = list(source.lines())
    facts: dict[str, str] = {}
    if rows and rows[0][1].startswith("#"):
        facts = _facts(source, rows.pop(0)[1])
    if not rows:
        raise TraceError(f"{source.name}: the trace is empty")
    line, header = rows.pop(0)
    names = _names(header)
    kind = facts.get("kind") or options.kind or ("arrivals" if names == ("t_s",) else "bandwidth")
    if kind not in COLUMNS:
        raise TraceError(
            f'{source.name}:1: kind: "{kind}" is none of {", ".join(COLUMNS)}.{did_you_mean(kind, COLUMNS)}'
        )
    if names not in _known_columns():
        raise TraceError(
            f'{source.name}:{line}: the columns are {list(names)}; expected "{",".join(COLUMNS[kind])}" for {kind}'
        )
    if names[: len(COLUMNS[kind])] != COLUMNS[kind]:
        really = next(known for known, columns in COLUMNS.items() if columns == names)
        raise TraceError(f"{source.name} is a trace of {really}, but {kind} is needed here")
    report = Report()
    if not rows:
        raise TraceError(f"{source.name}: the trace is empty")
    table = parse(
        source, ((number, next(csv.reader([text]))) for number, text in rows), {n: i for i, n in enumerate(names)},
        options, report, len(names),
    )  # fmt: skip
    for index, name in enumerate(names):
        if name not in ("lat", "lon"):
            table = not_negative(source, table, index, name, options, report)
    if kind != "sites":
        table = in_order(source, table, options, report)
    duration = _number(source, facts["duration_s"]) if "duration_s" in facts else math.inf
    end = facts.get("end")
    if end is not None and end not in ("wrap", "hold", "zero", "error"):
        raise TraceError(f"{source.name}:1: end: {end!r} is none of wrap, hold, zero, error")
    columns = dict(zip(names, table.columns, strict=True))
    if "value" in columns:
        table = averaged(source, table, options, report)
        columns = dict(zip(names, table.columns, strict=True))
        if math.isinf(duration) and end != "hold":
            raise TraceError(
                f'{source.name}:1: how long does the last segment last? Add "duration_s: ..." or "end: hold"'
            )
        columns["value"] = columns["value"] * _factor(source, kind, facts, options, report, len(table))
    else:
        duration = float(table.columns[0][-1]) if math.isinf(duration) else duration
    if kind == "failures" and (columns["up_s"] < columns["down_s"]).any():
        raise TraceError(f"{source.name}: an outage ends before it begins")
    return {
        "": Recording(
            cast("Kind", kind), columns, report, duration, cast("End | None", end),
            cast("Layer", facts.get("layer", "unknown")), cast("Direction", facts.get("direction", "unknown")),
            facts.get("grade", "measured"), facts.get("epoch", ""),
        )
    }  # fmt: skip


def _known_columns() -> set[tuple[str, ...]]:
    return set(COLUMNS.values())


def _names(line: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in line.split(","))


def _factor(source: Source, kind: str, facts: Mapping[str, str], options: Options, report: Report, rows: int) -> float:
    """Return what a value times makes the unit of the kind."""
    dimension = DIMENSIONS[kind]
    unit = facts.get("unit", options.unit)
    if unit is None:
        raise TraceError(
            f"{source.name} does not say its unit; add it to the first line "
            f'("# unit: {dimension.example.split()[-1]}") or to the scenario (unit: ...)'
        )
    if "unit" in facts and options.unit and facts["unit"] != options.unit:
        raise TraceError(f"{source.name} says its unit is {facts['unit']}, the scenario says {options.unit}")
    if unit not in dimension.units:
        known = ", ".join(name for name in dimension.units if name)
        raise TraceError(f'{source.name}: "{unit}" is not a unit of {dimension.name}; known: {known}')
    report.units[unit] = rows
    return dimension.units[unit] * (8 if kind == "bandwidth" else 1)


def _facts(source: Source, line: str) -> dict[str, str]:
    facts: dict[str, str] = {}
    for part in line.lstrip("# ").split(";"):
        key, colon, value = part.partition(":")
        if not part.strip():
            continue
        if not colon or key.strip() not in FACTS:
            hint = did_you_mean(key.strip(), FACTS)
            raise TraceError(f'{source.name}:1: "{part.strip()}" is not "name: value".{hint} Known: {", ".join(FACTS)}')
        facts[key.strip()] = value.strip()
    return facts


def _number(source: Source, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise TraceError(f"{source.name}:1: duration_s: {text!r} is not a number") from None
    if not math.isfinite(value):
        raise TraceError(f"{source.name}:1: duration_s: {text} is not finite")
    return value


FORMAT = Format(
    "csv", ("bandwidth", "latency", "cpu", "slowdown", "rate", "arrivals", "failures", "mobility", "sites"),
    "the project's own form, for any kind", fits, read,
)  # fmt: skip
