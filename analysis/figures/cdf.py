"""``cdf``: how the latencies of a run are distributed, and which share of requests met the deadline.

Requests without an answer count: the curve then ends below one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.picture import BLACK, BLUE, RED, Picture, duration, paper, scale
from analysis.subject import Subject, requests_of
from simulator import Results

MARKS = (0.5, 0.95, 0.99)


def draw(subject: Subject) -> Picture:
    """Draw the distribution of latency of the run of *subject*."""
    results = subject.results
    asked = len(requests_of(results))
    table = tabulate(results)
    deadline = results.meta["deadline_s"]
    summary = results.summary()
    marks = {mark: summary[f"latency_p{100 * mark:.0f}_s"] for mark in MARKS}
    said = ", ".join(f"{mark:.0%} within {duration(value)}" for mark, value in marks.items() if np.isfinite(value))
    missing = asked - len(table)
    said += f"; {missing} never answered" if missing else ""
    in_time = float((table["latency_s"] <= deadline).mean()) if deadline is not None else 1.0
    if deadline is not None:
        said += f"; {in_time:.1%} within the deadline of {duration(deadline)}"
    figure, (axes,) = paper("Distribution of latency", said, subject.caption(), (8.0, 4.6))
    longest = float(table["latency_s"].max())
    unit, symbol = scale(longest)
    axes.step([0.0, *(table["latency_s"] / unit)], [0.0, *table["share"]], where="post", color=BLUE, linewidth=2)
    axes.set_xlim(0, max(longest, 1.02 * (deadline or 0.0)) / unit * 1.03)
    for mark, value in marks.items():
        if np.isfinite(value):
            axes.plot(value / unit, mark, "o", color=BLUE, markersize=5)
            _write(axes, f"{mark:.0%}", (value / unit, mark), (-7, 3))
    if deadline is not None:
        axes.axvline(deadline / unit, color=RED, linestyle="--", linewidth=1.5)
        _write(axes, "deadline", (deadline / unit, 0.02), (-4, 0), color=RED, rotation=90)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel(f"latency [{symbol}]")
    axes.set_ylabel("share of answered requests")
    return Picture("cdf", figure, table)


def tabulate(results: Results) -> pd.DataFrame:
    """Return the latencies of answered requests in order [s], and the share of them answered by then."""
    latency = np.sort(requests_of(results, answered=True)["latency_s"].to_numpy())
    return pd.DataFrame({"latency_s": latency, "share": np.arange(1, len(latency) + 1) / len(latency)})


def _write(
    axes: Axes, text: str, where: tuple[float, float], away: tuple[int, int], color: str = BLACK, rotation: int = 0
) -> None:
    axes.annotate(
        text, where, xytext=away, textcoords="offset points", ha="right", fontsize=8.5, color=color, rotation=rotation
    )
