"""``gantt``: which request had which processor or link when, in a window short enough to be read.

A line per node (one for each request it serves at once) and per direction of a link, in the order in which requests
come by; one colour per request, so that it can be followed from device over link to server and back. A thin line
below a bar is the time the request waited for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.picture import BLACK, PALETTE, RED, YELLOW, Picture, duration, paper, scale
from analysis.subject import Subject
from simulator import Results

SHOWN = ("compute", "transfer")
"""Kinds of span that occupy a resource."""
REQUESTS = 10
"""So many requests begin in a window that was not asked for."""
LINES = 30


def draw(subject: Subject, start: float | None = None, length: float | None = None) -> Picture:
    """Draw the work of the run of *subject* between *start* and *start* + *length* [s].

    Raises:
        ResultsError: if the run did not record spans.
    """
    results = subject.results
    begin, end = window(results, start, length)
    table = tabulate(results, begin, end)
    lines = list(dict.fromkeys(zip(table["resource"], table["lane"], strict=True)))
    shown, left_out = lines[:LINES], len(lines) - LINES
    note = "; hatched: down" if len(results.failures) else ""
    note += f"; {left_out} more lines not shown" if left_out > 0 else ""
    requests = len(table[["source", "request"]].drop_duplicates())
    figure, (axes,) = paper(
        "Who used what when",
        f"{requests} requests in {duration(end - begin)}; below a bar: how long the request waited for it{note}",
        subject.caption(),
        (11.0, 1.6 + 0.34 * max(len(shown), 4)),
    )
    unit, symbol = scale(end - begin)
    axes.set_xlim(begin / unit, end / unit)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    _bars(axes, table, shown, unit)
    _outages(axes, results, shown, unit)
    axes.set_yticks(range(len(shown)), _labels(shown), fontsize=8)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"time since the start of the run [{symbol}]")
    return Picture("gantt", figure, table)


def window(results: Results, start: float | None = None, length: float | None = None) -> tuple[float, float]:
    """Return the begin and end of the window [s]: as asked, else from the first request on and short."""
    requests = results.requests
    begin = float(requests["arrival_s"].min()) if start is None and len(requests) else start or 0.0
    if length is not None:
        return begin, begin + length
    coming = requests[requests["arrival_s"] >= begin].head(REQUESTS)
    end = float(coming["finish_s"].max()) if coming["finish_s"].notna().any() else float(results.meta["end_s"])
    return begin, max(begin + 1.01 * (end - begin), begin + 1e-6)


def tabulate(results: Results, begin: float, end: float) -> pd.DataFrame:
    """Return the pieces of work in the window, line by line, each with its lane."""
    spans = results.spans[results.spans["kind"].isin(SHOWN)]
    spans = spans[(spans["queued_s"] < end) & (spans["finish_s"] > begin)]
    columns = ["resource", "kind", "source", "request", "queued_s", "start_s", "finish_s", "completed"]
    table = spans.sort_values(["start_s", "finish_s"], kind="stable")[columns]
    table.insert(1, "lane", _lanes(table))
    step = table.groupby(["source", "request"]).cumcount()  # which piece of its request each one is
    table["_step"] = step.groupby(table["resource"]).transform("median")
    table["_first"] = table.groupby("resource")["start_s"].transform("min")
    table = table.sort_values(["_step", "_first", "resource", "lane", "start_s"], kind="stable", ignore_index=True)
    return table.drop(columns=["_step", "_first"])


def _lanes(spans: pd.DataFrame) -> list[int]:
    """Return a lane for each span, so that those of one resource that overlap stand side by side."""
    busy: dict[str, list[tuple[float, int]]] = {}
    free: dict[str, list[int]] = {}
    lanes = []
    for resource, start, finish in zip(spans["resource"], spans["start_s"], spans["finish_s"], strict=True):
        running, idle = busy.setdefault(resource, []), free.setdefault(resource, [])
        while running and running[0][0] <= start:
            heappush(idle, heappop(running)[1])
        lane = heappop(idle) if idle else len(running)
        heappush(running, (finish, lane))
        lanes.append(lane)
    return lanes


def _bars(axes: Axes, table: pd.DataFrame, shown: Sequence[tuple[str, int]], unit: float) -> None:
    line = {key: i for i, key in enumerate(shown)}
    asked = {key: i for i, key in enumerate(dict.fromkeys(zip(table["source"], table["request"], strict=True)))}
    rows: list[Any] = list(table.itertuples(index=False))
    left, right = axes.get_xlim()
    alone = len(set(table["source"])) == 1
    for row in rows:
        y = line.get((row.resource, row.lane))
        if y is None:
            continue
        colour = PALETTE[asked[row.source, row.request] % len(PALETTE)]
        start, width = row.start_s / unit, (row.finish_s - row.start_s) / unit
        if row.start_s > row.queued_s:
            axes.plot([row.queued_s / unit, start], [y + 0.43] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
        style = {"edgecolor": colour} if row.completed else {"edgecolor": RED, "hatch": "xxxx", "alpha": 0.6}
        axes.barh(y, width, left=start, height=0.68, color=colour, linewidth=0.8, **style)
        middle, name = start + width / 2, str(row.request) if alone else f"{row.source} #{row.request}"
        if width > (0.006 * len(name) + 0.008) * (right - left) and left < middle < right:
            ink = BLACK if colour == YELLOW else "white"
            axes.text(middle, y, name, ha="center", va="center", fontsize=7.5, color=ink)


def _outages(axes: Axes, results: Results, shown: Sequence[tuple[str, int]], unit: float) -> None:
    rows: list[Any] = list(results.failures.itertuples(index=False))
    for failure in rows:
        begin, end = failure.down_s / unit, min(failure.up_s, results.meta["end_s"]) / unit
        for y, (resource, _) in enumerate(shown):
            if resource == failure.name or resource.startswith((f"{failure.name}.", f"{failure.name}[")):
                axes.barh(
                    y, end - begin, left=begin, height=1.0, color="none", edgecolor="#BBBBBB", hatch="////", linewidth=0
                )


def _labels(shown: Sequence[tuple[str, int]]) -> list[str]:
    several = {resource for resource, lane in shown if lane > 0}
    return [f"{resource} #{lane + 1}" if resource in several else resource for resource, lane in shown]
