"""``gantt``: which request had which processor or link when, in a window short enough to be read.

A line per node (one for each request it serves at once) and per direction of a link, in the order in which requests
come by; one colour per request, so that it can be followed from device over link to server and back. A thin line
below a bar is the time the request waited for it. The colours are the muted ones of Paul Tol's technical note on colour
schemes (SRON/EPS/TN/09-002), which readers with any common colour vision tell apart, and none of which stands for a
part of a latency in another figure. What is nobody's request (a probe of the bandwidth, a report) is grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.picture import BLACK, GREY, RED, Picture, duration, paper, scale
from analysis.subject import Subject
from simulator import Results
from simulator.foundation.errors import ResultsError
from simulator.results.blame import OCCUPYING, link_of

COLOURS = ("#332288", "#44AA99", "#CC6677", "#DDCC77", "#882255", "#88CCEE", "#999933", "#AA4499", "#117733")
LIGHT = ("#44AA99", "#CC6677", "#DDCC77", "#88CCEE", "#999933")
"""Those that dark letters stand out from."""
REQUESTS = 10
"""So many requests begin in a window that was not asked for."""
LINES = 30


def draw(subject: Subject, start: float | None = None, length: float | None = None) -> Picture:
    """Draw the work of the run of *subject* between *start* and *start* + *length* [s].

    Raises:
        ResultsError: if the run did not record spans, or has nothing in that window.
    """
    results = subject.results
    begin, end = window(results, start, length)
    table = tabulate(results, begin, end)
    lines = list(dict.fromkeys(zip(table["resource"], table["lane"], strict=True)))
    shown, left_out = lines[:LINES], len(lines) - LINES
    note = "; hatched: down" if len(results.failures) else ""
    note += "; grey: probes and reports" if (table["request"] < 0).any() else ""
    note += f"; {left_out} more lines not shown" if left_out > 0 else ""
    requests = len(_askers(table))
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
    """Return the begin and end of the window [s]: as asked, else from the first request on and short.

    Raises:
        ResultsError: if it is empty, or lies outside the run.
    """
    requests, last = results.requests, float(results.meta["end_s"])
    if length is not None and length <= 0:
        raise ResultsError(f"a window of {length:g} s shows nothing; give --for a duration above 0")
    if start is not None and not 0 <= start < last:
        raise ResultsError(
            f"the window begins at {start:g} s, but the run covers 0 s to {last:g} s; give --from a time in that"
        )
    begin = float(requests["arrival_s"].min()) if start is None and len(requests) else start or 0.0
    if length is not None:
        return begin, begin + length
    coming = requests[requests["arrival_s"] >= begin].head(REQUESTS)
    end = float(coming["finish_s"].max()) if coming["finish_s"].notna().any() else float(results.meta["end_s"])
    return begin, max(begin + 1.01 * (end - begin), begin + 1e-6)


def tabulate(results: Results, begin: float, end: float) -> pd.DataFrame:
    """Return the pieces of work in the window, line by line, each with its lane."""
    spans = results.spans[results.spans["kind"].isin(OCCUPYING)]
    spans = spans[(spans["queued_s"] < end) & (spans["finish_s"] > begin)]
    columns = ["resource", "kind", "source", "request", "queued_s", "start_s", "finish_s", "completed"]
    table = spans.sort_values(["start_s", "finish_s"], kind="stable")[columns]
    table.insert(1, "lane", _lanes(table))
    asked = table[table["request"] >= 0]
    step = asked.groupby(["source", "request"]).cumcount().reindex(table.index)  # which piece of its request each is
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
    asked = {key: i for i, key in enumerate(_askers(table))}
    rows: list[Any] = list(table.itertuples(index=False))
    left, right = axes.get_xlim()
    alone = len(set(table["source"])) == 1
    for row in rows:
        y = line.get((row.resource, row.lane))
        if y is None:
            continue
        own = row.request >= 0
        colour = COLOURS[asked[row.source, row.request] % len(COLOURS)] if own else GREY
        start, width = row.start_s / unit, (row.finish_s - row.start_s) / unit
        if row.start_s > row.queued_s:
            axes.plot([row.queued_s / unit, start], [y + 0.43] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
        style = {"edgecolor": colour} if row.completed else {"edgecolor": RED, "hatch": "xxxx", "alpha": 0.6}
        axes.barh(y, width, left=start, height=0.68, color=colour, linewidth=0.8, **style)
        called = str(row.request) if alone else f"{row.source} #{row.request}"
        middle, name = start + width / 2, called if own else row.kind
        if width > (0.006 * len(name) + 0.008) * (right - left) and left < middle < right:
            ink = BLACK if colour in LIGHT else "white"
            axes.text(middle, y, name, ha="center", va="center", fontsize=7.5, color=ink)


def _outages(axes: Axes, results: Results, shown: Sequence[tuple[str, int]], unit: float) -> None:
    rows: list[Any] = list(results.failures.itertuples(index=False))
    for failure in rows:
        begin, end = failure.down_s / unit, min(failure.up_s, results.meta["end_s"]) / unit
        for y, (resource, _) in enumerate(shown):
            if failure.name in (resource, *map(link_of, resource.split("+"))):
                axes.barh(
                    y, end - begin, left=begin, height=1.0, color="none", edgecolor="#BBBBBB", hatch="////", linewidth=0
                )


def _askers(table: pd.DataFrame) -> list[tuple[str, int]]:
    """Return the requests in *table*, as (source, number), in the order in which they appear."""
    asked = table[table["request"] >= 0]
    return list(dict.fromkeys(zip(asked["source"], asked["request"], strict=True)))


def _labels(shown: Sequence[tuple[str, int]]) -> list[str]:
    several = {resource for resource, lane in shown if lane > 0}
    return [f"{resource} #{lane + 1}" if resource in several else resource for resource, lane in shown]
