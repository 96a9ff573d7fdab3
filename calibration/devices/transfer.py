"""Predict a network on a machine it was not measured on, from other machines' times of the same blocks.

Measured on the machine is nothing, or a few other networks: its *anchors*. With anchors, a block's time there is a sum
of its times on the others, of a cost per layer and of one per block, none of them negative (least squares over the
anchors' blocks and their sums), and a Gaussian process over the logs of those times corrects what is left, since two
machines differ by kind of block. Without anchors only public facts count: what a block costs beside its launches goes
by the machines' peaks, a launch by the speed of one core. :mod:`calibration.devices.contest` has those that lost.

The 90 % interval is conformal, nested: each other machine in turn plays the unknown one, with the same anchors, and is
predicted from the rest; how far those predictions are off, over how far the machine's own anchors are off when left out
and how hard the network is elsewhere, is what the interval is made of. Nothing but the anchors is read of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from calibration.devices.learners import Learner, Predictor, by_facts, sample_of, weighted_sum_and_process
from calibration.devices.public import PUBLIC, PublicFacts
from calibration.measured.scission import BlockTable, Floats
from simulator.foundation.errors import ProfileError, did_you_mean
from simulator.profiles.model import LayerTimes

COVERAGE = 0.9
_EXACT = 1e-9  # error of a machine that is predicted to the last digit (a copy of another), to divide by
_PRIOR = 3.0
"""How many errors the spread over all machines counts as, beside those seen of one machine or network."""


@dataclass(frozen=True)
class Prediction:
    """Block times of a network on a machine it was not measured on."""

    machine: str
    model: str
    seconds: Floats
    """Per block [s]."""
    width: float
    """90 % of the networks lie within a factor of exp(+-width)."""
    thinning: float
    """A part of the network that takes the share x of its time is off by x**-thinning times as much."""
    anchors: tuple[str, ...]
    others: tuple[str, ...]
    """The machines it was predicted from."""
    grade: str = "transferred"

    @property
    def low(self) -> Floats:
        """Lower end of each block's 90 % interval [s]."""
        return np.array([self.between(i, i + 1)[1] for i in range(len(self.seconds))])

    @property
    def high(self) -> Floats:
        """Upper end of each block's 90 % interval [s]."""
        return np.array([self.between(i, i + 1)[2] for i in range(len(self.seconds))])

    def between(self, start: int, stop: int) -> tuple[float, float, float]:
        """Return the time of blocks [start, stop) with both ends of its 90 % interval [s]."""
        part, whole = float(self.seconds[start:stop].sum()), float(self.seconds.sum())
        if part <= 0:
            return 0.0, 0.0, 0.0
        width = min(self.width * (part / whole) ** -self.thinning, 700.0)  # what exp can take
        return part, part * math.exp(-width), part * math.exp(width)

    def times(self) -> LayerTimes:
        """Return it as a profile's times."""
        source = f"from {', '.join(self.others)}" + (f"; anchors {', '.join(self.anchors)}" if self.anchors else "")
        return LayerTimes(self.machine, tuple(self.seconds.tolist()), grade=self.grade, source=source)


def predict(
    table: BlockTable,
    machine: str,
    model: str,
    anchors: Sequence[str] = (),
    facts: Mapping[str, PublicFacts] = PUBLIC,
) -> Prediction:
    """Predict the blocks of *model* on *machine*.

    Args:
        table: measured block times; of *machine* only the anchors are read.
        machine: its name.
        model: a network that other machines ran.
        anchors: other networks that *machine* ran.
        facts: what is public about the machines, for a prediction without anchors.

    Raises:
        ProfileError: a network no other machine ran, an anchor that is the network itself or was not measured on
            *machine*; without anchors, a machine of which nothing is known.
    """
    return Transfer(table, machine, tuple(anchors), facts).predict(model)


