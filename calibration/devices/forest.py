"""Predict a network that was never timed on a machine from others that were: trees on top of rates per class.

Rates per operator class (:mod:`calibration.devices.fit`) are right about scale and wrong about shapes: a convolution of
7x7 on few channels and one of 3x3 on many do not run at one rate. So each class gets a line in FLOP and bytes, and
extremely randomised trees learn the ratio of the measured time to that line from the layer's shape (its logarithm, so
that a factor of two counts alike either way). Outside of what the trees have seen, the line still has the right slope.

How good this is, is measured by leaving networks out (:func:`leave_one_out`); the same errors, of the other families,
make the interval of a prediction. An operator class that no training network has is refused. Needs scikit-learn.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import nnls

from simulator.foundation.errors import ProfileError
from simulator.profiles.library import Library
from simulator.profiles.model import Layer, LayerTimes, ModelProfile

Floats = npt.NDArray[np.float64]

TREES = 100
LEVEL = 0.9
"""Of the intervals."""
_LEAST = 2e-7
"""Times are held to this [s]: the clock does not see less, and a ratio needs something."""
_BYTES = 4.0
"""Of a number, to turn bytes into counts."""
_FAMILIES = (
    "densenet", "efficientnet", "googlenet", "inception", "lenet", "mobilenet", "resnet", "shufflenet", "squeezenet",
    "unet", "vgg", "vit", "wav2vec",
)  # fmt: skip


def family(model: str) -> str:
    """Return what a model is a sibling by: ``resnet`` for ``resnet18`` and ``resnet110``, else its own name."""
    return next((name for name in _FAMILIES if model.startswith(name)), model)


@dataclass(frozen=True)
class Prediction:
    """The times of a network on a machine it was not timed on."""

    times: LayerTimes
    """Grade ``transferred``."""
    low: float
    """Of the whole network, 90 % interval [s]; not known (nan) where nothing was left out to measure it."""
    high: float

    @property
    def seconds(self) -> float:
        """The whole network [s]."""
        return math.fsum(self.times.seconds)


@dataclass(frozen=True)
class Forest:
    """What was learnt from the networks timed on one machine."""

    hardware: str
    lines: dict[str, Floats]
    """Operator class → seconds per (layer, FLOP, byte in, byte out, byte of parameters)."""
    kinds: tuple[str, ...]
    """Kinds of layers seen, as the framework names them; the trees know them by number."""
    trees: Any
    models: tuple[str, ...]
    spread: tuple[float, float] = (math.nan, math.nan)
    """Measured over predicted, end to end: between these for 90 % of the networks left out."""

    def predict(self, profile: ModelProfile) -> Prediction:
        """Return the times of *profile* here.

        Raises:
            ProfileError: if it has an operator class that no network seen here has; the message names it.
        """
        for layer in profile.layers:
            if layer.operator not in self.lines:
                raise ProfileError(
                    f'{layer.name} of "{profile.name}" is of operator class "{layer.operator}", which no network timed '
                    f'on "{self.hardware}" has (seen: {", ".join(sorted(self.lines))}); profile a network with such '
                    f"layers there: offing profile MODEL --hardware {self.hardware}"
                )
        base = _on_lines(profile.layers, self.lines)
        seconds = base * np.exp(self.trees.predict(features(profile, self.kinds)))
        whole = float(seconds.sum())
        source = f"trees over {len(self.models)} networks timed there: {', '.join(self.models)}"
        times = LayerTimes(self.hardware, tuple(seconds.tolist()), (), "transferred", source)
        return Prediction(times, whole * self.spread[0], whole * self.spread[1])


def timed_on(hardware: str, library: Library | None = None) -> list[ModelProfile]:
    """Return all profiles on the shelf that were taken on *hardware*.

    Raises:
        ProfileError: if there are fewer than two networks to learn from.
    """
    library = library or Library()
    keys = [key for key in library.profiles() if key[3] == hardware]
    if len({model for model, *_ in keys}) < 2:
        places = sorted({key[3] for key in library.profiles()})
        raise ProfileError(
            f'fewer than two networks were timed on "{hardware}", which is too little to learn from; profile some '
            f"there (offing profile MODEL --hardware {hardware}), or take one of: {', '.join(places)}"
        )
    return [library.model(model, size, batch) for model, size, batch, _ in keys]


def train(profiles: Sequence[ModelProfile], hardware: str, spread: tuple[float, float] | None = None) -> Forest:
    """Learn from *profiles*, all timed on *hardware*.

    Args:
        profiles: networks, batches and input sizes.
        hardware: where they were timed.
        spread: of the interval, as :func:`interval` gives it; none is known without.

    Raises:
        ProfileError: without scikit-learn, without profiles, or where one was not timed there.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise ProfileError(
            'this needs scikit-learn, which is not installed; install it with: pip install "offing[calibrate]"'
        )
    from sklearn.ensemble import ExtraTreesRegressor

    if not profiles:
        raise ProfileError(f'no profiles to learn from on "{hardware}"')
    for profile in profiles:
        if hardware not in profile.measured:
            raise ProfileError(f'"{profile.name}" was not measured on "{hardware}"')
    layers = [layer for profile in profiles for layer in profile.layers]
    seconds = np.maximum([s for profile in profiles for s in profile.measured[hardware].seconds], _LEAST)
    lines = _fit_lines(layers, seconds)
    kinds = tuple(sorted({layer.kind for layer in layers}))
    rows = np.concatenate([features(profile, kinds) for profile in profiles])
    trees = ExtraTreesRegressor(TREES, max_features=0.5, random_state=0, n_jobs=1)
    # The share of the whole decides as well as the number of layers: only sums reach a user.
    shares = np.concatenate([_shares(profile, hardware) for profile in profiles])
    trees.fit(rows, np.log(seconds / _on_lines(layers, lines)), sample_weight=np.sqrt(shares) + 0.01)
    models = tuple(dict.fromkeys(profile.name for profile in profiles))
    return Forest(hardware, lines, kinds, trees, models, spread or (math.nan, math.nan))


