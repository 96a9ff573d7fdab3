"""Mahimahi: one whole number per line, the millisecond in which a packet of 1500 bytes may leave (also NYC 2019).

Several packets in one millisecond are several lines, and the file starts again at its last stamp. Here the packets are
counted in bins (100 ms unless ``step`` says otherwise), so that none is lost: stamp k is the millisecond that ends
at k.

Winstein, Sivaraman, Balakrishnan: Stochastic Forecasts ..., NSDI 2013; Netravali et al.: Mahimahi, USENIX ATC 2015.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.mending import cells, in_order, not_negative, parse, refuse
from simulator.traces.peek import numbers
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source

PACKET = 1500 * 8
"""Bits that may leave at a stamp."""
BIN = 0.1
"""Bin [s]."""
MOST = 20_000_000
"""Bins; a stamp that asks for more is a mistake."""


def fits(source: Source) -> bool:
    """Return whether the file looks like this format: whole numbers that rise, but for a rare mistake."""
    head = numbers(source, 1)
    if head is None or any("." in line or "e" in line.lower() for line in source.first_lines(20)):
        return False
    stamps = head[:, 0]
    falls = float((np.diff(stamps) < 0).mean()) if len(stamps) > 1 else 0.0
    return bool((stamps >= 0).all() and stamps[-1] == stamps.max() > 0 and falls <= 0.02)


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    report = Report()
    table = parse(source, cells(source), {"time": 0}, options, report, 1)
    table = not_negative(source, table, 0, "time", options, report)
    table = refuse(source, table, table.columns[0] % 1 != 0, "time is no whole millisecond", options, report)
    table = in_order(source, table, options, report)
    stamps, width = table.columns[0], round((BIN if options.step is None else options.step) * 1e3)
    period = float(stamps[-1])
    if width < 1:
        raise TraceError(f"{source.name}: step: {options.step} s came; packets are counted in bins of 1 ms or more")
    if period <= 0:
        raise TraceError(f"{source.name}: the last stamp is 0 ms, but the trace starts again at its last stamp")
    bins = int(-(-period // width))
    if bins > MOST:
        raise TraceError(
            f"{source.name}:{table.lines[-1]}: a stamp of {period:g} ms makes {bins:.0e} bins of {width} ms; "
            f"expected at most {MOST:.0e}"
        )
    packets = np.bincount((np.maximum(stamps - 1, 0) // width).astype(np.int64), minlength=bins)
    starts = np.arange(bins) * width / 1e3
    lengths = np.full(bins, width / 1e3)
    lengths[-1] = (period - (bins - 1) * width) / 1e3
    report.units["packets of 1500 B"] = len(table)
    report.assumed += [
        f"packets are counted in bins of {width} ms; the recording starts again at its last stamp",
        "the file does not say whether it is of the uplink or the downlink",
    ]
    columns = {"start_s": starts, "value": packets * PACKET / lengths}
    return {"": Recording("bandwidth", columns, report, period / 1e3, "wrap", "link")}


FORMAT = Format("mahimahi", ("bandwidth",), "milliseconds at which a 1500-byte packet may leave", fits, read)
