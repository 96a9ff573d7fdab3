"""Lumos5G: seconds and Mbit/s per row; TAB and from 1.0 on (5G), or a blank and from 0 on (4G).

iPerf downloads on foot and by car in Minneapolis, one row per second. A few seconds stand there twice and are averaged,
a few are missing, through which the value before holds; the last row lasts as long as the others usually do.

Narayanan et al.: Lumos5G, IMC 2020; A Variegated Look at 5G in the Wild, SIGCOMM 2021.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulator.traces.format import Format, Request
from simulator.traces.formats import oboe
from simulator.traces.mending import averaged, cells, held, in_order, not_negative, parse
from simulator.traces.peek import numbers
from simulator.traces.recording import Array, Recording, Report
from simulator.traces.source import Source


def fits(source: Source) -> bool:
    """Return whether the file looks like this format: whole seconds, one by one or written without a point."""
    head = numbers(source, 2)
    if head is None or oboe.alone(head) or (head[:, 0] % 1 != 0).any():
        return False
    first = source.first_lines(1)[0].split()[0]
    return "." not in first or usual_step(head) == 1 or head[0, 0] != 0


def usual_step(head: Array) -> float:
    """Return the median time between rows."""
    return float(np.median(np.diff(head[:, 0]))) if len(head) > 1 else 1.0


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    report = Report()
    table = parse(source, cells(source), {"time": 0, "bandwidth": 1}, options, report, 2)
    table = not_negative(source, table, 1, "bandwidth", options, report)
    table = averaged(source, in_order(source, table, options, report), options, report, documented=True)
    stamps, values = table.columns
    starts, duration = held(stamps, report)
    report.units["Mbit/s"] = report.rows
    report.assumed.append("a row describes the time from its stamp on; the last lasts as long as the median step")
    report.assumed.append("downloads, as Lumos5G's are (direction: says otherwise)")
    columns = {"start_s": starts, "value": values * 1e6}
    return {"": Recording("bandwidth", columns, report, duration, None, "goodput", "down")}


FORMAT = Format("lumos5g", ("bandwidth",), "seconds and Mbit/s, rows at the start of their second", fits, read)
