"""Pure cost formulas: what a request takes when nobody else is there.

The stations obey the same terms, so that an unloaded request of a simulation equals them exactly (on warm nodes: a
cold start is the node's, not the formula's); a technique's estimate (``View.latency``) sums them too, fed with what
the technique may know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from simulator.physics.network import Leg, Route, windows
from simulator.profiles.trace import Trace

Bandwidth = Callable[[Leg], Trace]
"""Capacity of a leg [B/s], as true or as sensed."""


@dataclass
class Parts:
    """What a latency is made of [s]; the parts add up to it."""

    compute: float = 0.0
    transfer: float = 0.0
    """Bytes on the wire, waits for a window to open included."""
    delay: float = 0.0
    """Propagation."""
    software: float = 0.0
    queue: float = 0.0
    """Waiting for those who came before; zero unless they are known."""

    @property
    def total(self) -> float:
        """Sum of the parts [s]."""
        return self.compute + self.transfer + self.delay + self.software + self.queue


def true_bandwidth(leg: Leg) -> Trace:
    """Return the capacity that an otherwise empty leg has: its slowest channel's."""
    traces = [wire.channel.bandwidth for wire in leg.wires]
    if len(traces) > 1 and any(trace.constant is None for trace in traces):
        return min(traces, key=lambda trace: trace.mean())  # exact for constants; a fluid run sees each step
    return min(traces, key=lambda trace: trace.at(0.0)) if len(traces) > 1 else traces[0]


def message(
    route: Route,
    size: float,
    start: float,
    parts: Parts,
    bandwidth: Bandwidth = true_bandwidth,
    free: Callable[[Leg], float] | None = None,
    on_average: bool = False,
) -> float:
    """Return when a message of *size* bytes sent at *start* has arrived over *route*; add to *parts*.

    Args:
        route: the way.
        size: payload [B].
        start: when it is handed over [s].
        parts: where to add what it takes.
        bandwidth: capacity of each leg, as true or as sensed.
        free: when each leg is free of those who came before [s] (its token bucket full again); empty where not given.
        on_average: whether a propagation delay that changes is taken for its mean.
    """
    now = start
    software = route.send.seconds(size)
    now += software
    for index, leg in enumerate(route.legs):
        handed = now
        if free is not None:
            begin = max(now, free(leg))
            parts.queue += begin - now
            now = begin
        began = now
        framed = leg.framing * size
        sent = _Empty(bandwidth(leg), leg.fifo.burst if leg.fifo is not None else 0.0)
        if index == 0 and route.slow:
            now = _slow_start(sent, framed, now, route.round_trip if on_average else route.round_trip_at(handed))
        else:
            now = sent.finish(now, framed)
        parts.transfer += now - began
        late = leg.delay if on_average else leg.delay_at(handed)
        now += late
        parts.delay += late
    arrival = route.receive.seconds(size)
    parts.software += software + arrival
    return now + arrival


class _Empty:
    """An idle shaped channel with a full bucket, that one message crosses in one or more windows."""

    def __init__(self, trace: Trace, burst: float) -> None:
        self.trace = trace
        self.burst = burst
        self.admitted = -math.inf

    def finish(self, start: float, framed: float) -> float:
        """Return when *framed* bytes that come at *start* are through."""
        if self.burst == 0.0:
            return self.trace.finish(start, framed)
        self.admitted = max(self.admitted, self.trace.integral(start) - self.burst) + framed
        return max(start, self.trace.when(self.admitted))


def _slow_start(channel: _Empty, framed: float, start: float, round_trip: float) -> float:
    """Return when the last window is sent: each waits for the round trip of the one before, until one covers it."""
    now = start
    for window in windows(framed):
        sent = channel.finish(now, window)
        framed -= window
        if framed <= 0:
            return sent
        if sent >= now + round_trip:
            return channel.finish(sent, framed)
        now += round_trip
    return now
