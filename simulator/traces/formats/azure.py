"""Azure's public virtual-machine data, in three layouts that their content tells apart.

- ``vm_cpu_readings`` (2017, 2019; no header): timestamp [s], machine, lowest, highest and mean load [%] of 300 s: a
  series of the mean for each machine, the other two beside it.
- ``vmtable`` (no header, 11 columns): one row for each machine, read as a table.
- VM noise 2024 (``value, runtime, starttime, VM_id``; Freischuetz et al., EuroSys 2025): one benchmark run again and
  again on many machines. Rows are not in order of time, and days to weeks lie between: a table, sorted here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, is_number, not_negative, parse, refuse
from simulator.traces.recording import Found, Measurements, Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import Records, below_titles, dated, records, titles

STEP = 300.0
NOISE = ("value", "runtime", "starttime", "vm_id")
READING = {"timestamp": 0, "min": 2, "max": 3, "load": 4}
MACHINE = (
    "vm", "subscription", "deployment", "created_s", "deleted_s", "max_cpu", "avg_cpu", "p95_cpu", "category", "cores",
    "memory_gb",
)  # fmt: skip
NUMBERS = MACHINE[3:8]
"""Those that are numbers in all years; cores and memory are ranges such as ``>24`` in some."""


def fits(source: Source) -> bool:
    """Return whether it is one of the three layouts."""
    return _layout(source) != ""


def holds(source: Source) -> tuple[str, ...]:
    """Return what is in it."""
    return ("cpu",) if _layout(source) == "readings" else ("table",)


def read(source: Source, options: Request) -> Mapping[str, Found]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    layout = _layout(source)
    if layout == "noise":
        return {"": _noise(source, options)}
    if layout == "machines":
        return {"": _machines(source, options)}
    return _readings(source, records(source), options)


def _layout(source: Source) -> str:
    if set(NOISE) <= set(titles(source)):
        return "noise"
    fields = [name.strip('" ') for name in titles(source)]
    if len(fields) == 5 and _are(fields, (0, 2, 3, 4), True) and _are(fields, (1,), False):
        return "readings"
    if len(fields) == 11 and _are(fields, (3, 4, 5, 6, 7), True) and _are(fields, (0, 1, 2, 8), False):
        return "machines"
    return ""


def _are(fields: list[str], which: tuple[int, ...], numbers: bool) -> bool:
    return all(is_number(fields[index]) == numbers for index in which)


def _readings(source: Source, lines: Records, options: Request) -> dict[str, Found]:
    whole = Report()
    taken = list(lines)
    rows = parse(source, taken, READING, options, whole, 5)
    for index in (0, 1, 2, 3):
        rows = not_negative(source, rows, index, tuple(READING)[index], options, whole)
    rows = refuse(source, rows, rows.columns[3] > 100, "load is above 100 %", options, whole)
    names = {line: fields[1].strip() if len(fields) > 1 else "" for line, fields in taken}
    machines = np.array([names[line] for line in rows.lines.tolist()], dtype=object)
    first = float(rows.columns[0].min())
    found: dict[str, Found] = {}
    codes, order = pd.factorize(machines)
    grouped = np.argsort(codes, kind="stable")
    for name, part in zip(order, np.split(grouped, np.cumsum(np.bincount(codes))[:-1]), strict=True):
        own = rows.taken(part)
        report = whole.part(len(own), not found, "%")
        own = averaged(source, in_order(source, own, options, report), options, report)
        time, low, high, mean = own.columns
        starts, end = held(time, report, STEP)
        if time[0] > first:
            report.assumed.append(f"begins {time[0] - first:g} s after the file's first reading")
        columns = {"start_s": starts, "value": mean / 100, "min": low / 100, "max": high / 100}
        found[str(name)] = Recording("cpu", columns, report, end)
    return found


def _machines(source: Source, options: Request) -> Measurements:
    report = Report()
    taken = list(records(source))
    rows = parse(source, taken, {name: MACHINE.index(name) for name in NUMBERS}, options, report, 11)
    kept = set(rows.lines.tolist())
    frame = pd.DataFrame([[field.strip() for field in fields] for line, fields in taken if line in kept])
    frame.columns = pd.Index(MACHINE)
    for name, column in zip(NUMBERS, rows.columns, strict=True):
        frame[name] = column
    for name in ("cores", "memory_gb"):
        numbers = pd.to_numeric(frame[name], errors="coerce")
        frame[name] = frame[name] if numbers.isna().any() else numbers
    return Measurements(frame, report)


def _noise(source: Source, options: Request) -> Measurements:
    report = Report()
    columns, lines = below_titles(source, NOISE)
    dates, epoch = dated(source, lines, columns["starttime"], "starttime", options)
    take = {"time": columns["starttime"], "value": columns["value"], "runtime": columns["runtime"]}
    rows = parse(source, dates, take, options, report)
    names = {line: fields[columns["vm_id"]].strip() for line, fields in dates if columns["vm_id"] < len(fields)}
    if any(line not in names for line in rows.lines.tolist()):
        raise TraceError(f"{source.name}: a row without a VM_id")
    rows = in_order(source, rows, options, report, documented=True)
    time, value, runtime = rows.columns
    held(time, report)  # counts the holes
    report.assumed.append(f"sorted by time; time_s counts from {epoch}")
    frame = pd.DataFrame({"time_s": time, "value": value, "runtime_s": runtime})
    frame["vm"] = [names[line] for line in rows.lines.tolist()]
    return Measurements(frame, report)


FORMAT = Format(
    "azure", ("cpu", "table"), "Azure virtual machines: readings of load, their table, repeated benchmarks", fits, read,
    holds=holds,
)  # fmt: skip
