"""``synthetic_fit``: recorded against generated bandwidth, one row of panels per set of recordings.

Drawn from curves that ``calibration/worlds/synthetic.py`` computes, since the recordings are not ours to ship.
"""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from analysis.picture import BLACK, BLUE, GREEN, ORANGE, STYLE, Picture, legend_above, paper

LOOKS = {
    "recorded": (BLACK, "-", 2.6, 0.55),
    "copula": (BLUE, "-", 1.4, 1.0),
    "markov": (ORANGE, "--", 1.4, 1.0),
    "bootstrap": (GREEN, ":", 1.8, 1.0),
}
"""Form → colour, dashes, width and opacity of its curve."""
FINDING = "the distribution is easy; what a form remembers decides what slow transfers take"
CAPTION = "150 traces of an hour per form (seeds 0 to 149) fitted to the recordings they are compared with"


def draw(curves: pd.DataFrame) -> Picture:
    """Draw *curves* (columns set, panel, form, x, y): a row per set, a column per panel."""
    sets = list(dict.fromkeys(curves["set"]))
    size = (12.0, 1.0 + 2.3 * len(sets))
    figure, (whole,) = paper("Synthetic bandwidth against recordings", FINDING, CAPTION, size, legend=1)
    whole.remove()
    wide = max(curves[curves["set"] == name]["panel"].nunique() for name in sets)
    with mpl.rc_context(STYLE):
        grid = figure.subplots(len(sets), wide, squeeze=False)
        for row, name in zip(grid, sets, strict=True):
            mine = curves[curves["set"] == name]
            for axes, panel in zip(row, dict.fromkeys(mine["panel"]), strict=False):
                _panel(axes, mine[mine["panel"] == panel], panel)
            row[0].set_ylabel(f"{name}\nshare of time below")
    legend_above(figure, grid[0, 0])
    return Picture("synthetic_fit", figure, curves)


def _panel(axes: Axes, curves: pd.DataFrame, panel: str) -> None:
    for form, (colour, dashes, width, opacity) in LOOKS.items():
        mine = curves[curves["form"] == form]
        axes.plot(mine["x"], mine["y"], dashes, color=colour, linewidth=width, alpha=opacity, label=form)
    axes.set_xlabel(panel)
    lag = panel.startswith("lag")
    axes.set_ylim((-0.05, 1.0) if lag else (0.0, 1.02))
    if lag:
        axes.set_ylabel("autocorrelation")
    elif not panel.startswith("bandwidth"):
        axes.set_xscale("log")
        axes.set_ylabel("share below")
