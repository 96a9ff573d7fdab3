"""Does the table of layers predict what it has never seen: head and tail of a split model, run by themselves?

For some cuts spread over the network both parts run as models of their own, in turn with the whole, so that all of
them have seen the same minutes of the machine. The head's time is then held against the sum of its layers in the
table, the tail's against the rest. What each part took is kept beside the profile (``….checks.csv``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from calibration.profiling.graph import NodeFacts, at_the_root, split, tensors_in
from calibration.profiling.ticks import WALL, Clock
from calibration.profiling.training import loss_of

Times = tuple[int, int]
"""(gate's clock, wall clock) [ns]."""


@dataclass(frozen=True)
class Check:
    """What one part of a split model took, medians over the rounds [ns]."""

    mode: str
    """``inference`` or ``training``."""
    cut: int
    """The row of the profile after which it was cut."""
    part: str
    """``head`` or ``tail``."""
    cpu_ns: int
    wall_ns: int
    reps: int


def spread_cuts(facts: Sequence[NodeFacts], count: int) -> list[int]:
    """Return up to *count* valid cuts, evenly spread over the layers (neither before the first nor after the last)."""
    valid = [i for i, fact in enumerate(facts[:-1]) if fact.cut_ok and i > 0]
    if not valid or count < 1:
        return []
    wanted = [len(facts) * (k + 1) / (count + 1) for k in range(count)]
    return sorted({min(valid, key=lambda i: abs(i - at)) for at in wanted})


class SplitModel:
    """A traced model cut in two, each part a model of its own."""

    def __init__(self, traced: fx.GraphModule, cut: int, clock: Clock) -> None:
        """Cut *traced* after node number *cut*."""
        self.cut, self.clock = cut, clock
        self.head, self.tail = (at_the_root(part) for part in split(traced, cut))

    def infer(self, example: torch.Tensor) -> dict[str, Times]:
        """Run both parts once without gradients."""
        clock = self.clock
        wall, start = WALL(), clock()
        carried = self.head(example)
        middle, half = clock(), WALL()
        self.tail(*carried)
        end, last = clock(), WALL()
        return {"head": (middle - start, half - wall), "tail": (end - middle, last - half)}

    def train(self, example: torch.Tensor) -> dict[str, Times]:
        """Run a split training step without the optimiser: head, tail with loss and backward, head's backward."""
        clock = self.clock
        walls, stamps = [WALL()], [clock()]

        def stamp() -> None:
            stamps.append(clock())
            walls.append(WALL())

        carried = self.head(example)
        stamp()
        received = [_received(value) for value in carried]
        stamp()
        loss_of(self.tail(*received)).backward()
        stamp()
        pairs = [(value, there.grad) for value, there in zip(carried, received, strict=True) if _needs(value, there)]
        stamp()
        if pairs:
            torch.autograd.backward([value for value, _ in pairs], [grad for _, grad in pairs])
        stamp()
        for parameter in (*self.head.parameters(), *self.tail.parameters()):
            parameter.grad = None
        spent = [(stamps[i + 1] - stamps[i], walls[i + 1] - walls[i]) for i in range(len(stamps) - 1)]
        (forward, forward_wall), _, tail, _, (backward, backward_wall) = spent
        return {"head": (forward + backward, forward_wall + backward_wall), "tail": tail}


def _received(value: Any) -> Any:
    """Return what the other side gets: the same numbers without history, ready to take a gradient."""
    if not isinstance(value, torch.Tensor):
        return value
    fresh = value.detach()
    return fresh.requires_grad_() if value.requires_grad else fresh


def _needs(value: Any, there: Any) -> bool:
    return bool(tensors_in(value)) and value.requires_grad and there.grad is not None
