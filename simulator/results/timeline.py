"""A run as a timeline that ui.perfetto.dev and chrome://tracing open.

One process per node, one per link; a thread per lane, so that work that overlaps stands side by side; flow arrows
follow each request from device over link to server. Above them failures, a slice from down to up, and what techniques
decided, an instant each; below them handovers, a slice for each interruption. Times are microseconds, as the Trace
Event Format asks, and whole nanoseconds, to which viewers round: work that follows on the spot must not seem to
overlap.
"""

from __future__ import annotations

import json
import math
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from simulator.foundation.errors import ResultsError
from simulator.results.frames import Results
from simulator.results.record import SpanRow

SHOWN = ("compute", "transfer", "probe", "report")
"""Kinds of span that occupy a resource and so are drawn."""

Event = dict[str, Any]


def timeline(results: Results) -> dict[str, Any]:
    """Return the run as a Trace Event Format object.

    Raises:
        ResultsError: if the run did not record spans.
    """
    rows = _rows(results)
    nodes = [str(name) for name in results.columns["nodes"]["node"]]
    resources = list(dict.fromkeys([*nodes, *(row.resource for row in rows)]))
    paper = _Paper(["failures", "decisions", *resources, "handovers"])
    _draw_failures(results, paper)
    _draw_handovers(results, paper)
    _draw_decisions(results, paper)
    for name in resources:
        paper.process(name)
    _draw_work(rows, paper)
    settings = {key: str(value) for key, value in results.meta.items()}
    return {"traceEvents": paper.events, "displayTimeUnit": "ms", "otherData": settings}


def _nano(seconds: float) -> int:
    return round(seconds * 1e9)


class _Paper:
    """The events so far, and the numbers of processes and threads."""

    def __init__(self, processes: list[str]) -> None:
        """Take the names of what may become a process, in the order in which they are to be shown."""
        self.events: list[Event] = []
        self._pids = {name: i + 1 for i, name in enumerate(processes)}
        self._shown: set[str] = set()
        self._tids: dict[tuple[str, str], int] = {}

    def process(self, name: str) -> int:
        """Return the number of a process; it is shown from now on."""
        pid = self._pids[name]
        if name not in self._shown:
            self._shown.add(name)
            for key, value in (("process_name", {"name": name}), ("process_sort_index", {"sort_index": pid})):
                self.events.append({"ph": "M", "pid": pid, "name": key, "args": value})
        return pid

    def place(self, process: str, thread: str) -> Event:
        """Return where to put an event: the numbers of a process and of a thread of it.

        No two threads have one number, none has number 0 or that of a process: a viewer takes those for the main
        thread of the process, and puts two lanes into one.
        """
        pid = self.process(process)
        if (process, thread) not in self._tids:
            tid = self._tids[process, thread] = len(self._pids) + len(self._tids) + 1
            for key, value in (("thread_name", {"name": thread}), ("thread_sort_index", {"sort_index": tid})):
                self.events.append({"ph": "M", "pid": pid, "tid": tid, "name": key, "args": value})
        return {"pid": pid, "tid": self._tids[process, thread]}

    def slice(self, name: str, kind: str, begin: float, finish: float, details: dict[str, Any], place: Event) -> None:
        """Add a slice from *begin* to *finish* [s]."""
        start, end = _nano(begin), _nano(finish)
        self.events.append(
            {"ph": "X", "name": name, "cat": kind, "ts": start / 1e3, "dur": (end - start) / 1e3, "args": details}
            | place
        )


# -- work ----------------------------------------------------------------------------------------------------------


def _draw_work(rows: list[SpanRow], paper: _Paper) -> None:
    """Draw a slice for each piece of work, in the first lane that is free, and arrows from piece to piece."""
    busy: dict[str, list[tuple[float, int]]] = {}
    free: dict[str, list[int]] = {}
    last: dict[tuple[str, int], tuple[int, Event]] = {}
    flow = 0
    for row in rows:
        running, idle = busy.setdefault(row.resource, []), free.setdefault(row.resource, [])
        while running and running[0][0] <= row.start_s:
            heappush(idle, heappop(running)[1])
        lane = heappop(idle) if idle else len(running)
        heappush(running, (row.finish_s, lane))
        place = paper.place(row.resource, f"#{lane}")
        # its number first, for that is what a narrow slice shows
        called = f"#{row.request} {row.source}" if row.request >= 0 else f"{row.kind} of {row.source}"
        paper.slice(called, row.kind, row.start_s, row.finish_s, _details(row), place)
        if row.request < 0:
            continue
        start, end = _nano(row.start_s), _nano(row.finish_s)
        if (row.source, row.request) in last:
            flow += 1
            before, there = last[row.source, row.request]
            head = {"name": "request", "cat": "flow", "id": flow}
            paper.events.append(head | {"ph": "s", "ts": before / 1e3} | there)
            paper.events.append(head | {"ph": "f", "bp": "e", "ts": start / 1e3} | place)
        # the arrow leaves inside the slice, or a viewer would bind it to the next one
        last[row.source, row.request] = (start + 999 * (end - start) // 1000, place)


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


# -- what happened beside ------------------------------------------------------------------------------------------


def _draw_failures(results: Results, paper: _Paper) -> None:
    """Draw a slice from down to up for each failure, a lane for each node or link that fails."""
    columns, end = results.columns["failures"], float(results.meta["end_s"])
    for name, kind, down, up in zip(
        *(columns[key].tolist() for key in ("name", "kind", "down_s", "up_s")), strict=True
    ):
        details = {"kind": kind, "repaired": "never" if math.isinf(up) else f"{up:g} s"}
        place = paper.place("failures", name)
        paper.slice(f"{name} down", "failure", down, max(down, min(up, end)), details, place)


def _draw_handovers(results: Results, paper: _Paper) -> None:
    """Draw a slice for the interruption of each handover, a lane for each device."""
    columns = results.columns.get("handovers", {})
    for device, before, link, time, length in zip(*(values.tolist() for values in columns.values()), strict=True):
        paper.slice(f"to {link}", "handover", time, time + length, {"from": before}, paper.place("handovers", device))


def _draw_decisions(results: Results, paper: _Paper) -> None:
    """Draw an instant for each decision, a lane for each device whose technique decides."""
    columns = {name: values.tolist() for name, values in results.columns.get("decisions", {}).items()}
    for values in zip(*columns.values(), strict=True):
        row = dict(zip(columns, values, strict=True))
        time, source, hook = (row.pop(name) for name in ("time_s", "source", "hook"))
        # JSON has no word for what is not a number, and a viewer refuses a file that holds one
        details = {name: value for name, value in row.items() if not (isinstance(value, float) and math.isnan(value))}
        head = {"ph": "i", "s": "t", "name": f"{hook}: {row['answer']}", "cat": "decision", "ts": _nano(time) / 1e3}
        paper.events.append(head | {"args": details} | paper.place("decisions", source))


def write_timeline(results: Results, path: Path) -> None:
    """Write the timeline of *results* to *path*.

    Raises:
        ResultsError: if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(timeline(results), allow_nan=False), encoding="utf-8")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror}") from None
