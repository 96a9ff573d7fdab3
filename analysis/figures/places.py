"""Recordings of places on a map: paths, sites, and networks. One kilometre is as long both ways at their latitude."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from analysis.picture import BLUE, GREY, ORANGE, Picture, paper
from simulator.foundation.errors import ResultsError
from simulator.physics.geometry import metres, on_sphere
from simulator.traces.recording import Recording, Topology

NAMED = 40
"""So many places are named on the map."""


def draw_places(found: Recording, title: str, caption: str, name: str) -> Picture:
    """Draw sites as points, and a path as a line from its first point to its last."""
    lat, lon = found.columns["lat"], found.columns["lon"]
    there = np.isfinite(lat) & np.isfinite(lon)
    if not there.any():
        raise ResultsError(f"{title}: no row has a place")
    table = pd.DataFrame(dict(found.columns))
    if found.names:
        table.insert(0, "name", list(found.names))
    path = found.kind == "mobility"
    points = on_sphere(lat[there], lon[there])
    way = float(metres(points[:-1], points[1:]).sum()) / 1e3
    said = f"{int(there.sum()):,} places" + (f", {way:.3g} km on the way" if path else "")
    said += f"; {int((~there).sum()):,} rows without a place are left out" if not there.all() else ""
    figure, (axes,) = paper(title, said, caption, (8.0, 6.4))
    if path:
        axes.plot(lon[there], lat[there], color=BLUE, linewidth=1.0, marker="o", markersize=3)
        for label, index in (("first", 0), ("last", -1)):
            _name(axes, label, lon[there][index], lat[there][index])
    else:
        axes.plot(lon[there], lat[there], "o", color=BLUE, markersize=3.5, alpha=0.6, markeredgewidth=0)
        if 0 < int(there.sum()) <= NAMED and found.names:
            for label, x, y in zip(found.names, lon, lat, strict=True):
                _name(axes, label, x, y)
    _as_map(axes, lat[there], lon[there])
    return Picture(name, figure, table)


def draw_graph(found: Topology, title: str, caption: str, name: str) -> Picture:
    """Draw a network where its nodes are; one in which no node has a place is laid out by springs."""
    graph = found.graph
    placed = {node: (facts["lon"], facts["lat"]) for node, facts in graph.nodes(data=True) if "lat" in facts}
    known = bool(placed)
    if not known:
        layout = nx.spring_layout(nx.Graph(graph), seed=0)
        placed = {node: (float(x), float(y)) for node, (x, y) in layout.items()}
    edges = [(a, b, facts) for a, b, facts in graph.edges(data=True)]
    drawn = [(a, b, facts) for a, b, facts in edges if a in placed and b in placed]
    missing = len(graph) - len(placed)
    fast = sum("bandwidth" in facts for *_, facts in edges)
    said = f"{len(graph):,} nodes, {len(edges):,} edges, {fast:,} with a bandwidth"
    said += f"; {missing} nodes have no place and are left out" if missing else ""
    said += "" if known else "; no node has a place: laid out by springs"
    figure, (axes,) = paper(title, said, caption, (9.0, 6.4))
    lines = [[placed[a], placed[b]] for a, b, _ in drawn]
    colours = [ORANGE if "bandwidth" in facts else GREY for *_, facts in drawn]
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=1.0, zorder=1))
    lon, lat = (np.array(values, dtype=float) for values in zip(*placed.values(), strict=True))
    axes.plot(lon, lat, "o", color=BLUE, markersize=4.5)
    if len(placed) <= NAMED:
        for node, (x, y) in placed.items():
            _name(axes, str(graph.nodes[node].get("label", node)), x, y)
    if known:
        _as_map(axes, lat, lon)
    else:
        axes.set_axis_off()
    rows = [
        {"from": str(a), "to": str(b), "bandwidth_bit_s": facts.get("bandwidth"),
         "from_lon": placed.get(a, (None, None))[0], "from_lat": placed.get(a, (None, None))[1],
         "to_lon": placed.get(b, (None, None))[0], "to_lat": placed.get(b, (None, None))[1]}
        for a, b, facts in edges
    ]  # fmt: skip
    return Picture(name, figure, pd.DataFrame(rows))


def _as_map(axes: Axes, lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> None:
    middle = math.radians(float(lat.min() + lat.max()) / 2)
    axes.set_aspect(1 / max(0.1, math.cos(middle)), adjustable="datalim")
    axes.margins(0.06)
    axes.grid(True, axis="both")
    axes.set_xlabel("longitude [°]")
    axes.set_ylabel("latitude [°]")
    axes.ticklabel_format(useOffset=False)


def _name(axes: Axes, text: str, x: float, y: float) -> None:
    axes.annotate(text, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
