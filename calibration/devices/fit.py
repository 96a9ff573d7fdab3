"""Fit device rates to measured blocks: one launch cost, and a compute and a memory rate per operator class.

The simulator's formula is ``seconds = launch + flops / compute + bytes / memory``, linear in the unknowns
``launch``, ``1 / compute``, ``1 / memory``, and none of them may be negative: non-negative least squares. Each row is
divided by its measured time, so that a block of 1 ms counts as much as one of 200 ms (relative errors). Blocks of many
layers are sums and fit in the same rows; they are what separates the launch cost per layer from a constant per call.
Profiles of our own have a row per layer; each model is one more row, a block of all its layers that counts as much as
they do together, since small layers alone would decide otherwise and only the sums reach a user.

What the data cannot tell apart is *tied*: one class takes the rate of another. Dense layers at batch 1 do two FLOP per
four bytes of weights, always, so they take the compute rate of 1x1 convolutions (both are matrix products) and keep a
memory rate of their own. Latencies of whole networks tell less (:mod:`calibration.devices.boards`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from calibration.devices.keras import ARCHITECTURES, KerasLayer
from calibration.measured.scission import Block
from simulator.foundation.errors import ProfileError
from simulator.profiles.model import Layer, ModelProfile

Ties = Mapping[tuple[str, str], str]
"""(``compute`` or ``memory``, operator class) → class whose rate it takes, where that class is in the data."""

BLOCKS: Ties = {("compute", "linear"): "pointwise"}
"""Ties for times of single layers and blocks."""
_FREE = ("input", "reshape")  # as in the simulator: no launch, no work


@dataclass(frozen=True)
class Sample:
    """A block of layers and the time it took."""

    model: str
    layers: tuple[KerasLayer, ...]
    seconds: float
    weight: float = 1.0
    """How many blocks it counts as in a fit."""


@dataclass(frozen=True)
class Rate:
    """Rates of an operator class; None where the fit found no cost of that kind."""

    compute: float | None
    """[FLOP/s]."""
    memory: float | None
    """Bytes read, written and of weights [B/s]."""


@dataclass(frozen=True)
class Fit:
    """A fitted device."""

    launch: float
    """Cost of each layer [s]."""
    rates: dict[str, Rate]
    """Operator class → rates. A class that is absent was not in the data and must not be used."""
    samples: int
    """Blocks fitted."""

    def seconds(self, layers: Iterable[KerasLayer]) -> float:
        """Predict the time of *layers* one after the other [s].

        Raises:
            ProfileError: for a class that the data did not hold.
        """
        return sum(self._layer(layer) for layer in layers)

    def _layer(self, layer: KerasLayer) -> float:
        if layer.operator in _FREE:
            return 0.0
        if layer.operator not in self.rates:
            raise ProfileError(f'no rate for operator "{layer.operator}"; fitted: {", ".join(self.rates)}')
        rate = self.rates[layer.operator]
        compute = layer.flops / rate.compute if rate.compute else 0.0
        return self.launch + compute + (layer.moved / rate.memory if rate.memory else 0.0)


@dataclass(frozen=True)
class Errors:
    """How far predictions are from measurements, as fractions."""

    blocks: int
    mape: float
    """Mean absolute error of the blocks."""
    bias: float
    """Mean signed error of the blocks; positive is too slow."""
    total: float
    """Signed error of the sum of all blocks: the end-to-end error of a model."""


def samples_of(blocks: Iterable[Block]) -> list[Sample]:
    """Give each measured block its layers; blocks of free layers alone are left out.

    Raises:
        ProfileError: if a model's architecture is not known here, or does not match the block's output.
    """
    known = {name: build() for name, build in ARCHITECTURES.items()}
    samples = []
    for block in blocks:
        if block.model not in known:
            raise ProfileError(f'the layers of "{block.model}" are not known here; known: {", ".join(known)}')
        layers = known[block.model][block.first : block.last + 1]
        if not layers or layers[-1].out_bytes != block.output_bytes:
            raise ProfileError(f"{block.model} layers {block.first}-{block.last}: output is not {block.output_bytes} B")
        if any(layer.operator not in _FREE for layer in layers):
            samples.append(Sample(block.model, tuple(layers), block.seconds))
    return samples


def samples_of_profile(profile: ModelProfile, hardware: str) -> list[Sample]:
    """Return each layer that *profile* measured on *hardware* as a block of its own, and the whole model as one more.

    Free layers are left out, and layers too short for the clock (a measured time of zero).

    Raises:
        ProfileError: if it was not measured there.
    """
    if hardware not in profile.measured:
        known = ", ".join(profile.measured) or "nowhere"
        raise ProfileError(f'"{profile.name}" was not measured on "{hardware}" (only on: {known})')
    samples = [
        Sample(profile.name, (_as_block(layer),), seconds)
        for layer, seconds in zip(profile.layers, profile.measured[hardware].seconds, strict=True)
        if layer.operator not in _FREE and seconds > 0
    ]
    whole = tuple(layer for sample in samples for layer in sample.layers)
    return [*samples, Sample(profile.name, whole, math.fsum(sample.seconds for sample in samples), len(samples))]


def _as_block(layer: Layer) -> KerasLayer:
    sizes = (layer.flops, layer.in_bytes, layer.out_bytes, layer.param_bytes)
    return KerasLayer(layer.operator, *map(round, sizes))


def joined(samples: Iterable[Sample], least: float) -> list[Sample]:
    """Join neighbouring blocks of a model until each took *least* seconds: for a clock that ticks coarsely.

    What is left over at a model's end goes to its last block. The order of *samples* is that of the layers.
    """
    blocks: list[Sample] = []
    for _, model in groupby(samples, key=lambda sample: sample.model):
        mine: list[Sample] = []
        for sample in model:
            if mine and mine[-1].seconds < least:
                mine[-1] = _join(mine[-1], sample)
            else:
                mine.append(sample)
        if len(mine) > 1 and mine[-1].seconds < least:
            mine[-2:] = [_join(*mine[-2:])]
        blocks += mine
    return blocks


def _join(one: Sample, other: Sample) -> Sample:
    return Sample(one.model, one.layers + other.layers, one.seconds + other.seconds)


def leave_one_out(
    samples: Sequence[Sample], ties: Ties = BLOCKS, family: Callable[[str], str] = str
) -> dict[str, Errors | None]:
    """Return the errors on each model of a fit to all the others; None where it holds a class that no other has.

    Args:
        samples: of all models. Those that weigh more than a block (whole models beside their layers) are not judged.
        ties: as in :func:`fit_rates`.
        family: names what is left out together with a model, such as all ResNets.
    """
    found: dict[str, Errors | None] = {}
    for name in dict.fromkeys(sample.model for sample in samples):
        rest = [sample for sample in samples if family(sample.model) != family(name)]
        mine = [sample for sample in samples if sample.model == name]
        seen = {layer.operator for sample in rest for layer in sample.layers} | {*_FREE}
        if not rest or any(layer.operator not in seen for sample in mine for layer in sample.layers):
            found[name] = None
            continue
        found[name] = errors(fit_rates(rest, ties), [sample for sample in mine if sample.weight == 1] or mine)
    return found


def fit_rates(samples: Sequence[Sample], ties: Ties = BLOCKS) -> Fit:
    """Fit launch cost and rates to *samples*, with the rates of *ties* shared.

    Raises:
        ProfileError: if there is nothing to fit, or a block took no time.
    """
    if not samples:
        raise ProfileError("no blocks to fit")
    for sample in samples:
        if not sample.seconds > 0:
            raise ProfileError(
                f"a block of {sample.model} took {sample.seconds:g} s, which no rate explains; leave it out, or join "
                "blocks until the clock sees them (calibration.devices.fit.joined)"
            )
    operators = sorted({layer.operator for sample in samples for layer in sample.layers} - {*_FREE})
    columns = [("launch", "")] + [(kind, name) for name in operators for kind in ("compute", "memory")]
    index = {column: i for i, column in enumerate(columns)}
    work = np.zeros((len(samples), len(columns)))
    for row, sample in zip(work, samples, strict=True):
        _add_work(row, sample.layers, index, ties)
    seconds = np.array([sample.seconds for sample in samples])
    costs = _relative_nnls(work, seconds, np.array([sample.weight for sample in samples]))

    def rate(kind: str, name: str) -> float | None:
        cost = costs[index[_column(kind, name, index, ties)]]
        return float(1.0 / cost) if cost > 0 else None

    rates = {name: Rate(rate("compute", name), rate("memory", name)) for name in operators}
    return Fit(float(costs[0]), rates, len(samples))


def _column(kind: str, operator: str, index: Mapping[tuple[str, str], int], ties: Ties) -> tuple[str, str]:
    """Return the column of a rate: that of the class it is tied to, where there is such a class."""
    tied = (kind, ties.get((kind, operator), operator))
    return tied if tied in index else (kind, operator)


def _add_work(
    row: npt.NDArray[np.float64], layers: Iterable[KerasLayer], index: Mapping[tuple[str, str], int], ties: Ties
) -> None:
    """Add the layers' launches, FLOP and bytes to one row of the system."""
    for layer in layers:
        if layer.operator in _FREE:
            continue
        row[index["launch", ""]] += 1
        row[index[_column("compute", layer.operator, index, ties)]] += layer.flops
        row[index[_column("memory", layer.operator, index, ties)]] += layer.moved


