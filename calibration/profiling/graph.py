"""The layer graph of a model: what each layer computes, what it holds, and what crosses a cut after it.

Traced with torch.fx, because hooks on modules do not see functional layers (``+``, ``cat``, ``F.relu``) and so know no
valid cuts of a residual network. In-place layers are turned off first: they would make a cut's tensors depend on what
runs later. Every prefix of the topological order is a cut; what crosses it is what was produced before and is used
after, views of one storage counted once. A value that is a tuple cannot cross, so cuts wait until it is unpacked.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom fx.Interpreter is Any)

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from calibration.profiling.operators import operator_class
from simulator.foundation.errors import ProfileError

_OUT_OF_PLACE = {
    operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul,
    operator.itruediv: operator.truediv, operator.imatmul: operator.matmul, operator.ipow: operator.pow,
}  # fmt: skip


@dataclass(frozen=True)
class NodeFacts:
    """One row of a profile without its times. Sizes in bytes, FLOP with one multiply-add counted as two."""

    node: str
    op: str
    """``placeholder``, ``get_attr``, ``call_module``, ``call_function`` or ``call_method``."""
    kind: str
    """``Conv2d``, ``f.add``, ``m.view`` ..."""
    operator: str
    """Operator class, see :mod:`calibration.profiling.operators`."""
    target: str
    """Module path of a ``call_module`` or ``get_attr``, else empty."""
    parents: tuple[str, ...]
    """Nodes it reads; where it is a view, the viewed one first."""
    out_shape: tuple[tuple[int, ...], ...]
    """Shape of each tensor it returns."""
    flops: int
    in_bytes: int
    out_bytes: int
    params: int
    """Trainable numbers."""
    param_bytes: int
    """Parameters and buffers."""
    alias: bool
    """Shares its storage with the first parent, so it costs no memory."""
    live_n: int = 0
    """Tensors that cross a cut right after this node."""
    live_bytes: int = 0
    """Their bytes."""
    cut_ok: bool = True
    """False while a tuple would have to cross."""


def trace(model: nn.Module, example: torch.Tensor, training: bool = False) -> fx.GraphModule:
    """Return the model in evaluation (or training) mode as a graph without in-place layers.

    *model* itself is put into that mode and its in-place modules are switched off.

    Raises:
        ProfileError: if it cannot be traced, has more than one input, or the graph computes something else.
    """
    model.train(training)
    for module in model.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    expected = _run(model, example)
    try:
        traced = fx.symbolic_trace(model)
    except Exception as error:  # tracing runs the user's code on proxies: any exception can come out
        raise ProfileError(
            f"torch.fx cannot trace {type(model).__name__} ({type(error).__name__}: {error}); "
            "control flow that depends on tensor values has to move out of forward()"
        ) from error
    inputs = [node.name for node in traced.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise ProfileError(f"{type(model).__name__} takes {len(inputs)} inputs ({', '.join(inputs)}); expected one")
    for node in traced.graph.nodes:
        _make_out_of_place(node)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    if not _same(expected, _run(traced, example)):
        raise ProfileError(f"the traced graph of {type(model).__name__} computes something else than the model")
    return traced


def _run(module: nn.Module, example: torch.Tensor) -> Any:
    """Run once without gradients, always with the same dice, turning torch's complaint into one about the input."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return module(example)
    except (RuntimeError, ValueError) as error:  # the latter from batch norm, in training on one value per channel
        shape = "x".join(map(str, example.shape))
        raise ProfileError(f"{type(module).__name__} does not accept the input {shape}: {error}") from error


def _same(one: Any, other: Any) -> bool:
    """Equal up to rounding: a pure layer may lay out its result differently, and sums then add in another order."""
    a, b = tensors_in(one), tensors_in(other)
    return len(a) == len(b) and all(x.shape == y.shape and _close(x, y) for x, y in zip(a, b, strict=True))


