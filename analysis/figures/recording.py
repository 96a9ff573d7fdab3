"""``recording``: what a recorded trace looks like: over time, how its values are distributed, what is missing in it.

Of a bandwidth it shows what a mean hides: stretches in which nothing comes through, and how long a transfer takes by
when it begins. Arrivals are counted, outages stand as bars, places are on a map (``analysis/figures/places.py``).
Recordings of more rows than a picture has points are drawn as means within the least and the most of each column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import places
from analysis.picture import BLUE, ORANGE, RED, STYLE, Picture, duration, paper, scale
from simulator.foundation.errors import ResultsError, TraceError
from simulator.traces.reader import as_trace
from simulator.traces.recording import Array, Found, Recording, Topology, stretches

MOST = 3000
"""Segments that are drawn one by one; more are drawn as columns."""
COLUMNS = 1200
STARTS = 800
"""Instants at which a transfer is begun."""
SCALES: dict[str, tuple[float, str]] = {
    "bandwidth": (1e6, "bandwidth [Mbit/s]"), "latency": (1e-3, "latency [ms]"), "cpu": (0.01, "load [%]"),
    "slowdown": (1.0, "slowdown"), "rate": (1.0, "requests [1/s]"),
}  # fmt: skip
"""Kind of steps → unit of its axis, and its name."""


def draw(found: Found, title: str, caption: str, name: str = "recording", size: float = 1e6) -> Picture:
    """Draw one recording.

    Args:
        found: what a reader found.
        title: what it is.
        caption: where it comes from.
        name: of the picture.
        size: of the transfers whose time is shown, for a bandwidth [B].

    Raises:
        ResultsError: if there is nothing in it to be drawn.
    """
    if isinstance(found, Topology):
        return places.draw_graph(found, title, caption, name)
    if not isinstance(found, Recording):
        raise ResultsError(f"{title}: is a table of measurements; there is no figure of that")
    if found.kind in ("mobility", "sites"):
        return places.draw_places(found, title, caption, name)
    if found.kind == "arrivals":
        return _arrivals(found, title, caption, name)
    if found.kind == "failures":
        return _failures(found, title, caption, name)
    return _steps(found, title, caption, name, size)


# -- steps over time -------------------------------------------------------------------------------------------------


def _steps(found: Recording, title: str, caption: str, name: str, size: float) -> Picture:
    unit, label = SCALES[found.kind]
    starts, values = found.columns["start_s"], found.columns["value"] / unit
    until = found.duration if math.isfinite(found.duration) else float(starts[-1]) * 1.1 + 1.0
    lengths = np.diff(starts, append=until)
    zero = values == 0 if found.kind in ("bandwidth", "rate") else np.zeros(len(values), dtype=bool)
    gaps = stretches(zero, np.append(starts, until))
    times = transfers(found, size) if found.kind == "bandwidth" else None
    lower = ["values", *(["gaps"] if len(gaps) else []), *(["transfers"] if times is not None else [])]
    clock, clock_name = clock_of(until)
    figure, axes = sheet(title, _said(found, gaps, times, size), caption, lower)
    table = [_over_time(axes["time"], starts, values, until, clock, gaps if found.kind == "bandwidth" else gaps[:0])]
    axes["time"].set_ylabel(label)
    axes["time"].set_xlabel(f"time [{clock_name}]")
    table.append(_distribution(axes["values"], values, lengths, label))
    if len(gaps):
        what = "nothing comes through" if found.kind == "bandwidth" else "nobody asks"
        table.append(_lengths(axes["gaps"], gaps[:, 1] - gaps[:, 0], f"how long {what}", "share of such stretches"))
    if times is not None:
        table.append(_transfers(axes["transfers"], times, size, clock, clock_name, found))
    return Picture(name, figure, pd.concat(table, ignore_index=True))


def _said(found: Recording, gaps: Array, times: pd.DataFrame | None, size: float) -> str:
    facts = found.facts()
    unit, label = SCALES[found.kind]
    symbol = label.partition("[")[2].rstrip("]")
    mean = f"{facts['mean'] / unit:.3g} {symbol}"
    said = f"{facts['segments']:,} segments in {long(facts['duration_s'])}, {mean} on average"
    if found.kind == "bandwidth" and len(gaps):
        said += f"; nothing comes through for {long(facts['zero_s'])}, {long(facts['longest_zero_s'])} at a stretch"
    if times is not None and np.isfinite(times["duration_s"]).any():
        middle, late = np.quantile(times["duration_s"], [0.5, 0.95])
        said += f"; {_bytes(size)} takes {duration(middle)} in the median, {duration(late)} at 95 %"
    return said


def transfers(found: Recording, size: float) -> pd.DataFrame | None:
    """Return how long *size* bytes take over the bare link, begun at even instants; None where nothing ever ends.

    A recording starts again at its end.
    """
    try:
        trace = as_trace(found, "", "hold" if math.isinf(found.duration) else "wrap")
    except TraceError:
        return None
    until = trace.duration if math.isfinite(trace.duration) else trace.starts[-1] + 1.0
    begin = np.linspace(0.0, until, STARTS, endpoint=False)
    took = [trace.finish(start, size) - start for start in begin.tolist()]
    return pd.DataFrame({"time_s": begin, "duration_s": took})


def columns(starts: Array, values: Array, until: float, count: int = COLUMNS) -> tuple[Array, Array, Array, Array]:
    """Return edges, means over time, least and most of *count* even columns of a step function."""
    edges = np.linspace(0.0, until, count + 1)
    volume = np.concatenate(([0.0], np.cumsum(values * np.diff(starts, append=until))))
    means = np.diff(np.interp(edges, np.append(starts, until), volume)) / np.diff(edges)
    first = np.searchsorted(starts, edges[:-1], side="right") - 1
    last = np.maximum(np.searchsorted(starts, edges[1:], side="left"), first + 1)
    pairs = np.column_stack((first, last)).ravel()
    padded = np.append(values, values[-1])  # reduceat takes no index past the end
    return edges, means, np.minimum.reduceat(padded, pairs)[::2], np.maximum.reduceat(padded, pairs)[::2]


def _over_time(axes: Axes, starts: Array, values: Array, until: float, clock: float, gaps: Array) -> pd.DataFrame:
    if len(starts) <= MOST:
        edges, means = np.append(starts, until), values
        axes.stairs(values, edges / clock, baseline=None, color=BLUE, linewidth=1.0)
        least = most = values
    else:
        edges, means, least, most = columns(starts, values, until)
        axes.stairs(most, edges / clock, baseline=least, color=BLUE, alpha=0.3, linewidth=0, fill=True)
        axes.stairs(means, edges / clock, baseline=None, color=BLUE, linewidth=1.0)
    if len(gaps):
        bars = [(begin / clock, (end - begin) / clock) for begin, end in gaps.tolist()]
        axes.broken_barh(bars, (0, 1), transform=axes.get_xaxis_transform(), color=RED, alpha=0.18, linewidth=0)
    axes.set_xlim(0.0, until / clock)
    axes.set_ylim(0.0, 1.05 * float(most.max()) or 1.0)
    rows = pd.DataFrame({"x": edges[:-1], "y": means, "least": least, "most": most})
    return _named(rows, "over time [s]")


def _distribution(axes: Axes, values: Array, weights: Array, label: str) -> pd.DataFrame:
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    axes.step(values[order], share, where="post", color=BLUE, linewidth=1.6)
    axes.set_xlabel(label)
    axes.set_ylabel("share of time with that or less")
    axes.set_ylim(0, 1.02)
    rows = pd.DataFrame({"x": values[order], "y": share})
    return _named(rows.iloc[_thinned(len(rows))], f"share of time by {label}")


def _lengths(axes: Axes, lengths: Array, label: str, share: str) -> pd.DataFrame:
    """Draw which share of *lengths* [s] is longer than so much."""
    ordered = np.sort(lengths)
    beyond = 1.0 - np.arange(len(ordered)) / len(ordered)
    unit, symbol = clock_of(float(ordered[-1])) if ordered[-1] >= 1 else scale(float(ordered[-1]))
    axes.step(ordered / unit, beyond, where="pre", color=RED, linewidth=1.6)
    positive = ordered[ordered > 0]
    if len(positive) and positive[-1] > 20 * positive[0]:
        axes.set_xscale("log")
        axes.set_xlim(left=positive[0] / unit / 1.1)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel(f"{label} [{symbol}]")
    axes.set_ylabel(f"{share}\nat least as long")
    rows = pd.DataFrame({"x": ordered, "y": beyond})
    return _named(rows.iloc[_thinned(len(rows))], f"{label} [s]")


def _transfers(
    axes: Axes, times: pd.DataFrame, size: float, clock: float, clock_name: str, found: Recording
) -> pd.DataFrame:
    longest = float(times["duration_s"].max())
    unit, symbol = scale(longest) if math.isfinite(longest) else (1.0, "s")
    axes.plot(times["time_s"] / clock, times["duration_s"] / unit, color=ORANGE, linewidth=1.1)
    mean = found.facts()["mean"]
    if mean:
        axes.axhline(8 * size / mean / unit, color="#555555", linestyle="--", linewidth=1.0)
        axes.annotate(
            "at the mean", (1.0, 8 * size / mean / unit), xycoords=("axes fraction", "data"), xytext=(-2, 3),
            textcoords="offset points", ha="right", fontsize=8, color="#555555",
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5},
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlabel(f"begun at [{clock_name}]")
    axes.set_ylabel(f"{_bytes(size)} takes [{symbol}]")
    return _named(times.set_axis(["x", "y"], axis=1), f"{_bytes(size)} takes [s], begun at [s]")


# -- events ----------------------------------------------------------------------------------------------------------


def _arrivals(found: Recording, title: str, caption: str, name: str) -> Picture:
    times = found.columns["t_s"]
    span = float(times[-1] - times[0])
    if not span > 0:
        raise ResultsError(f"{title}: all requests come at one instant; there is nothing to draw over time")
    count = int(np.clip(len(times) / 10, 10, 300))
    edges = np.linspace(times[0], times[-1], count + 1)
    counts, _ = np.histogram(times, edges)
    gaps = np.diff(times)
    rate = (len(times) - 1) / span
    spread = gaps.std() / gaps.mean()
    said = f"{len(times):,} requests in {long(span)}: {rate:.3g} /s; gaps up to {duration(float(gaps.max()))}"
    figure, axes = sheet(title, f"{said}, coefficient of variation {spread:.2g}", caption, ["gaps"])
    clock, clock_name = clock_of(span)
    axes["time"].stairs(counts, edges / clock, color=BLUE, fill=True, linewidth=0)
    axes["time"].set_xlim(edges[0] / clock, edges[-1] / clock)
    axes["time"].set_xlabel(f"time [{clock_name}]")
    axes["time"].set_ylabel(f"requests in {duration(span / count)}")
    table = _named(pd.DataFrame({"x": edges[:-1], "y": counts}), "requests from [s]")
    return Picture(name, figure, pd.concat([table, _lengths(axes["gaps"], gaps, "gap", "share of gaps")]))


def _failures(found: Recording, title: str, caption: str, name: str) -> Picture:
    down, up, share = (found.columns[key] for key in ("down_s", "up_s", "share"))
    until = float(up.max())
    lengths, between = up - down, down[1:] - up[:-1]
    clock, clock_name = clock_of(until)
    unit, symbol = clock_of(float(lengths.max()))
    said = f"{len(down):,} outages in {long(until)}, {long(float(lengths.mean()))} long on average"
    said += f", {long(float(between.mean()))} between" if len(between) else ""
    lower = ["lengths", *(["between"] if len(between) else [])]
    figure, axes = sheet(title, said, caption, lower)
    faint = 0.25 + 0.75 * share
    width = max(0.5, 300 / len(down)) ** 0.5
    axes["time"].vlines(down / clock, 0, lengths / unit, color=RED, alpha=faint, linewidth=width)
    axes["time"].set_xlim(0, until / clock or 1.0)  # one of no length may be all there is
    axes["time"].set_ylim(bottom=0)
    axes["time"].set_xlabel(f"time [{clock_name}]")
    axes["time"].set_ylabel(f"outage, by length [{symbol}]\n(faint: a part of the hosts)")
    table = [_named(pd.DataFrame({"x": down, "y": lengths, "share": share}), "outages: begin [s], length [s]")]
    table.append(_lengths(axes["lengths"], lengths, "length of an outage", "share of outages"))
    if len(between):
        table.append(_lengths(axes["between"], between, "time between", "share of times between"))
    return Picture(name, figure, pd.concat(table, ignore_index=True))


# -- shared ----------------------------------------------------------------------------------------------------------


def sheet(title: str, said: str, caption: str, lower: Sequence[str]) -> tuple[Figure, dict[Any, Axes]]:
    """Return a figure with the panel ``time`` above, and the panels *lower* side by side under it."""
    figure, (panel,) = paper(title, said, caption, (11.0, 6.4))
    panel.remove()
    with mpl.rc_context(STYLE):
        axes = figure.subplot_mosaic([["time"] * len(lower), list(lower)], height_ratios=[1.15, 1.0])
    return figure, axes


def clock_of(until: float) -> tuple[float, str]:
    """Return the unit [s] that suits a time axis up to *until* [s], and its name."""
    for unit, name, from_ in ((86400.0, "days", 4), (3600.0, "h", 3), (60.0, "min", 5)):
        if until >= from_ * unit:
            return unit, name
    return 1.0, "s"


def long(seconds: float) -> str:
    """Write a length of time for a sentence, in days, hours or minutes where it is that long."""
    if math.isinf(seconds):
        return "endless time"
    unit, name = clock_of(seconds)
    return duration(seconds) if unit == 1.0 else f"{seconds / unit:.3g} {name}"


def _bytes(size: float) -> str:
    unit, name = next(((u, n) for u, n in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if size >= u), (1.0, "B"))
    return f"{size / unit:g} {name}"


def _named(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    rows = rows.reset_index(drop=True)
    rows.insert(0, "what", what)
    return rows


def _thinned(rows: int) -> npt.NDArray[np.int64]:
    """Return which of so many rows of a curve the table keeps: the first, the last, and enough between."""
    return np.unique(np.linspace(0, rows - 1, min(rows, MOST)).round().astype(np.int64))
