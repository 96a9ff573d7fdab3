"""Measure a model layer by layer, and refuse the result unless the layers add up to the whole.

Each round runs, for every batch size in turn, the plain model, its two ticked copies and the parts of some splits one
after the other, so that all sides of every comparison see the same minutes of a shared machine. The median per layer is
taken over the rounds. The gate: the sum of the layers' medians, less one clock read each, has to be within 3 % of the
plain model's median, and of a training step within 5 %. Wall-to-CPU ratio and reference kernels are recorded beside it
as flags: they say what the day was like, not whether the table is wrong.
"""

from __future__ import annotations

import datetime
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from calibration.profiling import training as learning
from calibration.profiling.checks import Check, SplitModel, Times, spread_cuts
from calibration.profiling.graph import NodeFacts, inspect, trace
from calibration.profiling.machine import flushing_denormals, malloc_settings, reference_kernels, steady_memory
from calibration.profiling.memory import peak_inference_bytes, peak_training_bytes
from calibration.profiling.ticks import CPU, WALL, Clock, once, tick_overhead_ns, timed_nodes, with_ticks
from calibration.profiling.timing import Parts, Timing, TrainingTiming, sum_of_medians
from calibration.profiling.training import Trainer
from calibration.zoo import Progress, Recipe
from simulator.foundation.errors import ProfileError

GATE = 0.03
"""Largest allowed relative difference between the sum of the layers and the whole forward pass."""
RETRIES = 5
WARM_UP = 3
BUDGET = 30.0
"""Seconds that an attempt may take for each batch size; fewer rounds are made where they would take longer."""
LEAST_ROUNDS = 7
_REST = 0.05  # seconds of sleep that make the next run a cold one
_COLD_RUNS = 11
_SHORT = 20_000_000  # ns; what takes less is run once untimed, since another batch has just been through the caches
_WALL_LIMIT, _DRIFT_LIMIT = 1.05, 0.05


@dataclass(frozen=True)
class TrainingTable:
    """What a profile says of training."""

    timing: TrainingTiming
    shares: npt.NDArray[np.float64]
    """Each timed node's share of the optimiser's time."""
    saved: dict[str, int]
    """Bytes that each node keeps for its backward pass."""


@dataclass(frozen=True)
class Measurement:
    """A model's profile, ready to be stored."""

    recipe: Recipe
    batch: int
    facts: list[NodeFacts]
    timed: list[str]
    """Names of the timed nodes, the columns of ``timing.nodes_*``."""
    timing: Timing
    summary: dict[str, Any]
    """The profile's entry in ``machine.json``."""
    training: TrainingTable | None = None
    checks: list[Check] = field(default_factory=list)


@dataclass(frozen=True)
class How:
    """What is the same for all profiles of a run."""

    threads: int = 1
    """torch's threads within an operator. With more than one the thread's CPU clock misses the others' work, so the
    wall clock takes its place (``clock: wall`` in the summary)."""
    repeats: int = 31
    """Rounds per attempt; fewer are made where they would take longer than :data:`BUDGET`."""
    steady: bool = True
    """Keep memory between layers, see :func:`calibration.profiling.machine.steady_memory`."""
    accept: bool = False
    """Keep the best attempt even if it fails the gate."""
    device: str = "cpu"
    """``cpu``, ``cuda``, or ``cuda-graph`` for the replay of a captured graph."""
    splits: int = 3
    """Cuts at which head and tail are run by themselves, to be held against the sums of their layers."""

    def __post_init__(self) -> None:
        """Refuse what no profile can be taken with, before the first is tried."""
        if self.threads < 1 or self.repeats < 3 or self.splits < 0:
            given = f"{self.threads}, {self.repeats}, {self.splits}"
            raise ProfileError(f"need --threads >= 1, --repeats >= 3, --splits >= 0; got {given}")
        if self.threads > (cores := os.cpu_count() or 1):
            raise ProfileError(f"--threads {self.threads}: this machine has {cores} cores")