def _close(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Compare to the largest entry, since random weights make all of them small."""
    scale = float(x.abs().max()) if x.numel() else 0.0
    return bool(torch.allclose(x, y, rtol=0.0, atol=1e-4 * scale, equal_nan=True))


def _make_out_of_place(node: fx.Node) -> None:
    """Replace ``x += y``, ``x.relu_()`` and ``relu(x, inplace=True)`` by their pure forms."""
    if node.kwargs.get("inplace") is True:
        node.kwargs = {**node.kwargs, "inplace": False}
    if node.op == "call_function" and node.target in _OUT_OF_PLACE:
        node.target = _OUT_OF_PLACE[node.target]
    name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
    if isinstance(name, str) and name.endswith("_") and not name.endswith("__"):
        home = torch.Tensor if node.op == "call_method" else torch
        if node.op in ("call_method", "call_function") and hasattr(home, name[:-1]):
            node.target = name[:-1] if node.op == "call_method" else getattr(torch, name[:-1])


def inspect(traced: fx.GraphModule, example: torch.Tensor) -> list[NodeFacts]:
    """Return the facts of every node but the output, in topological order, from one run on *example*."""
    inspector = _Inspector(traced)
    with torch.no_grad():
        inspector.run(example)
    nodes = [node for node in traced.graph.nodes if node.op != "output"]
    rows = []
    for i, node in enumerate(nodes):
        values = crossing(traced, i)
        sizes: dict[str, int] = {}
        for value in values:
            root = inspector.roots[value.name]
            sizes[root] = sizes.get(root, 0) + inspector.facts[value.name].out_bytes
        # Views of one storage: never more than the storage itself, nor more than the views together.
        sizes = {root: min(size, inspector.facts[root].out_bytes) for root, size in sizes.items()}
        sizes = {root: size for root, size in sizes.items() if size}
        ok = not any(value.name in inspector.tuples for value in values)
        rows.append(replace(inspector.facts[node.name], live_n=len(sizes), live_bytes=sum(sizes.values()), cut_ok=ok))
    return rows


def crossing(traced: fx.GraphModule, cut: int) -> list[fx.Node]:
    """Return the values that a cut after node number *cut* has to carry, in order of making.

    Parameters read by name (``get_attr``) do not cross: each side keeps its own copy.
    """
    order = {node: i for i, node in enumerate(traced.graph.nodes)}
    before = [node for node in order if order[node] <= cut and node.op != "get_attr"]
    return [node for node in before if any(order[user] > cut for user in node.users)]


def split(traced: fx.GraphModule, cut: int) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Cut after node number *cut*: the head returns a tuple of what crosses, the tail takes it as arguments."""
    values = crossing(traced, cut)
    nodes = list(traced.graph.nodes)
    head, tail = fx.Graph(), fx.Graph()
    made: dict[fx.Node, fx.Node] = {}
    for node in nodes[: cut + 1]:
        made[node] = head.node_copy(node, made.__getitem__)
    head.output(tuple(made[value] for value in values))
    made = {value: tail.placeholder(value.name) for value in values}
    for node in nodes[: cut + 1]:
        if node.op == "get_attr" and any(user in nodes[cut + 1 :] for user in node.users):
            made[node] = tail.node_copy(node)
    for node in nodes[cut + 1 :]:
        made[node] = tail.node_copy(node, made.__getitem__)
    return fx.GraphModule(traced, head), fx.GraphModule(traced, tail)


def at_the_root(traced: fx.GraphModule) -> fx.GraphModule:
    """Return the graph with its modules and parameters hung at its root, where a call finds them at once.

    Looking up self.a.b.c costs 0.3 us a dot, which the model as written does not pay.
    """
    graph = fx.Graph()
    made: dict[fx.Node, fx.Node] = {}
    root: dict[str, Any] = {}
    for node in traced.graph.nodes:
        copy = made[node] = graph.node_copy(node, made.__getitem__)
        if node.op in ("call_module", "get_attr"):
            copy.target = f"part_{len(root)}"
            root[copy.target] = operator.attrgetter(str(node.target))(traced)
    return fx.GraphModule(root, graph)


class _Inspector(fx.Interpreter):
    """Runs the graph node by node and keeps what :class:`NodeFacts` needs, not the tensors."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.facts: dict[str, NodeFacts] = {}
        self.roots: dict[str, str] = {}
        """Node → the node that owns its storage."""
        self.tuples: set[str] = set()

    def run_node(self, n: fx.Node) -> Any:
        """Run *n* under the FLOP counter and note its row."""
        with FlopCounterMode(display=False) as counter:
            value = super().run_node(n)
        if n.op != "output":
            self._note(n, value, counter.get_total_flops())
        return value

    def _note(self, node: fx.Node, value: Any, flops: int) -> None:
        tensors = tensors_in(value)
        if not isinstance(value, torch.Tensor) and tensors:
            self.tuples.add(node.name)
        parents = list(node.all_input_nodes)
        storages = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        viewed = [p for p in parents if storages & {t.untyped_storage().data_ptr() for t in tensors_in(self.env[p])}]
        self.roots[node.name] = self.roots[viewed[0].name] if viewed else node.name
        if viewed:
            parents = [viewed[0]] + [parent for parent in parents if parent is not viewed[0]]
        module = self.module.get_submodule(str(node.target)) if node.op == "call_module" else None
        params, param_bytes = _weights(module, value if node.op == "get_attr" else None)
        self.facts[node.name] = NodeFacts(
            node=node.name,
            op=node.op,
            kind=kind_of(node, module),
            operator=operator_class(node, module),
            target=str(node.target) if node.op in ("call_module", "get_attr") else "",
            parents=tuple(parent.name for parent in parents),
            out_shape=tuple(tuple(tensor.shape) for tensor in tensors),
            flops=int(flops),
            in_bytes=sum(_nbytes(tensors_in(self.env[parent])) for parent in parents),
            out_bytes=_nbytes(tensors),
            params=params,
            param_bytes=param_bytes,
            alias=bool(viewed),
        )


def kind_of(node: fx.Node, module: nn.Module | None) -> str:
    """Return the type name in the ``kind`` column."""
    if module is not None:
        return type(module).__name__
    if node.op == "call_function":
        return f"f.{getattr(node.target, '__name__', node.target)}"
    return f"m.{node.target}" if node.op == "call_method" else node.op


def _weights(module: nn.Module | None, attribute: Any) -> tuple[int, int]:
    """Return (trainable numbers, bytes with buffers) of a layer or of a parameter read by name."""
    if module is not None:
        parameters = list(module.parameters())
        return sum(p.numel() for p in parameters), _nbytes([*parameters, *module.buffers()])
    if isinstance(attribute, torch.Tensor):
        return attribute.numel() if isinstance(attribute, nn.Parameter) else 0, _nbytes([attribute])
    return 0, 0


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Return the tensors in a value, a tuple, a list or a dict of values."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in tensors_in(part)]
    return []


def _nbytes(tensors: Sequence[torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)
