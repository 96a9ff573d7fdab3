"""NYU-METS: LTE in New York's buses, subways and trains, a row per second without a stamp.

Two forms: ``value,unit``, where the unit changes from row to row (``bits/sec`` to ``Mbits/sec``, as iPerf prints them),
and eight columns without a header (Mbit/s, then radio facts, which are not read).

Mei et al.: Realtime Mobile Bandwidth Prediction Using LSTM Neural Networks, PAM 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.traces.format import Format, Request
from simulator.traces.mending import cells, held, not_negative, parse
from simulator.traces.peek import ROWS, SOUND, numbers
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import step_of

UNITS = {
    f"{prefix}{name}/sec": factor * bits
    for prefix, factor in (("", 1.0), ("K", 1e3), ("M", 1e6), ("G", 1e9))
    for name, bits in (("bits", 1.0), ("Bytes", 8.0))
}
"""bit/s in the units of iPerf."""
PER_ROW = re.compile(r"\s*[-+.\w]*\s*,\s*[KMG]?(bits|bytes)/sec\s*(,.*)?", re.IGNORECASE)
WIDE = 8


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    lines = source.first_lines(ROWS)
    like = sum(PER_ROW.fullmatch(line) is not None for line in lines)
    return bool(lines) and (like >= SOUND * len(lines) or _wide(source))


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    report = Report()
    step = step_of(options, 1.0, report)
    wide = _wide(source)
    rows = _counted(cells(source, ",") if wide else _with_factors(source, options, report))
    take = {"row": 0, "bandwidth": 1} if wide else {"row": 0, "bandwidth": 1, "unit": 2}
    table = parse(source, rows, take, options, report, 1 + WIDE if wide else None)
    table = not_negative(source, table, 1, "bandwidth", options, report)
    if wide:
        values = table.columns[1] * 1e6
        report.units["Mbit/s"] = len(table)
        report.assumed.append("the first column is the bandwidth in Mbit/s; the radio columns were not read")
    else:
        values = table.columns[1] * table.columns[2]
    report.assumed.append("the file does not say whether it is of the uplink or the downlink")
    starts, duration = held(table.columns[0] * step, report, step=step)
    return {"": Recording("bandwidth", {"start_s": starts, "value": values}, report, duration, None, "goodput")}


def _counted(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with their count before them: time, which goes on where a row is dropped."""
    return ((number, [str(count), *fields]) for count, (number, fields) in enumerate(rows))


def _with_factors(source: Source, options: Request, report: Report) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with its unit as a number."""
    for number, fields in cells(source, ","):
        unit = fields[1].strip() if len(fields) > 1 else ""
        known = next((name for name in UNITS if name.lower() == unit.lower()), None)
        if known is not None:
            report.units[known] = report.units.get(known, 0) + 1
            yield number, [fields[0], repr(UNITS[known])]
        elif options.repair:
            yield number, [fields[0], "no unit"]  # dropped where numbers are read
        else:
            hint = did_you_mean(unit, UNITS)
            raise TraceError(f'{source.name}:{number}: the unit is "{unit[:40]}"; expected {", ".join(UNITS)}.{hint}')


def _wide(source: Source) -> bool:
    head = numbers(source, WIDE, ",")
    return head is not None and bool(np.isin(head[:, 2], (0, 1)).all())


FORMAT = Format("nyu-mets", ("bandwidth",), "value and unit per row, or eight columns; a row per second", fits, read)
