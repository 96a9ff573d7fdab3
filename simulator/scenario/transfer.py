"""What a recording of a bandwidth already contains, so that a link neither counts it twice nor turns it round unsaid.

The transfer law adds only what is above the recording's layer: what an application got through (goodput) has headers
and slow starts in it. And a downlink is no uplink: whoever uses one as the other says so, and its grade says it too.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.physics.network import FRAME, SEGMENT
from simulator.profiles.trace import Trace
from simulator.scenario.capacity import Capacity
from simulator.scenario.schema import LinkEntry
from simulator.traces.algebra import labelled

OTHER = {"down": "up", "up": "down"}


def framing(link: LinkEntry, capacity: Capacity) -> float:
    """Return the bytes on the wire per byte sent, in the terms of the capacity."""
    if link.framing is not None:
        return link.framing
    return 1.0 if link.connection == "none" or capacity.layer == "goodput" else FRAME / SEGMENT


def misused(link: LinkEntry, first: str, second: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the recordings of a link between nodes of the kinds *first* and *second*: key, text."""
    found = [*_twice(link), *_turned(link, first, second)]
    yield from dict.fromkeys(found)


def _twice(link: LinkEntry) -> Iterator[tuple[str, str]]:
    """Yield what would be counted twice."""
    for capacity in (link.bandwidth, link.up, link.down):
        if capacity is None or capacity.layer != "goodput":
            continue
        name = capacity.trace.source.partition(" (")[0]  # of a synthetic one, without what it was fitted to
        hint = 'leave it out, or write "layer: link" beside trace: or generate: if it is to stand for the bare link'
        if link.framing is not None and link.framing != 1.0:
            yield "framing", f"{name} is what an application got through, all headers taken off already; {hint}"
        if link.connection == "slow-start":
            yield "connection", f"{name} is what an application got through, slow starts and all; {hint}"


def _turned(link: LinkEntry, first: str, second: str) -> Iterator[tuple[str, str]]:
    """Yield what was recorded of the other direction without a word that this is meant."""
    for key, sender, receiver in (("up", first, second), ("down", second, first)):
        own = link.up if key == "up" else link.down
        capacity = own if link.bandwidth is None else link.bandwidth
        way = _way(sender, receiver)
        if capacity is None or way is None or capacity.direction != OTHER[way]:
            continue
        accept = f"{OTHER[way]}-as-{way}"
        if capacity.accept in ("scale", accept):
            continue
        text = (
            f"{capacity.trace.source} was recorded of the {OTHER[way]}link, and is used as the {way}link here; write "
            f'"accept: {accept}" beside trace: if that will do, or a factor such as "scale: 0.3"'
        )
        if link.bandwidth is not None:
            yield "bandwidth", f"{text}, or give up: and down: apart"
        else:
            yield key, text


def as_used(trace: Trace, capacity: Capacity, sender: str, receiver: str) -> Trace:
    """Return *trace*, drawn from *capacity*, with the grade it has between nodes of these kinds."""
    way = _way(sender, receiver)
    if way is None or capacity.direction != OTHER[way]:
        return trace
    if trace is capacity.trace:
        return capacity.turned  # one for all members of a group
    return labelled(trace, capacity.turned.source, capacity.turned.grade)


def _way(sender: str, receiver: str) -> str | None:
    """Return whether messages between nodes of these kinds go up or down; None where neither is meant."""
    return {("device", "server"): "up", ("server", "device"): "down"}.get((sender, receiver))
