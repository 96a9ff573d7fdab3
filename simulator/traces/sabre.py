"""The JSON form of the sabre player's traces: a list of segments with a duration, a bandwidth and a latency.

``[{"duration_ms": 1000, "bandwidth_kbps": 2345, "latency_ms": 100}, ...]``. Rows carry their own duration, so an
outage may be one long row. The latency is an assumption of the player, not a recording, and is left alone.
"""

from __future__ import annotations

import json
import math
from itertools import accumulate
from pathlib import Path
from typing import Any

from simulator.foundation.errors import TraceError
from simulator.traces.recording import Recording


def fits(path: Path) -> bool:
    """Return whether the file looks like this format."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        head = stream.read(4096)
    return head.lstrip().startswith("[") and '"duration_ms"' in head


def read(path: Path) -> Recording:
    """Read the file.

    Raises:
        TraceError: naming the row that is wrong.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TraceError(f"{path.name}: not JSON: {error}") from None
    if not isinstance(rows, list) or not rows:
        raise TraceError(f"{path.name}: expected a list of segments, with at least one")
    durations = [_number(path, i, row, "duration_ms") / 1e3 for i, row in enumerate(rows)]
    values = [_number(path, i, row, "bandwidth_kbps") for i, row in enumerate(rows)]
    for i, duration in enumerate(durations):
        if duration <= 0:
            raise TraceError(f"{path.name}: row {i} lasts {duration:g} s; a segment lasts longer than that")
    ends = list(accumulate(durations))
    return Recording([0.0, *ends[:-1]], values, ends[-1], "kbit/s", "bandwidth", "wrap")


def _number(path: Path, index: int, row: Any, key: str) -> float:
    value = row.get(key) if isinstance(row, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TraceError(f"{path.name}: row {index} has {key}: {value!r}; expected a number")
    return float(value)
