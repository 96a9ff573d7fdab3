"""5Gophers: CSV with a header, a row per second (``seq_num``), Mbit/s that a TCP download got.

Long files have one column ``throughput_mbps``; the columns before ``seq_num`` say which run a row belongs to (operator,
connections, server, number), so one file may hold many recordings. Wide files have a column per operator,
``NAME_throughput_mbps``. Numbers of ``seq_num`` may be missing, through which the value before holds, and a table may
hold rows of another protocol (pings) that have no throughput.

Narayanan et al.: A First Look at Commercial 5G Performance on Smartphones, WWW 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, not_negative, parse
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import name_of_run, names, step_of, table

COUNT, VALUE, PROTOCOL = "seq_num", "throughput_mbps", "protocol"
DOWNLOADS = ("TCP", "UDP")
"""Protocols that have a throughput."""


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    header = names(source)
    return COUNT in header and bool(_value_columns(header))


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file: its runs, or its operators.

    Raises:
        TraceError: naming the row that is wrong.
    """
    header, lines = table(source)
    found = _value_columns(header)
    if COUNT not in header or not found:
        raise TraceError(f"{source.name}:1: expected columns {COUNT} and {VALUE}; it has {', '.join(header)}")
    rows, others = list(lines), 0
    if PROTOCOL in header:
        place = header.index(PROTOCOL)
        asked = [row for row in rows if len(row[1]) <= place or row[1][place].upper() in DOWNLOADS]
        others, rows = len(rows) - len(asked), asked
    if not rows:
        raise TraceError(f"{source.name}: no row of {' or '.join(DOWNLOADS)}")
    said = [f"{others} rows of other protocols than {' and '.join(DOWNLOADS)} have no throughput"] if others else []
    if VALUE not in found:  # wide
        return {
            name.removesuffix("_" + VALUE): _one(source, rows, header, name, options, said) for name in found
        }  # fmt: skip
    runs: dict[tuple[str, ...], list[tuple[int, list[str]]]] = {}
    for row in rows:
        keys = (*row[1], *[""] * len(header))  # a row may be cut off
        runs.setdefault(keys[: header.index(COUNT)], []).append(row)
    called = name_of_run(list(runs))
    return {
        name: _one(source, run, header, VALUE, options, said) for name, run in zip(called, runs.values(), strict=True)
    }


def _one(
    source: Source, rows: list[tuple[int, list[str]]], header: list[str], name: str, options: Request, said: list[str]
) -> Recording:
    report = Report(assumed=list(said))
    step = step_of(options, 1.0, report)
    found = parse(source, rows, {COUNT: header.index(COUNT), name: header.index(name)}, options, report)
    found = not_negative(source, found, 1, name, options, report)
    found = averaged(source, in_order(source, found, options, report), options, report)
    starts, duration = held(found.columns[0] * step, report, step=step)
    report.units["Mbit/s"] = report.rows
    columns = {"start_s": starts, "value": found.columns[1] * 1e6}
    return Recording("bandwidth", columns, report, duration, None, "goodput", "down")


def _value_columns(header: Sequence[str]) -> list[str]:
    return [VALUE] if VALUE in header else [name for name in header if name.endswith("_" + VALUE)]


FORMAT = Format("5gophers", ("bandwidth",), "CSV of 5Gophers: a row per second, runs or operators", fits, read)
