"""Leave a machine out: how well :mod:`calibration.devices.transfer` predicts it, and the simpler ways that lost to it.

Which way is used was settled on training machines alone: for each machine left out, each way is tried on the others in
turn, and the one that is best there is the one to be used. Anchors are drawn at random many times, so that no lucky set
of them decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calibration.devices.learners import BlockSample, Learner, Predictor, weighted_sum, weighted_sum_and_process
from calibration.devices.public import PUBLIC
from calibration.devices.transfer import Prediction, Transfer
from calibration.measured.scission import BlockTable, Floats

Regret = Callable[[Prediction], list[float]]
"""What choosing by a prediction costs, as fractions of the best choice's time, one per choice to be made."""


def one_factor(anchors: BlockSample, seconds: Floats) -> Predictor:
    """Learn one speed ratio to each other machine, from the anchors' sums; predict the mean over the machines."""
    ratios = np.exp(np.log(_sums(anchors, seconds[:, None]) / _sums(anchors, anchors.times)).mean(axis=0))
    return lambda sample: np.asarray((sample.times * ratios).mean(axis=1))


def nearest_machine(anchors: BlockSample, seconds: Floats) -> Predictor:
    """Learn which other machine keeps the same ratio over the anchors best; predict its times by that ratio."""
    ratios = np.log(_sums(anchors, seconds[:, None]) / _sums(anchors, anchors.times))
    near = int(ratios.std(axis=0).argmin())
    return lambda sample: np.asarray(sample.times[:, near] * math.exp(ratios[:, near].mean()))


def ridge_in_logs(anchors: BlockSample, seconds: Floats) -> Predictor:
    """Learn the log of a time as a weighted sum of the logs elsewhere; weights are drawn towards equal ones."""
    machines = anchors.times.shape[1]
    least = 0.1 * np.maximum(np.median(anchors.times, axis=0), 1e-9)
    equal = np.array([1.0 / machines] * machines + [0.0])

    def place(sample: BlockSample) -> Floats:
        return np.hstack([np.log(np.maximum(sample.times, least)), np.log(sample.layers)[:, None]])

    here = place(anchors)
    off = np.log(np.maximum(seconds, 0.1 * max(float(np.median(seconds)), 1e-9))) - here @ equal
    middle = here.mean(axis=0)
    lean = np.linalg.solve(
        (here - middle).T @ (here - middle) + 10.0 * np.eye(len(equal)), (here - middle).T @ (off - off.mean())
    )

    def predict(sample: BlockSample) -> Floats:
        points = place(sample)
        return np.asarray(np.exp(points @ equal + off.mean() + (points - middle) @ lean))

    return predict


def _sums(sample: BlockSample, columns: Floats) -> Floats:
    names = np.array(sample.network)
    return np.array([columns[names == name].sum(axis=0) for name in dict.fromkeys(sample.network)])


LEARNERS: Mapping[str, Learner] = {
    "one factor per machine": one_factor,
    "nearest machine, one factor": nearest_machine,
    "ridge in logs": ridge_in_logs,
    "weighted sum": weighted_sum,
    "weighted sum and process": weighted_sum_and_process,
}


def spread_anchors(table: BlockTable, names: Sequence[str], count: int) -> tuple[str, ...]:
    """Return *count* of the networks *names*, evenly spaced in size (layers, as the table counts them)."""
    ordered = sorted(names, key=lambda name: (table.layers(name).sum(), name))
    if len(ordered) <= count:
        return tuple(ordered)
    places = np.linspace(0, len(ordered) - 1, count).round().astype(int)
    return tuple(ordered[i] for i in places)


def drawn_anchors(names: Sequence[str], count: int, times: int, seed: int) -> list[tuple[str, ...]]:
    """Return *times* random choices of *count* of *names* (one where there is no choice)."""
    if count == 0 or len(names) <= count:
        return [tuple(names[:count])]
    rng = np.random.default_rng(seed)
    return [tuple(names[i] for i in sorted(rng.choice(len(names), count, replace=False))) for _ in range(times)]


