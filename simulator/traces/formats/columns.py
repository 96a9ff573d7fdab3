"""Anybody's CSV, by the names of its columns: ``time: when`` and ``value: throughput`` beside ``trace: my_log.csv``.

Fields are separated by commas, semicolons (then with decimal commas, as spreadsheets write them) or tabs. Times are
seconds, or dates (ISO 8601, or 20.11.2026 10:00:00). A value holds until the next row's time. Of requests the time
alone is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from simulator.foundation.errors import TraceError
from simulator.traces.facts import kind_of_unit, unit_factor
from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, is_number, not_negative, parse
from simulator.traces.recording import UNITS, Kind, Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import below_titles, dated, names, records, separator_of

DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?=\D|$)(.*)", re.DOTALL)
"""A date as spreadsheets of much of Europe write it."""


def fits(source: Source) -> bool:
    """Return False: which columns are meant nobody but the user can say."""
    return False


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the column that is missing, or the row that is wrong.
    """
    if options.time is None:
        next(records(source, separator_of(source)), None)  # what is no table at all is refused for that
        first = next(iter(names(source)), "time")
        raise TraceError(f'{source.name}: which column is the time? Say it by its name, e.g. time: "{first}"')
    time = options.time.strip().lower()
    wanted = [time] if options.value is None else [time, options.value.strip().lower()]
    if len(set(wanted)) < len(wanted):
        raise TraceError(f'{source.name}: time and value both name the column "{time}"')
    separator = separator_of(source)
    columns, rows = below_titles(source, wanted, separator)
    if separator == ";":
        rows = ((line, [field.replace(",", ".") for field in fields]) for line, fields in rows)
    at = columns[time]
    taken = [(line, _with_iso_dates(fields, at)) for line, fields in rows]
    report, epoch = Report(), ""
    if taken and at < len(taken[0][1]) and not is_number(taken[0][1][at]):
        taken, epoch = dated(source, taken, at, time, options)
    else:
        report.assumed.append(f"{time} is in seconds")
    table = parse(source, taken, {name: columns[name] for name in wanted}, options, report)
    table = in_order(source, table, options, report)
    if options.value is None:
        times = table.columns[0] - table.columns[0][0]
        instants = {"t_s": times}
        return {"": Recording("arrivals", instants, report, float(times[-1]), epoch=epoch)}
    if options.unit is None:
        raise TraceError(f'{source.name}: in what is "{options.value}"? Say its unit, e.g. unit: Mbit/s')
    kind = cast("Kind", options.kind or kind_of_unit(source, options.unit))
    if kind not in UNITS:
        raise TraceError(f"{source.name}: time and value make no recording of {kind}; expected {', '.join(UNITS)}")
    table = averaged(source, not_negative(source, table, 1, wanted[1], options, report), options, report)
    starts, duration = held(table.columns[0], report)
    report.assumed.append("the last row lasts as long as rows usually do (their median)")
    values = table.columns[1] * unit_factor(source, kind, {}, options, report, len(table))
    return {"": Recording(kind, {"start_s": starts, "value": values}, report, duration, epoch=epoch)}


def _with_iso_dates(fields: list[str], at: int) -> list[str]:
    """Return *fields* with a date such as 20.11.2026 as 2026-11-20; with dots the day always comes first."""
    if at >= len(fields) or (found := DOTTED.match(fields[at].strip())) is None:
        return fields
    day, month, year, rest = found.groups()
    return [*fields[:at], f"{year}-{month:0>2}-{day:0>2}{rest}", *fields[at + 1 :]]


FORMAT = Format(
    "columns", ("bandwidth", "latency", "cpu", "slowdown", "rate", "arrivals"),
    "any CSV with names on top, by those of its columns (time:, value:)", fits, read,
)  # fmt: skip
