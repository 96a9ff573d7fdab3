"""Places of base stations and of users (EUA data sets; Lai et al., ICSOC 2018): a set, in no order that means anything.

Any CSV with ``Latitude`` and ``Longitude`` and nothing in its header that is measured over time. With these two columns
alone it may as well be a path (iFogSim2): then who asks has to say which.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.traces.format import Format, Request
from simulator.traces.places import PLACE, read_places
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import titles

NAMES = ("name", "site_id", "details", "id")
"""Columns that may name a place, the best first."""
MEASURED = ("time", "date", "second", "speed", "throughput", "bitrate", "rtt", "rsr", "signal", "latency", "level")
"""What the names of columns hold where a table is not one of places alone."""


def fits(source: Source) -> bool:
    """Return whether the header has places, and nothing that is measured."""
    names = titles(source)
    return set(PLACE) <= set(names) and not any(word in name for name in names for word in MEASURED)


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    report = Report()
    places = read_places(source, options, report)
    names = next((texts for texts in map(places.texts, NAMES) if texts), ())
    again = len(names) - len(set(names))
    if again:
        report.assumed.append(f"{again} names stand for more than one place")
    return {"": Recording("sites", {"lat": places.lat, "lon": places.lon}, report, names=names)}


FORMAT = Format("eua", ("sites",), "places of base stations and users (EUA data sets)", fits, read)
