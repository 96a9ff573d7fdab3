"""Round trips of 5Gophers: CSV with ``rtt_ms`` (or ``rtt_in_ms``) per probe, by operator and server.

Tables without a count of probes are told apart by all their other columns, ping logs by those before ``probe_num``.
When a probe was sent stands nowhere; pings go out once a second unless told otherwise, which is what is assumed. A
probe without an answer has no time; the one before holds.

Narayanan et al.: A First Look at Commercial 5G Performance on Smartphones, WWW 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, not_negative, parse
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import name_of_run, names, step_of, table

VALUES, COUNT = ("rtt_ms", "rtt_in_ms"), "probe_num"
LOST = ("", "-", "nan", "na", "null", "*")
"""How a probe without an answer may be written."""


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    return bool(set(VALUES) & set(names(source)))


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file: a recording for each pair of operator and server.

    Raises:
        TraceError: naming the row that is wrong.
    """
    header, lines = table(source)
    value = next((name for name in VALUES if name in header), None)
    if value is None:
        raise TraceError(f"{source.name}:1: no column {' or '.join(VALUES)}; it has {', '.join(header)}")
    place = header.index(value)
    counted = COUNT in header
    told = range(header.index(COUNT)) if counted else [i for i in range(len(header)) if i != place]
    runs: dict[tuple[str, ...], list[tuple[int, list[str]]]] = {}
    for number, row in lines:
        key = tuple(row[i] if i < len(row) else "" for i in told if i != place)
        run = runs.setdefault(key, [])
        probe = row[header.index(COUNT)] if counted and header.index(COUNT) < len(row) else "" if counted else len(run)
        run.append((number, [str(probe), row[place] if place < len(row) else ""]))
    if not runs:
        raise TraceError(f"{source.name}: a header, and no row")
    called = name_of_run(list(runs))
    return {name: _one(source, run, value, options) for name, run in zip(called, runs.values(), strict=True)}


def _one(source: Source, rows: list[tuple[int, list[str]]], value: str, options: Request) -> Recording:
    report = Report()
    step = step_of(options, 1.0, report)
    answered = [row for row in rows if row[1][1].lower() not in LOST]
    report.rows = report.dropped = len(rows) - len(answered)
    found = parse(source, answered, {"probe": 0, value: 1}, options, report)
    found = not_negative(source, found, 1, value, options, report)
    found = averaged(source, in_order(source, found, options, report), options, report)
    starts, duration = held(found.columns[0] * step, report, step=step)
    report.units["ms"] = len(answered)
    if report.dropped:
        report.assumed.append("while a probe has no answer, the round trip before holds")
    columns = {"start_s": starts, "value": found.columns[1] / 1e3}
    return Recording("latency", columns, report, duration, round_trip=True)


FORMAT = Format("5gophers-rtt", ("latency",), "CSV of 5Gophers: round trips by operator and server", fits, read)