def _shares(profile: ModelProfile, hardware: str) -> Floats:
    seconds = np.maximum(profile.measured[hardware].seconds, _LEAST)
    return np.asarray(seconds / seconds.sum())


def features(profile: ModelProfile, kinds: Sequence[str]) -> Floats:
    """Return what the trees see of each layer, shape (layers, features), mostly logarithms.

    Products per output number, numbers per weight and their like stand for kernel, channels and positions, which a
    profile does not say outright.
    """
    number = {kind: i for i, kind in enumerate(kinds)}
    by_name = {layer.name: layer for layer in profile.layers}
    return np.array([_row(profile.batch, layer, by_name, number) for layer in profile.layers], dtype=np.float64)


def _row(batch: int, layer: Layer, by_name: dict[str, Layer], number: dict[str, int]) -> list[float]:
    log = math.log1p
    given, made, weights = (max(size / _BYTES, 1.0) for size in (layer.in_bytes, layer.out_bytes, layer.param_bytes))
    products = layer.flops / 2
    per_output = products / made
    positions = products / weights if layer.param_bytes else 0.0  # batch x height x width, of a convolution
    channels = given / positions if positions else 0.0
    kernel = per_output / channels if channels else 0.0
    moved = layer.in_bytes + layer.out_bytes + layer.param_bytes
    before = by_name.get(layer.parents[0]) if layer.parents else None
    return [
        log(layer.flops), log(layer.in_bytes), log(layer.out_bytes), log(layer.param_bytes), log(moved),
        log(batch), log(per_output), log(positions), log(channels), log(made / positions if positions else 0.0),
        log(kernel), math.log(given / made), log(layer.flops / max(moved, 1.0)), float(len(layer.parents)),
        float(layer.alias), float(_CLASSES[layer.operator]), float(number.get(layer.kind, -1)),
        -1.0 if before is None else float(_CLASSES[before.operator]),
    ]  # fmt: skip


class _Numbered(dict[str, int]):
    """Numbers names in the order in which they stand; one not listed is 99, a class of a user's own."""

    def __missing__(self, name: str) -> int:
        return 99


_CLASSES = _Numbered(
    {name: i for i, name in enumerate((
        "input", "reshape", "activation", "elementwise", "norm", "pool", "pointwise", "conv", "depthwise", "linear",
        "attention", "recurrent",
    ))}
)  # fmt: skip


def _work(layers: Sequence[Layer]) -> Floats:
    """Return (1, FLOP, bytes in, out, of parameters) of each layer, in microseconds at everyday rates."""
    scale = np.array([1e-6, 1e-11, 1e-10, 1e-10, 1e-10])
    work = [(1.0, layer.flops, layer.in_bytes, layer.out_bytes, layer.param_bytes) for layer in layers]
    return np.asarray(np.array(work, dtype=np.float64) * scale)


