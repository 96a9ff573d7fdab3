"""What a reader finds in a file: tables in SI units, never samples of unknown length, and a report of how it was read.

A :class:`Recording` is one table; which columns it has follows from its kind (:data:`COLUMNS`). Values hold from their
row's start until the next row's, the last one until ``duration``. Bandwidths are in bit/s here, as in all files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd

from simulator.profiles.trace import End

Array = npt.NDArray[np.float64]
Kind = Literal[
    "bandwidth", "latency", "cpu", "slowdown", "rate", "arrivals", "failures", "mobility", "sites", "topology", "table"
]
Layer = Literal["link", "goodput", "unknown"]
"""What a bandwidth was measured of: bits on the link, what an application got through, or nobody knows."""
Direction = Literal["down", "up", "both", "unknown"]

LARGEST = 1e300
"""Greatest sum of value times duration that is counted with, far above anything recorded."""
UNITS: dict[str, str] = {"bandwidth": "bit/s", "latency": "s", "cpu": "", "slowdown": "", "rate": "/s"}
"""Kinds that are steps over time, with the unit of their values; shares and factors have none."""
COLUMNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(UNITS, ("start_s", "value")),
    "arrivals": ("t_s",),
    "failures": ("down_s", "up_s", "share"),
    "mobility": ("t_s", "lat", "lon"),
    "sites": ("lat", "lon"),
}
"""Columns that a recording of each kind has; it may have more (sizes of requests, say)."""


@dataclass
class Report:
    """How a file was read; a reader fills it in, so that nothing is mended in silence."""

    rows: int = 0
    """Rows read."""
    dropped: int = 0
    merged: int = 0
    """Rows that went into another one, such as several of one second."""
    reordered: int = 0
    holes: int = 0
    """Stretches nobody measured, in which the value before was taken to hold."""
    hole_s: float = 0.0
    units: dict[str, int] = field(default_factory=dict)
    """Units seen, and in how many rows."""
    assumed: list[str] = field(default_factory=list)
    """What the file does not say and the reader took to be so."""
    repaired: list[str] = field(default_factory=list)
    """What was wrong and mended because ``repair`` was asked for."""

    def part(self, rows: int, first: bool, unit: str = "") -> Report:
        """Return the report of one of several tables of the file this is of; what was dropped counts in the *first*."""
        dropped = self.dropped if first else 0
        return Report(rows, dropped, units={unit: rows} if unit else {}, repaired=list(self.repaired))

    def as_dict(self) -> dict[str, Any]:
        """Return it for a table or JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Recording:
    """One table of a file."""

    kind: Kind
    columns: Mapping[str, Array]
    """By name, all of one length; see :data:`COLUMNS`."""
    report: Report
    duration: float = math.inf
    """End of the last segment [s]; for events and places the time of the last."""
    end: End | None = None
    """What follows, where the file or its format says."""
    layer: Layer = "unknown"
    direction: Direction = "unknown"
    grade: str = "measured"
    epoch: str = ""
    """When it began, where that is known: ISO 8601."""
    names: tuple[str, ...] = ()
    """Of the rows, such as names of sites."""
    round_trip: bool = False
    """Of a latency: whether it is there and back."""
    source: str = ""
    """Where it comes from, in words, where that is more than the file: a machine, a generator, another file."""
    original: str = ""
    """SHA-256 of the file it was imported from, where it is not that file itself."""

    def problem(self) -> str:
        """Return what is wrong with it, so that nothing malformed gets past a reader; "" where nothing is."""
        untimed = self.kind == "mobility" and "t_s" not in self.columns  # a path of which nobody said how fast it goes
        needed = [name for name in COLUMNS.get(self.kind, ()) if not (untimed and name == "t_s")]
        missing = [name for name in needed if name not in self.columns]
        if missing:
            return f"there is no column {missing[0]}"
        size = len(next(iter(self.columns.values())))
        if not size or any(len(column) != size for column in self.columns.values()):
            return "there are no rows" if not size else "columns differ in length"
        for name in needed:
            if not np.isfinite(self.columns[name]).all():
                return f"{name} is not a finite number in every row"
        if self.kind not in UNITS:
            return ""
        starts, values = self.columns["start_s"], self.columns["value"]
        if starts[0] != 0 or not (np.diff(starts) > 0).all() or not self.duration > starts[-1]:
            return f"times do not rise from 0 s to the end at {self.duration:.12g} s"
        if values.min() < 0:
            return "a value is below zero"
        longest = starts[-1] if math.isinf(self.duration) else self.duration
        if float(longest) and not float(values.max()) < LARGEST / float(longest):
            return f"a value of {values.max():g} over {longest:g} s is more than can be counted"
        return ""

    def facts(self) -> dict[str, Any]:
        """Return what there is in it: sizes, means, zeros, extremes, in the units of the recording."""
        found: dict[str, Any] = {"kind": self.kind, "rows": len(next(iter(self.columns.values())))}
        if self.kind in UNITS:
            found |= self._steps()
        elif self.kind == "arrivals":
            times = self.columns["t_s"]
            gaps = np.diff(times)
            found |= {
                "duration_s": float(times[-1] - times[0]), "rate": _over(len(times) - 1, times[-1] - times[0]),
                "max_gap_s": float(gaps.max(initial=0.0)),
                "gap_cv": _over(gaps.std(), gaps.mean()) if len(gaps) else None,
            }  # fmt: skip
        elif self.kind == "failures":
            down, up = self.columns["down_s"], self.columns["up_s"]
            between = down[1:] - up[:-1]
            found |= {
                "span_s": float(up.max()), "mean_length_s": float((up - down).mean()),
                "mean_between_s": float(between.mean()) if len(between) else None,
                "mean_share": float(self.columns["share"].mean()),
            }  # fmt: skip
        else:
            found |= {f"{axis}_{name}": float(getattr(self.columns[axis], name)())
                      for axis in ("lat", "lon") for name in ("min", "max")}  # fmt: skip
            if "t_s" in self.columns:
                found["duration_s"] = self.duration
        for name in self.columns.keys() - set(COLUMNS[self.kind]):
            known = self.columns[name][~np.isnan(self.columns[name])]
            found[f"mean_{name}"] = float(known.mean()) if len(known) else None
        return found

    def _steps(self) -> dict[str, Any]:
        starts, values = self.columns["start_s"], self.columns["value"]
        endless = math.isinf(self.duration)
        edges = np.append(starts, starts[-1] if endless else self.duration)
        lengths, zeros = np.diff(edges), stretches(values == 0, edges)
        volume = float((values * lengths).sum())
        total = float(lengths.sum())
        return {
            "unit": UNITS[self.kind], "segments": len(starts), "duration_s": self.duration,
            "mean": volume / total if total else float(values[-1]), "min": float(values.min()),
            "max": float(values.max()), "volume": volume,
            "zero_s": float(lengths[values == 0].sum()), "longest_zero_s": float(np.diff(zeros).max(initial=0.0)),
            "shortest_segment_s": float(lengths[:-1].min(initial=total) if endless else lengths.min()),
            "longest_segment_s": float(lengths.max()),
        }  # fmt: skip