@flushing_denormals()
def measure(
    recipe: Recipe,
    batches: Sequence[int] = (1,),
    how: How = How(),
    *,
    training: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Measurement]:
    """Profile one model on the processor at some batch sizes, measured in turn; with *training* the step as well.

    Raises:
        ProfileError: if the model cannot be built or traced, or no attempt passes the gate.
    """
    taken = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    steady = how.steady and steady_memory()
    torch.set_num_threads(how.threads)
    clock = CPU if how.threads == 1 else WALL
    cases = [_Case(recipe, batch, clock, training, how.splits) for batch in batches]
    with _quiet():
        before = reference_kernels(clock)
        forward = _best(cases, lambda left: _forward(left, how.repeats, clock, _label(progress, "forward")), GATE)
        steps = (
            _best(cases, lambda left: _training(left, how.repeats, clock, _label(progress, "training")), learning.GATE)
            if training
            else [(None, 0)] * len(cases)
        )
        after = reference_kernels(clock)  # before the rests below, in which the machine may change its pace
        colds = [_cold_cost(case.model, case.example, clock) for case in cases]
    made = []
    for case, (timing, retries), (step, again), cold_ns in zip(cases, forward, steps, colds, strict=True):
        summary = summarise(timing, retries, before, after, how.accept) | {
            "cold_cost_ns": max(0, round(cold_ns)),
            "peak_activation_bytes": peak_inference_bytes(case.model, case.example),
            "repeats": len(timing.plain_cpu),
            "batch": case.batch,
            "taken": taken,
            "input": list(recipe.shape),
            "clock": "cpu" if clock is CPU else "wall",
            "malloc": malloc_settings(steady),
        }
        made.append(case.measurement(timing, step, again, summary, how.accept))
    return made


class _Case:
    """A model at one batch size: all that is run in its turn."""

    def __init__(self, recipe: Recipe, batch: int, clock: Clock, training: bool, splits: int) -> None:
        self.recipe, self.batch = recipe, batch
        try:
            self.example = torch.randn((batch, *recipe.shape), generator=torch.Generator().manual_seed(1))
        except RuntimeError as error:
            raise ProfileError(f"an input of {recipe.tag} in batches of {batch} does not fit into memory") from error
        self.model: nn.Module = recipe.build().eval()
        self.traced = trace(self.model, self.example)
        self.facts = inspect(self.traced, self.example)
        self.cpu, self.wall = with_ticks(self.traced, clock), with_ticks(self.traced, WALL)
        cuts = spread_cuts(self.facts, splits)
        self.splits = [SplitModel(self.traced, cut, clock) for cut in cuts]
        self.trainer: Trainer | None = None
        self.train_splits: list[SplitModel] = []
        if training:
            learner = recipe.build()
            traced = trace(learner, self.example, training=True)
            if timed_nodes(traced) != timed_nodes(self.traced):
                raise ProfileError(f'"{recipe.name}" has other layers in training than in use; profile it without')
            self.saved = learning.saved_bytes(traced, self.example)
            self.trainer = Trainer(learner, traced, clock)
            self.train_splits = [SplitModel(traced, cut, clock) for cut in cuts]
            self.shares = learning.optimizer_shares(traced, clock)

    def measurement(
        self, timing: Timing, step: TrainingTiming | None, again: int, summary: dict[str, Any], accept: bool
    ) -> Measurement:
        """Put the results together."""
        table = None
        if step is not None and self.trainer is not None:
            table = TrainingTable(step, self.shares, self.saved)
            summary["training"] = _training_summary(step, again, accept, summary["flags"]) | {
                "peak_bytes": peak_training_bytes(self.trainer.model, self.example)
            }
            summary["bwd_call_overhead_ns"] = step.hook_ns
        checks = _checks("inference", timing.parts) + ([] if step is None else _checks("training", step.parts))
        return Measurement(
            self.recipe, self.batch, self.facts, timed_nodes(self.traced), timing, summary, table, checks
        )


_T = TypeVar("_T", Timing, TrainingTiming)


