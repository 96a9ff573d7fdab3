"""Where nodes are: ``position:`` as written and as resolved, and ``attach:``, which links a device has when.

A position is a text ``"lat, lon"`` in degrees, a list of them (one for each member of a group), or a recording
(``{trace: FILE}``): of a path, which a device moves along in straight lines, or of sites, one for each member.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from simulator.foundation.errors import OffingError, TraceError
from simulator.foundation.units import MetresPerSecond, Period, Seconds
from simulator.physics.geometry import Course, course
from simulator.scenario.entry import Entry
from simulator.scenario.inputs import find_file, lookup
from simulator.scenario.reading import ReadingEntry
from simulator.traces.reader import choose, read_file
from simulator.traces.recording import Recording

EXAMPLE = "-37.815, 144.974"
_PLACE = re.compile(r"\s*([-+]?\d+(?:\.\d*)?)\s*,\s*([-+]?\d+(?:\.\d*)?)\s*$")


class PointsEntry(Entry):
    """A path that is written: ``{points: [...], speed: 40 km/h}``."""

    points: tuple[str, ...] = Field(min_length=1)
    """Latitude and longitude of each point, in order."""
    step: Period | None = None
    """Time from each point to the next."""
    speed: MetresPerSecond | None = None
    """How fast it goes from point to point."""
    offset: Literal["random"] | Seconds = 0.0
    """Where to start on a path that wraps; ``random``: each member elsewhere, from the seed."""
    end: Literal["hold", "wrap"] = "hold"
    """What follows the last point: stay there, or start again."""

    def position(self) -> Position:
        """Return the path.

        Raises:
            TraceError: unless exactly one of step and speed says how long it takes.
        """
        lat, lon = zip(*(_place(point) for point in self.points), strict=True)
        return _path(course(lat, lon, None, self.step, self.speed, self.end), self.offset)


class PathEntry(ReadingEntry):
    """A recording of places: ``{trace: FILE, ...}``, a path for who moves, or the sites of a group."""

    trace: str
    """File, relative to the scenario's, or a name among the shipped traces."""
    step: Period | None = None
    """Time from each point to the next, where the file has none."""
    speed: MetresPerSecond | None = None
    """How fast it goes from point to point, where the file has no times; points that repeat take none."""
    offset: Literal["random"] | Seconds = 0.0
    """Where to start on a path that wraps; ``random``: each member elsewhere, from the seed."""
    end: Literal["hold", "wrap"] | None = None
    """What follows the last point: stay there (which it is where neither this nor the file says), or start again."""
    otherwise: Position | None = None
    """What to use where the file is nowhere (never where it is wrong): ``{points: [...], speed: 40 km/h}``, or a list
    of places."""

    @model_validator(mode="after")
    def _one(self) -> PathEntry:
        if self.step is not None and self.speed is not None:
            raise ValueError("step and speed both say how long the way takes; give one of them")
        return self


class AttachEntry(Entry):
    """A device on the move has one of several links at a time."""

    to: Literal["nearest"]
    """Which: that to the access point that is the nearest, by great circle."""
    interruption: Seconds
    """How long the new link carries nothing after a handover, such as 50 ms (LTE: 3GPP TR 36.881)."""


@dataclass(frozen=True)
class Position:
    """Where a node or the members of a group are, or the path they move along."""

    places: tuple[tuple[float, float], ...] = ()
    """Latitude and longitude [degrees] of each member; none for a path."""
    path: Course | None = None
    random_offset: bool = False
    """Each member starts elsewhere on the path."""
    file: str = ""
    """The recording they come from."""

    def course(self, member: int, draw: float) -> Course:
        """Return how a *member* moves; *draw* in [0, 1) is where on a path it starts, where that is random."""
        if self.path is None:
            lat, lon = self.places[member]
            return course([lat], [lon], step=1.0)
        return replace(self.path, offset=draw * self.path.duration) if self.random_offset else self.path

    def mismatch(self, name: str, members: int, group: bool) -> str:
        """Return what is wrong where there are so many *members* of node *name*; empty where nothing is."""
        if self.path is not None or len(self.places) == members:
            return ""
        came = f"{self.file} has {len(self.places)} places" if self.file else f"{len(self.places)} came"
        hint = " (if they are the points of one path: add step: 1 s, or speed: 30 km/h)" if self.file else ""
        if not group:
            return f"{came} for one node; write one place, or count: {len(self.places)} under {name}{hint}"
        return f"{came} for {members} members; write one for each, or count: {len(self.places)}{hint}"


