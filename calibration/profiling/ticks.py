"""One clock read after every layer: the traced graph, with the clock as one more node between its nodes.

The generated Python is the plain model plus one call of a C function per layer, and the reads come back as the
graph's second result. Timing from outside costs more than small layers do: fx.Interpreter adds some 7 us a node, hooks
miss functional layers. Two clocks are used in alternate runs. The thread's CPU clock says what the layer costs on a
shared machine (but not what other threads did for it, so it is used with one thread only); the wall clock says what a
user waits.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import fx, nn

from calibration.profiling.graph import at_the_root

Clock = Callable[[], int]
"""Returns nanoseconds."""

CPU: Clock = time.thread_time_ns
"""CPU time of this thread; a read costs about 0.6 us, since it asks the kernel."""
WALL: Clock = time.perf_counter_ns
"""Wall time; a read costs about 0.05 us."""


def with_ticks(traced: fx.GraphModule, clock: Clock) -> fx.GraphModule:
    """Return the graph returning ``(result, reads)``: one read at the start and one after each layer.

    ``reads`` has one entry more than :func:`timed_nodes`; layer ``i`` took ``reads[i + 1] - reads[i]``,
    the cost of one clock read included.
    """
    plain, graph = at_the_root(traced), fx.Graph()
    made: dict[fx.Node, fx.Node] = {}
    reads: list[fx.Node] = []
    for node in plain.graph.nodes:
        if node.op == "output":
            graph.output((fx.map_arg(node.args[0], made.__getitem__), tuple(reads)))
            continue
        if not reads and node.op != "placeholder":
            reads.append(graph.call_function(clock))
        made[node] = graph.node_copy(node, made.__getitem__)
        if reads:
            reads.append(graph.call_function(clock))
    return fx.GraphModule(plain, graph)


def timed_nodes(traced: fx.GraphModule) -> list[str]:
    """Return the names of the nodes that :func:`with_ticks` times: all but the input and the output."""
    return [node.name for node in traced.graph.nodes if node.op not in ("placeholder", "output")]


def once(model: nn.Module, example: torch.Tensor, clock: Clock) -> int:
    """Return what one call of *model* takes [ns]."""
    start = clock()
    model(example)
    return clock() - start


def tick_overhead_ns(clock: Clock, reads: int = 200, rounds: int = 25) -> int:
    """Return what one read adds to a layer [ns]: the median over *rounds* of the mean gap of back-to-back reads.

    Measured inside a generated graph, as in the profile itself. The mean, because the thread clock ticks in steps
    of 10 ns or more on some kernels.
    """
    graph = fx.Graph()
    graph.output(tuple(graph.call_function(clock) for _ in range(reads)))
    module = fx.GraphModule(nn.Module(), graph)
    gaps: list[float] = []
    for _ in range(rounds):
        values = module()
        gaps.append((values[-1] - values[0]) / (reads - 1))
    return round(statistics.median(gaps))