def _best(cases: list[_Case], attempt: Callable[[list[_Case]], list[_T]], gate: float) -> list[tuple[_T, int]]:
    """Attempt until all cases pass the gate; return each one's best attempt and how many retries it took."""
    best: dict[int, tuple[_T, int]] = {}
    left = cases
    for retry in range(RETRIES + 1):
        for case, result in zip(left, attempt(left), strict=True):
            kept = best.get(id(case))
            better = kept is None or abs(result.additivity) < abs(kept[0].additivity)
            best[id(case)] = (result if better or kept is None else kept[0], retry)
        left = [case for case in left if abs(best[id(case)][0].additivity) > gate]
        if not left:
            break
    return [best[id(case)] for case in cases]


def _rounds(cases: list[_Case], run: Callable[[_Case], Any], repeats: int, tell: Callable[[int, int], None]) -> Any:
    """Return what *run* gave for each case in each round, shape (cases, rounds); warm-ups are not among them."""
    kept: list[list[Any]] = [[] for _ in cases]
    i, rounds = -WARM_UP, repeats
    while i < rounds:
        start = time.perf_counter()
        for results, case in zip(kept, cases, strict=True):
            result = run(case)
            if i >= 0:
                results.append(result)
        if i == -1:
            affordable = int(BUDGET * len(cases) / (time.perf_counter() - start))
            rounds = min(repeats, max(LEAST_ROUNDS, affordable))
        i += 1
        tell(i, rounds)
    return kept


def _forward(cases: list[_Case], repeats: int, clock: Clock, tell: Callable[[int, int], None]) -> list[Timing]:
    """Make one attempt at the forward pass of each case."""
    tick_ns = tick_overhead_ns(clock)

    def run(case: _Case) -> Any:
        if once(case.model, case.example, WALL) < _SHORT:
            case.model(case.example)  # twice: the first may have met cold caches
        wall, cpu = WALL(), clock()
        case.model(case.example)
        cpu, wall = clock() - cpu, WALL() - wall
        reads, reads_wall = case.cpu(case.example)[1], case.wall(case.example)[1]
        parts = {part.cut: part.infer(case.example) for part in case.splits}
        return cpu - tick_ns, wall - 2 * tick_ns, np.diff(reads), np.diff(reads_wall), parts

    with torch.inference_mode():
        kept = _rounds(cases, run, repeats, tell)
    timings = []
    for rounds in kept:
        cpu, wall, nodes_cpu, nodes_wall, parts = zip(*rounds, strict=True)
        timings.append(
            Timing(np.array(cpu), np.array(wall), np.array(nodes_cpu), np.array(nodes_wall), tick_ns, _parts(parts))
        )
    return timings


def _training(cases: list[_Case], repeats: int, clock: Clock, tell: Callable[[int, int], None]) -> list[TrainingTiming]:
    """Make one attempt at the training step of each case."""
    hook_ns = learning.hook_overhead_ns(clock)
    pace: dict[int, int] = {}

    def run(case: _Case) -> Any:
        assert case.trainer is not None
        if pace.get(id(case), 0) < _SHORT:
            case.trainer.whole(case.example)
        whole = case.trainer.whole(case.example)
        pace[id(case)] = whole.total
        step = case.trainer.layers(case.example)
        return whole, step, {part.cut: part.train(case.example) for part in case.train_splits}

    timings = []
    for case, rounds in zip(cases, _rounds(cases, run, repeats, tell), strict=True):
        assert case.trainer is not None
        wholes, steps, parts = zip(*rounds, strict=True)
        tick_ns = case.trainer.tick_overhead_ns()
        timings.append(TrainingTiming(list(wholes), list(steps), tick_ns, hook_ns, _parts(parts)))
    return timings


def _parts(rounds: Sequence[dict[int, dict[str, Times]]]) -> Parts:
    return {(cut, part): np.array([seen[cut][part] for seen in rounds]) for cut in rounds[0] for part in rounds[0][cut]}


