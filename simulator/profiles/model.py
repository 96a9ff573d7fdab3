"""``ModelProfile``: a network as a graph of layers, where it may be cut, and what each layer costs where.

A profile is a table made by ``offing profile`` (one CSV per model, input size, batch and machine; schema in
``docs/reference/profile_schema.md``). The layers stand in topological order, so every prefix is a head and every
suffix a tail; what crosses a cut is each tensor made before it and read after it (skip connections included), views
counted once. The *split point* is the index of the first layer that does not run on the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import networkx as nx

from simulator.foundation.errors import ProfileError
from simulator.profiles.hardware import Hardware


@dataclass(frozen=True)
class Layer:
    """One operation of a network."""

    name: str
    kind: str
    """Type as the framework names it, such as ``Conv2d``."""
    operator: str
    """Class of operators that share rates: conv, pointwise, depthwise, linear, norm, activation, pool ..."""
    parents: tuple[str, ...]
    """Names of the layers (or the input) it reads."""
    flops: float
    """Floating-point operations (1 MAC = 2 FLOP)."""
    in_bytes: float
    out_bytes: float
    param_bytes: float
    """Parameters and buffers [B]."""
    alias: bool = False
    """True for a view: its bytes are its first parent's."""
    cut_ok: bool = True
    """False where no cut may follow (the value is a tuple)."""


@dataclass(frozen=True)
class Cut:
    """A place where the network may be cut: before layer ``index``."""

    index: int
    tensors: tuple[str, ...]
    """What crosses, by the name of the layer that made it."""
    bytes: float


@dataclass(frozen=True)
class TrainingTimes:
    """Seconds per layer of one training step on one machine, and what it keeps in memory; all of shape (layers,)."""

    forward: tuple[float, ...]
    """Forward as it is in training (batch norm takes statistics, tensors are kept) [s]."""
    backward: tuple[float, ...]
    optimizer: tuple[float, ...]
    """The layer's part of the optimiser's step (SGD with momentum) [s]."""
    saved_bytes: tuple[float, ...]
    """What the layer keeps between forward and backward [B]."""
    loss: float = 0.0
    """The loss, forward and backward, and the start of autograd: once a step, where the last layer is [s]."""

    @property
    def total(self) -> float:
        """One whole training step [s]."""
        return math.fsum((*self.forward, *self.backward, *self.optimizer, self.loss))


@dataclass(frozen=True)
class LayerTimes:
    """Seconds per layer on one machine, with the repeats to resample from."""

    hardware: str
    seconds: tuple[float, ...]
    """Median per layer [s], shape (layers,)."""
    repeats: tuple[tuple[float, ...], ...] = ()
    """Whole measured runs [s], shape (repeats, layers); empty where nothing was repeated."""
    grade: str = "measured"
    source: str = ""
    load: float | None = None
    """What it takes to load the whole model's weights from memory-cached storage [s]; None where nobody measured."""
    first_call: float | None = None
    """What the whole model's first call takes longer than a warm one [s]; None where nobody measured."""
    training: TrainingTimes | None = None
    """The same machine's times in training; None where nobody measured."""

    def prefix(self, repeat: int | None = None) -> list[float]:
        """Return the time until each cut [s], shape (layers + 1,): of the medians, or of one repeat."""
        row = self.seconds if repeat is None else self.repeats[repeat]
        return [0.0, *accumulate(row)]


