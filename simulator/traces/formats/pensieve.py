"""Pensieve's "cooked" traces: seconds and Mbit/s per row, TAB or blanks between them.

A row stands at the end of the interval it describes, and the first one only says where time begins: Pensieve's own
simulator uses value i over (t[i-1], t[i]], and at the end goes on with row 1. In its Norway traces every sample below
0.1 Mbit/s was deleted and time closed up, so outages are missing from them; the raw recordings have them.

Mao, Netravali, Alizadeh: Neural Adaptive Video Streaming with Pensieve, SIGCOMM 2017.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.formats import lumos5g, oboe
from simulator.traces.mending import averaged, cells, in_order, not_negative, parse
from simulator.traces.peek import numbers
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source


def fits(source: Source) -> bool:
    """Return whether the file looks like this format: broken seconds, or whole ones that are not counted 0, 1, 2.

    Whole seconds from 0.0 on, one by one, may be this or Lumos5G.
    """
    head = numbers(source, 2)
    if head is None or len(head) < 2 or oboe.alone(head):
        return False
    stamps = head[:, 0]
    if (stamps % 1 != 0).any():
        return True
    first = source.first_lines(1)[0].split()[0]
    return lumos5g.usual_step(head) != 1 or bool(stamps[0] == 0 and "." in first)


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    report = Report()
    table = parse(source, cells(source), {"time": 0, "bandwidth": 1}, options, report, 2)
    table = not_negative(source, table, 1, "bandwidth", options, report)
    table = averaged(source, in_order(source, table, options, report), options, report)
    if len(table) < 2:
        raise TraceError(f"{source.name}: one row; a row ends its interval, so the first only says where time begins")
    stamps, values = table.columns
    report.units["Mbit/s"] = len(table)
    report.assumed.append("a row describes the time up to its stamp; the first row only says where time begins")
    columns = {"start_s": stamps[:-1] - stamps[0], "value": np.ascontiguousarray(values[1:]) * 1e6}
    return {"": Recording("bandwidth", columns, report, float(stamps[-1] - stamps[0]), "wrap", "goodput", "down")}


FORMAT = Format("pensieve", ("bandwidth",), "seconds and Mbit/s, rows at the end of their interval", fits, read)
