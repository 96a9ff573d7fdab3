"""Layer times as the world draws them: a measured whole run, resampled per request.

A request meets, on each node, one of the profile's repeats: its overall pace (correlated over all layers of the
request) and each layer's own residual come together, as they were measured. ``variability: none`` gives the medians.
"""

from __future__ import annotations

from typing import Literal

from simulator.profiles.model import LayerTimes

Variability = Literal["measured", "none"]


class Timing:
    """Seconds for any run of layers on one kind of machine."""

    __slots__ = ("_runs", "median", "times", "varies")

    def __init__(self, times: LayerTimes, variability: Variability) -> None:
        """Prepare the prefix sums of the medians and of each repeat."""
        self.times = times
        self.median = times.prefix()
        """Median time until each cut [s], shape (layers + 1,)."""
        self.varies = variability == "measured" and len(times.repeats) > 1
        self._runs = [times.prefix(i) for i in range(len(times.repeats))] if self.varies else [self.median]

    def seconds(self, start: int, stop: int, draw: int, salt: int) -> float:
        """Return the time of layers [start, stop) [s] for a request's *draw* on the node of that *salt*."""
        runs = self._runs
        # A multiplicative hash: one number per request, an independent repeat per node. Its high bits, for those
        # depend on all of the salt (with the low ones two nodes in 128 would meet the same one of two repeats).
        row = runs[(draw * salt & 0xFFFFFFFF) * len(runs) >> 32]
        return row[stop] - row[start]
