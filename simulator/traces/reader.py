"""Read a recording in whatever format it has, into the one internal form.

A reader is a function from a file to a :class:`Recording`; which one is used is said (``format:``) or found out, and
found out only where exactly one fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator.foundation.errors import TraceError, UnitError, did_you_mean
from simulator.foundation.units import BANDWIDTH, SHARE
from simulator.profiles.trace import End, Trace
from simulator.traces import csv, sabre
from simulator.traces.recording import Recording

FORMATS: dict[str, Callable[[Path], Recording]] = {"csv": csv.read, "sabre": sabre.read}


@dataclass(frozen=True)
class Request:
    """How a recording is to be used."""

    kind: str
    """bandwidth or cpu."""
    format: str | None = None
    unit: str | None = None
    """Unit of the values, where the file does not say."""
    end: End | None = None
    """What follows the last segment, instead of what the file says (wrap where neither does)."""


def read_recording(path: Path, form: str | None = None) -> Recording:
    """Read the file at *path*, in format *form* or whichever single one fits.

    Raises:
        TraceError: no such file, no such format, not exactly one format that fits, or a malformed file (with its row).
    """
    if not path.is_file():
        near = did_you_mean(path.name, [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else [])
        raise TraceError(f"no trace file {path.name} in {path.parent.name or '.'}/.{near}")
    if form is None:
        fitting = [name for name, fits in (("csv", csv.fits), ("sabre", sabre.fits)) if fits(path)]
        if not fitting and path.stat().st_size == 0:
            raise TraceError(f"{path.name} is empty")
        if len(fitting) != 1:
            which = " and ".join(fitting) or "none"
            raise TraceError(
                f"{path.name}: formats that fit: {which}; say which with format: (known: {', '.join(FORMATS)})"
            )
        form = fitting[0]
    if form not in FORMATS:
        raise TraceError(f'no trace format "{form}".{did_you_mean(form, FORMATS)} Known: {", ".join(FORMATS)}')
    return FORMATS[form](path)


def read_trace(path: Path, request: Request) -> Trace:
    """Read a capacity trace: bandwidth in bytes/s, or processor load as a share (0 to 1).

    Raises:
        TraceError: as :func:`read_recording`, or the unit is missing, unknown, or not that of the kind asked for.
    """
    recording = read_recording(path, request.format)
    dimension = {"bandwidth": BANDWIDTH, "cpu": SHARE}[request.kind]
    unit = recording.unit or request.unit
    if recording.kind and recording.kind != request.kind:
        raise TraceError(f"{path.name} is a trace of {recording.kind}, but {request.kind} is needed here")
    if unit is None:
        raise TraceError(
            f'{path.name} does not say its unit; add it to the first line ("# unit: {dimension.example.split()[-1]}") '
            f"or to the scenario (unit: ...)"
        )
    if recording.unit and request.unit and recording.unit != request.unit:
        raise TraceError(f"{path.name} says its unit is {recording.unit}, the scenario says {request.unit}")
    if unit not in dimension.units:
        known = ", ".join(name for name in dimension.units if name)
        raise TraceError(f'{path.name}: "{unit}" is not a unit of {dimension.name}; known: {known}')
    factor = dimension.units[unit]
    try:
        values = [value * factor for value in recording.values]
        if request.kind == "cpu" and any(value > 1 for value in values):
            raise TraceError(f"a processor load is a share between 0 and 1; the largest here is {max(values):g}")
        end = request.end or recording.end or "wrap"
        return Trace(recording.starts, values, recording.duration, end, source=path.name, grade="measured")
    except (TraceError, UnitError) as error:
        raise TraceError(f"{path.name}: {error}") from None


def read_instants(path: Path, form: str | None = None) -> tuple[float, ...]:
    """Read the times of a recording of events [s], sorted.

    Raises:
        TraceError: as :func:`read_recording`, or times out of order.
    """
    recording = read_recording(path, form)
    if recording.kind not in ("", "arrivals"):
        raise TraceError(f"{path.name} is a trace of {recording.kind}, but arrivals are needed here")
    for before, after in zip(recording.starts, recording.starts[1:], strict=False):
        if after < before:
            raise TraceError(f"{path.name}: an arrival at {after:g} s stands after one at {before:g} s")
    return tuple(recording.starts)
