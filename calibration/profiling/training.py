"""One training step, layer by layer: forward as it is in training, backward, and the optimiser.

The backward pass is timed inside one ordinary backward pass. When the forward pass is done, each layer's result names
the autograd node that will hand its gradient on; a hook before that node reads the clock. Autograd works through the
nodes in the reverse order of their making, so whatever runs between two hooks belongs to the layer of the first one:
its own nodes, the sums of gradients where paths join, and the gradients of its parameters. Nothing is cut, detached or
kept alive, so gradients are those of the model and memory behaves as it does without us; what each hook costs
(``bwd_call_overhead_ns``) is measured by itself and taken off when a profile is read. The other way, running each
layer on detached inputs and calling autograd once per layer, adds some 15 us of a call to each layer, two to three
times that on real models, and needs a fitted constant (see docs/explanation/calibration.md).

With one thread, and on the CPU, autograd works on the calling thread, so the thread's CPU clock sees it all.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom fx.Interpreter is Any)

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from calibration.profiling.graph import at_the_root, tensors_in
from calibration.profiling.ticks import CPU, WALL, Clock, timed_nodes
from simulator.foundation.errors import ProfileError

Samples = npt.NDArray[np.int64]
GATE = 0.05
"""Largest allowed relative difference between the sum of the layers and the whole training step."""
_RATE, _MOMENTUM = 1e-4, 0.9


@dataclass(frozen=True)
class Step:
    """One training step by layers [ns]; a clock read is in each forward time, a hook in each backward time."""

    forward: Samples
    """Shape (nodes,)."""
    forward_wall: Samples
    backward: Samples
    """Gate's clock, shape (nodes,); 0 where no gradient passes."""
    backward_wall: Samples
    """Wall clock, shape (nodes,)."""
    loss: int
    """The loss: forward, backward, and the start of autograd."""


@dataclass(frozen=True)
class Whole:
    """One training step of the plain model [ns]; wall times beside those of the gate's clock."""

    forward: int
    loss: int
    backward: int
    optimizer: int
    wall: int

    @property
    def total(self) -> int:
        """All four."""
        return self.forward + self.loss + self.backward + self.optimizer


class Trainer:
    """A model in training: steps of it as a whole, and with the clock read at each layer.

    Both ways work on the same parameters. The optimiser is SGD with momentum; the loss is the mean square of what the
    model returns, so that any model has one.
    """

    def __init__(self, model: nn.Module, traced: fx.GraphModule, clock: Clock = CPU) -> None:
        """Take the model and its trace, both in training mode."""
        self.model, self.traced, self.clock = model, traced, clock
        self.names = timed_nodes(traced)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=_RATE, momentum=_MOMENTUM)
        self._marks: list[tuple[int, int]] = []
        self._makers: list[tuple[Any, ...]] = []
        self._loss = torch.zeros(())
        self._loss_ns = 0
        self._graph = self._watched()

    def whole(self, example: torch.Tensor) -> Whole:
        """Run one step of the plain model, the optimiser included."""
        clock = self.clock
        wall = WALL()
        start = clock()
        result = self.model(example)
        forward = clock()
        loss = loss_of(result)
        lost = clock()
        loss.backward()
        backward = clock()
        self.optimizer.step()
        self.optimizer.zero_grad()
        stepped = clock()
        return Whole(forward - start, lost - forward, backward - lost, stepped - backward, WALL() - wall)

    def layers(self, example: torch.Tensor) -> Step:
        """Run forward and backward once with the clock read at each layer; parameters stay as they are."""
        reads, walls = self._forward(example)
        loss, start = self._loss, self.clock()
        loss.backward()
        end, ended = self.clock(), WALL()
        self.model.zero_grad()
        begun_at, done_at = np.array(self._marks[:-1:2]), np.array(self._marks[1::2])
        forward, forward_wall = (done_at - begun_at).T
        times = np.zeros((2, len(self.names)), dtype=np.int64)
        for row, stamps, last in ((0, reads, end), (1, walls, ended)):
            for (k, at), (_, until) in zip(stamps, [*stamps[1:], (-1, last)], strict=True):
                times[row, k] += until - at
        first = reads[0][1] if reads else end
        return Step(forward, forward_wall, times[0], times[1], self._loss_ns + first - start)

    def _forward(self, example: torch.Tensor) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Run forward and the loss and put the hooks in place; return the lists that they will fill."""
        self._marks.clear()
        self._makers.clear()
        result = self._graph(example)
        start = self.clock()
        self._loss = loss_of(result)
        self._loss_ns = self.clock() - start
        reads: list[tuple[int, int]] = []
        walls: list[tuple[int, int]] = []
        seen: set[Any] = set()
        for k, makers in enumerate(self._makers):
            for maker in makers:
                if maker is not None and maker not in seen:  # a layer that hands its input on made nothing
                    seen.add(maker)
                    maker.register_prehook(_hook(k, self.clock, reads, walls))
        self._makers.clear()
        return reads, walls

    def _begin(self) -> None:
        self._marks.append((self.clock(), WALL()))

    def _note(self, value: Any) -> None:
        self._marks.append((self.clock(), WALL()))
        one = isinstance(value, torch.Tensor)
        self._makers.append((value.grad_fn,) if one else tuple(tensor.grad_fn for tensor in tensors_in(value)))
        self._marks.append((self.clock(), WALL()))

    def tick_overhead_ns(self, reads: int = 200, rounds: int = 25) -> int:
        """Return what the reads add to each layer's forward time [ns], from notes taken back to back."""
        nothing, gaps = torch.zeros(()), []
        for _ in range(rounds):
            self._marks.clear()
            self._begin()
            for _ in range(reads):
                self._note(nothing)
            stamps = [at for at, _ in self._marks]
            gaps.append(sum(b - a for a, b in zip(stamps[:-1:2], stamps[1::2], strict=True)) / reads)
        self._makers.clear()
        return round(statistics.median(gaps))

    def _watched(self) -> fx.GraphModule:
        """Return the graph with two clock reads after each layer, and between them a note of who made the result."""
        plain, graph = at_the_root(self.traced), fx.Graph()
        made: dict[fx.Node, fx.Node] = {}
        begun = False
        for node in plain.graph.nodes:
            if node.op not in ("placeholder", "output") and not begun:
                begun = True
                graph.call_function(self._begin)
            made[node] = graph.node_copy(node, made.__getitem__)
            if node.op not in ("placeholder", "output"):
                graph.call_function(self._note, (made[node],))
        return fx.GraphModule(plain, graph)


