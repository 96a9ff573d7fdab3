"""``Placement`` and the other answers of a technique, as frozen plain data.

A decision is a value: it can be recorded, compared, tested and asked about afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement
from math import comb
from typing import Literal

from simulator.foundation.errors import PlacementError

WIDEST = 3
"""Nodes besides the first that placements have at most, once they cannot have all."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Layers [start, stop) on one node."""

    node: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Placement:
    """What runs where: consecutive segments that cover the layers once, in order."""

    segments: tuple[Segment, ...]
    end: int = field(init=False, compare=False, repr=False, default=0)
    """Index after the last layer that runs."""

    def __post_init__(self) -> None:
        """Drop empty segments and refuse gaps.

        Raises:
            PlacementError: if the segments do not follow one another from layer 0.
        """
        kept = tuple(segment for segment in self.segments if segment.stop != segment.start)
        object.__setattr__(self, "segments", kept)
        reached = 0
        for segment in kept:
            if segment.start != reached or segment.stop < segment.start:
                raise PlacementError(f"segments must follow one another from layer 0: {self}")
            reached = segment.stop
        if not kept:
            raise PlacementError("a placement needs at least one segment with a layer in it")
        object.__setattr__(self, "end", reached)

    @classmethod
    def split(cls, device: str, server: str, split_point: int, layers: int) -> Placement:
        """Return layers [0, split_point) on *device* and the rest on *server*."""
        return cls((Segment(device, 0, split_point), Segment(server, split_point, layers)))

    @classmethod
    def whole(cls, node: str, layers: int) -> Placement:
        """Return all *layers* on *node*."""
        return cls((Segment(node, 0, layers),))

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes, in the order they work."""
        return tuple(segment.node for segment in self.segments)

    def split_point(self, device: str) -> int:
        """Return the index of the first layer that does not run on *device*."""
        first = self.segments[0]
        return first.stop if first.node == device else 0

    def segment_at(self, layer: int) -> Segment:
        """Return the segment that holds *layer*."""
        for segment in self.segments:
            if segment.start <= layer < segment.stop:
                return segment
        raise PlacementError(f"layer {layer} is not in {self}")

    def reassign(self, node: str, to: str) -> Placement:
        """Return this placement with the segments of *node* on node *to*."""
        return Placement(tuple(Segment(to if s.node == node else s.node, s.start, s.stop) for s in self.segments))

    def exit_before(self, node: str) -> Placement:
        """Return this placement cut off before the first segment of *node*.

        Raises:
            PlacementError: if nothing would be left.
        """
        kept = []
        for segment in self.segments:
            if segment.node == node:
                break
            kept.append(segment)
        return Placement(tuple(kept))

    def __str__(self) -> str:
        """Write ``pi 0-17 | edge 17-38``."""
        return " | ".join(f"{s.node} {s.start}-{s.stop}" for s in self.segments)


def along(chain: Sequence[str], cuts: Sequence[int], layers: int) -> Iterator[Placement]:
    """Yield every placement of *layers* along a *chain* of nodes, cut at some of the sorted *cuts*; all first first."""
    for points in combinations_with_replacement(sorted(cuts, reverse=True), len(chain) - 1):
        ends = [*reversed(points), layers]
        starts = [0, *ends[:-1]]
        yield Placement(tuple(map(Segment, chain, starts, ends)))


def fewer(chains: Sequence[tuple[str, ...]], cuts: int, most: int) -> tuple[tuple[str, ...], ...]:
    """Return *chains*, or where there would be more than *most* placements along them, shorter ones in their place.

    Those leave nodes out: of each chain they have the first node and, in order, as many others as keep the number
    below, but at least one. With *cuts* places to cut there are ``C(cuts + n - 2, n - 1)`` placements along *n* nodes.
    """
    longest = max(map(len, chains), default=1) - 1
    for others in (longest, *range(min(longest - 1, WIDEST), 0, -1)):
        shorter = dict.fromkeys((c[0], *kept) for c in chains for kept in combinations(c[1:], min(others, len(c) - 1)))
        if sum(comb(cuts + len(chain) - 2, len(chain) - 1) for chain in shorter) <= most:
            break
    return tuple(shorter)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a story met: a node or link that went down under it, or that the device was handed over from."""

    name: str
    """The node or link that is down, or the link that was left."""
    time: float
    """Since when [s]."""
    placement: Placement
    layer: int
    """First layer that is not done."""
    kind: Literal["node", "link", "handover"] = "node"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What to do about a failure: go on with *placement* after *downtime* [s], or wait for the repair (None).

    After a handover there is nothing to wait for: None goes on at once by the new way.
    """

    placement: Placement | None = None
    downtime: float = 0.0


@dataclass(frozen=True, slots=True)
class Redeployment:
    """A new placement for all requests of a source from now on."""

    placement: Placement
    downtime: float = 0.0
    """No request of that source begins for so long [s]."""
    lead: float = 0.0
    """Before that, the new placement is made ready for so long while the old one serves [s]."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How one client trains in one round."""

    split_point: int
    micro_batches: int = 1
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Migration:
    """What a client does that changes its server in the middle of a round."""

    mode: Literal["restart", "transfer", "wait"] = "restart"
    bytes: float = 0.0
