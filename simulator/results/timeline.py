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

SHOWN = ("compute", "transfer")
"""Kinds of span that occupy a resource and so are drawn."""


def timeline(results: Results) -> dict[str, Any]:
    """Return the run as a Trace Event Format object.

    Raises:
        ResultsError: if the run did not record spans.
    """
    spans = results.spans
    spans = spans[spans["kind"].isin(SHOWN)].sort_values(["start_s", "finish_s"], kind="stable")
    nodes = list(results.nodes["node"])
    resources = [*nodes, *(name for name in spans["resource"].unique() if name not in nodes)]
    process = {name: i + 1 for i, name in enumerate(resources)}
    events: list[dict[str, Any]] = []
    for name, pid in process.items():
        events.append({"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}})
        events.append({"ph": "M", "pid": pid, "name": "process_sort_index", "args": {"sort_index": pid}})
    lanes: dict[str, list[tuple[float, int]]] = {name: [] for name in resources}
    last: dict[tuple[str, int], tuple[float, int, int]] = {}
    flow = 0
    for row in spans.itertuples(index=False):
        free = lanes[row.resource]
        if free and free[0][0] <= row.start_s:
            _, lane = heappop(free)
        else:
            lane = len(free)
            events.append(
                {"ph": "M", "pid": process[row.resource], "tid": lane, "name": "thread_name", "args": {"name": f"#{lane}"}}
            )
        heappush(free, (row.finish_s, lane))
        pid, start, finish = process[row.resource], row.start_s * 1e6, row.finish_s * 1e6
        what = f"layers {row.from_layer}-{row.to_layer}" if row.kind == "compute" else f"{row.sent_bytes / 1e3:.1f} kB"
        place = {"pid": pid, "tid": lane}
        details = {"request": f"{row.source} #{row.request}", "what": what, "completed": bool(row.completed)}
        details["waited_ms"] = (row.start_s - row.queued_s) * 1e3
        event = {"ph": "X", "name": f"{row.source} #{row.request}", "cat": row.kind, "ts": start, "dur": finish - start}
        events.append(event | place | {"args": details})
        key = (row.source, row.request)
        if key in last:
            flow += 1
            before, from_pid, from_lane = last[key]
            head = {"name": "request", "cat": "flow", "id": flow}
            events.append(head | {"ph": "s", "ts": before, "pid": from_pid, "tid": from_lane})
            events.append(head | {"ph": "f", "bp": "e", "ts": start} | place)
        # the arrow leaves inside the slice, or a viewer would bind it to the next one
        last[key] = (start + 0.999 * (finish - start), pid, lane)
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {k: str(v) for k, v in results.meta.items()}}


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