@dataclass(frozen=True)
class Trial:
    """What is to be predicted, and what may be measured beforehand."""

    table: BlockTable
    targets: Mapping[str, tuple[str, ...]]
    """Machine → networks to predict on it."""
    anchors: Mapping[str, tuple[str, ...]]
    """Machine → networks that may be its anchors."""

    @classmethod
    def of(cls, table: BlockTable) -> Trial:
        """Return the trial in which every network of every machine is predicted and may be an anchor of the others."""
        ran = {machine: tuple(m for m in table.models if table.has(machine, m)) for machine in table.machines}
        return cls(table, ran, ran)

    def errors(self, count: int, times: int = 20, seed: int = 1, regret: Regret | None = None) -> pd.DataFrame:
        """Return how far off every prediction is with *count* anchors, drawn *times* times.

        Returns:
            A row per machine, draw and network: ``machine``, ``model``, ``error`` (signed, of the whole network),
            ``covered``, ``block_error`` (median absolute), ``block_covered`` (share), ``regret`` (mean, NaN without).
        """
        rows = []
        for machine, transfer in self._draws(count, times, seed, None):
            for name in self.targets[machine]:
                if name in transfer.anchors:
                    continue
                prediction, measured = transfer.predict(name), self.table.seconds(machine, name)
                whole, low, high = prediction.between(0, len(measured))
                timed = measured > 0
                inside = (prediction.low <= measured) & (measured <= prediction.high)
                off = np.abs(prediction.seconds[timed] / measured[timed] - 1)
                lost = regret(prediction) if regret is not None else []
                rows.append(
                    (machine, name, whole / measured.sum() - 1, low <= measured.sum() <= high,
                     float(np.median(off)), float(inside[timed].mean()), float(np.mean(lost)) if lost else math.nan)
                )  # fmt: skip
        names = ["machine", "model", "error", "covered", "block_error", "block_covered", "regret"]
        return pd.DataFrame(rows, columns=names)

    def contest(self, count: int, times: int = 10, seed: int = 1) -> pd.DataFrame:
        """Return the median absolute error [%] of each way to learn per machine, with the way its peers would choose.

        A machine's own times do not take part in that choice: its peers play the unknown machine, each predicted from
        the rest of them.
        """
        columns: dict[str, dict[str, float | str]] = {}
        for machine in self.targets:
            peers = BlockTable(self.table.source, self.table.rows[self.table.rows["machine"] != machine])
            if len(peers.machines) < 2:
                continue
            inner = {name: Trial.of(peers)._median(count, times, seed, learner) for name, learner in LEARNERS.items()}
            own = Trial(self.table, {machine: self.targets[machine]}, self.anchors)
            outer = {name: own._median(count, times, seed, learner) for name, learner in LEARNERS.items()}
            best = min(inner, key=lambda name: inner[name])
            columns[machine] = {**outer, "peers choose": best, "which errs by": outer[best]}
        return pd.DataFrame(columns)

    def _median(self, count: int, times: int, seed: int, learner: Learner) -> float:
        off = []
        for machine, transfer in self._draws(count, times, seed, learner):
            for name in self.targets[machine]:
                if name not in transfer.anchors:
                    off.append(abs(transfer.seconds(name).sum() / self.table.seconds(machine, name).sum() - 1))
        return 100.0 * float(np.median(off))

    def _draws(self, count: int, times: int, seed: int, learner: Learner | None) -> Iterable[tuple[str, Transfer]]:
        for place, machine in enumerate(self.targets):
            if count == 0 and machine not in PUBLIC:
                continue
            names = self.anchors.get(machine, ())
            most = len(names) - bool(set(names) & set(self.targets[machine]))  # one at least is left to predict
            for anchors in drawn_anchors(names, min(count, most), times, seed + 1000 * place):
                if anchors or count == 0:
                    yield machine, Transfer(self.table, machine, anchors, learner=learner)


def summary(errors: pd.DataFrame) -> dict[str, float]:
    """Return the figures of a trial, all in %: the rows of a table that people read."""
    size = errors["error"].abs() * 100
    return {
        "predictions": len(errors),
        "median error %": float(size.median()),
        "p90 %": float(size.quantile(0.9)),
        "bias %": float(errors["error"].median() * 100),
        "inside 90 % interval %": float(errors["covered"].mean() * 100),
        "blocks: median error %": float(errors["block_error"].median() * 100),
        "blocks inside %": float(errors["block_covered"].mean() * 100),
        "regret %": float(errors["regret"].mean() * 100),
    }
