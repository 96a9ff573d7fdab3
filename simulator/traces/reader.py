"""Read a recording in whatever format it has, and make it what a simulation needs: a ``Trace``, instants, outages.

Which format is said (``format:``) or found out, and found out only where exactly one fits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.profiles.trace import End, Trace
from simulator.traces.format import Format, Request, format_names, known_formats
from simulator.traces.recording import UNITS, Found, Reading, Recording, Topology
from simulator.traces.source import Source

WORD = re.compile(r"(\S{80})\S{80,}")
"""A word in a message that is cut."""
MOST = 1500
"""Characters of a message."""
UNFORESEEN = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError)
"""What a reader may raise by mistake; tests look for such (``tests/unit/test_traces_fuzz.py``)."""

ANYTHING = Request()
"""Whatever a file holds."""


def read_file(path: Path, request: Request = ANYTHING) -> Reading:
    """Read all that the file holds.

    Args:
        path: of the file.
        request: what it does not say itself.

    Raises:
        TraceError: no such file, no such format, not exactly one format that fits, or a malformed file (with its row).
    """
    if request.step is not None and not 0 < request.step < math.inf:
        raise TraceError(f"step: {request.step:g} s came; expected a time above zero from row to row")
    source = Source(path, request.member, request.repair)
    form = _format(source, request)
    series = _read(source, form, request)
    if not series:
        raise TraceError(f"{source.name}: there is nothing in it that {form.name} files hold")
    for found in series.values():
        found.report.repaired[:0] = source.repaired
    kept = {name: _checked(source, name, found) for name, found in series.items()}
    return Reading(source.name, form.name, source.sha256, kept)


def _read(source: Source, form: Format, options: Request) -> Mapping[str, Found]:
    """Read the file; whatever a reader may stumble over, and a word of any length in the file, gets a sentence."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found afterwards
            return form.read(source, options)
    except TraceError as error:
        said = WORD.sub(r"\1...", str(error))
        raise TraceError(said if len(said) <= MOST else f"{said[:MOST]} ...") from None
    except UNFORESEEN as error:
        raise TraceError(
            f"{source.name}: is not as {form.name} files are known to be ({type(error).__name__}: {str(error)[:200]})"
        ) from error


def _checked(source: Source, name: str, found: Found) -> Found:
    """Return a table that whoever replays it can rely on, and the digest of the file it is from."""
    if not isinstance(found, Recording):
        return found
    if problem := found.problem():
        raise TraceError(f"{source.name}: {f'{name}: ' if name else ''}{problem}")
    return found if found.original else replace(found, original=source.sha256)


def _format(source: Source, request: Request) -> Format:
    known = known_formats()
    if request.format is None and (request.time or request.value):
        return known["columns"]
    if request.format is not None:
        named = format_names()
        if request.format not in named:
            hint = did_you_mean(request.format, named)
            raise TraceError(f'no trace format "{request.format}".{hint} Known: {", ".join(named)}')
        return named[request.format]
    fitting = [form for form in known.values() if not form.last and form.fits(source)]
    if len(fitting) > 1 and request.kind is not None:
        fitting = [form for form in fitting if request.kind in _held(form, source)] or fitting
    if not fitting and request.kind in (None, "table"):
        fitting = [form for form in known.values() if form.last and form.fits(source)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and b"\x00" in source.start:
        raise TraceError(f"{source.name}: is binary, and in no format known ({', '.join(known)})")
    which = " and ".join(form.name for form in fitting) or "none"
    raise TraceError(f"{source.name}: formats that fit: {which}; say which with format: (known: {', '.join(known)})")


def _held(form: Format, source: Source) -> tuple[str, ...]:
    return form.kinds if form.holds is None else form.holds(source)


def choose(reading: Reading, series: str | None = None) -> Found:
    """Return one table of *reading*: the only one, or the one called *series*.

    Raises:
        TraceError: if there is none of that name, or several and none was named.
    """
    names = list(reading.series)
    if series is not None:
        if series not in reading.series:
            raise TraceError(f'{reading.file}: no series "{series}".{did_you_mean(series, names)} {_listed(names)}')
        return reading.series[series]
    if len(names) != 1:
        raise TraceError(f"{reading.file}: holds {len(names)} series; say which with series: {_listed(names)}")
    return reading.series[names[0]]


def read_recording(path: Path, request: Request) -> Recording:
    """Read the one recording of the kind that *request* wants.

    Raises:
        TraceError: as :func:`read_file` and :func:`choose`, or it is of another kind.
    """
    found = choose(read_file(path, request), request.series)
    wanted = request.kind or found.kind
    if found.kind != wanted or not isinstance(found, Recording):
        raise _other(path, found, wanted)
    return found


def read_trace(path: Path, request: Request) -> Trace:
    """Read steps over time: bandwidth in bytes/s, processor load as a share (0 to 1), latency in seconds.

    Raises:
        TraceError: as :func:`read_recording`, or its values cannot be replayed as asked.
    """
    return as_trace(read_recording(path, request), path.name, request.end)


def as_trace(recording: Recording, source: str, end: End | None = None) -> Trace:
    """Return *recording*, which is one of steps, as a trace in the units of the simulator (bandwidth: bytes/s).

    Raises:
        TraceError: if it is none of steps, or its end does not suit it.
    """
    if recording.kind not in UNITS:
        raise TraceError(f"{source} is a trace of {recording.kind}, which has no values over time")
    values = recording.columns["value"]
    if recording.kind == "cpu" and values.max() > 1:
        raise TraceError(f"{source}: a processor load is a share between 0 and 1; the largest here is {values.max():g}")
    if recording.kind == "bandwidth":
        values = values / 8
    last = recording.end if end is None else end
    try:
        return Trace(recording.columns["start_s"], values, recording.duration, last or "wrap", source, recording.grade)
    except TraceError as error:
        raise TraceError(f"{source}: {error}") from None


def read_arrivals(path: Path, request: Request) -> Recording:
    """Read a recording of when requests came: of their instants, or of how many in each second.

    Raises:
        TraceError: as :func:`read_file` and :func:`choose`, or it is of another kind.
    """
    found = choose(read_file(path, request), request.series)
    if not isinstance(found, Recording) or found.kind not in ("arrivals", "rate"):
        raise _other(path, found, "arrivals (or a rate of them)")
    return found


def read_topology(path: Path, request: Request) -> Topology:
    """Read a graph.

    Raises:
        TraceError: as :func:`read_file`, or it holds none.
    """
    found = choose(read_file(path, request), request.series)
    if not isinstance(found, Topology):
        raise _other(path, found, "topology")
    return found


def _other(path: Path, found: Found, wanted: str) -> TraceError:
    return TraceError(f"{path.name} is a trace of {found.kind}, but {wanted} is needed here")


def _listed(names: list[str], most: int = 20) -> str:
    return f"({', '.join(names[:most])}{f' and {len(names) - most} more' if len(names) > most else ''})"
