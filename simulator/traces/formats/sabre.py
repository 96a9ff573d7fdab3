"""The JSON form of the sabre player's traces (Norway 3G, Ghent 4G, FCC): segments with their own duration.

``[{"duration_ms": 1000, "bandwidth_kbps": 2345, "latency_ms": 100}, ...]``. An outage may be one long row (the longest
known lasts 995 s). The latency is an assumption of the player, not a recording, and is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.recording import LARGEST, Recording, Report
from simulator.traces.source import Source


def fits(source: Source) -> bool:
    """Return whether the file looks like this format."""
    return source.head.lstrip().startswith("[") and '"duration_ms"' in source.head[:4096]


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    text = source.text
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, or a number of thousands of digits
        raise TraceError(f"{source.name}: not JSON: {error}") from None
    if not isinstance(rows, list) or not rows:
        raise TraceError(f"{source.name}: expected a list of segments, with at least one")
    report = Report(rows=len(rows), units={"kbit/s": len(rows)})
    durations, values, wrong = [], [], []
    for index, row in enumerate(rows):
        try:
            duration, value = _segment(source, index, row)
        except TraceError:
            if not options.repair:
                raise
            wrong.append(index)
            continue
        durations.append(duration)
        values.append(value)
    if wrong:
        report.dropped = len(wrong)
        report.repaired.append(f"dropped {len(wrong)} rows without a duration or a bandwidth, first row {wrong[0]}")
    if not durations:
        raise TraceError(f"{source.name}: no row with a duration and a bandwidth")
    report.assumed.append("the latency in the file is the player's assumption, and was not read")
    ends = list(accumulate(durations))
    columns = {"start_s": np.array([0.0, *ends[:-1]]), "value": np.array(values)}
    return {"": Recording("bandwidth", columns, report, ends[-1], "wrap", "goodput", "down")}


def _segment(source: Source, index: int, row: Any) -> tuple[float, float]:
    duration, value = _number(source, index, row, "duration_ms"), _number(source, index, row, "bandwidth_kbps")
    if duration <= 0:
        raise TraceError(f"{source.name}: row {index} lasts {duration:g} ms; a segment lasts longer than that")
    if value < 0:
        raise TraceError(f"{source.name}: row {index} has bandwidth_kbps {value:g}; it must be zero or more")
    return duration / 1e3, value * 1e3


def _number(source: Source, index: int, row: Any, key: str) -> float:
    value = row.get(key) if isinstance(row, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LARGEST:
        raise TraceError(f"{source.name}: row {index} has {key}: {value!r}; expected a number")
    return float(value)


FORMAT = Format("sabre", ("bandwidth",), "JSON of the sabre player: Norway 3G, Ghent 4G, FCC lines", fits, read)
