"""A run as a timeline that ui.perfetto.dev and chrome://tracing open.

One process per node, one per link; a thread per lane, so that work that overlaps stands side by side; flow arrows
follow each request from device over link to server. Times are microseconds, as the Trace Event Format asks.
"""

from __future__ import annotations

import json
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from simulator.foundation.errors import ResultsError
from simulator.results.frames import Results
from simulator.results.record import SpanRow

SHOWN = ("compute", "transfer")
"""Kinds of span that occupy a resource and so are drawn."""


def timeline(results: Results) -> dict[str, Any]:
    """Return the run as a Trace Event Format object.

    Raises:
        ResultsError: if the run did not record spans.
    """
    rows = _rows(results)
    nodes = [str(name) for name in results.columns["nodes"]["node"]]
    resources = list(dict.fromkeys([*nodes, *(row.resource for row in rows)]))
    process = {name: i + 1 for i, name in enumerate(resources)}
    events: list[dict[str, Any]] = []
    for name, pid in process.items():
        events.append({"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}})
        events.append({"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}})
    lanes: dict[str, list[tuple[float, int]]] = {name: [] for name in resources}
    last: dict[tuple[str, int], tuple[float, int, int]] = {}
    flow = 0
    for row in rows:
        pid, free = process[row.resource], lanes[row.resource]
        if free and free[0][0] <= row.start_s:
            _, lane = heappop(free)
        else:
            lane = len(free)
            events.append({"ph": "M", "pid": pid, "tid": lane, "name": "thread_name", "args": {"name": f"#{lane}"}})
        heappush(free, (row.finish_s, lane))
        place = {"pid": pid, "tid": lane}
        start, length = row.start_s * 1e6, (row.finish_s - row.start_s) * 1e6
        called = f"{row.source} #{row.request}"
        slice_ = {"ph": "X", "name": called, "cat": row.kind, "ts": start, "dur": length, "args": _details(row)}
        events.append(slice_ | place)
        key = (row.source, row.request)
        if key in last:
            flow += 1
            before, from_pid, from_lane = last[key]
            head = {"name": "request", "cat": "flow", "id": flow}
            events.append(head | {"ph": "s", "ts": before, "pid": from_pid, "tid": from_lane})
            events.append(head | {"ph": "f", "bp": "e", "ts": start} | place)
        # the arrow leaves inside the slice, or a viewer would bind it to the next one
        last[key] = (start + 0.999 * length, pid, lane)
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {k: str(v) for k, v in results.meta.items()}}


def _rows(results: Results) -> list[SpanRow]:
    if "spans" not in results.columns:
        raise ResultsError('a timeline needs the pieces of work; set "record: spans" in the scenario')
    columns = results.columns["spans"].values()
    rows = [SpanRow(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]
    return sorted((row for row in rows if row.kind in SHOWN), key=lambda row: (row.start_s, row.finish_s))


def _details(row: SpanRow) -> dict[str, Any]:
    what = f"layers {row.from_layer}-{row.to_layer}" if row.kind == "compute" else f"{row.sent_bytes / 1e3:.1f} kB"
    waited = (row.start_s - row.queued_s) * 1e3
    return {"what": what, "completed": bool(row.completed), "waited_ms": waited, "energy_j": row.energy_j}


def write_timeline(results: Results, path: Path) -> None:
    """Write the timeline of *results* to *path*.

    Raises:
        ResultsError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(timeline(results)), encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror}") from None