@dataclass(frozen=True)
class Topology:
    """A graph of a network: nodes with ``lat`` and ``lon``, edges with ``bandwidth`` [bit/s], where known."""

    graph: nx.Graph[str]
    report: Report
    kind: Literal["topology"] = "topology"

    def facts(self) -> dict[str, Any]:
        """Return its size, and what is missing in it."""
        nodes, edges = self.graph.nodes(data=True), self.graph.edges(data=True)
        simple = {frozenset((a, b)) for a, b, _ in edges}
        return {
            "kind": self.kind, "nodes": len(nodes), "edges": len(edges), "simple_edges": len(simple),
            "components": nx.number_connected_components(self.graph.to_undirected()),
            "nodes_without_place": sum("lat" not in facts for _, facts in nodes),
            "edges_with_bandwidth": sum("bandwidth" in facts for _, _, facts in edges),
        }  # fmt: skip


@dataclass(frozen=True)
class Measurements:
    """A table of measurements that is not one of time, such as latencies of many machines."""

    frame: pd.DataFrame
    report: Report
    kind: Literal["table"] = "table"

    def facts(self) -> dict[str, Any]:
        """Return its size, and how many cells are empty."""
        return {
            "kind": self.kind, "rows": len(self.frame), "columns": list(map(str, self.frame.columns)),
            "empty_cells": int(self.frame.isna().sum().sum()),
        }  # fmt: skip


Found = Recording | Topology | Measurements


@dataclass(frozen=True)
class Reading:
    """All that a file holds: one table under the name ``""``, or several by name (operators, runs, machines)."""

    file: str
    format: str
    sha256: str
    """Of the file as it lies on the disk."""
    series: Mapping[str, Found]


def stretches(flags: npt.NDArray[np.bool_], edges: Array) -> Array:
    """Return begin and end of each run of neighbours that are all flagged; shape (n, 2).

    Args:
        flags: of each segment; shape (segments,).
        edges: where segments begin, and the end of the last; shape (segments + 1,).
    """
    return edges[np.flatnonzero(np.diff(np.concatenate(([False], flags, [False]))))].reshape(-1, 2)


def _over(a: float, b: float) -> float | None:
    return float(a) / float(b) if b else None