def _relative_nnls(
    work: npt.NDArray[np.float64], seconds: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Minimise the weighted squared relative errors over costs of zero or more; columns are scaled to be alike."""
    roots = np.sqrt(weights)
    rows = work * (roots / seconds)[:, None]
    scale = np.where(rows.max(axis=0) > 0, rows.max(axis=0), 1.0)
    solution, _ = nnls(rows / scale, roots)
    return np.asarray(solution / scale, dtype=np.float64)


def errors(fit: Fit, samples: Sequence[Sample]) -> Errors:
    """Return the errors of *fit* on *samples*."""
    measured = np.array([sample.seconds for sample in samples])
    predicted = np.array([fit.seconds(sample.layers) for sample in samples])
    relative = predicted / measured - 1.0
    total = float(predicted.sum() / measured.sum() - 1.0)
    return Errors(len(samples), float(np.abs(relative).mean()), float(relative.mean()), total)


def errors_by_operator(fit: Fit, samples: Sequence[Sample]) -> dict[str, Errors]:
    """Return the errors per operator class, over the blocks that are a single layer (free ones aside)."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        operators = [layer.operator for layer in sample.layers if layer.operator not in _FREE]
        if len(operators) == 1:
            groups.setdefault(operators[0], []).append(sample)
    return {name: errors(fit, group) for name, group in sorted(groups.items())}


def errors_by_model(fit: Fit, samples: Sequence[Sample]) -> dict[str, Errors]:
    """Return the errors per model; ``total`` is then the end-to-end error."""
    models = dict.fromkeys(sample.model for sample in samples)
    return {name: errors(fit, [sample for sample in samples if sample.model == name]) for name in models}


def as_yaml_rates(fit: Fit) -> dict[str, object]:
    """Return ``launch`` and ``operators`` the way hardware files write them, to three digits."""
    operators = {}
    for name, rate in fit.rates.items():
        entry = {}
        if rate.compute is not None:
            entry["compute"] = _giga(rate.compute, "FLOP/s")
        if rate.memory is not None:
            entry["memory"] = _giga(rate.memory, "B/s")
        operators[name] = entry
    return {"launch": f"{fit.launch * 1e3:.3g} ms", "operators": operators}


def _giga(value: float, unit: str) -> str:
    return f"{value / 1e9:.3g} G{unit}" if value < 999.5e9 else f"{value / 1e12:.3g} T{unit}"
