"""Residency: which layers of the model each node keeps in memory, for whom, and whether they fit.

A node keeps one copy of the weights its devices ask it for (from the first layer anyone needs to the last), and the
activations of as many requests as it serves at once; a technique with a standby keeps all that twice. Memory stress
slows nothing; it fits or it does not.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.physics.node import Node
from simulator.profiles.model import ModelProfile
from simulator.profiles.placement import Placement


class Residency:
    """The layers in memory, on all nodes."""

    def __init__(self, model: ModelProfile, nodes: Mapping[str, Node]) -> None:
        """Take the model and the nodes whose ledgers to keep."""
        self.model = model
        self.nodes = nodes
        self.copies = 1
        """Instances of its layers that each node keeps."""
        self.version = 0
        """Counts the changes of who holds what."""
        self._ranges: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in nodes}
        self._placed: dict[str, Placement] = {}
        self._sizes: dict[tuple[int, int], tuple[float, float]] = {}
        self._others: dict[tuple[str, str], tuple[int, int, int]] = {}

    def need(self, node: str, source: str, start: int, stop: int) -> float:
        """Return the bytes *node* would hold if *source* had layers [start, stop) there."""
        version, low, high = self._others.get((node, source), (-1, 0, 0))
        if version != self.version:
            spans = [span for who, span in self._ranges[node].items() if who != source]
            low = min((span[0] for span in spans), default=len(self.model))
            high = max((span[1] for span in spans), default=0)
            self._others[node, source] = (self.version, low, high)
        key = (min(start, low), max(stop, high))
        if key not in self._sizes:
            self._sizes[key] = (self.model.parameters(*key), self.model.peak_activation(*key))
        weights, activations = self._sizes[key]
        return (weights + activations * self.nodes[node].facts.slots) * self.copies

    def roomy(self, node: str) -> bool:
        """Return whether *node* has room for the whole model, so that no placement there can be too large."""
        return self.need(node, "", 0, len(self.model)) <= self.nodes[node].memory.capacity

    def fits(self, source: str, placement: Placement) -> bool:
        """Return whether *placement* fits in the memory of its nodes, beside what is there."""
        return all(
            self.need(s.node, source, s.start, s.stop) <= self.nodes[s.node].memory.capacity for s in placement.segments
        )

    def settle(self, source: str, placement: Placement) -> None:
        """Make *placement* the one of *source*: hold its layers, release those it had elsewhere."""
        before = self._placed.get(source)
        self._placed[source] = placement
        self.version += 1
        touched = dict.fromkeys([*(before.nodes if before is not None else ()), *placement.nodes])
        for name in touched:
            self._ranges[name].pop(source, None)
        for segment in placement.segments:
            self._ranges[segment.node][source] = (segment.start, segment.stop)
        for name in touched:
            memory, ranges = self.nodes[name].memory, self._ranges[name]
            if ranges:
                who, (start, stop) = next(iter(ranges.items()))
                memory.hold(self.model.name, self.need(name, who, start, stop))
            else:
                memory.held.pop(self.model.name, None)
