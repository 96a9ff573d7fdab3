"""How much work a run handed to each station until its arrivals ended, as a share of what the station can do.

Above 1 a queue grows for as long as the run lasts, and no figure of it settles. Work is counted as far as it was
admitted then: behind a station that is too slow, less comes. Time down counts as time that could have been used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from simulator.physics.network import Network
from simulator.physics.node import Node


def node_load(nodes: Mapping[str, Node], until: float) -> dict[str, float]:
    """Return, by node, the service time admitted until now (which is *until* [s]) over slots times time."""
    return {name: node.station.admitted() / (until * node.facts.slots) for name, node in nodes.items()}


def link_load(network: Network, until: float) -> dict[str, float]:
    """Return, by channel, the share of its station's time until *until* [s] that the bytes handed to it take.

    Each channel's bytes count at its own mean rate, and channels of one station have one answer: the sum.
    """
    shares: dict[str, list[float]] = {}
    for name, (handed, _) in network.carried().items():
        channel = network.wires[name].channel
        able = channel.bandwidth.integral(until) + channel.burst
        share = handed / able if able else math.inf if handed else 0.0
        shares.setdefault(channel.station or name, []).append(share)
    return {name: math.fsum(shares[wire.channel.station or name]) for name, wire in network.wires.items()}