class Transfer:
    """A machine as its anchors (or public facts) show it, ready to predict networks."""

    def __init__(
        self,
        table: BlockTable,
        machine: str,
        anchors: tuple[str, ...] = (),
        facts: Mapping[str, PublicFacts] = PUBLIC,
        learner: Learner | None = None,
    ) -> None:
        """Take what was measured.

        Args:
            table: measured block times.
            machine: of it, only the anchors' are read.
            anchors: networks it ran.
            facts: what is public about the machines; read where there are no anchors.
            learner: another way to learn from anchors.

        Raises:
            ProfileError: as :func:`predict`.
        """
        self.table, self.machine, self.anchors, self.facts = table, machine, anchors, facts
        self.learner = learner or weighted_sum_and_process
        if not anchors and machine not in facts:
            raise ProfileError(
                f'nothing is known of the machine "{machine}".{did_you_mean(machine, facts)} Measure a few networks on '
                f"it and name them as anchors, or give its public facts; known: {', '.join(facts)}"
            )
        for name in anchors:
            table.of(machine, name)
        self.others = self._others(anchors)

    def predict(self, model: str) -> Prediction:
        """Return the blocks of *model*.

        Raises:
            ProfileError: if no other machine ran it, or it is an anchor.
        """
        this = self._for(model)
        seconds, (width, thinning) = this.seconds(model), this._interval(model)
        return Prediction(self.machine, model, seconds, width, thinning, self.anchors, this.others, this._grade)

    def seconds(self, model: str) -> Floats:
        """Return the blocks of *model* [s] without an interval, which takes less time.

        Raises:
            ProfileError: as :meth:`predict`.
        """
        this = self._for(model)
        return this._learnt(sample_of(this.table, this.others, [model]))

    def _for(self, model: str) -> Transfer:
        """Return this, or where fewer machines ran *model* than ran the anchors, one that knows those machines only."""
        if model in self.anchors:
            raise ProfileError(f'"{model}" was measured on "{self.machine}" and is an anchor; it need not be predicted')
        others = self._others((*self.anchors, model))
        if others == self.others:
            return self
        kept = self.table.rows["machine"].isin([self.machine, *others])
        table = BlockTable(self.table.source, self.table.rows[kept])
        return Transfer(table, self.machine, self.anchors, self.facts, self.learner)

    @property
    def _grade(self) -> str:
        known = not self.anchors and any(self.facts[name].grade == "guessed" for name in (self.machine, *self.others))
        return "guessed" if known else "transferred"

    def _others(self, models: Iterable[str]) -> tuple[str, ...]:
        """Return the other machines that ran all of *models* (without anchors: whose facts are known, too)."""
        models = list(models)
        found = tuple(
            name
            for name in self.table.machines
            if name != self.machine
            and all(self.table.has(name, model) for model in models)
            and (self.anchors or name in self.facts)
        )
        if not found:
            for model in models:
                if model not in self.table.models:
                    hint = did_you_mean(model, self.table.models)
                    raise ProfileError(f'{self.table.source}: no machine ran "{model}".{hint}')
            raise ProfileError(
                f'no machine but "{self.machine}" ran all of {", ".join(models)}; a network is carried over from '
                "machines that ran it and the anchors. One that ran nowhere needs rates (calibration.devices.fit)"
            )
        return found

    @cached_property
    def _learnt(self) -> Predictor:
        return self._learn(self.machine, self.others, self.anchors)

    def _learn(self, machine: str, others: tuple[str, ...], anchors: tuple[str, ...]) -> Predictor:
        if not anchors:
            return by_facts(self.table, machine, others, self.facts)
        seconds = np.concatenate([self.table.seconds(machine, name) for name in anchors])
        return self.learner(sample_of(self.table, others, anchors), seconds)

    # -- how far off ---------------------------------------------------------------------------------------------

    def _interval(self, model: str) -> tuple[float, float]:
        """Return the width of the interval of *model*, and how it grows for parts."""
        rehearsal = self._rehearsal
        if rehearsal is None:
            return math.inf, 0.0
        spread, errors, thinning = rehearsal.spread, rehearsal.errors, rehearsal.thinning
        if not self.anchors:
            return _machine_width(np.array([list(errors[j].values()) for j in self.others])), thinning
        scale = _shrunk(self._left_out(self.machine, self.others, self.anchors), spread)
        scales = {j: max(_shrunk(rehearsal.left_out[j], spread), _EXACT) for j in self.others}

        def hard(name: str, without: str = "") -> float:
            return _shrunk([errors[j][name] / scales[j] for j in self.others if j != without], 1.0)

        scores = [abs(e) / (scales[j] * hard(name, j)) for j in self.others for name, e in errors[j].items()]
        return _quantile(scores) * scale * hard(model), thinning

    @cached_property
    def _rehearsal(self) -> _Rehearsal | None:
        """Play each other machine as the unknown one; None where a single one is left."""
        if len(self.others) < 2:
            return None
        tests = [
            name
            for name in self.table.models
            if name not in self.anchors and all(self.table.has(other, name) for other in self.others)
        ]
        errors: dict[str, dict[str, float]] = {}
        left_out: dict[str, list[float]] = {}
        parts: list[tuple[float, float]] = []
        for machine in self.others:
            rest = tuple(name for name in self.others if name != machine)
            predictor = self._learn(machine, rest, self.anchors)
            errors[machine] = {}
            for name in tests:
                seconds, measured = predictor(sample_of(self.table, rest, [name])), self.table.seconds(machine, name)
                errors[machine][name] = math.log(measured.sum() / seconds.sum())
                timed = measured > 0
                off = np.abs(np.log(measured[timed] / seconds[timed]))
                parts += zip(off, -np.log(seconds[timed] / seconds.sum()), strict=True)
            left_out[machine] = self._left_out(machine, rest, self.anchors)
        every = np.abs([e for found in errors.values() for e in found.values()])
        return _Rehearsal(errors, left_out, float(np.median(every)) * 1.4826, _thinning(every, np.array(parts)))

    def _left_out(self, machine: str, others: tuple[str, ...], anchors: tuple[str, ...]) -> list[float]:
        """Return the error of each anchor's whole time when predicted from the other anchors (logs)."""
        if len(anchors) < 2:
            return []
        found = []
        for name in anchors:
            predictor = self._learn(machine, others, tuple(a for a in anchors if a != name))
            seconds = predictor(sample_of(self.table, others, [name])).sum()
            found.append(math.log(self.table.seconds(machine, name).sum() / seconds))
        return found


