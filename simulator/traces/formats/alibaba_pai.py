"""How long mini-batches take on the workers of a training job (Alibaba PAI; Weng et al., NSDI 2022).

Times are normalised to 0-1000 of the job's longest, so only ratios mean anything: each worker's series is its batch
time over the median of the whole job, a slowdown. A worker now and then has two rows of one second: averaged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, not_negative, parse, refuse
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import below_titles, titles

COLUMNS = ("worker", "time", "batch_time_norm")


def fits(source: Source) -> bool:
    """Return whether the header has the three columns."""
    return set(COLUMNS) <= set(titles(source))


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    whole = Report()
    columns, lines = below_titles(source, COLUMNS)
    take = {"time": columns["time"], "batch_time_norm": columns["batch_time_norm"], "worker": columns["worker"]}
    rows = parse(source, lines, take, options, whole)
    rows = not_negative(source, rows, 0, "time", options, whole)
    rows = refuse(source, rows, rows.columns[1] <= 0, "batch_time_norm is not above zero", options, whole)
    usual, first = float(np.median(rows.columns[1])), float(rows.columns[0].min())
    found: dict[str, Recording] = {}
    for worker in np.unique(rows.columns[2]):
        own = rows.where(rows.columns[2] == worker)
        report = whole.part(len(own), not found)
        own = in_order(source, own, options, report)
        own = averaged(source, own, options, report, documented=True)
        starts, end = held(own.columns[0], report)
        report.units["of the longest batch, 0-1000"] = report.rows
        report.assumed.append(f"a slowdown of 1 is the median of the job, {usual:g}")
        if own.columns[0][0] > first:
            report.assumed.append(f"begins {own.columns[0][0] - first:g} s after the job's first batch")
        found[f"worker {worker:g}"] = Recording(
            "slowdown", {"start_s": starts, "value": own.columns[1] / usual}, report, end
        )
    return found


FORMAT = Format(
    "alibaba-pai", ("slowdown",), "mini-batch times of the workers of a training job (Alibaba PAI)", fits, read
)
