"""Adaptive DNNs (McNamee et al., IEEE CLOUD 2021, arXiv 2008.01814): what the replayed measurements say.

The released rows are fitted and replayed by the simulator, and every factor is computed on the replayed rows as it
would be on the measured ones; what the measured ones give stands beside it, so that the error of the replay and the
difference between data sets can be told apart. Of eight networks and 243 conditions those in the folder of third-party
data are used; what only the rest could tell is not run. The rules are those of ``adaptive_dnn.factor_table``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.claims.system import Quantity, System
from analysis.figures import repartition
from analysis.picture import Picture
from calibration.devices import keras
from calibration.measured.adaptive_dnn import (
    NAME,
    Totals,
    base_of,
    clean_totals,
    factor_table,
    gains,
    read_adaptive_dnn,
)
from calibration.measured.adaptive_dnn_fit import LEVELS, fit_network
from calibration.measured.adaptive_dnn_link import Array, Shaper, fit_shaper
from calibration.measured.adaptive_dnn_replay import replay
from calibration.measured.tables import data_file
from simulator.foundation.errors import ProfileError

NETWORKS = ("alexnet", "densenet121", "lenet", "mobilenet", "resnet50", "resnet50v2", "vgg16", "vgg19")
"""In the order of the claims about their gains."""
COUNTED = ("lenet", "resnet50v2", "vgg16", "densenet121", "resnet50", "alexnet", "vgg19", "mobilenet")
"""In the order of the claims about their cuts."""
LARGE = tuple(name for name in NETWORKS if name != "lenet")
CLEAN = ("vgg16", "vgg19", "resnet50v2", "densenet121")
"""The networks that the claims about edge stress name."""
CONDITIONS = 243
GAIN = 0.01
"""A new cut is worth something from here on."""
SECONDS = ("total_s", "edge_s", "cloud_s")

FACTORS = {"network": (0, 50, 10), "edge CPU": (1, 0, 100), "cloud CPU": (2, 0, 100)}
"""Factor → its place in a condition, its best and its worst level."""
Numbers = dict[str, tuple[float, str]]
"""End of a claim's id → the number and its unit."""


class AdaptiveDNN(System):
    """The factors of the released measurements, on the replayed rows."""

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The rows at hand."""
        return read_adaptive_dnn()

    @cached_property
    def simulated(self) -> pd.DataFrame:
        """The same rows as the simulator replays them: ``total_s``, ``edge_s`` and ``cloud_s`` are its own."""
        fits = {str(model): fit_network(rows) for model, rows in self.measured.groupby("model")}
        found = replay(fits, self.measured)
        return found.assign(**{name: found[f"predicted_{name}"] for name in SECONDS})

    def quantities(self) -> Mapping[str, Quantity]:
        """Return counts on the rows, factors on the replayed rows, and the link's law fitted on them again."""
        try:
            data_file(NAME)
        except ProfileError as error:
            return dict.fromkeys(ids(), Quantity.absent(str(error)))
        found = {**absent(self.measured), **self._counts(), **self._replayed()}
        return {f"ADAPTIVE-DNN-{key}": quantity for key, quantity in found.items()}

    def pictures(self) -> Sequence[Picture]:
        """Return the gain of a new cut, measured and simulated; nothing where the rows are not at hand."""
        try:
            data_file(NAME)
        except ProfileError:
            return ()
        both = [
            {name: gains(table) for name, table in all_totals(rows).items()} for rows in (self.measured, self.simulated)
        ]
        return [repartition.draw(*both)]

    def _counts(self) -> dict[str, Quantity]:
        rows = self.measured
        levels = {name: sorted(set(rows[name])) for name in LEVELS}
        numbers: Numbers = {"004": (math.prod(map(len, levels.values())), "conditions")}
        for place in range(3):
            numbers[f"{5 + place:03d}"] = float(levels["net_mbps"][-1 - place]), "Mbit/s"
            numbers[f"{8 + place:03d}"] = float(levels["edge_cpu"][place]), "percent"
        cuts = {str(name): float(part["cut"].nunique()) for name, part in rows.groupby("model")}
        for number, name in enumerate(COUNTED, start=11):
            if name in cuts:
                numbers[f"{number:03d}"] = cuts[name], "cuts"
        if not part_of(rows):
            numbers |= {"003": (len(cuts), "networks"), "019": (len(rows), "rows")}
        return {key: Quantity.exact(value, unit, ["measured"]) for key, (value, unit) in numbers.items()}

    def _replayed(self) -> dict[str, Quantity]:
        """Return every factor on the replayed rows, with what the measured rows give by the same rule."""
        grades = sorted(set(self.simulated["grade"]))
        simulated, measured = (factors(rows) for rows in (self.simulated, self.measured))
        part = part_of(self.measured)
        found = {}
        for key, (value, unit) in simulated.items():
            if math.isnan(value):
                found[key] = Quantity.absent("no row at hand has these levels")
                continue
            notes = [f"the measured rows give {measured[key][0]:.4g}"]
            notes += [part] if part and not key.startswith("162") else []
            notes += [_ordering(self.simulated)] if key == "020" else []
            found[key] = Quantity.exact(value, unit, grades, "; ".join(notes))
        if "vgg16" in set(self.measured["model"]):
            off = law_error(self.simulated, self.measured)
            found["031"] = Quantity.exact(off, "percent", grades, "against the measured medians of each cut and rate")
        return found