def _position(value: object, info: ValidationInfo) -> Position:
    if isinstance(value, Position):
        return value
    if isinstance(value, Mapping):
        written = dict(value)
        if "otherwise" in written:
            held = _Otherwise.model_validate({"otherwise": written["otherwise"]}, context=info.context)
            written["otherwise"] = held.otherwise
        entry = path_entry(value).model_validate(written, context=info.context)
        try:
            return entry.position() if isinstance(entry, PointsEntry) else _recorded(entry, info.context or {})
        except OffingError as error:
            raise ValueError(str(error)) from None
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not value or any(isinstance(item, (int, float)) for item in value):
            raise ValueError(f'{value!r} came; write one place as "{EXAMPLE}", several as a list of such texts')
        return Position(tuple(_place(item) for item in value))
    return Position((_place(value),))


def _place(value: object) -> tuple[float, float]:
    match = _PLACE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{value!r} is not a place; write latitude and longitude in degrees, e.g. "{EXAMPLE}"')
    lat, lon = map(float, match.groups())
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        swapped = " (the latitude comes first)" if abs(lon) <= 90 and abs(lat) <= 180 else ""
        raise ValueError(
            f'"{value}" is on no globe{swapped}; latitudes are from -90 to 90, longitudes from -180 to 180 degrees'
        )
    return lat, lon


def _recorded(entry: PathEntry, context: Mapping[str, Any]) -> Position:
    """Read what *entry* names.

    Raises:
        TraceError: where that is neither a path nor sites, or *entry* says too little or too much about its times.
    """
    shelves = Path(context.get("folder", ".")), context.get("shelf")
    if entry.otherwise is not None and lookup(entry.trace, *shelves)[1] is None:
        return entry.otherwise
    path = find_file(entry.trace, *shelves)
    found = positions_of(entry, path)
    lat, lon, times = found.columns["lat"], found.columns["lon"], found.columns.get("t_s")
    said = [key for key in ("step", "speed") if getattr(entry, key) is not None]
    if times is None and not said:
        if found.kind == "mobility":
            raise TraceError(
                f"{path.name}: the path has no times; add step: 1 s (from point to point) or speed: 30 km/h"
            )
        over = [key for key in ("end", "offset") if getattr(entry, key)]
        if over:
            raise TraceError(f"{path.name}: sites have no {over[0]}:; for a path add step: 1 s or speed: 30 km/h")
        return Position(tuple(zip(lat.tolist(), lon.tolist(), strict=True)), file=path.name)
    if times is not None and said:
        raise TraceError(f"{path.name}: the path has times of its own; leave out {said[0]}:")
    end = entry.end or ("wrap" if found.end == "wrap" else "hold")
    return _path(course(lat, lon, times, entry.step, entry.speed, end), entry.offset, path.name)


def _path(way: Course, offset: float | Literal["random"], file: str = "") -> Position:
    """Return the position of who moves along *way* from *offset* [s] on.

    Raises:
        TraceError: for an offset into a path that does not wrap.
    """
    if offset == "random":
        replace(way, offset=way.duration / 2)  # refuses here what could not start anywhere else
        return Position(path=way, random_offset=True, file=file)
    return Position(path=replace(way, offset=offset), file=file)


def positions_of(entry: PathEntry, path: Path) -> Recording:
    """Return the recording of places that *entry* wants of the file at *path*.

    Raises:
        TraceError: as ``read_file`` and ``choose``, or it holds no places.
    """
    found = choose(read_file(path, entry.request("mobility")), entry.series)
    if found.kind not in ("mobility", "sites"):
        raise TraceError(f"{path.name} is a trace of {found.kind}, but mobility or sites are needed here")
    assert isinstance(found, Recording)
    lat, lon = found.columns["lat"], found.columns["lon"]
    wrong = (abs(lat) > 90) | (abs(lon) > 180)
    if wrong.any():
        row = int(wrong.argmax())
        raise TraceError(f"{path.name}: the place {lat[row]:g}, {lon[row]:g} (number {row + 1}) is on no globe")
    return found


PositionField = Annotated[
    Position,
    BeforeValidator(_position),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": [EXAMPLE]},
                {"type": "array", "items": {"type": "string"}, "examples": [[EXAMPLE]]},
                {"type": "object", "required": ["trace"], "properties": {"trace": {"type": "string"}}},
                {"type": "object", "required": ["points"], "properties": {"points": {"type": "array"}}},
            ]
        }
    ),
]


class _Otherwise(Entry):
    """Where something is whose recording is nowhere."""

    otherwise: PositionField


def path_entry(value: Any) -> type[PathEntry] | type[PointsEntry]:
    """Return what a position that is written as a mapping is."""
    return PointsEntry if isinstance(value, Mapping) and "points" in value else PathEntry
