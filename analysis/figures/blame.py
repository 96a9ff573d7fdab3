"""``blame``: what each processor and each link did with the time of the run: worked, was down, or waited, and for what.

A resource that works all along is what a run hangs on. One that is *starved* waits for work that is still upstream;
one that is *blocked* waits for what follows downstream; ``simulator.results.blame`` has the definitions. Members of a
large group share one bar, their mean.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.picture import BLACK, Picture, duration, legend_above, paper
from analysis.subject import Subject
from simulator import Results
from simulator.results.blame import STATES

LOOKS: dict[str, tuple[str, str, str]] = {
    "busy": ("serving", "#44546A", ""),
    "failed": ("down", "#FFFFFF", "xxxx"),
    "starved": ("starved: work is upstream", "#D8BE8C", ""),
    "blocked": ("blocked: waits for downstream", "#96799B", ""),
    "idle": ("nothing to do", "#EEEEEE", ""),
}
"""State → its name in the legend, its colour and its hatch: earth colours, none of a part of a latency."""
GROUP = 20
"""So many members of a group have a bar each."""
LINES = 40
"""So many bars are drawn."""

_NUMBER = re.compile(r"-\d+(?=$|])")


def draw(subject: Subject) -> Picture:
    """Draw how the run of *subject* was spent, by resource.

    Raises:
        ResultsError: if the run did not record spans.
    """
    results = subject.results
    table = tabulate(results)
    shown = table.head(LINES)
    top = int(table["busy_s"].argmax())
    most, share = str(table["resource"].iloc[top]), float((table["busy_s"] / table["length_s"]).iloc[top])
    left_out = f"; {len(table) - LINES} more not shown" if len(table) > LINES else ""
    length = float(results.meta["end_s"])
    figure, (axes,) = paper(
        "What each resource did with its time",
        f"a run of {duration(length)}; {most} worked most: {share:.0%} of it{left_out}",
        subject.caption(),
        (9.0, 1.55 + 0.27 * max(len(shown), 4)),
        legend=1,
    )
    _bars(axes, shown)
    axes.set_xlabel("share of the run [%]")
    legend_above(figure, axes, 5)
    return Picture("blame", figure, table)


def tabulate(results: Results) -> pd.DataFrame:
    """Return the five times of each resource; a group too large to be read has one row, the mean of its members.

    Columns: resource, kind, members, then those of ``Results.blame`` [s].

    Raises:
        ResultsError: if the run did not record spans.
    """
    frame = results.blame
    seconds = [f"{state}_s" for state in STATES] + ["length_s"]
    group = frame["resource"].map(lambda name: _NUMBER.sub("-*", name))
    size = group.groupby(group).transform("size")
    most = GROUP if (size <= GROUP).sum() + group[size > GROUP].nunique() <= LINES else 1
    frame = frame.assign(resource=group.where(size > most, frame["resource"]))
    rows = frame.groupby("resource", sort=False)
    table = pd.concat([rows["kind"].first(), rows.size().rename("members"), rows[seconds].mean()], axis=1)
    return table.reset_index()


def _bars(axes: Axes, table: pd.DataFrame) -> None:
    lines = range(len(table))
    percent = 100 / table["length_s"].to_numpy()
    left = 0.0 * percent
    for state in STATES:
        label, colour, hatch = LOOKS[state]
        width = table[f"{state}_s"].to_numpy() * percent
        edge: Any = {"edgecolor": BLACK, "hatch": hatch} if hatch else {}
        if state != "failed" or width.any():
            axes.barh(lines, width, 0.78, left=left, color=colour, label=label, linewidth=0, **edge)
        for y, value, begin in zip(lines, width, left, strict=True):
            if value >= 6.0 and not hatch:
                ink = "white" if state in ("busy", "blocked") else BLACK
                axes.text(begin + value / 2, y, f"{value:.0f}", ha="center", va="center", fontsize=7, color=ink)
        left = left + width
    members = zip(table["resource"].astype(str), table["members"].tolist(), strict=True)
    names = [f"{name} (mean of {count})" if count > 1 else name for name, count in members]
    axes.set_yticks(lines, names, fontsize=8)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0.0, 100.0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