def factors(rows: pd.DataFrame) -> Numbers:
    """Return all that is claimed of factors, on measured or on replayed rows."""
    table = factor_table(rows)
    cells = {str(name): dict(zip(table.columns, map(float, row), strict=True)) for name, row in table.iterrows()}
    found = _stress(cells) | _gains(cells, all_totals(rows)) | _worst(cells, all_totals(rows))
    if "vgg16" in cells:
        link = law(rows)
        found |= {"027": (link.burst / link.framing, "byte"), "028": (1e3 * link.message, "ms")}
        found |= {"029": (1e9 * link.byte, "ns/byte"), "030": (link.framing, "x")}
    return found


def _stress(cells: Mapping[str, Mapping[str, float]]) -> Numbers:
    """Return what stress does to computing."""
    asked = {
        "021": ("edge CPU 100 %", LARGE), "022": ("edge CPU 50 %", CLEAN),
        "023": ("cloud CPU 100 %", NETWORKS), "024": ("cloud CPU 50 %", NETWORKS),
        "025": ("edge memory 100 %", NETWORKS), "026": ("cloud memory 100 %", NETWORKS),
    }  # fmt: skip
    return {
        key: (statistics.median(cells[name][factor] for name in names if name in cells), "x")
        for key, (factor, names) in asked.items()
    }


def _gains(cells: Mapping[str, Mapping[str, float]], tables: Mapping[str, Totals]) -> Numbers:
    """Return what a new cut brings each network: for the claims on all released rows, and on those at hand."""
    found: Numbers = {}
    for place, name in enumerate(NETWORKS):
        if name not in cells:
            continue
        cell, table = cells[name], tables[name]
        best = float(table[base_of(table)].min())
        helped = 100 * float(np.mean([gain > GAIN for gain in gains(table).values()]))
        numbers = (
            (cell["best_cut"], "cut"), (1e3 * best, "ms"), (cell["changed_pct"], "percent"),
            (helped, "percent"), (cell["mean_gain_pct"], "percent"), (cell["max_gain_pct"], "percent"),
        )  # fmt: skip
        found |= {f"{32 + 6 * place + i:03d}": number for i, number in enumerate(numbers)}
        at_hand = zip(("CUT", "CHANGED", "MEAN", "MAX"), (numbers[i] for i in (0, 2, 4, 5)), strict=True)
        found |= {f"162-{name.upper()}-{key}": number for key, number in at_hand}
    return found


def _worst(cells: Mapping[str, Mapping[str, float]], tables: Mapping[str, Totals]) -> Numbers:
    """Take one factor to its worst level, in every context of the others."""
    found: Numbers = {}
    slower = {}
    for place, factor in enumerate(FACTORS):
        kept, anew, gain = one_factor(tables.values(), factor)
        helped = gain[gain > GAIN]
        slower[factor] = float(kept.mean())
        numbers = (
            (slower[factor], "x"), (float(anew.mean()), "x"), (100 * len(helped) / len(gain), "percent"),
            (100 * float(helped.mean()) if len(helped) else 0.0, "percent"), (100 * float(gain.max()), "percent"),
        )  # fmt: skip
        found |= {f"{80 + 5 * place + i:03d}": number for i, number in enumerate(numbers)}
    others = [*(slower[name] for name in ("edge CPU", "cloud CPU")), *_memory(cells)]
    return {**found, "020": (slower["network"] / float(np.nanmax(others)), "x")}


def _memory(cells: Mapping[str, Mapping[str, float]]) -> list[float]:
    return [cells["(all)"][f"{side} memory 100 %"] for side in ("edge", "cloud")]