def loss_of(result: Any) -> torch.Tensor:
    """Return the mean square of all that a model returns: a loss that any model has."""
    return sum((tensor.square().mean() for tensor in tensors_in(result)), start=torch.zeros(()))


def _hook(k: int, clock: Clock, reads: list[tuple[int, int]], walls: list[tuple[int, int]]) -> Callable[[Any], None]:
    def hook(_: Any) -> None:
        walls.append((k, WALL()))
        reads.append((k, clock()))

    return hook


def hook_overhead_ns(clock: Clock, layers: int = 300, rounds: int = 25) -> int:
    """Return what one hook adds to a backward pass [ns]: a chain of tiny layers with and without, median of rounds."""
    times: tuple[list[int], list[int]] = [], []
    for i in range(2 * rounds):
        value = torch.ones(8, requires_grad=True)
        reads: list[tuple[int, int]] = []
        walls: list[tuple[int, int]] = []
        for k in range(layers):
            value = value * 1.0
            if i % 2 and value.grad_fn is not None:
                value.grad_fn.register_prehook(_hook(k, clock, reads, walls))
        end = value.sum()
        start = clock()
        end.backward()
        times[i % 2].append(clock() - start)
    return max(0, round((statistics.median(times[1]) - statistics.median(times[0])) / layers))


def optimizer_shares(traced: fx.GraphModule, clock: Clock = CPU) -> npt.NDArray[np.float64]:
    """Return each timed node's share of the optimiser's time, shape (nodes,), summing to 1 (or 0 without parameters).

    A node's weight is ``per_tensor * parameter tensors + per_byte * bytes``, both costs measured here on parameters
    of our own. A parameter used by several nodes counts at the first.
    """
    per_tensor, per_byte = _optimizer_costs(clock)
    seen: set[int] = set()
    weights = []
    for node in traced.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        new = [p for p in parameters_of(traced, node) if id(p) not in seen]
        seen.update(map(id, new))
        weights.append(sum(per_tensor + per_byte * p.nbytes for p in new))
    total = sum(weights)
    return np.array(weights) / total if total else np.zeros(len(weights))


def parameters_of(traced: fx.GraphModule, node: fx.Node) -> list[nn.Parameter]:
    """Return the trainable parameters that a node reads."""
    if node.op == "call_module":
        return list(traced.get_submodule(str(node.target)).parameters())
    value = operator.attrgetter(str(node.target))(traced) if node.op == "get_attr" else None
    return [value] if isinstance(value, nn.Parameter) else []


def _optimizer_costs(clock: Clock, rounds: int = 9) -> tuple[float, float]:
    """Return (ns per parameter tensor, ns per byte) of one SGD step and zero_grad on this machine."""
    many, large = 64, 1 << 20
    small = _step_ns([torch.zeros(8) for _ in range(many)], clock, rounds) / many
    big = _step_ns([torch.zeros(large) for _ in range(4)], clock, rounds) / 4
    return small, max(0.0, big - small) / (4 * large)


def _step_ns(values: list[torch.Tensor], clock: Clock, rounds: int) -> float:
    parameters = [nn.Parameter(value) for value in values]
    optimizer = torch.optim.SGD(parameters, lr=_RATE, momentum=_MOMENTUM)
    times = []
    for _ in range(rounds + 2):
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        start = clock()
        optimizer.step()
        optimizer.zero_grad()
        times.append(clock() - start)
    return statistics.median(times[2:])


def saved_bytes(traced: fx.GraphModule, example: torch.Tensor) -> dict[str, int]:
    """Return the bytes that each node keeps for its backward pass, by name; a storage counts where it is first kept.

    Parameters and buffers, which are there anyway, do not count; the input does.

    Raises:
        ProfileError: if the model cannot be trained on *example*.
    """
    ours = {p.untyped_storage().data_ptr() for p in (*traced.parameters(), *traced.buffers())}
    seen: set[int] = set()
    kept: dict[str, int] = {}
    here = ""

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ours and storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            kept[here] = kept.get(here, 0) + storage.nbytes()
        return tensor

    class Watch(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            nonlocal here
            here = n.name
            return super().run_node(n)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        try:
            loss_of(Watch(traced, garbage_collect_values=False).run(example))
        except (RuntimeError, ValueError) as error:
            shape = "x".join(map(str, example.shape))
            raise ProfileError(f"{type(traced).__name__} cannot be trained on {shape}: {error}") from error
    kept.pop("output", None)
    return kept
