"""``min-latency``: the placement with the least latency for the conditions as sensed.

Neurosurgeon's rule (Kang et al., ASPLOS 2017): estimate every cut from the layer profile, the bandwidth and the
server's load, take the least. Here it also ranges over chains of more than one server (device, edge, cloud), as
Scission does (Lockhart et al., UCC 2020), by enumerating all placements along the chain.
"""

from __future__ import annotations

from simulator.profiles.placement import Placement
from simulator.techniques.technique import Technique
from simulator.world.request import Request
from simulator.world.view import View


class MinLatency(Technique):
    """Take the placement of least estimated latency."""

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Take the fastest of all placements that fit."""
        return view.fastest(view.splits(request))
