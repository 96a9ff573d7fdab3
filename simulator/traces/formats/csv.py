"""Traces as CSV, the project's own form: a first line of facts, then one row per segment, instant, outage or place.

::

    # kind: bandwidth; unit: Mbit/s; duration_s: 600; end: wrap
    start_s,value
    0,12.5
    1,0

| kind | columns |
| --- | --- |
| bandwidth, latency, cpu, slowdown, rate | ``start_s,value``, or ``value`` alone with ``step_s`` among the facts |
| arrivals | ``t_s`` |
| failures | ``down_s,up_s``, and ``share`` where not all goes down |
| mobility | ``t_s,lat,lon`` |
| sites | ``lat,lon``, and ``name`` |

Further columns of numbers (sizes of requests, the uplink) are kept. What the facts do not say may be said by who reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain

import numpy as np

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.traces.facts import (
    OWN,
    SAID,
    kind_of_unit,
    parse_facts,
    recording_of,
    refuse_units,
    seconds,
    short,
    unit_factor,
)  # fmt: skip
from simulator.traces.format import Format, Request
from simulator.traces.mending import Rows, averaged, in_order, is_number, not_negative, refuse
from simulator.traces.recording import COLUMNS, UNITS, Array, Recording, Report
from simulator.traces.source import Source
from simulator.traces.streaming import EMPTY, EMPTY_TRACE, Table, Wanted, read_table, split

NEEDED: dict[str, tuple[str, ...]] = {**COLUMNS, "failures": ("down_s", "up_s"), **dict.fromkeys(UNITS, ("value",))}
"""Columns without which a file is not of a kind."""
SHAPES = ("mobility", "failures", "arrivals", "sites")
"""Kinds that are known by their columns, most of them first."""
BOUNDS = {"lat": 90.0, "lon": 180.0}
SAMPLE = 65536
"""Bytes of the first rows that tell which columns are of numbers."""


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    lines = source.first_lines()
    header = next((line for line in lines if not line.startswith("#")), "")
    return bool(lines) and (SAID.match(lines[0]) is not None or _shape(_names(header.split(","))) is not None)


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    report = Report()
    facts, line, header, pieces = _head(source, options)
    kind = _kind(source, line, header, facts, options, report)
    wanted, pieces = _wanted(source, header, kind, pieces, report)
    table = read_table(source, pieces, wanted, options, report)
    order, rows, step = wanted.needed + wanted.further, table.rows, _step(source, facts, options)
    if kind in UNITS:
        if order[0] != "start_s":
            order, rows = ("start_s", *order), _spaced(source, table, step)
        elif step is not None and "duration_s" in facts:
            raise TraceError(f"{source.name} has times of its own (start_s); leave the step out")
    else:
        refuse_units(source, kind, facts, options)
    if table.words:  # their numbers go along, so that words stay with their rows
        rows = Rows(rows.lines, (*rows.columns, np.arange(len(rows), dtype=np.float64)))
    rows = _checked(source, rows, kind, order, options, report)
    columns = dict(zip(order, rows.columns, strict=False))
    duration = seconds(source, facts, "duration_s")
    if kind in UNITS:
        factor = unit_factor(source, kind, facts, options, report, len(rows))
        columns["value"] = _scaled(source, columns["value"], factor)
        columns["start_s"], duration = _timed(source, columns["start_s"], duration, step, facts, report, rows)
    elif kind != "sites":
        last = float(rows.columns[1 if kind == "failures" else 0].max())
        if duration is not None and duration < last:
            raise TraceError(f"{source.name}: duration_s: {duration:.12g} s is before the last row's {last:.12g} s")
        duration = last if duration is None else duration
    if kind == "failures" and "share" not in columns:
        columns["share"] = np.ones(len(rows))
        report.assumed.append("an outage takes down all of it (share 1)")
    names = tuple(table.words[int(row)] for row in rows.columns[-1]) if table.words else ()
    return {"": recording_of(facts, kind, columns, report, duration, names)}


# -- the first lines -------------------------------------------------------------------------------------------------


def _head(source: Source, options: Request) -> tuple[dict[str, str], int, tuple[str, ...], Iterator[tuple[int, bytes]]]:
    """Return the facts, the header with its line, and the pieces below it."""
    facts: dict[str, str] = {}
    pieces = source.blocks(options.progress)
    for first, piece in pieces:
        line, at = first, 0
        while at < len(piece):
            end = piece.find(b"\n", at) % (len(piece) + 1)  # a last line may not be ended
            text = piece[at:end].decode().strip()
            at = end + 1
            line += 1
            if text.startswith("#"):
                facts |= parse_facts(source, line - 1, text)
            elif text:
                names = _names(split(source, line - 1, text))
                return facts, line - 1, names, chain([(line, piece[at:])] if piece[at:] else [], pieces)
    raise TraceError(EMPTY_TRACE % source.name)


def _names(header: list[str]) -> tuple[str, ...]:
    return tuple(name.strip() for name in header)


def _shape(names: tuple[str, ...]) -> str | None:
    """Return what kind the columns are of; "value" where they are one of steps over time."""
    if "value" in names and ("start_s" in names or len(names) == 1):
        return "value"
    return next((kind for kind in SHAPES if set(NEEDED[kind]) <= set(names)), None)


def _kind(
    source: Source, line: int, names: tuple[str, ...], facts: dict[str, str], options: Request, report: Report
) -> str:
    shape = _shape(names)
    if "kind" in facts and facts["kind"] not in COLUMNS:
        hint = did_you_mean(facts["kind"], COLUMNS)
        raise TraceError(f'{source.name}:1: kind: "{short(facts["kind"])}" is none of {", ".join(COLUMNS)}.{hint}')
    said = facts.get("kind") or (options.kind if options.kind in COLUMNS else None)
    if said is None and shape == "value":
        said = kind_of_unit(source, facts.get("unit", options.unit))
        report.assumed.append(f"a trace of {said}, by its unit")
    kind = said or shape or "bandwidth"
    if (kind, shape) == ("mobility", "sites"):
        kind = "sites"  # a path without times is a list of places
    really = "bandwidth" if shape == "value" else shape
    if "kind" not in facts and really is not None and ("value" if kind in UNITS else kind) != shape:
        raise TraceError(f"{source.name} is a trace of {really}, but {kind} is needed here")
    if not set(NEEDED[kind]) <= set(names) or (kind in UNITS and shape is None) or len(set(names)) < len(names):
        twice = " (each once)" if len(set(names)) < len(names) else ""
        shown = list(map(short, names[:8])) + ["..."] * (len(names) > 8)
        expected = ",".join(COLUMNS[kind] if kind in UNITS else NEEDED[kind])
        raise TraceError(f'{source.name}:{line}: the columns are {shown}; expected "{expected}"{twice} for {kind}')
    return kind


def _wanted(
    source: Source, names: tuple[str, ...], kind: str, pieces: Iterator[tuple[int, bytes]], report: Report
) -> tuple[Wanted, Iterator[tuple[int, bytes]]]:
    """Return which columns to read; a further one is of numbers if its first cells are."""
    needed = COLUMNS[kind] if set(COLUMNS[kind]) <= set(names) else NEEDED[kind]
    text = "name" if "name" in names and kind not in UNITS else None
    first = next(pieces, (0, b""))
    lines = first[1][:SAMPLE].decode(errors="ignore").split("\n")
    rows = [split(source, first[0], line) for line in lines[: 50 if len(lines) > 1 else 1] if line.strip()]
    numbers: list[str] = []
    others: list[str] = []
    for index, name in enumerate(names):
        if name in needed or name == text:
            continue
        cells = [cell for cell in (row[index].strip() for row in rows if index < len(row)) if cell not in EMPTY]
        sound = name and 2 * sum(map(is_number, cells)) > len(cells)  # a few that are none are named later
        (numbers if sound else others).append(name)
    if others:
        shown = ", ".join(short(other) or "(no name)" for other in others[:8]) + (" ..." if len(others) > 8 else "")
        report.assumed.append(f"columns that are not of numbers were left out: {shown}")
    return Wanted(names, needed, tuple(numbers), text), chain([first], pieces)


# -- the rows --------------------------------------------------------------------------------------------------------


def _checked(source: Source, rows: Rows, kind: str, order: tuple[str, ...], options: Request, report: Report) -> Rows:
    """Return *rows* in range and in order, each instant once where values hold."""
    for index, name in enumerate(order):
        if name in BOUNDS and name in COLUMNS[kind]:
            beyond = np.abs(rows.columns[index]) > BOUNDS[name]
            rows = refuse(source, rows, beyond, f"{name} is beyond {BOUNDS[name]:g} degrees", options, report)
        elif name in COLUMNS[kind]:
            rows = not_negative(source, rows, index, name, options, report)
    if kind == "failures":
        down, up = rows.columns[:2]
        rows = refuse(source, rows, up < down, "the outage ends before it begins", options, report)
        if "share" in order:
            share = rows.columns[order.index("share")]
            rows = refuse(source, rows, share > 1, "share is above 1", options, report)
    if kind != "sites":
        rows = in_order(source, rows, options, report)
    if kind not in UNITS:
        return rows
    rows = averaged(source, rows, options, report)
    first = rows.columns[0][0]
    if first > 0 and not options.repair:
        raise TraceError(
            f"{source.name}:{rows.lines[0]}: the first segment starts at {first:.12g} s; expected 0, the first "
            "measured instant (repair: moves all times)"
        )
    return rows


def _step(source: Source, facts: Mapping[str, str], options: Request) -> float | None:
    step = seconds(source, facts, "step_s")
    step = options.step if step is None else step
    if step is not None and not 0 < step < math.inf:
        raise TraceError(f"{source.name}: a step of {step:g} s; expected more than 0 s")
    return step


def _spaced(source: Source, table: Table, step: float | None) -> Rows:
    """Return rows that have no times with those that their places give them."""
    if step is None:
        raise TraceError(
            f'{source.name} has no times; say how far apart its rows are: "# step_s: 300" in its first line, or step: '
            "300 s"
        )
    lines = table.rows.lines
    places = np.arange(len(lines)) + np.searchsorted(np.array(table.wrong, dtype=np.int64), lines)
    return Rows(lines, (np.asarray(places * step, dtype=np.float64), *table.rows.columns))


def _timed(
    source: Source, starts: Array, duration: float | None, step: float | None, facts: Mapping[str, str],
    report: Report, rows: Rows,
) -> tuple[Array, float]:  # fmt: skip
    """Return starts from 0, and the end of the last segment."""
    last = float(starts[-1])
    if duration is None:
        if step is None and facts.get("end") != "hold":
            raise TraceError(
                f'{source.name}:1: how long does the last segment last? Add "duration_s: ..." or "end: hold"'
            )
        duration = math.inf if step is None else last + step
    if not duration > last:
        raise TraceError(f"{source.name}: duration_s: {duration:.12g} s is not after the last row's {last:.12g} s")
    first = float(starts[0])
    if first == 0:
        return starts, duration
    report.repaired.append(f"moved to begin at 0 s; line {rows.lines[0]}, the first, says {first:.12g} s")
    return starts - first, duration - first


def _scaled(source: Source, values: Array, factor: float) -> Array:
    with np.errstate(over="ignore"):
        values = values * factor
    if not np.isfinite(values).all():
        raise TraceError(f"{source.name}: a value is too large for its unit")
    return values


FORMAT = Format("csv", OWN, "the project's own form, for any kind", fits, read)
