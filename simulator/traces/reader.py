"""Read a recording in whatever format it has, and make it what a simulation needs: a ``Trace``, instants, outages.

Which format is said (``format:``) or found out, and found out only where exactly one fits.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.profiles.trace import End, Trace
from simulator.traces.format import Format, Options, known_formats
from simulator.traces.recording import UNITS, Found, Reading, Recording, Topology
from simulator.traces.source import Source


@dataclass(frozen=True)
class Request:
    """What is wanted of a file, and what the file itself does not say."""

    kind: str | None = None
    """bandwidth, cpu, latency, arrivals, failures, mobility, sites, topology; None: whatever it is."""
    format: str | None = None
    unit: str | None = None
    end: End | None = None
    """What follows the last segment, instead of what the file says (wrap where neither does)."""
    member: str | None = None
    """Which file of an archive."""
    series: str | None = None
    """Which of several tables: an operator, a run, a machine."""
    step: float | None = None
    """Time from row to row [s], where the file does not say."""
    repair: bool = False

    @property
    def options(self) -> Options:
        """What of it readers look at."""
        return Options(self.repair, self.unit, self.step, self.kind)


def read_file(path: Path, request: Request = Request()) -> Reading:
    """Read all that the file holds.

    Raises:
        TraceError: no such file, no such format, not exactly one format that fits, or a malformed file (with its row).
    """
    source = Source(path, request.member, request.repair)
    form = _format(source, request.format)
    series = form.read(source, request.options)
    for found in series.values():
        found.report.repaired[:0] = source.repaired
    return Reading(source.name, form.name, source.sha256, series)


def _format(source: Source, name: str | None) -> Format:
    known = known_formats()
    if name is not None:
        if name not in known:
            raise TraceError(f'no trace format "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')
        return known[name]
    fitting = [form for form in known.values() if form.fits(source)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and b"\x00" in source.start:
        raise TraceError(f"{source.name}: is binary, and in no format known ({', '.join(known)})")
    which = " and ".join(form.name for form in fitting) or "none"
    raise TraceError(f"{source.name}: formats that fit: {which}; say which with format: (known: {', '.join(known)})")


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
        raise TraceError(f"{path.name} is a trace of {found.kind}, but {wanted} is needed here")
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


def read_instants(path: Path, form: str | None = None) -> tuple[float, ...]:
    """Read the times of a recording of events [s], sorted.

    Raises:
        TraceError: as :func:`read_recording`.
    """
    return tuple(read_recording(path, Request("arrivals", form)).columns["t_s"].tolist())


def read_topology(path: Path, request: Request) -> Topology:
    """Read a graph.

    Raises:
        TraceError: as :func:`read_file`, or it holds none.
    """
    found = choose(read_file(path, request), request.series)
    if not isinstance(found, Topology):
        raise TraceError(f"{path.name} is a trace of {found.kind}, but topology is needed here")
    return found


def _listed(names: list[str], most: int = 20) -> str:
    return f"({', '.join(names[:most])}{f' and {len(names) - most} more' if len(names) > most else ''})"