@dataclass(frozen=True)
class _Rehearsal:
    """How far off the other machines are when they play the unknown one."""

    errors: dict[str, dict[str, float]]
    """Machine → network → log of measured over predicted."""
    left_out: dict[str, list[float]]
    spread: float
    thinning: float


def _shrunk(errors: Sequence[float], spread: float) -> float:
    """Return the size of *errors*, with *spread* counting as a few more of them."""
    return math.sqrt((_PRIOR * spread**2 + sum(e * e for e in errors)) / (_PRIOR + len(errors)))


def _quantile(scores: Sequence[float]) -> float:
    """Return the score that the next one stays below with a chance of :data:`COVERAGE`, were all alike."""
    ordered = sorted(scores)
    return ordered[min(len(ordered), math.ceil((len(ordered) + 1) * COVERAGE)) - 1]


def _machine_width(errors: Floats) -> float:
    """Return Student's 90 % half width for errors of mean zero, shape (machines, networks).

    Networks share their machine's error, so they count as fewer than they are: with a correlation r between two of the
    n networks of a machine, each machine's squares are worth ``1 / (1 / n + (1 - 1 / n) * r**2)`` independent ones.
    """
    machines, networks = errors.shape
    squares = float(np.mean(errors**2))
    pairs = max(networks * (networks - 1), 1)
    shared = float(np.mean((errors.sum(axis=1) ** 2 - (errors**2).sum(axis=1)) / pairs)) / squares
    worth = 1.0 / (1.0 / networks + (1.0 - 1.0 / networks) * float(np.clip(shared, 0.0, 1.0)) ** 2)
    return float(stats.t.ppf((1 + COVERAGE) / 2, machines * worth)) * math.sqrt(squares)


def _thinning(whole: Floats, parts: Floats) -> float:
    """Return the power by which errors grow as the share of a part shrinks, between 0 and 1."""
    if not len(parts):
        return 0.0
    ratio = float(np.quantile(parts[:, 0], COVERAGE) / max(float(np.quantile(whole, COVERAGE)), 1e-12))
    return float(np.clip(math.log(max(ratio, 1.0)) / max(float(parts[:, 1].mean()), 1e-12), 0.0, 1.0))
