"""Blame: how the time of each node and link splits into work and four ways of not working; why a request took so long.

At each instant a resource is, in this order: *failed* while it is down; *busy* with the share of its slots that serve
(a link has one, taken while anything crosses it); and with the rest of its slots

- *starved* if a request is under way that has yet to begin its last piece of work here: the work is upstream;
- *blocked* if not, and a request is under way that has had its last piece of work here: what comes next, comes from
  downstream (a closed loop waits for its answer);
- *idle* otherwise: nobody is under way who uses it, unless it serves them just now.

A request is under way from its arrival to its answer, and uses what it has a piece of work on (``compute`` on a node,
``transfer`` on a link). The five add up to the length of the run. Starved and blocked are the words of production
lines (Gershwin, Manufacturing Systems Engineering, 1994), where a machine waits for parts or for room behind it.

What the rows do not say: work still under way when the run ends has no span. On a node its time is known from the
table of nodes and is put at the end, where it was; on a link it is not, and counts as not working. A message that
waits for a wire which the other direction has (half duplex), or between the windows of a slow start, is not told apart:
the first counts as starved, the second as busy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from simulator.foundation.errors import ResultsError
from simulator.results.record import Columns

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

OCCUPYING = ("compute", "transfer", "probe", "report")
"""Kinds of span that take a slot of a node, or a link; the last two are nobody's request."""
STATES = ("busy", "failed", "starved", "blocked", "idle")

_SERVED, _DOWN, _AHEAD, _PAST = range(4)
_CHANNEL = re.compile(r"(.*)\.(?:up|down)(?:\[[^]]*\])?")


class BlameRow(NamedTuple):
    """One node, or one direction of one link, over the whole run. The five add up to its length."""

    resource: str
    kind: str
    """node or link."""
    busy_s: float
    """Serving; of a node with several slots, the share of slots times time."""
    failed_s: float
    """Down."""
    starved_s: float
    """Not serving, although a request is under way that will still need it: the work is upstream."""
    blocked_s: float
    """Not serving; requests are under way, and those have been through it: it waits for what follows downstream."""
    idle_s: float
    """Not serving, and nobody under way who waits for it or has been through it."""
    length_s: float


def link_of(channel: str) -> str:
    """Return the link that *channel* is a direction of: ``wifi[pi-3]`` for ``wifi[pi-3].up``."""
    found = _CHANNEL.fullmatch(channel)
    return found[1] if found else channel


# -- resources -----------------------------------------------------------------------------------------------------


def blame(columns: Mapping[str, Columns], end: float) -> Columns:
    """Return the columns of :class:`BlameRow` for every resource of a run of *end* [s], shape (resources,) each.

    Args:
        columns: the run's columns by table (``requests``, ``spans``, ``failures``, ``nodes``, ``links``).
        end: when the run ended [s].

    Raises:
        ResultsError: if the run did not record spans.
    """
    if "spans" not in columns:
        raise ResultsError('blame needs the pieces of work; set "record: spans" in the scenario')
    nodes, channels = (columns["nodes"]["node"].tolist(), columns["links"]["channel"].tolist())
    names: list[str] = [*nodes, *channels]
    slots = np.concatenate([_slots(columns["nodes"], end), np.ones(len(channels))])
    known = np.concatenate([columns["nodes"]["busy_s"], np.zeros(len(channels))])
    steps = _Steps(len(names), end)
    _add_work(steps, columns, {name: i for i, name in enumerate(names)}, end)
    _add_outages(steps, columns["failures"], nodes, channels)
    seconds = _account(*steps.counted(), slots, known)
    return {
        "resource": np.array(names, dtype=object),
        "kind": np.array(["node"] * len(nodes) + ["link"] * len(channels), dtype=object),
        **{f"{state}_s": seconds[i] for i, state in enumerate(STATES)},
        "length_s": np.full(len(names), float(end)),
    }


