"""What the rounds of one attempt gave, and how far the layers are from adding up to the whole."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from calibration.profiling.training import Step, Whole

Samples = npt.NDArray[np.int64]
Parts = dict[tuple[int, str], Samples]
"""Times of each round (gate's clock, wall) [ns] of each (cut, part), shape (rounds, 2)."""


@dataclass(frozen=True)
class Timing:
    """One attempt at the forward pass: times of each round [ns], clock reads included in the layers'."""

    plain_cpu: Samples  # (rounds,)
    plain_wall: Samples  # (rounds,)
    nodes_cpu: Samples  # (rounds, nodes)
    nodes_wall: Samples  # (rounds, nodes)
    tick_ns: int
    """What one read of the gate's clock costs."""
    parts: Parts = field(default_factory=dict)
    tick_taken_off: bool = False
    """True where the layers' times hold no clock read any more."""

    @property
    def sum_ns(self) -> float:
        """Sum over the layers of their median, one clock read less each, never below zero [ns]."""
        return sum_of_medians(self.nodes_cpu, 0 if self.tick_taken_off else self.tick_ns)

    @property
    def plain_ns(self) -> float:
        """Median of the plain forward pass [ns]."""
        return float(np.median(self.plain_cpu))

    @property
    def additivity(self) -> float:
        """Sum of the layers over the whole, minus one."""
        return self.sum_ns / self.plain_ns - 1.0

    @property
    def wall_ratio(self) -> float:
        """Wall time over CPU time of the plain forward pass: above 1.05 the core was not ours alone."""
        return float(np.median(self.plain_wall)) / self.plain_ns


@dataclass(frozen=True)
class TrainingTiming:
    """One attempt at the training step."""

    wholes: list[Whole]
    steps: list[Step]
    tick_ns: int
    hook_ns: int
    """What one hook adds to a backward pass."""
    parts: Parts = field(default_factory=dict)

    def median(self, what: str) -> float:
        """Median over the rounds of one part of the plain model's step [ns]."""
        return float(np.median([getattr(whole, what) for whole in self.wholes]))

    def nodes(self, what: str) -> npt.NDArray[np.float64]:
        """Median over the rounds of each layer's ``forward``, ``backward`` or ``backward_wall`` [ns]."""
        return np.asarray(np.median([getattr(step, what) for step in self.steps], axis=0))

    @property
    def loss_ns(self) -> float:
        """Median of the loss, its forward and backward and the start of autograd [ns]."""
        return float(np.median([step.loss for step in self.steps]))

    @property
    def sum_ns(self) -> float:
        """All layers forward and backward, the loss and the optimiser [ns]."""
        back = self.nodes("backward")
        layers = np.maximum(self.nodes("forward") - self.tick_ns, 0) + np.maximum(back - self.hook_ns, 0)
        return float(layers.sum()) + self.loss_ns + self.median("optimizer")

    @property
    def additivity(self) -> float:
        """Sum of the layers over the whole step, minus one."""
        return self.sum_ns / self.median("total") - 1.0


def sum_of_medians(samples: Samples, tick_ns: int) -> float:
    """Return the sum over the layers of their medians, one clock read less each, never below zero [ns]."""
    return float(np.maximum(np.median(samples, axis=0) - tick_ns, 0.0).sum())
