"""Rows while a simulation runs: one ``NamedTuple`` per table, with the unit in each column's name.

Rows are appended to a list and turned into NumPy columns by the block, because that is the cheapest way in CPython
(a preallocated array filled one scalar at a time is slower), and because blocks of columns take a fifth of the memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple, get_type_hints

import numpy as np
import numpy.typing as npt

BLOCK = 128  # rows: small enough that they are still in the processor's cache when they are turned into columns

Columns = dict[str, npt.NDArray[Any]]
"""Column name → values."""


class RequestRow(NamedTuple):
    """One request, from arrival to answer. The seven parts add up to the latency."""

    source: str
    request: int
    arrival_s: float
    finish_s: float
    latency_s: float
    outcome: str
    """done, late (after its deadline), degraded (an early exit), unfinished, lost."""
    split_point: int
    """Index of the first layer that did not run on the device."""
    placement: str
    """What ran where: node and layers, first to last + 1."""
    queue_s: float
    """Waiting for a processor or a channel."""
    compute_s: float
    transfer_s: float
    """Bytes on the wire, and waits for a slow start's window."""
    delay_s: float
    """Propagation."""
    software_s: float
    recovery_s: float
    """Lost to failures: work done in vain, detection, waiting for repair."""
    hold_s: float
    """Waiting for a redeployment to end."""
    sent_bytes: float
    """On the wire, framing included, summed over hops."""
    device_energy_j: float
    """Energy the request added at its source: processor and radio."""
    energy_j: float
    """Energy the request added anywhere."""


class SpanRow(NamedTuple):
    """One piece of work on one resource."""

    kind: str
    """compute, transfer, software, recovery, hold, probe, report (propagation follows each transfer and has no row)."""
    resource: str
    """Node or channel."""
    source: str
    request: int
    """Which request it was for; -1 for a probe or a report."""
    queued_s: float
    """When the work was handed to the resource."""
    start_s: float
    finish_s: float
    from_layer: int
    """First layer of a compute span."""
    to_layer: int
    """Index after its last layer."""
    sent_bytes: float
    energy_j: float
    completed: bool
    """False where a failure cut it short."""


class DecisionRow(NamedTuple):
    """What a technique answered, and what it knew."""

    time_s: float
    source: str
    hook: str
    """Which hook answered: place, adapt, recover."""
    answer: str
    """The placement answered."""
    split_point: int
    """Index of the first layer that does not run on the device."""
    predicted_s: float
    """Latency of the answer as predicted from what was known (NaN where not asked)."""
    downtime_s: float
    """How long no request of the source could begin for the sake of it."""
    knowledge: str


class FailureRow(NamedTuple):
    """A node or link that went down."""

    name: str
    kind: str
    down_s: float
    up_s: float
    """Infinite where it never came back."""


class HandoverRow(NamedTuple):
    """A device that came nearer to another access point, and was handed over to it."""

    device: str
    from_link: str
    to_link: str
    t_s: float
    """When it left the one for the other."""
    interruption_s: float
    """For how long the new link carried nothing."""


class NodeRow(NamedTuple):
    """One node over the whole run."""

    node: str
    hardware: str
    busy_s: float
    """Time in service, summed over slots."""
    down_s: float
    utilisation: float
    offered: float
    """Service time admitted until the arrivals end, over the time of all slots: above 1 the queue can only grow."""
    energy_j: float
    memory_peak_bytes: float
    grade: str
    """Weakest evidence among the layer times used here."""


class LinkRow(NamedTuple):
    """One direction of one link over the whole run."""

    channel: str
    sender: str
    receiver: str
    sent_bytes: float
    received_bytes: float
    capacity_bytes: float
    """What it could have carried: the integral of its bandwidth."""
    station: str
    """Channels of one station take turns or share: half duplex, one link for a group, a radio medium."""
    offered: float
    """Bytes handed to its station until the arrivals end over what that can carry until then (a token bucket's burst
    included), each channel's at its own rate: above 1 the queue can only grow."""


TABLES: dict[str, type] = {
    "requests": RequestRow,
    "spans": SpanRow,
    "decisions": DecisionRow,
    "failures": FailureRow,
    "handovers": HandoverRow,
    "nodes": NodeRow,
    "links": LinkRow,
}
"""Frame name → row type, in the order they are shown."""

_DTYPES = {"float": np.float64, "int": np.int64, "str": object, "bool": np.bool_}


class Table:
    """Rows of one type, append-only."""

    __slots__ = ("_blocks", "_dtypes", "names", "rows")

    def __init__(self, row: type) -> None:
        """Take the row type."""
        self.names: tuple[str, ...] = row._fields  # type: ignore[attr-defined]
        kinds = get_type_hints(row)
        self._dtypes = [_DTYPES[kinds[name].__name__] for name in self.names]
        self.rows: list[tuple[Any, ...]] = []
        self._blocks: list[list[npt.NDArray[Any]]] = [[] for _ in self.names]

    def add(self, row: tuple[Any, ...]) -> None:
        """Append one row."""
        rows = self.rows
        rows.append(row)
        if len(rows) == BLOCK:
            self.pack()

    def pack(self) -> None:
        """Turn the rows so far into a block of columns, which takes a fifth of the memory."""
        if not self.rows:
            return
        for blocks, dtype, values in zip(self._blocks, self._dtypes, zip(*self.rows, strict=True), strict=True):
            blocks.append(np.array(values, dtype=dtype))
        self.rows.clear()

    def columns(self) -> Columns:
        """Return all rows as typed columns."""
        self.pack()
        return {
            name: np.concatenate(blocks) if blocks else np.empty(0, dtype)
            for name, blocks, dtype in zip(self.names, self._blocks, self._dtypes, strict=True)
        }

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.rows) + sum(len(block) for block in self._blocks[0])


class Recorder:
    """All tables of one run. Spans switched off are None, so that not recording them costs nothing."""

    def __init__(self, spans: bool = True) -> None:
        """Take whether to record every piece of work."""
        self.requests = Table(RequestRow)
        self.spans = Table(SpanRow) if spans else None
        self.decisions = Table(DecisionRow)
        self.failures = Table(FailureRow)
        self.handovers = Table(HandoverRow)
        self.nodes = Table(NodeRow)
        self.links = Table(LinkRow)

    def tables(self) -> dict[str, Table]:
        """Return the tables that are recorded."""
        tables = {name: getattr(self, name) for name in TABLES}
        return {name: table for name, table in tables.items() if table is not None}

    def columns(self) -> dict[str, Columns]:
        """Return every recorded table as typed columns."""
        return {name: table.columns() for name, table in self.tables().items()}