class _Steps:
    """Counts per resource that step up and down over time: who is served, down, yet to come, through."""

    def __init__(self, resources: int, end: float) -> None:
        """Begin with a step of nothing at either end of the run, so that every resource has them."""
        everything = np.arange(resources)
        self._end = end
        nothing = np.zeros(resources, dtype=np.int64)
        self._parts = [(everything, np.full(resources, when), nothing, nothing) for when in (0.0, end)]

    def add(self, count: int, resource: Whole, begin: Floats, finish: Floats) -> None:
        """Let *count* be one more from *begin* until *finish* [s], shape (intervals,) each."""
        one = np.ones(len(resource), dtype=np.int64)
        for when, sign in ((begin, 1), (finish, -1)):
            self._parts.append((resource, np.clip(when, 0.0, self._end), count * one, sign * one))

    def counted(self) -> tuple[Whole, Floats, list[Whole]]:
        """Return resource, duration [s] and the four counts between one step and the next, shape (steps,) each."""
        resource, time, count, sign = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.lexsort((time, resource))
        resource, time, count, sign = resource[order], time[order], count[order], sign[order]
        duration = np.append(np.diff(time), 0.0)
        duration[np.append(np.diff(resource) != 0, True)] = 0.0  # from one resource to the next no time passes
        # each count of a resource ends at zero, so that one running sum does for all resources
        return resource, duration, [np.cumsum(np.where(count == which, sign, 0)) for which in range(4)]


def _slots(nodes: Columns, end: float) -> Floats:
    """Return how many slots each node has, which utilisation is a share of (1 where it never worked)."""
    possible = nodes["utilisation"] * end
    return np.rint(np.divide(nodes["busy_s"], possible, out=np.ones(len(possible)), where=possible > 0))


def _add_work(steps: _Steps, columns: Mapping[str, Columns], index: Mapping[str, int], end: float) -> None:
    spans, requests = columns["spans"], columns["requests"]
    kinds, labels = pd.factorize(spans["kind"])
    kept = np.isin(kinds, [i for i, label in enumerate(labels) if label in OCCUPYING])
    start, finish = spans["start_s"][kept], spans["finish_s"][kept]
    owner = _owners(requests, spans)[kept]
    codes, labels = pd.factorize(spans["resource"][kept])
    crossed = [[index[part] for part in _parts(str(label), index)] for label in labels]  # a fair leg is several links
    counts = np.array([len(each) for each in crossed], dtype=np.int64)
    first = np.cumsum(counts) - counts
    row = np.repeat(np.arange(len(codes)), counts[codes])
    within = np.arange(len(row)) - np.repeat(np.cumsum(counts[codes]) - counts[codes], counts[codes])
    resource = np.array([part for each in crossed for part in each], dtype=np.int64)[first[codes[row]] + within]
    start, finish, owner = start[row], finish[row], owner[row]
    steps.add(_SERVED, resource, start, finish)

    mine = owner >= 0
    key = owner[mine] * len(index) + resource[mine]
    if not len(key):
        return
    order = np.argsort(key, kind="stable")
    pairs, begins = np.unique(key[order], return_index=True)
    last_start = np.maximum.reduceat(start[mine][order], begins)
    last_finish = np.maximum.reduceat(finish[mine][order], begins)
    who, where = np.divmod(pairs, len(index))
    answered = np.where(np.isfinite(requests["finish_s"]), requests["finish_s"], end)
    steps.add(_AHEAD, where, requests["arrival_s"][who], last_start)
    steps.add(_PAST, where, last_finish, np.maximum(answered[who], last_finish))


def _parts(resource: str, index: Mapping[str, int]) -> list[str]:
    return [resource] if resource in index else resource.split("+")


def _owners(requests: Columns, spans: Columns) -> Whole:
    """Return the row of each span's request, -1 where it has none (a probe is nobody's)."""
    source, _ = pd.factorize(np.concatenate([requests["source"], spans["source"]]))
    number = np.concatenate([requests["request"], spans["request"]])
    key = source.astype(np.int64) * (int(number.max(initial=0)) + 2) + number + 1
    table = pd.Index(key[: len(requests["request"])])
    return np.asarray(table.get_indexer(pd.Index(key[len(table) :])), dtype=np.int64)


def _add_outages(steps: _Steps, failures: Columns, nodes: list[str], channels: list[str]) -> None:
    hit: dict[tuple[str, str], list[int]] = {("node", name): [i] for i, name in enumerate(nodes)}
    for i, channel in enumerate(channels):
        hit.setdefault(("link", link_of(channel)), []).append(len(nodes) + i)
    rows = zip(*(failures[name].tolist() for name in ("name", "kind", "down_s", "up_s")), strict=True)
    struck = [(i, down, up) for name, kind, down, up in rows for i in hit[kind, name]]
    if struck:
        resource, down, up = zip(*struck, strict=True)
        steps.add(_DOWN, np.array(resource), np.array(down, dtype=float), np.array(up, dtype=float))


