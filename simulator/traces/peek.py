"""A look at the first rows of numbers in a file, to tell its format.

A few rows that are no numbers do not hide a format: its reader then names them, which helps more than "no format fits".
"""

from __future__ import annotations

import numpy as np

from simulator.traces.recording import Array
from simulator.traces.source import Source

ROWS = 2000
"""Rows looked at."""
SOUND = 0.9
"""Share of them that must be as the format wants them."""


def numbers(source: Source, width: int, separator: str | None = None) -> Array | None:
    """Return the first rows as a table of *width* finite numbers, or None where most rows are something else."""
    lines = source.first_lines(ROWS)
    found = [row for row in (_row(line, width, separator) for line in lines) if row is not None]
    if not found or len(found) < SOUND * len(lines):
        return None
    return np.array(found)


def _row(line: str, width: int, separator: str | None) -> list[float] | None:
    parts = line.split(separator)
    if len(parts) != width:
        return None
    try:
        row = [float(part) for part in parts]
    except ValueError:
        return None
    return row if np.isfinite(row).all() else None
