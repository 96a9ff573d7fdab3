"""Processor load of PlanetLab machines (CoMon; the traces that CloudSim ships): one whole per cent on each line.

Neither time nor unit stand in the file: 288 lines a day are 300 s each (Beloglazov & Buyya 2012).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from simulator.traces.format import Format, Request
from simulator.traces.mending import held, not_negative, parse, refuse
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import step_of

STEP = 300.0
PER_CENT = re.compile(r"\s*(100|\d\d?)\s*", re.ASCII)


def fits(source: Source) -> bool:
    """Return whether every line is a whole number from 0 to 100."""
    lines = source.first_lines(10_000)
    return bool(lines) and all(PER_CENT.fullmatch(line) for line in lines)


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    report = Report()
    step = step_of(options, STEP, report)
    stamped = ((line, [repr(index * step), text]) for index, (line, text) in enumerate(source.lines()))
    rows = parse(source, stamped, {"time": 0, "load": 1}, options, report)
    rows = not_negative(source, rows, 1, "load", options, report)
    rows = refuse(source, rows, rows.columns[1] > 100, "load is above 100 %", options, report)
    starts, end = held(rows.columns[0], report, step)
    report.units["%"] = len(rows)
    return {"": Recording("cpu", {"start_s": starts, "value": rows.columns[1] / 100}, report, end)}


FORMAT = Format(
    "planetlab", ("cpu",), "processor load of PlanetLab machines: a per cent per line, 300 s each", fits, read
)
