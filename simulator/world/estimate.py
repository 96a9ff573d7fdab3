"""The latencies of many placements at once.

The latency of an unloaded request is linear in what is known of the world: one number per placement, plus its seconds
on each node over the share of that node that is left, plus its bytes on each leg over the leg's rate. So all cuts of
a network are one matrix product (150 of them in 10 us, where the formula of ``physics/cost.py`` takes 1 ms). Token
buckets and slow starts are not linear; placements that meet one are left to the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from simulator.physics.network import Leg, Route
from simulator.profiles.placement import Placement

FAR = 1e-200
"""Stands for a capacity of zero, so that nothing is divided by it and zero work on it takes no time."""
CLOSE = 1e-9
"""Relative difference below which two sums in another order may be one."""


class Estimate:
    """Coefficients of the latency of each of *placements*, for requests of one device."""

    def __init__(
        self,
        placements: Sequence[Placement],
        source: str,
        seconds: Callable[[str, int, int], float],
        crossing: Callable[[int], float],
        route: Callable[[str, str], Route],
    ) -> None:
        """Take the placements apart.

        Args:
            placements: what may run where.
            source: the device that asks.
            seconds: time of layers [start, stop) on a node that is idle and all theirs [s].
            crossing: bytes that go on when layers before that one are done (the answer behind the last).
            route: the way from one node to another.
        """
        self.placements = tuple(placements)
        nodes: dict[str, int] = {}
        legs: dict[Leg, int] = {}
        self.linear = True
        self.changing = False
        """Whether a delay changes over time; its mean is counted."""
        constant = np.zeros(len(placements))
        work: list[tuple[int, int, float]] = []
        load: list[tuple[int, int, float]] = []
        for row, placement in enumerate(placements):
            here = source
            hops = []
            for s in placement.segments:
                if s.node != here:
                    hops.append((here, s.node, crossing(s.start)))
                work.append((row, nodes.setdefault(s.node, len(nodes)), seconds(s.node, s.start, s.stop)))
                here = s.node
            if here != source:
                hops.append((here, source, crossing(placement.end)))
            for sender, receiver, size in hops:
                way = route(sender, receiver)
                constant[row] += way.send.seconds(size) + way.receive.seconds(size) + way.delay
                self.changing |= way.changes
                self.linear &= not way.slow and all(leg.fifo is None or not leg.fifo.burst for leg in way.legs)
                load += [(row, legs.setdefault(leg, len(legs)), leg.framing * size) for leg in way.legs]
        self.nodes, self.legs = tuple(nodes), tuple(legs)
        self._constant = constant
        self._seconds = _table(work, len(placements), len(nodes))
        self._bytes = _table(load, len(placements), len(legs))

    def latencies(self, left: Sequence[float], rates: Sequence[float]) -> npt.NDArray[np.float64]:
        """Return the latency of each placement [s].

        Args:
            left: share of each of ``nodes`` that is left, shape (nodes,).
            rates: capacity of each of ``legs`` [B/s], shape (legs,).
        """
        slow = 1.0 / np.maximum(np.array(left, dtype=float), FAR)
        late = 1.0 / np.maximum(np.array(rates, dtype=float), FAR)
        total: npt.NDArray[np.float64] = self._constant + self._seconds @ slow + self._bytes @ late
        return total

    def fastest(self, latencies: npt.NDArray[np.float64], exact: Callable[[Placement], float]) -> Placement:
        """Return the placement of least latency; those too close to tell are compared by the *exact* formula."""
        least = float(latencies.min())
        close = np.flatnonzero(latencies <= least + CLOSE * abs(least))
        options = [self.placements[i] for i in close.tolist()]
        return options[0] if len(options) == 1 else min(options, key=exact)

    def burden(
        self, source: str, others: float, left: Sequence[float], rates: Sequence[float]
    ) -> npt.NDArray[np.float64]:
        """Return by how much a request under each placement is expected to delay the *others* of its device [s].

        A job of x seconds on a station that is busy for the share r of time delays those that come at a rate of l by
        ``l * x**2 / (2 * (1 - r))`` in sum (externalities in an M/G/1 queue: Haviv and Ritov, 1998). Counted are the
        device's processor and the legs; r is what it would be if all went like this one, at most 0.9.
        """
        own = [i for i, node in enumerate(self.nodes) if node == source]
        work = self._seconds[:, own] / np.maximum(np.array(left, dtype=float)[own], FAR)
        sent = self._bytes / np.maximum(np.array(rates, dtype=float), FAR)
        busy = np.minimum(np.hstack([work, sent]), 1e6)  # a station that is down is busy enough
        total: npt.NDArray[np.float64] = (others * busy**2 / (2.0 * (1.0 - np.minimum(0.9, others * busy)))).sum(axis=1)
        return total

    def fastest_above(
        self,
        floor: npt.NDArray[np.float64],
        exact: Callable[[Placement], float],
        besides: npt.NDArray[np.float64] | None = None,
    ) -> Placement:
        """Return the placement of least *exact* latency, asking in order of *floor*, which none can be below.

        Where something is to be counted *besides*, it is added to both.
        """
        if besides is not None:
            floor = floor + besides
        best, least = self.placements[0], math.inf
        for i in np.argsort(floor, kind="stable").tolist():
            if floor[i] * (1.0 - CLOSE) > least:
                break
            latency = exact(self.placements[i]) + (0.0 if besides is None else float(besides[i]))
            if latency < least:
                best, least = self.placements[i], latency
        return best


def _table(entries: Sequence[tuple[int, int, float]], rows: int, columns: int) -> npt.NDArray[np.float64]:
    table = np.zeros((rows, columns))
    for row, column, value in entries:
        table[row, column] += value
    return table
