"""``Terrain``: the latencies of all placements of a device, whatever the bandwidth of its links and the servers' speed.

For an unloaded request, with warm processors and median layer times. The latency of a placement is what it takes on
the device and on the wires, which depends on the bandwidths alone, plus its seconds on the servers over their speed;
so all speeds at one bandwidth are one sum (``simulator/world/estimate.py``; where a slow start or a token bucket makes
messages non-linear in the bandwidth, the formula of ``physics.cost`` is asked instead). Both directions of the device's
links go with the bandwidth, in proportion; other links and the device's own load stay at their mean over the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.subject import Subject
from simulator.physics import cost
from simulator.physics.network import Leg, Wire
from simulator.profiles.placement import Placement
from simulator.profiles.trace import Trace
from simulator.world.estimate import Estimate

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Terrain:
    """The latencies of all placements of a device, for any bandwidth of its links and any speed of the servers."""

    subject: Subject

    @cached_property
    def placements(self) -> tuple[Placement, ...]:
        """What may run where."""
        return self.subject.view.splits()

    @cached_property
    def wire(self) -> Wire:
        """The first wire on the way to the nearest server: its bandwidth is the map's."""
        subject = self.subject
        return subject.cluster.network.route(subject.device, subject.view.nearest_server()).wires[0]

    @cached_property
    def rate(self) -> float:
        """Mean bandwidth of :attr:`wire` over the run [B/s]: where the scenario stands."""
        return self._mean(self.wire.channel.bandwidth)

    @cached_property
    def span(self) -> tuple[float, float]:
        """Between which bandwidths :attr:`wire` is for nine tenths of the run, outages left out [B/s]."""
        return self._nine_tenths(self.wire.channel.bandwidth)

    @cached_property
    def speeds(self) -> tuple[float, float]:
        """Between which speeds the nearest server is for nine tenths of the run, relative to its mean."""
        left = self.subject.cluster.nodes[self.subject.view.nearest_server()].facts.capacity
        low, high = self._nine_tenths(left)
        return low / self._mean(left), high / self._mean(left)

    def at(self, rates: Sequence[float] | Array, speeds: Sequence[float] | Array) -> pd.DataFrame:
        """Return one row per pair of a bandwidth of *rates* [B/s] and a server speed of *speeds* [times the mean]."""
        placements, layers = self.placements, self.subject.cluster.model.layers
        device, one = self.subject.device, [p for p in self.placements if len(p.segments) == 1]
        home = [placements.index(p) for p in one if p.segments[0].node == device]
        away = [placements.index(p) for p in one if p.segments[0].node != device]
        splits = np.array([p.split_point(device) for p in placements])
        behind = np.array([layers[split - 1].name if split else "(nothing)" for split in splits.tolist()])
        names = np.array([str(p) for p in placements])
        parts = []
        for rate in rates:
            still = self._still(float(rate))
            few = _undominated(still, self._served)
            latency = still[few, None] + self._served[few, None] / np.asarray(speeds, dtype=float)
            best, least = few[latency.argmin(axis=0)], latency.min(axis=0)
            ends = {"device": home, "server": away}
            found = {end: self._least(still, rows, speeds) for end, rows in ends.items()}
            parts.append(
                pd.DataFrame(
                    {
                        "bandwidth_bytes_per_s": float(rate), "server_speed": speeds, "split_point": splits[best],
                        "layer": behind[best], "placement": names[best], "latency_s": least,
                        "all_on_device_s": found["device"], "all_on_server_s": found["server"],
                        "gain": 1.0 - least / np.minimum(found["device"], found["server"]),
                    }
                )
            )  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def _least(self, still: Array, rows: list[int], speeds: Sequence[float] | Array) -> Array:
        """Return the least latency of the placements *rows* by speed of the servers; infinite where there is none."""
        latency = still[rows, None] + self._served[rows, None] / np.asarray(speeds, dtype=float)
        least: Array = latency.min(axis=0, initial=math.inf)
        return least

    # -- what a latency is made of -------------------------------------------------------------------------------

    @cached_property
    def _estimate(self) -> Estimate:
        cluster = self.subject.cluster

        def seconds(node: str, start: int, stop: int) -> float:
            median = cluster.timing[node].median
            return (median[stop] - median[start]) * cluster.nodes[node].slowdown

        return Estimate(self.placements, self.subject.device, seconds, self._crossing, cluster.network.route)

    @cached_property
    def _served(self) -> Array:
        """Seconds of each placement on servers as fast as they are on average [s]."""
        return self._computing(self._left(device=False))

    def _computing(self, left: Sequence[float]) -> Array:
        """Return the seconds of each placement on its nodes, of which *left* is left [s]; messages take no time."""
        estimate, fast = self._estimate, [math.inf] * len(self._estimate.legs)
        seconds: Array = estimate.latencies(left, fast) - estimate.latencies([math.inf] * len(left), fast)
        return seconds

    def _still(self, rate: float) -> Array:
        """Return the rest of the latency of each placement where :attr:`wire` has *rate* [B/s]."""
        estimate, left = self._estimate, self._left(device=True)
        if estimate.linear:
            return estimate.latencies(left, [self._rate_of(leg, rate) for leg in estimate.legs])
        sent: dict[tuple[str, str, int], float] = {}
        for hop in {hop for p in self.placements for hop in self._hops(p)}:
            route = self.subject.cluster.network.route(hop[0], hop[1])
            sent[hop] = cost.message(
                route, self._crossing(hop[2]), 0.0, cost.Parts(), lambda leg: Trace.of(self._rate_of(leg, rate))
            )
        messages = np.array([math.fsum(sent[hop] for hop in self._hops(p)) for p in self.placements])
        total: Array = self._computing(left) + messages
        return total

    def _hops(self, placement: Placement) -> list[tuple[str, str, int]]:
        """Return the messages of *placement*: sender, receiver, the layer before which it is cut."""
        stops = [self.subject.device, *(s.node for s in placement.segments), self.subject.device]
        cuts = [*(s.start for s in placement.segments), placement.end]
        return [(a, b, cut) for a, b, cut in zip(stops, stops[1:], cuts, strict=False) if a != b]

    def _crossing(self, layer: int) -> float:
        return self.subject.cluster.crossing(layer)

    def _left(self, device: bool) -> list[float]:
        """Return what is left of each node on average: of the device or of the servers; the others take no time."""
        nodes, own = self.subject.cluster.nodes, self.subject.device
        return [
            self._mean(nodes[name].facts.capacity) if (name == own) == device else math.inf
            for name in self._estimate.nodes
        ]

    def _rate_of(self, leg: Leg, rate: float) -> float:
        """Return the bandwidth of *leg* where :attr:`wire` has *rate*: the device's links in proportion [B/s]."""
        own, factor = self.subject.device, rate / self.rate
        channels = [wire.channel for wire in leg.wires]
        return min(self._mean(c.bandwidth) * (factor if own in (c.sender, c.receiver) else 1.0) for c in channels)

    # -- means over the run --------------------------------------------------------------------------------------

    @property
    def _until(self) -> float:
        return self.subject.world.scenario.entry.until

    def _mean(self, trace: Trace) -> float:
        return trace.integral(self._until) / self._until

    def _nine_tenths(self, trace: Trace) -> tuple[float, float]:
        values = np.array([trace.at(time) for time in np.linspace(0.0, self._until, 2001).tolist()])
        low, high = np.quantile(values[values > 0], [0.05, 0.95]).tolist()
        return low, high


def _undominated(still: Array, served: Array) -> npt.NDArray[np.intp]:
    """Return the placements that no other beats both in *still* and in *served*: the fastest is one of them."""
    order = np.lexsort((still, served))
    before = np.concatenate([[math.inf], np.minimum.accumulate(still[order])[:-1]])
    return np.sort(order[still[order] < before])
