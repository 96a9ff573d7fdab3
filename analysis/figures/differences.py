"""``differences``: techniques against each other in pairs, world by world, with intervals that hold all at once.

A dot is one world: what the better technique of the pair had there minus what the other had. The bar is the interval of
the mean; where it crosses zero the two cannot be told apart. Where some pairs lie much further apart than others, the
axis is linear around zero and logarithmic beyond.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from analysis.comparison import Comparison, shown
from analysis.figures.gantt import COLOURS
from analysis.picture import BLACK, GREY, Picture, folded, paper, scale
from simulator.results.replications import FIGURES

LINE = 140
"""So many letters fit below a figure, beside what stands between them."""
PAIRS = 15
"""So many pairs are drawn."""
WIDE = 30.0
"""Where the largest difference is so many times those of the closest quarter, the axis bends away from zero."""


def caption(found: Comparison) -> str:
    """Write where a figure of *found* comes from: scenario, techniques, seeds, version, evidence."""
    seeds, meta = found.seeds, found.meta
    span = f"seeds {seeds[0]} to {seeds[-1]}" if seeds[-1] - seeds[0] == len(seeds) - 1 else f"{len(seeds)} seeds"
    rest = (span, f"offing {meta.get('offing', '')}", f"evidence: {meta.get('grade', 'unknown')}")
    tail = "  ·  ".join(filter(None, (*rest, meta.get("networks", ""))))
    names = " / ".join(found.labels)
    names = names if len(found.scenario + names + tail) <= LINE else f"{len(found.labels)} techniques"
    return "  ·  ".join((found.scenario, names, tail))


def draw(found: Comparison) -> Picture:
    """Draw the paired differences of *found*, the better technique first."""
    pairs = found.differences.head(PAIRS)
    table = tabulate(found)
    name, _, less = FIGURES[found.metric]
    clear = int((found.differences["verdict"] == "clear").sum())
    at_once = ", all at once" if len(found.differences) > 1 else ""
    finding = (
        f"{clear} of {len(found.differences)} pairs can be told apart ({100 * found.level:g} % intervals{at_once})"
    )
    finding += f"; {len(found.differences) - PAIRS} more pairs not drawn" if len(found.differences) > PAIRS else ""
    title = f"Differences in {name}, world by world: the first minus the second"
    figure, (axes,) = paper(title, finding, caption(found), (10.0, 1.7 + 0.52 * len(pairs)))
    unit, symbol = _unit(found, float(table["difference"].abs().max()))
    axes.axvline(0.0, color=BLACK, linewidth=1.0, zorder=1)
    for row, pair in enumerate(pairs.to_dict("records")):
        dots = table.loc[(table["a"] == pair["a"]) & (table["b"] == pair["b"]), "difference"].to_numpy(dtype=float)
        _pair(axes, row, pair, dots / unit, unit)
    bent = ", log. away from 0" if _scale(axes, pairs, unit) else ""
    names = [f"{folded(a)}\n− {folded(b)}" for a, b in zip(pairs["a"], pairs["b"], strict=True)]
    axes.set_yticks(range(len(pairs)), names, fontsize=8)
    axes.set_ylim(len(pairs) - 0.5, -0.7)
    axes.set_xlabel(
        f"difference in {name} [{symbol}{bent}]      {'left' if less else 'right'} of the line the first is better"
    )
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    _numbers(axes, pairs, found.metric)
    return Picture("differences", figure, table)


def tabulate(found: Comparison) -> pd.DataFrame:
    """Return one row per pair and world: a, b, seed, the difference a - b, and the interval of the pair's mean."""
    rows = []
    for pair in found.differences.to_dict("records"):
        gaps = np.subtract(found.values(str(pair["a"])), found.values(str(pair["b"])))
        kept = {key: pair[key] for key in ("low", "high", "verdict", "p_adjusted")}
        rows.append(
            pd.DataFrame(
                {
                    "a": pair["a"], "b": pair["b"], "metric": found.metric, "seed": found.seeds, "difference": gaps,
                    "mean": pair["difference"], **kept,
                }
            )
        )  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def _pair(axes: Axes, row: int, pair: Mapping[Any, Any], dots: Any, unit: float) -> None:
    colour = COLOURS[0] if pair["verdict"] == "clear" else COLOURS[2]
    spread = row + 0.5 * (np.arange(len(dots)) * 0.618034 % 1.0 - 0.5)  # the golden ratio: neighbours far apart
    axes.plot(dots, spread, "o", color=GREY, markersize=3.5, markeredgewidth=0, alpha=0.65, zorder=2)
    axes.plot([pair["low"] / unit, pair["high"] / unit], [row, row], color=colour, linewidth=3.2, zorder=3)
    axes.plot(pair["difference"] / unit, row, "D", color=colour, markeredgecolor="white", markersize=6.5, zorder=4)


def _scale(axes: Axes, pairs: pd.DataFrame, unit: float) -> bool:
    """Let small differences be seen beside large ones, and return whether that took a bent axis."""
    sizes = pairs["difference"].abs().to_numpy(dtype=float) / unit
    sizes = sizes[sizes > 0]
    low = (
        float(np.quantile(sizes, 0.25, method="lower")) if len(sizes) else 0.0
    )  # one far-off technique is in many pairs
    bent = bool(len(sizes) > 1 and sizes.max() > WIDE * low)
    if bent:
        axes.set_xscale("symlog", linthresh=2 * low)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return bent


def _numbers(axes: Axes, pairs: pd.DataFrame, metric: str) -> None:
    for row, pair in enumerate(pairs.to_dict("records")):
        apart = "" if pair["verdict"] == "clear" else f"\n{pair['verdict']}"
        text = f"{shown(pair['difference'], metric)} ({pair['relative']:+.0%}){apart}".replace("-", "−")
        axes.annotate(
            text, (1.0, row), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points", fontsize=8,
            va="center",
        )  # fmt: skip


def _unit(found: Comparison, largest: float) -> tuple[float, str]:
    if found.metric.endswith("_per_s"):
        return 1.0, "1/s"
    return (1.0, "J") if found.metric.endswith("_j") else scale(largest)
