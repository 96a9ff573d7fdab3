"""A service that makes images (Alibaba GenTD26, cluster-trace-v2026-GenAI), in two layouts.

- ``lora_request_trace``: one row for each request, with whole seconds (several may share one) and how long it took
  (whole seconds; zero occurs). Requests that failed, or were still under way, came all the same and are kept, counted.
- all others: ``value, timestamp_anon, container_ip``. What the value is stands in the file's name alone, so it is a
  table, unless it is wanted as a load (the set's unit: %), a latency (ms) or a rate (1/s): then a series for each
  container.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.mending import averaged, held, in_order, parse, refuse
from simulator.traces.recording import Array, Found, Kind, Measurements, Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import below_titles, counted, dated, titles

REQUEST = ("gmt_create", "predict_status")
SAMPLE = ("value", "timestamp_anon", "container_ip")
NUMBERS = (
    "exec_time_seconds", "prompt_length", "negative_prompt_length", "num_images_per_prompt", "num_inference_steps",
    "num_lora",
)  # fmt: skip
UNITS: dict[str, tuple[str, float]] = {"cpu": ("%", 0.01), "latency": ("ms", 1e-3), "rate": ("/s", 1.0)}
"""What the set's own description says of the values of each kind."""
ROUNDING = -1e-3
"""Values between this and zero are rounding (a memory utilisation of -1e-5 % occurs), and taken as zero."""


def fits(source: Source) -> bool:
    """Return whether the header is one of the two."""
    names = set(titles(source))
    return set(REQUEST) <= names or set(SAMPLE) <= names


def holds(source: Source) -> tuple[str, ...]:
    """Return what is in it."""
    return ("arrivals",) if set(REQUEST) <= set(titles(source)) else ("table", *UNITS)


def read(source: Source, options: Request) -> Mapping[str, Found]:
    """Read the file.

    Raises:
        TraceError: naming the line that is wrong.
    """
    return _samples(source, options) if set(SAMPLE) <= set(titles(source)) else {"": _requests(source, options)}


def _requests(source: Source, options: Request) -> Recording:
    report = Report()
    columns, lines = below_titles(source, REQUEST)
    dates, epoch = dated(source, lines, columns["gmt_create"], "gmt_create", options)
    texts = dict(dates)
    rows = parse(source, dates, {"gmt_create": columns["gmt_create"]}, options, report, len(columns))
    rows = in_order(source, rows, options, report)
    time = rows.columns[0] - rows.columns[0][0]
    kept = [texts[line] for line in rows.lines.tolist()]
    found: dict[str, Array] = {"t_s": time}
    for name in (name for name in NUMBERS if name in columns):
        numbers = _numbers([fields[columns[name]] for fields in kept])
        empty = int(np.isnan(numbers).sum())
        if empty < len(numbers):
            found[name] = numbers
        if empty:
            report.assumed.append(f"{empty} rows without {name}: not a number there")
    statuses = counted((fields[columns["predict_status"]].strip() for fields in kept), "SUCCEED")
    if statuses:
        said = ", ".join(f"{count} {status or 'without a status'}" for status, count in statuses.items())
        report.assumed.append(f"requests that did not succeed came all the same: {said}")
    shared = int((np.diff(time) == 0).sum())
    if shared:
        report.assumed.append(f"{shared} requests came in the same second as the one before")
    return Recording("arrivals", found, report, float(time[-1]), epoch=epoch)


def _samples(source: Source, options: Request) -> dict[str, Found]:
    whole = Report()
    columns, lines = below_titles(source, SAMPLE)
    taken = list(lines)
    take = {"timestamp_anon": columns["timestamp_anon"], "value": columns["value"]}
    rows = parse(source, taken, take, options, whole)
    texts = {line: fields[columns["container_ip"]].strip() for line, fields in taken
             if columns["container_ip"] < len(fields)}  # fmt: skip
    containers = np.array([texts.get(line, "") for line in rows.lines.tolist()], dtype=object)
    containers[np.isin(containers, ("NULL", "None", "nan"))] = ""
    if options.kind not in UNITS:
        frame = pd.DataFrame(dict(zip(take, rows.columns, strict=True)))
        frame["container_ip"] = [name or None for name in containers.tolist()]
        whole.assumed.append(f"what the values are stands in the file's name alone; kind: {', '.join(UNITS)} says it")
        return {"": Measurements(frame, whole)}
    kind: Kind = options.kind  # type: ignore[assignment]
    unit, factor = UNITS[kind]
    rounding = (rows.columns[1] < 0) & (rows.columns[1] > ROUNDING)
    rows.columns[1][rounding] = 0.0
    wrong = rows.columns[1] < 0
    containers = containers[~wrong] if options.repair else containers
    rows = refuse(source, rows, wrong, "value is below zero", options, whole)
    found: dict[str, Found] = {}
    for name in dict.fromkeys(containers.tolist()):
        own = rows.where(containers == name)
        report = whole.part(len(own), not found, unit)
        report.assumed.append(f"values are in {unit}, as the set's description says of such files")
        if rounding.any():
            report.assumed.append(f"{int(rounding.sum())} values of the file just below zero are zero")
        own = in_order(source, own, options, report, documented=True)
        own = averaged(source, own, options, report, documented=True)
        starts, end = held(own.columns[0], report)
        found[name or "unknown"] = Recording(kind, {"start_s": starts, "value": own.columns[1] * factor}, report, end)
    if not found:
        raise TraceError(f"{source.name}: no row with numbers in it")
    return found


def _numbers(texts: list[str]) -> Array:
    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


FORMAT = Format(
    "gentd26", ("arrivals", "table", "cpu", "latency", "rate"), "requests for images, and what served them (Alibaba)",
    fits, read, holds=holds,
)  # fmt: skip