def _ordering(rows: pd.DataFrame) -> str:
    """Tell the slowdown by each factor, which the ordering is made of."""
    tables = all_totals(rows).values()
    told = [f"{factor} {one_factor(tables, factor)[0].mean():.2f}x" for factor in FACTORS]
    table = factor_table(rows)
    memory = max(float(table[f"{side} memory 100 %"].iloc[-1]) for side in ("edge", "cloud"))
    return f"slowdowns: {', '.join(told)}, memory {memory:.2f}x; one pair of machines, where the paper had several"


def all_totals(rows: pd.DataFrame) -> dict[str, Totals]:
    """Return the clean totals of each network."""
    return {str(name): clean_totals(part) for name, part in rows.groupby("model")}


def one_factor(networks: Iterable[Totals], factor: str) -> tuple[Array, Array, Array]:
    """Return what the worst level of *factor* does: slowdown at the best cut so far, at the new one, and its gain.

    One value per network and context (levels of the other two factors), each of shape (networks * 9,).
    """
    place, best, worst = FACTORS[factor]
    rows = []
    for found in networks:
        for condition, before in found.items():
            if condition[place] == best:
                levels = list(condition)
                levels[place] = worst
                after, cut = found[levels[0], levels[1], levels[2]], int(before.argmin())
                rows.append((after[cut] / before[cut], after.min() / before.min(), 1.0 - after.min() / after[cut]))
    kept, anew, gain = np.array(rows, dtype=float).T
    return kept, anew, gain


def law(rows: pd.DataFrame) -> Shaper:
    """Return the law of the link that the transfers of VGG-16 follow, whose sizes Keras gives."""
    return fit_shaper(*_transfers(rows))


def law_error(simulated: pd.DataFrame, measured: pd.DataFrame) -> float:
    """Return by how much the law of the replayed transfers misses the measured ones, on average [%]."""
    sizes, rates, seen = _transfers(measured)
    return 100 * float(np.abs(law(simulated).seconds(sizes, rates) / seen - 1.0).mean())


def _transfers(rows: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Return bytes, rate [Mbit/s] and median seconds of each cut of VGG-16 at each rate."""
    own = rows[rows["model"] == "vgg16"]
    left = (own["total_s"] - own["edge_s"] - own["cloud_s"]).rename("left")
    table = left.groupby([own["cut"], own["net_mbps"]]).median().reset_index()
    layers = keras.vgg16()
    sizes = np.array([layers[int(cut) - 1].out_bytes for cut in table["cut"]], dtype=float)
    return sizes, table["net_mbps"].to_numpy(dtype=float), table["left"].to_numpy(dtype=float)


def part_of(rows: pd.DataFrame) -> str:
    """Say how much of the released rows is at hand; nothing where it is all."""
    conditions, networks = len(rows[list(LEVELS)].drop_duplicates()), rows["model"].nunique()
    if conditions >= CONDITIONS and networks >= len(NETWORKS):
        return ""
    return f"on {networks} of {len(NETWORKS)} networks and {conditions} of {CONDITIONS} conditions"


def absent(rows: pd.DataFrame) -> dict[str, Quantity]:
    """Return what the rows at hand cannot tell, and why."""
    found = {
        "001": Quantity.absent("counted over several pairs of machines, of which one was released"),
        "002": Quantity.absent("counted over measurements that were not released"),
        "003": Quantity.absent(f"{rows['model'].nunique()} of them are at hand"),
        "019": Quantity.absent(f"{len(rows)} of them are at hand"),
    }
    for place, name in enumerate(NETWORKS):
        keys = [f"{32 + 6 * place + i:03d}" for i in range(6)] + [f"{11 + COUNTED.index(name):03d}"]
        keys += [f"{number:03d}" for number in range(27, 32)] if name == "vgg16" else []
        missing = Quantity.absent(f"the rows of {name} are not in the folder of third-party data (OFFING_DATA)")
        if name not in set(rows["model"]):
            found |= dict.fromkeys(keys, missing)
    return found


def ids() -> list[str]:
    """Return the ids of all claims on these measurements."""
    at_hand = [name.upper() for name in NETWORKS if name not in ("densenet121", "vgg19")]
    own = [f"162-{name}-{key}" for name in at_hand for key in ("CUT", "CHANGED", "MEAN", "MAX")]
    return [f"ADAPTIVE-DNN-{key}" for key in (*(f"{number:03d}" for number in range(1, 95)), *own)]