def _account(resource: Whole, duration: Floats, counts: list[Whole], slots: Floats, known: Floats) -> list[Floats]:
    """Return the seconds of each resource in each of the five states.

    Args:
        resource: of each step, in order.
        duration: of each step [s].
        counts: served, down, yet to come, through, during each step.
        slots: of each resource.
        known: slot seconds of service that each resource is known to have given, 0 where that is not known.
    """

    def total(weights: Floats) -> Floats:
        return np.bincount(resource, weights, minlength=len(slots)).astype(np.float64)

    served, down, ahead, past = counts
    up = np.where(down > 0, 0.0, duration)
    each = slots[resource]
    busy = up * np.minimum(served, each) / each
    # Work under way when the run ended has no span: it filled free slots until the end.
    missing = known / slots - total(busy)
    missing[missing < 1e-9 * np.maximum(1.0, known)] = 0.0
    if missing.any():
        free = up - busy
        from_here = np.cumsum(free[::-1])[::-1]  # free time from each step on, over this resource and all behind it
        behind = np.append(from_here[1:], 0.0) - np.append(np.cumsum(total(free)[::-1])[::-1], 0.0)[resource + 1]
        busy += np.clip(missing[resource] - behind, 0.0, free)
    rest = up - busy
    waits = [ahead > 0, (ahead == 0) & (past > 0), (ahead == 0) & (past == 0)]
    return [total(busy), total(duration - up), *(total(np.where(state, rest, 0.0)) for state in waits)]


# -- one request ---------------------------------------------------------------------------------------------------

_STAGES = ("stage", "resource", "from_s", "to_s", "seconds", "waited_s")


def why(columns: Mapping[str, Columns], source: str, request: int) -> pd.DataFrame:
    """Return what *request* of *source* went through, stage after stage without a gap: they add up to its latency.

    Columns: ``stage`` (compute, transfer, propagation, software, recovery, hold, ``lost compute`` and ``lost
    transfer`` for what a failure took, ``other`` where a technique's own story waited), ``resource``, ``from_s``,
    ``to_s``, ``seconds``, and ``waited_s``: how much of it was waiting for a turn. Where pieces of work ran side by
    side, these are those that the answer waited for. Without an answer: up to the last thing recorded.

    Raises:
        ResultsError: if the run did not record spans, or there is no such request.
    """
    if "spans" not in columns:
        raise ResultsError('the stages of a request need the pieces of work; set "record: spans" in the scenario')
    spans, requests = columns["spans"], columns["requests"]
    found = np.flatnonzero((requests["source"] == source) & (requests["request"] == request))
    if not len(found):
        mine = int((requests["source"] == source).sum())
        senders = ", ".join(sorted(set(requests["source"].tolist()))[:20])
        there = f"it sent {mine}, numbered from 0" if mine else f"requests come from: {senders}"
        raise ResultsError(f'no request #{request} of "{source}"; {there}')
    row = found[0]
    rows = np.flatnonzero((spans["source"] == source) & (spans["request"] == request))
    pieces = [{name: spans[name][i] for name in spans} for i in rows]
    pieces.sort(key=lambda piece: (piece["finish_s"], piece["queued_s"]), reverse=True)
    arrival, end = float(requests["arrival_s"][row]), float(requests["finish_s"][row])
    now = end if math.isfinite(end) else max((float(piece["finish_s"]) for piece in pieces), default=arrival)
    stages: list[tuple[Any, ...]] = []
    for piece in pieces:  # from the answer back, each time to the piece that ended last before what is known
        begin, start, finish = (float(piece[name]) for name in ("queued_s", "start_s", "finish_s"))
        if finish > now or now <= arrival:
            continue
        if finish < now:
            after = "propagation" if piece["kind"] == "transfer" and piece["completed"] else "other"
            stages.append((after, piece["resource"] if after != "other" else "", finish, now, now - finish, 0.0))
        if finish > begin:
            kind = piece["kind"] if piece["completed"] else f"lost {piece['kind']}"
            stages.append((kind, piece["resource"], begin, finish, finish - begin, start - begin))
        now = begin
    if now > arrival:
        stages.append(("other", "", arrival, now, now - arrival, 0.0))
    return pd.DataFrame(stages[::-1], columns=list(_STAGES))