def _checks(mode: str, parts: Parts) -> list[Check]:
    medians = {key: np.median(samples, axis=0) for key, samples in parts.items()}
    return [
        Check(mode, cut, part, round(float(cpu)), round(float(wall)), len(parts[cut, part]))
        for (cut, part), (cpu, wall) in medians.items()
    ]


def _label(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _cold_cost(model: nn.Module, example: torch.Tensor, clock: Clock) -> float:
    """Return what 50 ms of rest add to the next run [ns]: the median of differences to a warm run just after."""
    costs = []
    with torch.inference_mode():
        for _ in range(_COLD_RUNS):
            time.sleep(_REST)
            cold, *_, warm = (once(model, example, clock) for _ in range(1 + WARM_UP))
            costs.append(cold - warm)
    return float(np.median(costs))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the garbage collector out of the timed rounds."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def summarise(
    timing: Timing, retries: int, before: dict[str, int], after: dict[str, int], accept: bool
) -> dict[str, Any]:
    """Judge the best attempt and return its entry, with a flag for all that was not as it should be."""
    drift = max((after[name] / before[name] - 1 for name in before), key=abs)
    flags: list[str] = []
    _judge("forward pass", timing.additivity, GATE, retries, accept, flags)
    if timing.wall_ratio > _WALL_LIMIT:
        flags.append(f"wall/CPU {timing.wall_ratio:.2f}, above {_WALL_LIMIT:.2f}: the core was shared")
    if abs(drift) > _DRIFT_LIMIT:
        flags.append(f"reference kernels moved {drift:+.1%}, beyond {_DRIFT_LIMIT:.0%}")
    return {
        "grade": "measured",
        "date": datetime.date.today().isoformat(),
        "plain_cpu_ns": round(timing.plain_ns),
        "plain_wall_ns": round(float(np.median(timing.plain_wall))),
        "sum_cpu_ns": round(timing.sum_ns),
        "sum_wall_ns": round(sum_of_medians(timing.nodes_wall, 0)),
        "additivity": round(timing.additivity, 5),
        "wall_ratio": round(timing.wall_ratio, 4),
        "kernel_drift": round(drift, 4),
        "kernels_before": before,
        "kernels_after": after,
        "tick_overhead_ns": timing.tick_ns,
        "retries": retries,
        "torch": torch.__version__,
        "flags": flags,
    }


def _training_summary(timing: TrainingTiming, retries: int, accept: bool, flags: list[str]) -> dict[str, Any]:
    """Judge the training step and return its part of the entry; *flags* are added to."""
    _judge("training step", timing.additivity, learning.GATE, retries, accept, flags)
    sums = timing.nodes("forward_wall").sum() + timing.nodes("backward_wall").sum()
    return {
        "step_cpu_ns": round(timing.median("total")),
        "step_wall_ns": round(timing.median("wall")),
        "forward_cpu_ns": round(timing.median("forward")),
        "backward_cpu_ns": round(timing.median("backward")),
        "optimizer_cpu_ns": round(timing.median("optimizer")),
        "loss_ns": round(timing.loss_ns),
        "sum_cpu_ns": round(timing.sum_ns),
        "sum_wall_ns": round(float(sums) + timing.loss_ns + timing.median("optimizer")),
        "additivity": round(timing.additivity, 5),
        "tick_overhead_ns": timing.tick_ns,
        "retries": retries,
        "repeats": len(timing.steps),
    }


def _judge(what: str, additivity: float, gate: float, retries: int, accept: bool, flags: list[str]) -> None:
    if abs(additivity) <= gate:
        return
    if not accept:
        raise ProfileError(
            f"the layers sum to {1 + additivity:.3f} of the plain {what} in the best of {retries + 1} attempts; "
            f"expected within {gate:.0%}. Nothing was written. Free the machine or pin the process to a quiet core "
            "(taskset), or pass --accept to keep it with a flag"
        )
    flags.append(f"accepted with the {what}'s additivity {additivity:+.1%}, beyond {gate:.0%}")
