"""Requests per second, one count after the other on a single line: NASA's web server (1995), Twitter's stream (2021).

The two sets are written alike and nothing in a file says which it is, so they are one format of two further names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import step_of

STEP = 1.0
COUNTS = re.compile(r"\s*\d+(?:[ \t]+\d+)+\s*", re.ASCII)


def fits(source: Source) -> bool:
    """Return whether it is one line of whole numbers with blanks between."""
    return COUNTS.fullmatch(source.head) is not None


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the value that is no count, by its place.
    """
    report = Report()
    step = step_of(options, STEP, report)
    texts = source.text.split()
    report.rows = len(texts)
    try:
        counts = np.array(list(map(float, texts)))
        wrong = ~(np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts)))
    except ValueError:
        counts = np.array([_count(text) for text in texts])
        wrong = np.isnan(counts)
    if wrong.any():
        place = int(wrong.argmax())
        if not options.repair:
            raise TraceError(
                f"{source.name}: value {place + 1} is {texts[place][:40]!r}; expected a whole number, zero or more "
                "(repair: takes the value before it)"
            )
        if wrong.all():
            raise TraceError(f"{source.name}: no count in it")
        report.dropped = int(wrong.sum())
        report.repaired.append(f"{report.dropped} values that are no counts, first value {place + 1}: the one before")
        good = np.flatnonzero(~wrong)
        counts = counts[good[np.maximum(np.searchsorted(good, np.arange(len(counts)), side="right") - 1, 0)]]
    report.units["requests"] = len(counts)
    starts = np.arange(len(counts), dtype=np.float64) * step
    return {"": Recording("rate", {"start_s": starts, "value": counts / step}, report, len(counts) * step)}


def _count(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else float("nan")


FORMAT = Format(
    "counts-per-second", ("rate",), "requests in each second, on one line: NASA's web server, Twitter's stream", fits,
    read, aliases=("nasa-http", "twitter"),
)  # fmt: skip
