"""Places on the globe: how somebody moves, and which of some sites is the nearest, when.

Places are unit vectors. Of a point ``p`` that moves in a straight line the product ``p . s`` with each site ``s`` is a
line in time, and the nearest site by great circle is the one with the greatest product: what the sites take turns in
is the upper envelope of lines, whose corners are the exact instants of change. There is no map projection and no time
step; with double precision a site's border is right to some micrometres. The cells in which a site is the nearest are
convex (Voronoi), so that a stretch that begins and ends in one cell never leaves it.

The straight line is the chord, which a great circle leaves by the square of its length over eight earth radii (2 cm
for a kilometre), towards the centre of the earth: no site gets nearer than another by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from simulator.foundation.errors import TraceError

Array = npt.NDArray[np.float64]

EARTH = 6_371_008.8
"""Mean radius of the earth [m] (IUGG)."""
CELLS = 4_000_000
"""Products of points and sites that are looked at together, so that memory stays bounded (32 MB)."""


def on_sphere(lat: npt.ArrayLike, lon: npt.ArrayLike) -> Array:
    """Return the unit vectors of places given in degrees, shape (places, 3)."""
    phi, theta = np.radians(np.atleast_1d(lat)), np.radians(np.atleast_1d(lon))
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], axis=1)


def metres(a: Array, b: Array) -> Array:
    """Return the great-circle distances [m] between unit vectors, row by row."""
    chord = np.linalg.norm(a - b, axis=-1)
    distance: Array = 2.0 * EARTH * np.arcsin(np.minimum(1.0, chord / 2.0))
    return distance


@dataclass(frozen=True)
class Course:
    """How somebody moves: in straight lines from point to point; one point stands still."""

    times: Array
    """When each point is reached [s], rising from 0, shape (points,)."""
    points: Array
    """Unit vectors, shape (points, 3)."""
    end: Literal["hold", "wrap"] = "hold"
    """What follows the last point: stay there, or be at the first again and go on from there."""
    offset: float = 0.0
    """Where in a course that wraps the run begins [s]."""
    duration: float = field(init=False)
    """Time from the first point to the last [s]."""

    def __post_init__(self) -> None:
        """Refuse what is no course.

        Raises:
            TraceError: without a point, with times that do not rise from 0, or with an offset into what does not wrap.
        """
        if not len(self.times) or len(self.times) != len(self.points):
            raise TraceError(f"a path needs as many times as points, got {len(self.times)} and {len(self.points)}")
        late = np.flatnonzero(np.diff(self.times) <= 0)
        if self.times[0] != 0.0 or len(late):
            before, after = (self.times[late[0]], self.times[late[0] + 1]) if len(late) else (0.0, self.times[0])
            raise TraceError(f"the times of a path rise from 0 s, but {after:g} s follows {before:g} s")
        object.__setattr__(self, "duration", float(self.times[-1]))
        if self.offset and (self.end != "wrap" or not self.duration):
            raise TraceError('only a path with end: wrap can start at an offset; add "end: wrap"')

    def at(self, time: float) -> Array:
        """Return the point (not scaled to unit length) at *time* [s], shape (3,)."""
        time += self.offset
        time = time % self.duration if self.end == "wrap" and self.duration else time
        return np.array([np.interp(time, self.times, self.points[:, axis]) for axis in range(3)])

    def nearest(self, sites: Array, until: float) -> list[tuple[float, int]]:
        """Return which of *sites*, unit vectors of shape (sites, 3), is the nearest from when on, before *until* [s].

        The first is the one at 0 s; of sites that are equally near, the first counts until another is nearer.
        """
        lap = turns(self.times, self.points, sites)
        if self.end != "wrap" or not self.duration:
            return [turn for turn in lap if turn[0] < until or turn[0] == 0.0]
        found: list[tuple[float, int]] = []
        begin = -self.offset
        while begin < until:
            for time, site in lap:
                when = max(0.0, begin + time)
                if when >= until and found:
                    break
                if found and found[-1][0] >= when:  # what was before the run begins, or takes no time
                    found.pop()
                if not found or found[-1][1] != site:
                    found.append((when, site))
            begin += self.duration
        return found


def turns(times: Array, points: Array, sites: Array) -> list[tuple[float, int]]:
    """Return when [s] which of *sites* becomes the nearest on the way along *points*, the first at the first point.

    Args:
        times: when each point is reached [s], shape (points,).
        points: straight lines between them, shape (points, 3).
        sites: unit vectors, shape (sites, 3).
    """
    rows = max(1, CELLS // len(sites))
    current = int(np.argmax(points[0] @ sites.T))
    found = [(float(times[0]), current)]
    for first in range(0, len(points) - 1, rows):
        product = points[first : first + rows + 1] @ sites.T
        for row, ends in enumerate(pairwise(product.argmax(axis=1).tolist())):
            if ends == (current, current):
                continue  # it never left the cell
            begin, length = float(times[first + row]), float(times[first + row + 1] - times[first + row])
            for part, site in envelope(product[row], product[row + 1] - product[row], current):
                found.append((begin + part * length, site))
                current = site
    return found


def envelope(start: Array, slope: Array, current: int) -> list[tuple[float, int]]:
    """Return where in [0, 1) the greatest of the lines ``start + part * slope`` becomes another one, and which.

    Begins with line *current*, which is the greatest at 0; of lines that meet in one point the steepest goes on.
    """
    found: list[tuple[float, int]] = []
    part = 0.0
    while True:
        steeper = np.flatnonzero(slope > slope[current])
        if not len(steeper):
            return found
        meet = np.maximum((start[current] - start[steeper]) / (slope[steeper] - slope[current]), part)
        least = float(meet.min())
        if least >= 1.0:
            return found
        there = steeper[meet == least]
        part, current = least, int(there[np.argmax(slope[there])])
        found.append((part, current))


def course(
    lat: Sequence[float] | Array,
    lon: Sequence[float] | Array,
    times: Sequence[float] | Array | None = None,
    step: float | None = None,
    speed: float | None = None,
    end: Literal["hold", "wrap"] = "hold",
) -> Course:
    """Return the course through places given in degrees.

    Args:
        lat: latitudes [degrees], shape (points,).
        lon: longitudes [degrees], shape (points,).
        times: when they were reached [s], rising; the first of them becomes 0. Without it:
        step: time from each to the next [s], or
        speed: how fast it goes from each to the next [m/s]; points that repeat take no time.
        end: what follows the last point.

    Raises:
        TraceError: if there is not exactly one of *times*, *step* and *speed*, or it makes no course.
    """
    if sum(given is not None for given in (times, step, speed)) != 1:
        raise TraceError("a path needs exactly one of its own times, step: or speed:")
    points = on_sphere(np.asarray(lat, dtype=float), np.asarray(lon, dtype=float))
    if times is not None:
        when = np.asarray(times, dtype=float)
        when = when - when[0]
    elif step is not None:
        when = np.arange(len(points)) * step
    else:
        assert speed is not None
        lengths = metres(points[:-1], points[1:])
        points = points[np.concatenate(([True], lengths > 0.0))]
        when = np.concatenate(([0.0], np.cumsum(lengths[lengths > 0.0]) / speed))
    return Course(np.asarray(when, dtype=np.float64), points, end)
