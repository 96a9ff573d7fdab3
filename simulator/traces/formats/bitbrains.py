"""Processor load of business virtual machines (Bitbrains, GWA-T-12; Shen et al., CCGrid 2015).

Columns are separated by a semicolon and a tab. The header says ``Timestamp [ms]``, but the values are seconds (1.4e9 is
2013; as milliseconds it would be January 1970), so the size decides. Steps are 300 s, with jitter and holes. A machine
may use a little more than it was given: shares above 100 % are cut to it. OpenDC's Parquet form of the set (``id``,
``duration``, ``cpu_usage`` in MHz) is read as the table it is: what the machines were given stands in another file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces import parquet
from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, not_negative, parse, refuse
from simulator.traces.recording import Found, Measurements, Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import below_titles, titles

TIME, LOAD = "timestamp [ms]", "cpu usage [%]"
MILLISECONDS = 1e11
"""Stamps above this are milliseconds: as seconds it would be the year 5138."""
LATEST = 253_402_300_799.0
"""End of the year 9999, as seconds since 1970."""


def fits(source: Source) -> bool:
    """Return whether the header is that of the archive, or the Parquet columns those of OpenDC."""
    return {TIME, LOAD} <= set(titles(source, ";")) or _is_opendc(source)


def holds(source: Source) -> tuple[str, ...]:
    """Return what is in it: a load, or OpenDC's table."""
    return ("table",) if _is_opendc(source) else ("cpu",)


def read(source: Source, options: Request) -> Mapping[str, Found]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    report = Report()
    if source.start.startswith(parquet.MAGIC):
        frame = parquet.frame(source)
        if not _is_opendc(source):
            raise TraceError(f"{source.name}: columns {', '.join(frame.columns)}; expected id, duration, cpu_usage")
        report.rows = len(frame)
        report.assumed.append("cpu_usage is in MHz and duration in ms; of how many MHz stands in the set's other file")
        return {"": Measurements(frame, report)}
    columns, lines = below_titles(source, (TIME, LOAD), ";")
    rows = parse(source, lines, {"timestamp": columns[TIME], "load": columns[LOAD]}, options, report, len(columns))
    rows = not_negative(source, rows, 1, "load", options, report)
    factor = 1e-3 if np.median(rows.columns[0]) > MILLISECONDS else 1.0
    if factor == 1.0:
        report.assumed.append("timestamps are seconds since 1970 by their size, though the header says ms")
    wrong = (rows.columns[0] < 0) | (rows.columns[0] * factor > LATEST)
    rows = refuse(source, rows, wrong, "timestamp is no time since 1970", options, report)
    rows = averaged(source, in_order(source, rows, options, report), options, report)
    load = rows.columns[1]
    if (load > 100).any():
        report.assumed.append(f"{int((load > 100).sum())} loads above 100 % are 100 %")
    starts, end = held(rows.columns[0] * factor, report, 300.0)
    report.units["%"] = len(rows)
    epoch = datetime.fromtimestamp(float(rows.columns[0][0]) * factor, UTC).isoformat()
    columns_ = {"start_s": starts, "value": np.minimum(load, 100.0) / 100}
    return {"": Recording("cpu", columns_, report, end, epoch=epoch)}


def _is_opendc(source: Source) -> bool:
    names = {name.lower().replace("_", "") for name in parquet.columns(source)}
    return {"id", "duration"} <= names and bool(names & {"cpuusage", "cpucount"})


FORMAT = Format(
    "bitbrains", ("cpu", "table"), "processor load of virtual machines, GWA-T-12 (Bitbrains)", fits, read, holds=holds
)
