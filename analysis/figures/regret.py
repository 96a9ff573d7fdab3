"""``regret``: what each technique has lost against the best knowledge so far, over time.

Under one seed all contestants meet the same arrivals, so latencies can be subtracted part by part of a run: the curve
is the sum of those differences, from the start on, as its mean over worlds; the band is the interval of that mean. It
rises where a technique loses, and its end divided by the number of requests is the mean regret of a request. The
reference is the oracle if it took part, else the best contestant.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from analysis.comparison import Comparison
from analysis.figures.differences import caption
from analysis.picture import BLACK, Picture, duration, folded, paper, scale
from simulator.results.statistics import t_interval

Array = npt.NDArray[np.float64]
COLOURS = ("#332288", "#CC6677", "#44AA99", "#882255", "#999933", "#117733", "#AA4499")
"""Of the muted scheme of ``gantt`` those that a name can be read in."""
APART = 0.055
"""Names at the right edge keep this distance, as a share of the height."""
BEYOND = 8.0
"""A curve that ends this many times higher than the next goes on beyond the edge."""


def draw(found: Comparison) -> Picture:
    """Draw the regret of each contestant of *found* over time."""
    table, against = tabulate(found), reference(found)
    others = [label for label in found.labels if label != against]
    each = {label: per_request(found, label) for label in others}
    kind = "who knows everything" if against in found.bounds else "the best of them"
    finding = f"against {against} ({kind}); bands: {100 * found.level:g} % intervals over {len(found.seeds)} worlds"
    figure, (axes,) = paper("Latency lost so far, over time", finding, caption(found), (10.0, 5.0))
    top = _top([table[table["label"] == label] for label in others])
    unit, symbol = scale(top)
    axes.axhline(0.0, color=BLACK, linewidth=1.0)
    ends = []
    for label, colour in zip(others, cycle(COLOURS), strict=False):
        mine = table[table["label"] == label]
        time, mean = mine["to_s"], mine["regret_s"] / unit
        inside = mean.iloc[-1] <= top / unit
        axes.plot(time, mean, color=colour, linewidth=2)
        if inside:
            axes.fill_between(time, mine["low_s"] / unit, mine["high_s"] / unit, color=colour, alpha=0.15, linewidth=0)
        said = folded(f"{label}: {duration(each[label])} a request", 46) + ("" if inside else " ↑")
        ends.append((min(mean.iloc[-1], top / unit), said, colour))
    lowest = float(table["low_s"].min())
    bottom = max(lowest, -0.2 * top) if lowest < -0.02 * top else 0.0
    axes.set(xlim=(0.0, float(table["to_s"].max())), ylim=(bottom / unit, top / unit))
    _names(axes, sorted(ends))
    axes.set_xlabel("time since the start of the run [s]")
    axes.set_ylabel(f"latency lost since the start, all requests [{symbol}]")
    return Picture("regret", figure, table)


def _top(curves: Sequence[pd.DataFrame]) -> float:
    """Return how high to draw [s]: what would press all others to the ground goes on beyond the edge."""
    curves = sorted(curves, key=lambda curve: float(curve["regret_s"].iloc[-1]), reverse=True)
    ends = [float(curve["regret_s"].iloc[-1]) for curve in curves]
    first = next((i for i in range(len(ends) - 1) if ends[i] <= BEYOND * ends[i + 1]), len(ends) - 1)
    high = float(curves[first]["high_s"].max())
    return max(1.03 * min(high, 2.0 * ends[first]) if ends[first] > 0 else high, 1e-9)


def reference(found: Comparison) -> str:
    """Return whom the others are measured by: a contestant that knows everything, else the best."""
    return next((label for label in found.labels if label in found.bounds), found.labels[0])


def per_request(found: Comparison, label: str) -> float:
    """Return what *label* loses on a request against the reference, as its mean over worlds [s]."""
    sums, counts, against = _pivot(found, "latency_sum_s"), _pivot(found, "requests"), reference(found)
    lost = _lost(sums[label], counts[label], sums[against], counts[against]).sum(axis=1)
    return float((lost / np.maximum(counts[label], counts[against]).sum(axis=1)).mean())


def tabulate(found: Comparison) -> pd.DataFrame:
    """Return one row per contestant and part of the run: to_s, regret_s (so far, mean over worlds), low_s, high_s."""
    against, rows = reference(found), []
    sums, counts = _pivot(found, "latency_sum_s"), _pivot(found, "requests")
    times = [0.0, *sorted(set(found.over_time["to_s"]))]
    for label in found.labels:
        lost = _lost(sums[label], counts[label], sums[against], counts[against]).cumsum(axis=1)
        spans = [t_interval(column.tolist(), found.level) for column in np.pad(lost, ((0, 0), (1, 0))).T]
        rows.append(
            pd.DataFrame(
                {
                    "label": label, "against": against, "to_s": times, "regret_s": [span.mean for span in spans],
                    "low_s": [span.low for span in spans], "high_s": [span.high for span in spans],
                }
            )
        )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def _lost(mine: Array, count: Array, other: Array, other_count: Array) -> Array:
    """Return what was lost in each part of each run; where not all were answered, their mean counts for the rest."""
    every = np.maximum(count, other_count)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = np.where(count == other_count, mine - other, every * (mine / count - other / other_count))
    return np.nan_to_num(gap, nan=0.0, posinf=0.0, neginf=0.0)


def _pivot(found: Comparison, column: str) -> dict[str, Array]:
    """Return *column* of ``over_time`` for each contestant, shape (seeds, parts)."""
    wide = found.over_time.pivot_table(index=["label", "seed"], columns="to_s", values=column)
    return {label: wide.loc[label].loc[list(found.seeds)].to_numpy(dtype=float) for label in found.labels}


def _names(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each name (height, name, colour; lowest first) where its curve ends, moved apart where they would meet."""
    (low, high), below = axes.get_ylim(), -1.0
    for height, name, colour in ends:
        below = max((height - low) / (high - low), below + APART * (1 + name.count("\n")))
        axes.annotate(
            name, (1.0, below), xycoords="axes fraction", xytext=(6, 0), textcoords="offset points", fontsize=8.5,
            va="center", color=colour,
        )  # fmt: skip
