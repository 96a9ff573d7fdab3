"""UCC's 5G production traces: CSV of G-NetTrack, a phone's own counters about once a second.

Columns are found by their names (there are 26, and other versions of the app have others). A stamp is a whole second;
several rows of one second are averaged, seconds without a row are holes, in which the value before holds, a stamp may
go back, and ``-`` is a value that is missing. The counter says what was sent, so the uplink column of a download is no
capacity, and a file recorded while a video played says what its player asked for.

Raca, Leahy, Sreenan, Quinlan: Beyond Throughput, the Next Generation: a 5G Dataset, MMSys 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, not_negative, parse
from simulator.traces.recording import Array, Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import names, table

STAMP, DOWN, STATE = "Timestamp", "DL_bitrate", "State"
FORM = "%Y.%m.%d_%H.%M.%S"
ZERO = datetime(1970, 1, 1)
MISSING = "-"
IDLE = 0.5
"""Share of idle rows from which on a file shows demand (measured: 4 to 5 % in downloads, 66 to 77 % with a video)."""
LOW = 0.05
"""A dip is below this share of the mean."""


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    return {STAMP, DOWN} <= set(names(source))


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    report = Report()
    header, rows = table(source)
    missing = [name for name in (STAMP, DOWN) if name not in header]
    if missing:
        raise TraceError(f"{source.name}:1: no column {' and no column '.join(missing)}; it has {', '.join(header)}")
    stamp, down = header.index(STAMP), header.index(DOWN)
    idle: list[bool] = []
    state = header.index(STATE) if STATE in header else None
    timed = _timed(source, rows, (stamp, down, state), options, report, idle)
    found = parse(source, timed, {STAMP: 0, DOWN: 1}, options, report)
    found = not_negative(source, found, 1, DOWN, options, report)
    found = averaged(source, in_order(source, found, options, report, True), options, report, True)
    starts, duration = held(found.columns[0], report, step=1.0)
    values = found.columns[1] * 1e3
    report.units["kbit/s"] = report.rows
    report.assumed += _warnings(idle, starts, values, report)
    epoch = (ZERO + timedelta(seconds=float(found.columns[0][0]))).isoformat()
    columns = {"start_s": starts, "value": values}
    return {"": Recording("bandwidth", columns, report, duration, None, "link", "down", epoch=epoch)}


def _timed(
    source: Source, rows: Iterator[tuple[int, list[str]]], places: tuple[int, int, int | None], options: Request,
    report: Report, idle: list[bool],
) -> Iterator[tuple[int, list[str]]]:  # fmt: skip
    """Yield seconds and rate of each row that has one, and note whether the phone was idle."""
    stamp, down, state = places
    for number, fields in rows:
        rate = fields[down] if down < len(fields) else ""
        if rate == MISSING:
            report.rows += 1
            report.dropped += 1
            continue
        text = fields[stamp] if stamp < len(fields) else ""
        try:
            text = repr((datetime.strptime(text, FORM) - ZERO).total_seconds())
        except ValueError:
            if not options.repair:
                raise TraceError(
                    f"{source.name}:{number}: {STAMP} is {text[:40]!r}; expected one such as 2020.02.14_13.21.26"
                ) from None
            text = "no date"  # dropped where numbers are read
        idle.append(rate.strip("0.") == "" or (state is not None and state < len(fields) and fields[state] == "I"))
        yield number, [text, rate]


def _warnings(idle: list[bool], starts: Array, values: Array, report: Report) -> list[str]:
    """Return what a user of the recording should know."""
    said = ["UL_bitrate was not read: it is what the phone sent, not what it could have sent"]
    if report.dropped:
        said.append(f"rows without a rate ({MISSING}) are holes")
    if np.mean(idle) > IDLE:
        said.append(
            f"{np.mean(idle):.0%} of the rows are idle or zero: this is what an application asked for, not what the "
            "link could carry (a file recorded while downloading has some 5 %)"
        )
    else:
        every = _dips(starts, values)
        if every:
            said.append(
                f"every {every:.0f} s (or a multiple) the rate falls to nearly nothing: probably the end of each "
                "downloaded file, not the link"
            )
    return said


def _dips(starts: Array, values: Array) -> float:
    """Return the period of dips [s], 0 where they have none.

    Dips come by chance, too: those are periodic of which most follow the one before after once, twice or three times
    the most frequent distance, give or take a second (of evenly spread ones a fifth would).
    """
    low = values < LOW * values.mean()
    begin = starts[np.flatnonzero(low & ~np.concatenate(([False], low[:-1])))]
    gaps = np.diff(begin)
    gaps = gaps[gaps > 4.0]  # one dip has several rows, not all of them low
    if len(gaps) < 6:
        return 0.0
    near = [float((np.abs(gaps - gap) <= 1.0).sum()) for gap in gaps]
    period = float(np.median(gaps[np.abs(gaps - gaps[int(np.argmax(near))]) <= 1.0]))
    multiple = np.clip(np.round(gaps / period), 1, 3)
    return period if (np.abs(gaps - multiple * period) <= 1.0).mean() >= 0.6 and period >= 6.0 else 0.0


FORMAT = Format("ucc-5g", ("bandwidth",), "CSV of the app G-NetTrack, by column names", fits, read)
