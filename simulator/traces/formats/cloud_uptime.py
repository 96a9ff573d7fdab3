"""Outages of web services (Cloud Uptime Archive, arXiv 2504.09476, in OpenDC's Parquet form).

``failure_interval`` [ms] is the gap from the END of the outage before to the start of this one (only so do the services
of one study span the same days); the first is 0. ``failure_duration`` [ms] is its length, ``failure_intensity`` the
share of hosts (or of users who reported) it struck, above 0 up to 1. Services reported by users stand on a grid of 20
minutes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces import parquet
from simulator.traces.format import Format, Request
from simulator.traces.mending import Rows, refuse
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source

COLUMNS = ("failure_interval", "failure_duration", "failure_intensity")
MILLISECOND = 1e-3


def fits(source: Source) -> bool:
    """Return whether it is Parquet with the three columns."""
    return set(COLUMNS) <= set(parquet.columns(source))


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong (counted from 1), or the columns that are missing.
    """
    frame = parquet.frame(source, list(COLUMNS))
    report = Report(rows=len(frame), units={"ms": len(frame)})
    if frame.empty:
        raise TraceError(f"{source.name}: no row in it")
    try:
        table = [frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in COLUMNS]
    except (TypeError, ValueError):
        kinds = ", ".join(f"{name}: {frame[name].dtype}" for name in COLUMNS)
        raise TraceError(f"{source.name}: columns of numbers expected; came {kinds}") from None
    rows = Rows(np.arange(1, len(frame) + 1), tuple(table))
    for name, column in zip(COLUMNS, range(3), strict=True):
        rows = refuse(source, rows, ~np.isfinite(rows.columns[column]), f"{name} is no number", options, report)
    rows = refuse(source, rows, rows.columns[0] < 0, "failure_interval is below zero", options, report)
    rows = refuse(source, rows, rows.columns[1] <= 0, "failure_duration is not above zero", options, report)
    wrong = (rows.columns[2] <= 0) | (rows.columns[2] > 1)
    rows = refuse(source, rows, wrong, "failure_intensity is no share above 0 and up to 1", options, report)
    gap, length, share = rows.columns
    up = np.cumsum(gap + length)
    down = (up - length) * MILLISECOND
    up = up * MILLISECOND
    return {"": Recording("failures", {"down_s": down, "up_s": up, "share": share}, report, float(up[-1]))}


FORMAT = Format("cloud-uptime", ("failures",), "outages of web services (Cloud Uptime Archive, Parquet)", fits, read)