@dataclass(frozen=True)
class ModelProfile:
    """A network as measured: its graph and its times per machine."""

    name: str
    input: str
    """Name of the input tensor in the graph."""
    input_bytes: float
    layers: tuple[Layer, ...]
    batch: int = 1
    resolution: str = ""
    """Input size as written in the profile's name, such as ``224``."""
    measured: Mapping[str, LayerTimes] = field(default_factory=dict, compare=False, hash=False)
    """Times by hardware name."""

    def __post_init__(self) -> None:
        """Refuse a graph that is not one.

        Raises:
            ProfileError: empty, a name twice, or a parent that does not stand before its child.
        """
        seen = {self.input}
        if not self.layers:
            raise ProfileError(f"{self.name}: a profile needs at least one layer")
        for layer in self.layers:
            for parent in layer.parents:
                if parent not in seen:
                    raise ProfileError(f"{self.name}: {layer.name} reads {parent!r}, which does not stand before it")
            if layer.name in seen:
                raise ProfileError(f"{self.name}: two layers are named {layer.name!r}")
            seen.add(layer.name)

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.layers)

    def graph(self) -> nx.DiGraph[str]:
        """Return the layer graph, with the input as a node and each ``Layer`` under the key ``layer``."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node(self.input)
        for layer in self.layers:
            graph.add_node(layer.name, layer=layer)
            graph.add_edges_from((parent, layer.name) for parent in layer.parents)
        return graph

    def cuts(self) -> tuple[Cut, ...]:
        """Return every valid cut, from 0 (all away) to ``len(self)`` (all here; only the answer crosses)."""
        roots = {self.input: self.input}
        size = {self.input: self.input_bytes}
        last = {self.input: -1}
        for index, layer in enumerate(self.layers):
            roots[layer.name] = roots[layer.parents[0]] if layer.alias and layer.parents else layer.name
            size[layer.name] = layer.out_bytes
            for parent in layer.parents:
                last[parent] = index
        last[self.layers[-1].name] = len(self.layers)
        live: dict[str, None] = {self.input: None}
        cuts = [Cut(0, (self.input,), self.input_bytes)]
        for index, layer in enumerate(self.layers):
            live = {name: None for name in [*live, layer.name] if last.get(name, -1) > index}
            if layer.cut_ok:
                crossing: dict[str, float] = {}
                for name in live:  # a tensor and its views are one
                    crossing[roots[name]] = max(crossing.get(roots[name], 0.0), size[name])
                cuts.append(Cut(index + 1, tuple(crossing), math.fsum(crossing.values())))
        return tuple(cuts)

    def parameters(self, start: int, stop: int) -> float:
        """Return the parameter bytes of layers [start, stop)."""
        return math.fsum(layer.param_bytes for layer in self.layers[start:stop])

    def peak_activation(self, start: int, stop: int) -> float:
        """Return the most bytes of activations alive at once while layers [start, stop) run.

        Liveness over the graph; lower than a measured peak by 1 to 8 % (temporaries inside a layer are not seen).
        """
        root = {self.input: self.input}
        last: dict[str, int] = {}  # when a tensor is read last, by itself or through a view of it
        for index, layer in enumerate(self.layers):
            root[layer.name] = root[layer.parents[0]] if layer.alias and layer.parents else layer.name
            for parent in layer.parents:
                last[root[parent]] = index
        last[root[self.layers[-1].name]] = len(self.layers)
        alive = {self.input: self.input_bytes}
        peak = 0.0
        for index, layer in enumerate(self.layers[:stop]):
            if root[layer.name] == layer.name:
                alive[layer.name] = layer.out_bytes
            if index >= start:
                peak = max(peak, sum(alive.values()))
            alive = {name: there for name, there in alive.items() if last.get(name, -1) > index}
        return peak

    def times_on(self, hardware: Hardware) -> LayerTimes:
        """Return the layer times on *hardware*: measured there, else predicted from its rates.

        A prediction borrows the spread of repeats measured elsewhere (relative to their medians), so that it varies
        as a real run does; its grade is that of the rates.

        Raises:
            ProfileError: if it was never profiled there and the machine has no rates for its operators.
        """
        if hardware.name in self.measured:
            return self.measured[hardware.name]
        if hardware.rates is None:
            where = ", ".join(sorted(self.measured)) or "nowhere"
            raise ProfileError(
                f'model "{self.name}" was not profiled on "{hardware.name}" (only on: {where}), and that machine has '
                f"no rates to predict it; profile it there with: offing profile {self.name} --hardware {hardware.name}"
            )
        return self.predicted_on(hardware)

    def predicted_on(self, hardware: Hardware) -> LayerTimes:
        """Return the layer times on *hardware* as its rates predict them, whether it was measured there or not.

        What rates do not know is borrowed from a machine that was measured: the spread of the repeats, relative to
        their medians, and load and first call, scaled by the ratio of the summed layer times. The grade is that of
        the rates.

        Raises:
            ProfileError: if the machine has no rates, or none for the class of one of the layers.
        """
        rates = hardware.rates
        if rates is None:
            raise ProfileError(
                f'model "{self.name}" cannot be predicted on "{hardware.name}": that machine has no rates; write them '
                f"in {hardware.source or 'its hardware file'} as rates: {{grade, source, launch, operators}}"
            )
        seconds = tuple(
            rates.seconds(
                layer.operator,
                layer.flops,
                layer.in_bytes + layer.out_bytes + layer.param_bytes,
                f'{layer.name} of "{self.name}" on "{hardware.name}"',
            )
            for layer in self.layers
        )
        repeats: tuple[tuple[float, ...], ...] = ()
        load = first_call = None
        for times in self.measured.values():
            if not repeats:
                repeats = tuple(_spread(seconds, run, times.seconds) for run in times.repeats)
            slower = _ratio(math.fsum(seconds), math.fsum(times.seconds))
            if load is None and times.load is not None:
                load = times.load * slower
            if first_call is None and times.first_call is not None:
                first_call = times.first_call * slower
        grade = rates.grade_of(layer.operator for layer in self.layers)
        return LayerTimes(hardware.name, seconds, repeats, grade, rates.source, load, first_call)


def _ratio(here: float, there: float) -> float:
    return here / there if there > 0 else 1.0


def _spread(seconds: Sequence[float], run: Sequence[float], medians: Sequence[float]) -> tuple[float, ...]:
    """Return *seconds* varied as *run* varies around its *medians*."""
    return tuple(second * _ratio(there, median) for second, there, median in zip(seconds, run, medians, strict=True))
