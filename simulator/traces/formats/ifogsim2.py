"""Paths of users and the edge nodes around them (iFogSim2; Mahmud et al., JSS 2022), both synthetic.

A path is ``Latitude,Longitude``, one row after the other and without any time: the simulator's step says how long from
row to row, so without ``step:`` the recording has no ``t_s``. Nodes (``edgeResources``) have a level in a tree, their
parent's ID, and a name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulator.traces.format import Format, Request
from simulator.traces.places import PLACE, read_places
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import titles

NODE = (*PLACE, "id", "level", "parent")


def fits(source: Source) -> bool:
    """Return whether the header is that of a path or of the nodes."""
    names = set(titles(source))
    return names == set(PLACE) or set(NODE) <= names


def holds(source: Source) -> tuple[str, ...]:
    """Return what is in it."""
    return ("sites",) if set(NODE) <= set(titles(source)) else ("mobility",)


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file; nodes have ``id``, ``level`` and ``parent`` beside their place.

    Raises:
        TraceError: naming the line that is wrong.
    """
    report = Report()
    if holds(source) == ("sites",):
        places = read_places(source, options, report, ("id", "level", "parent"), NODE)
        number, level, parent = places.rows.columns[2:]
        columns = {"lat": places.lat, "lon": places.lon, "id": number, "level": level, "parent": parent}
        names = places.texts("details") or tuple(f"{one:g}" for one in number)
        return {"": Recording("sites", columns, report, names=names)}
    places = read_places(source, options, report)
    columns = {"lat": places.lat, "lon": places.lon}
    report.assumed.append("synthetic: paths drawn by the set's authors, not recorded")
    if options.step is None:
        report.assumed.append("no time from row to row is in the file (step: says it)")
        return {"": Recording("mobility", columns, report, grade="guessed")}
    columns = {"t_s": np.arange(len(places.lat), dtype=np.float64) * options.step} | columns
    return {"": Recording("mobility", columns, report, float(columns["t_s"][-1]), grade="guessed")}


FORMAT = Format("ifogsim2", ("mobility", "sites"), "paths of users, and edge nodes (iFogSim2)", fits, read, holds=holds)
