"""Traces as CSV, the project's own form: a first line of facts, then one row per segment.

::

    # kind: bandwidth; unit: Mbit/s; duration_s: 600; end: wrap
    start_s,value
    0,12.5
    1,0

For arrivals the column is ``t_s`` alone.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import cast

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.profiles.trace import End
from simulator.traces.recording import Recording

FACTS = ("kind", "unit", "duration_s", "end", "grade", "source", "layer", "direction")


def fits(path: Path) -> bool:
    """Return whether the file looks like this format."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        line = stream.readline()
    return line.startswith("#") or line.strip().replace(" ", "") in ("start_s,value", "t_s")


def read(path: Path) -> Recording:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise TraceError(f"{path.name}: not a text file") from None
    facts: dict[str, str] = {}
    if lines and lines[0].startswith("#"):
        facts = _facts(path, lines[0])
    skip = 1 if facts else 0
    names = [name.strip() for name in lines[skip].split(",")] if len(lines) > skip else []
    if names not in (["start_s", "value"], ["t_s"]):
        raise TraceError(f'{path.name}:{skip + 1}: the columns are {names}; expected "start_s,value" (or "t_s")')
    starts: list[float] = []
    values: list[float] = []
    for number, row in enumerate(csv.reader(lines[skip + 1 :]), start=skip + 2):
        if not row:
            continue
        if len(row) != len(names):
            raise TraceError(f"{path.name}:{number}: {len(row)} columns, expected {len(names)}")
        numbers = [_number(path, number, text) for text in row]
        if min(numbers) < 0:
            raise TraceError(f"{path.name}:{number}: {min(numbers):g} is below zero; times and values are zero or more")
        if starts and numbers[0] <= starts[-1] and len(names) == 2:
            raise TraceError(
                f"{path.name}:{number}: a segment starts at {numbers[0]:g} s, not after the last ({starts[-1]:g} s)"
            )
        starts.append(numbers[0])
        values += numbers[1:]
    if not starts:
        raise TraceError(f"{path.name}: the trace is empty")
    duration = _number(path, 1, facts["duration_s"]) if "duration_s" in facts else math.inf
    end = facts.get("end")
    if end is not None and end not in ("wrap", "hold", "zero"):
        raise TraceError(f"{path.name}:1: end: {end!r} is none of wrap, hold, zero")
    if math.isinf(duration) and len(names) == 2:
        if end != "hold":
            raise TraceError(
                f'{path.name}:1: how long does the last segment last? Add "duration_s: ..." or "end: hold"'
            )
        end = "hold"
    return Recording(starts, values, duration, facts.get("unit"), facts.get("kind", ""), cast("End | None", end))


def _facts(path: Path, line: str) -> dict[str, str]:
    facts: dict[str, str] = {}
    for part in line.lstrip("# ").split(";"):
        key, colon, value = part.partition(":")
        if not part.strip():
            continue
        if not colon or key.strip() not in FACTS:
            hint = did_you_mean(key.strip(), FACTS)
            raise TraceError(f'{path.name}:1: "{part.strip()}" is not "name: value".{hint} Known: {", ".join(FACTS)}')
        facts[key.strip()] = value.strip()
    return facts


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise TraceError(f"{path.name}:{line}: {text!r} is not a number") from None
    if not math.isfinite(value):
        raise TraceError(f"{path.name}:{line}: {text} is not finite")
    return value
