"""Pipelines of machines as Scission counts them, as scenarios of our own: block times, then per link ping and bytes.

Scission's rule: the times of the blocks on their machines, and per link that is crossed its ping and the bytes over its
rate; nothing runs on the device: an image of 150 kB crosses; serialisation and the way back of the answer cost nothing.
A ping goes there and back, so half of it is a link's delay one way and the answer, which the simulator sends back over
the same links, brings the other half. What the answer weighs is made free by a way back without a limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pandas as pd

from calibration.measured.replay import InTurn, machine, one_by_one
from calibration.measured.tables import read_table
from simulator import Results, Scenario, Simulation
from simulator.foundation.errors import ProfileError
from simulator.profiles.model import ModelProfile
from simulator.profiles.placement import Placement
from simulator.world.view import View

FREE = "1e15 B/s"
"""Rate of the way back: so fast that an answer of some kB costs less than a clock can tell."""


@dataclass(frozen=True)
class PingLink:
    """A link as Scission and ScissionTL write it down."""

    sender: str
    receiver: str
    ping: float
    """[s]."""
    rate: float
    """[B/s]."""

    def seconds(self, size: float) -> float:
        """Return what a message of *size* bytes takes [s]."""
        return self.ping + size / self.rate

    def entry(self) -> dict[str, object]:
        """Return it as a scenario file writes a link."""
        return {
            "between": [self.sender, self.receiver],
            "up": f"{self.rate!r} B/s",
            "down": FREE,
            "delay": f"{self.ping / 2!r} s",
            "connection": "none",
            "software": {"message": "0 s", "byte": "0 s/B"},
        }


Links = Mapping[tuple[str, str], PingLink]


def read_links(path: Path) -> dict[tuple[str, str], PingLink]:
    """Return the links of a ``network_stats`` file by sender and receiver; 1 Mbps is 125,000 B/s.

    Raises:
        ProfileError: unreadable or malformed, twice the same link, or a rate that is not above zero.
    """
    table = read_table(path, ("source", "destination"), text=("source", "destination"))
    names = {str(column): str(column).strip().lower() for column in table.columns}
    table = table.rename(columns=names)
    for column in ("ping(ms)", "bandwidth(mbps)"):
        if column not in table:
            raise ProfileError(f"{path} lacks the column {column}; it has {', '.join(map(str, table.columns))}")
    found: dict[tuple[str, str], PingLink] = {}
    columns = (table[name] for name in ("source", "destination", "ping(ms)", "bandwidth(mbps)"))
    for line, (sender, receiver, ping, rate) in enumerate(zip(*columns, strict=True), start=2):
        try:
            link = PingLink(str(sender).strip(), str(receiver).strip(), float(ping) / 1e3, round(float(rate) * 125_000))
        except ValueError:
            raise ProfileError(f"{path}:{line}: expected numbers, came ping {ping!r} and bandwidth {rate!r}") from None
        if not (0 <= link.ping < 1e6 and 0 < link.rate < 1e15):
            raise ProfileError(f"{path}:{line}: a ping of 0 ms or more and a bandwidth above 0 Mbps are expected")
        if (link.sender, link.receiver) in found:
            raise ProfileError(f"{path}:{line}: the link from {link.sender} to {link.receiver} stands there twice")
        found[link.sender, link.receiver] = link
    return found


def pipeline(profile: ModelProfile, chain: Sequence[str], links: Links, technique: InTurn | None = None) -> Scenario:
    """Return a scenario of a device and servers in a row, in which each request finds everything idle.

    Args:
        profile: the network, with times on every machine of *chain*.
        chain: names of the machines, the device first; each is joined to the next.
        links: where the joints are found.
        technique: places one request after the other (default: one request, where it is fastest).

    Raises:
        ProfileError: if two neighbours have no link, or a machine no times.
    """
    joints = []
    for ends in pairwise(chain):
        if ends not in links:
            known = ", ".join(f"{a} to {b}" for a, b in links)
            raise ProfileError(f"no link leads from {ends[0]} to {ends[1]}; there are: {known}")
        joints.append(links[ends])
    for name in chain:
        if name not in profile.measured:
            raise ProfileError(f'"{profile.name}" has no times on "{name}"; it has: {", ".join(profile.measured)}')
    largest = max(profile.input_bytes, *(layer.out_bytes for layer in profile.layers))
    work = math.fsum(second for name in chain for second in profile.measured[name].seconds)
    pause = 1.0 + 2.0 * (work + math.fsum(joint.seconds(largest) for joint in joints))
    entries = {f"link{i}": joint.entry() for i, joint in enumerate(joints)}
    return one_by_one(profile, {name: machine(name, name, {}) for name in chain}, entries, pause, technique)


def whole_chain(view: View) -> tuple[Placement, ...]:
    """Return the placements that give every server of the chain some blocks; the device may have none.

    A chain without one of its servers is a shorter pipeline with a link of its own, not a relay.
    """
    servers = set(view.servers)
    return tuple(placement for placement in view.splits() if servers <= set(placement.nodes))


def latencies(scenario: Scenario) -> dict[Placement, float]:
    """Return the latency of every placement of a pipeline [s], as the simulator's view counts it."""
    view = Simulation(scenario).services[0].view
    return {placement: view.latency(placement) for placement in whole_chain(view)}


def replay(profile: ModelProfile, device: str, server: str, links: Links) -> pd.DataFrame:
    """Simulate one request for each place to cut between *device* and *server*, all on the device included.

    Returns:
        ``device``, ``uplink`` (ping and bytes), ``server`` and ``total`` [s], by ``split``.
    """
    cuts = [cut.index for cut in profile.cuts()]
    split = tuple(Placement.split(device, server, cut, len(profile)) for cut in cuts if cut < len(profile))
    scenario = pipeline(profile, (device, server), links, InTurn(placements=split))
    found = [_segments(Simulation(scenario).run(), device)]
    if len(profile) in cuts:
        found.append(_segments(Simulation(pipeline(profile, (device,), links)).run(), device))
    return pd.concat(found).sort_index()


def _segments(results: Results, device: str) -> pd.DataFrame:
    requests = results.requests.set_index("request")
    spans = results.spans[(results.spans["kind"] == "compute") & (results.spans["resource"] == device)]
    here = (
        (spans["finish_s"] - spans["start_s"]).groupby(spans["request"]).sum().reindex(requests.index, fill_value=0.0)
    )
    return pd.DataFrame(
        {
            "device": here,
            "uplink": requests["transfer_s"] + requests["delay_s"],
            "server": requests["compute_s"] - here,
            "total": requests["latency_s"],
        }
    ).set_index(requests["split_point"].rename("split"))


def chains(links: Links, device: str) -> list[tuple[str, ...]]:
    """Return the device alone, and every way from it over one or two links."""
    first = [receiver for sender, receiver in links if sender == device]
    second = [(near, far) for near, far in links if near in first and far != device]
    return [(device,), *((device, name) for name in first), *((device, near, far) for near, far in second)]