def _fit_lines(layers: Sequence[Layer], seconds: Floats) -> dict[str, Floats]:
    """Fit each class by relative least squares with no cost below zero."""
    lines = {"input": np.zeros(5)}  # parameters read by name take no time, also where nobody had them
    operators = np.array([layer.operator for layer in layers])
    work = _work(layers)
    for operator in sorted(set(operators.tolist())):
        mine = operators == operator
        lines[operator] = nnls(work[mine] / seconds[mine, None], np.ones(int(mine.sum())))[0]
    return lines


def _on_lines(layers: Sequence[Layer], lines: dict[str, Floats]) -> Floats:
    work = _work(layers)
    costs = np.array([lines[layer.operator] for layer in layers])
    return np.asarray(np.maximum((work * costs).sum(axis=1), _LEAST))


def leave_one_out(
    profiles: Sequence[ModelProfile], hardware: str, group: Callable[[str], str] = str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict each network by a forest that never saw it at any batch or size.

    Args:
        profiles: all timed on *hardware*.
        hardware: where.
        group: what is left out together with a model: itself, or :func:`family` for all its siblings.

    Returns:
        One row per profile (``model, input, batch, measured_s, predicted_s, low_s, high_s, refused``; the interval is
        from the other families' errors, ``refused`` the reason why there is no prediction), and one per layer
        (``model, operator, measured_s, predicted_s``).
    """
    rows: list[dict[str, Any]] = []
    nodes: list[pd.DataFrame] = []
    for name in sorted({group(profile.name) for profile in profiles}):
        rest = [profile for profile in profiles if group(profile.name) != name]
        forest = train(rest, hardware)
        for profile in (profile for profile in profiles if group(profile.name) == name):
            seconds = profile.measured[hardware].seconds
            row = {"model": profile.name, "input": profile.resolution, "batch": profile.batch}
            row |= {"measured_s": math.fsum(seconds), "predicted_s": math.nan, "refused": ""}
            try:
                found = forest.predict(profile)
            except ProfileError as error:
                rows.append({**row, "refused": str(error)})
                continue
            rows.append({**row, "predicted_s": found.seconds})
            nodes.append(_nodes(profile, seconds, found.times.seconds))
    table = pd.DataFrame(rows)
    bounds = list(_bounds(table))
    table.insert(5, "low_s", table["predicted_s"] * [low for low, _ in bounds])
    table.insert(6, "high_s", table["predicted_s"] * [high for _, high in bounds])
    return table, pd.concat(nodes) if nodes else pd.DataFrame()


def _nodes(profile: ModelProfile, measured: Sequence[float], predicted: Sequence[float]) -> pd.DataFrame:
    operators = [layer.operator for layer in profile.layers]
    return pd.DataFrame(
        {"model": profile.name, "operator": operators, "measured_s": measured, "predicted_s": predicted}
    )


def _bounds(table: pd.DataFrame) -> Iterator[tuple[float, float]]:
    """Yield for each row the interval that the errors of all other families give."""
    families = table["model"].map(family)
    found = {name: interval(table[families != name]) for name in families.unique()}
    yield from (found[name] for name in families)


def interval(table: pd.DataFrame, level: float = LEVEL) -> tuple[float, float]:
    """Return between which factors of the prediction the measurement lies for *level* of the rows left out.

    Quantiles a little outside the plain ones, as a sample of this size needs to cover *level* (conformal prediction).
    Not known (nan) for fewer rows than that takes.
    """
    ratios = np.sort((table["measured_s"] / table["predicted_s"]).dropna().to_numpy())
    tail = (1 - level) / 2
    rank = math.floor(tail * (len(ratios) + 1) + 1e-9)
    if rank < 1:
        return math.nan, math.nan
    return float(ratios[rank - 1]), float(ratios[-rank])


def learn(profiles: Sequence[ModelProfile], hardware: str) -> tuple[Forest, pd.DataFrame, pd.DataFrame]:
    """Return a forest whose intervals are known, with the tables of :func:`leave_one_out` (by family) behind them."""
    table, nodes = leave_one_out(profiles, hardware, family)
    return train(profiles, hardware, interval(table)), table, nodes
