"""Oboe: chunks of video sessions, two rows each: start and end [ms], both with the chunk's rate [kbit/s].

Between chunks nothing was asked for, so nothing was measured. That time is left out, and the report says how much it
was: the recording is of what the link gave while it was used.

Akhtar et al.: Oboe: Auto-tuning Video ABR Algorithms to Network Conditions, SIGCOMM 2018.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.mending import Rows, cells, not_negative, parse, refuse
from simulator.traces.peek import SOUND, numbers
from simulator.traces.recording import Array, Recording, Report
from simulator.traces.source import Source

DIFFER = 0.8
"""Share of chunks that have another rate than the one before."""


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    head = numbers(source, 2)
    return head is not None and _paired(head)


def alone(head: Array) -> bool:
    """Return whether rows are pairs of one rate, and no trace that hardly changes, which would be so by itself."""
    rates = head[: len(head) // 2 * 2 : 2, 1]
    return _paired(head) and bool(len(rates) > 1 and (np.diff(rates) != 0).mean() >= DIFFER)


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    report = Report()
    table = parse(source, cells(source), {"time": 0, "bandwidth": 1}, options, report, 2)
    table = not_negative(source, table, 1, "bandwidth", options, report)
    chunks = _chunks(source, table, options, report)
    starts, ends, rates, _ = chunks.columns
    pauses = starts[1:] - ends[:-1]
    report.holes, report.hole_s = int((pauses > 0).sum()), float(pauses[pauses > 0].sum()) / 1e3
    report.units["kbit/s"] = report.rows
    report.assumed.append(
        f"{report.hole_s:.3f} s between chunks, of {(ends[-1] - starts[0]) / 1e3:.3f} s in all, were not measured "
        "and are left out"
    )
    finished = np.cumsum((ends - starts) / 1e3)
    columns = {"start_s": np.concatenate(([0.0], finished[:-1])), "value": rates * 1e3}
    return {"": Recording("bandwidth", columns, report, float(finished[-1]), None, "goodput", "down")}


def _chunks(source: Source, table: Rows, options: Request, report: Report) -> Rows:
    """Return one row per chunk: start, end, and the rate at both."""
    if options.repair:
        table = _partners(table, report)
    elif len(table) % 2:
        raise TraceError(f"{source.name}:{table.lines[-1]}: a chunk begins and never ends (repair: drops the row)")
    if len(table) < 2:
        raise TraceError(f"{source.name}: no chunk with a start and an end")
    times, rates = table.columns
    chunks = Rows(table.lines[1::2], (times[::2], times[1::2], rates[::2], rates[1::2]))
    starts, ends, first, second = chunks.columns
    chunks = refuse(source, chunks, first != second, "a chunk has two rates", options, report)
    starts, ends, *_ = chunks.columns
    chunks = refuse(source, chunks, ends <= starts, "a chunk ends before it begins", options, report)
    starts, ends, *_ = chunks.columns
    latest = np.maximum.accumulate(np.concatenate(([-np.inf], ends[:-1])))
    return refuse(source, chunks, starts < latest, "a chunk begins before the last one ended", options, report)


def _partners(table: Rows, report: Report) -> Rows:
    """Return the rows that have the other end of their chunk beside them."""
    rates = table.columns[1]
    kept, row = np.zeros(len(table), dtype=bool), 0
    while row < len(table):
        whole = row + 1 < len(table) and rates[row] == rates[row + 1]
        kept[row : row + 1 + whole] = whole
        row += 1 + whole
    if not kept.all():
        report.dropped += int((~kept).sum())
        report.repaired.append(f"dropped {int((~kept).sum())} rows without the other end of their chunk")
    return table.where(kept)


def _paired(head: Array) -> bool:
    """Return whether (nearly) all rows are starts and ends of chunks, as far as looked."""
    even = len(head) // 2 * 2
    times, rates = head[:even, 0], head[:even, 1]
    if not even:
        return False
    whole = (rates[::2] == rates[1::2]) & (times[::2] < times[1::2])
    return bool(whole.mean() >= SOUND)


FORMAT = Format("oboe", ("bandwidth",), "chunks of video sessions: start and end [ms] with one rate", fits, read)
