"""``fidelity``: predicted against measured times, and how far off each segment is.

Drawn of rows that ``calibration/fidelity`` compares. The table beside the picture holds the errors, not the rows: most
measurements are other people's.
"""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.picture import BLACK, GREY, PALETTE, STYLE, Picture, folded, legend_above, paper

MOST = 2500  # dots per model: more would only be darker
SHOWN = 16  # names in the legend
WIDEST = 60.0  # [%] beyond which the right panel is cut; what lies there is counted
WITHIN = 10.0  # [%] the grey band


def draw(rows: pd.DataFrame, errors: pd.DataFrame, name: str, title: str, measured_on: str) -> Picture:
    """Draw *rows* (columns model, segment, measured_s, predicted_s); *errors* becomes the table beside the picture.

    Args:
        rows: times above zero; segment ``total`` is the left panel's, the order of segments the right one's.
        errors: the figures of each model and segment.
        name: of the files.
        title: what was compared.
        measured_on: machines and clock, for the caption.
    """
    rows = rows[(rows["measured_s"] > 0) & (rows["predicted_s"] > 0)]
    total = rows[rows["segment"] == "total"]
    total = rows if total.empty else total
    off = 100.0 * np.abs(total["predicted_s"] / total["measured_s"] - 1.0)
    finding = f"half of {len(total):,} predictions are within {np.median(off):.1f} %, nine of ten within "
    finding += f"{np.percentile(off, 90):.1f} %"
    lines = 1 + (min(total["model"].nunique(), SHOWN) - 1) // 7
    figure, (whole,) = paper(title, finding, folded(measured_on, 200), (11.0, 5.0 + 0.2 * lines), legend=lines)
    whole.remove()
    with mpl.rc_context(STYLE):
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
        _scatter(left, total)
        _segments(right, rows)
    legend_above(figure, left)
    return Picture(name, figure, errors.reset_index())


def _scatter(axes: Axes, rows: pd.DataFrame) -> None:
    """Predicted over measured, both logarithmic, with the line where they are the same."""
    ends = np.array([rows["measured_s"].min() / 1.3, rows["measured_s"].max() * 1.3])
    axes.fill_between(ends, ends * (1 - WITHIN / 100), ends * (1 + WITHIN / 100), color=GREY, alpha=0.25, linewidth=0)
    axes.plot(ends, ends, color=BLACK, linewidth=0.8)
    for i, (model, mine) in enumerate(rows.groupby("model", sort=True)):
        shown = mine.sample(MOST, random_state=0) if len(mine) > MOST else mine
        label = str(model) if i < SHOWN else None
        colour = PALETTE[i % len(PALETTE)]
        mark = "os^D"[i // len(PALETTE) % 4]
        axes.plot(shown["measured_s"], shown["predicted_s"], mark, color=colour, ms=3, alpha=0.5, mew=0)
        axes.plot([], [], mark, color=colour, ms=9, mew=0, label=label)
    axes.set(xscale="log", yscale="log", xlabel="measured [s]", ylabel=f"predicted [s]; band: {WITHIN:.0f} %")
    axes.grid(axis="x")


def _segments(axes: Axes, rows: pd.DataFrame) -> None:
    """Relative error of each segment: middle half, nine tenths and median."""
    names = list(dict.fromkeys(rows["segment"]))
    beyond = 0
    for i, segment in enumerate(names):
        mine = rows[rows["segment"] == segment]
        error = 100.0 * (mine["predicted_s"] / mine["measured_s"] - 1.0).to_numpy()
        low, first, middle, third, high = np.percentile(error, [5, 25, 50, 75, 95])
        axes.plot([low, high], [i, i], color=PALETTE[0], linewidth=1.2, solid_capstyle="butt")
        axes.plot([first, third], [i, i], color=PALETTE[0], linewidth=7, alpha=0.55, solid_capstyle="butt")
        axes.plot([middle], [i], "|", color=BLACK, ms=11, mew=1.8)
        beyond += int((np.abs(error) > WIDEST).sum())
    axes.axvline(0.0, color=BLACK, linewidth=0.8)
    axes.axvspan(-WITHIN, WITHIN, color=GREY, alpha=0.25, linewidth=0)
    axes.set_yticks(range(len(names)), [f"{name} ({int((rows['segment'] == name).sum()):,})" for name in names])
    axes.invert_yaxis()
    widest = max(WITHIN * 1.5, min(WIDEST, 1.1 * max(map(abs, axes.get_xlim()))))
    axes.set_xlim(-widest, widest)
    note = f"\n{beyond:,} beyond {WIDEST:.0f} %" if beyond else ""
    axes.set_xlabel(f"error of the prediction [%]: median, middle half, nine tenths{note}")
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
