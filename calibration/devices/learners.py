"""Ways to learn what a machine makes of blocks that others ran, and the law that needs nothing measured on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from calibration.devices.public import PublicFacts
from calibration.measured.scission import BlockTable, Floats


@dataclass(frozen=True)
class BlockSample:
    """Blocks of some networks, on the other machines."""

    times: Floats
    """[s], shape (blocks, other machines)."""
    layers: Floats
    """How many layers each block has, shape (blocks,)."""
    network: tuple[str, ...]
    """Whose block it is."""

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self.layers)


Predictor = Callable[[BlockSample], Floats]
Learner = Callable[[BlockSample, Floats], Predictor]
"""Takes the anchors' blocks elsewhere and their seconds on the machine; returns what predicts other blocks."""


def weighted_sum(anchors: BlockSample, seconds: Floats) -> Predictor:
    """Learn times as a sum of those elsewhere, a cost per layer and one per block, none below zero.

    Each anchor's sum is one more row that counts as much as its blocks, since sums are what reaches a user. A row is
    divided by how long it is expected to take, and by a third of a block's mean at least: small blocks are noise.
    """
    total = float(seconds.sum())
    scale = np.array([*anchors.times.sum(axis=0), anchors.layers.sum(), float(len(anchors))])
    scale = np.where(scale > 0, scale, 1.0)

    def columns(sample: BlockSample) -> Floats:
        ones = np.ones((len(sample), 1))
        return np.asarray(np.hstack([sample.times, sample.layers[:, None], ones]) / scale * total)

    blocks, sums, counts = columns(anchors), [], []
    names = np.array(anchors.network)
    for name in dict.fromkeys(anchors.network):
        sums.append([*blocks[names == name].sum(axis=0), seconds[names == name].sum()])
        counts.append(float((names == name).sum()))
    rows = np.vstack([np.column_stack([blocks, seconds]), np.array(sums)])
    count = np.concatenate([np.ones(len(blocks)), counts])
    expected = rows[:, : anchors.times.shape[1]].mean(axis=1)
    weight = np.sqrt(count / (expected**2 + count * (0.3 * total / len(blocks)) ** 2))
    costs, _ = nnls(rows[:, :-1] * weight[:, None], rows[:, -1] * weight)
    least = 0.01 * total / len(blocks)  # where the machines that count show zero
    return lambda sample: np.asarray(np.maximum(columns(sample) @ costs, least), dtype=np.float64)


def weighted_sum_and_process(anchors: BlockSample, seconds: Floats) -> Predictor:
    """Learn as :func:`weighted_sum`, then what that is off by: a Gaussian process over the logs of the times elsewhere.

    The corrections' spread is 0.2, the blocks' noise 0.25 and the length 1.5 (logs); results hardly depend on them.
    """
    base = weighted_sum(anchors, seconds)
    middle = np.median(anchors.times, axis=0)
    middle = np.where(middle > 0, middle, np.maximum(anchors.times.mean(axis=0), 1e-12))
    usual = max(float(np.median(seconds)), 0.1 * float(seconds.mean()))

    def place(sample: BlockSample) -> Floats:
        return np.hstack([_log(sample.times / middle), np.log(sample.layers)[:, None]])

    def kernel(a: Floats, b: Floats) -> Floats:
        return np.asarray(0.2**2 * np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=2) / (2 * 1.5**2)))

    here = place(anchors)
    off = _log(seconds / usual) - _log(base(anchors) / usual)
    pull = np.linalg.solve(kernel(here, here) + 0.25**2 * np.eye(len(here)), off)
    return lambda sample: base(sample) * np.exp(kernel(place(sample), here) @ pull)


def _log(ratio: Floats) -> Floats:
    """Return the log, of a tenth where it is less: below that a block is at the resolution of the clock."""
    return np.asarray(np.log(np.maximum(ratio, 0.1)))


def by_facts(table: BlockTable, machine: str, others: tuple[str, ...], facts: Mapping[str, PublicFacts]) -> Predictor:
    """Return what predicts by public facts: launches by the speed of a core, the rest by the machines' peaks.

    A launch takes on each other machine what a layer of its cheapest twentieth of blocks takes; machines whose clock
    shows zero for more than 1 % of the blocks say nothing about it.
    """
    here = facts[machine]
    launches: dict[str, float] = {}
    for name in others:
        models = [model for model in table.models if table.has(name, model)]
        per_layer = np.concatenate([table.seconds(name, model) / table.layers(model) for model in models])
        if (per_layer <= 0).mean() <= 0.01:
            launches[name] = float(np.quantile(per_layer, 0.05))
    scaled = [math.log(launch * facts[name].core / here.core) for name, launch in launches.items()]
    launch = math.exp(np.mean(scaled)) if scaled else 0.0

    def seconds(sample: BlockSample) -> Floats:
        logs = []
        for column, name in zip(sample.times.T, others, strict=True):
            rest = np.maximum(column - launches.get(name, 0.0) * sample.layers, 0.02 * column)
            logs.append(np.log(np.maximum(rest * facts[name].peak / here.peak, 1e-9)))
        return np.asarray(launch * sample.layers + np.exp(np.mean(logs, axis=0)))

    return seconds


def sample_of(table: BlockTable, machines: Sequence[str], models: Sequence[str]) -> BlockSample:
    """Return the blocks of *models* as *machines* ran them."""
    times = np.hstack([np.vstack([table.seconds(name, model) for name in machines]) for model in models]).T
    layers = np.concatenate([table.layers(model) for model in models])
    return BlockSample(times, layers, tuple(model for model in models for _ in range(len(table.layers(model)))))
