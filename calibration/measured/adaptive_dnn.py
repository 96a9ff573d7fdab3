"""AdaptiveDNN (McNamee et al., IEEE CLOUD 2021, arXiv 2008.01814): one network, every cut, 243 operating conditions.

The rows are read where they stand; they are not ours to ship. What they mean is fitted in ``adaptive_dnn_fit``, and
replayed by the simulator in ``adaptive_dnn_replay``::

    rows = read_adaptive_dnn()
    fits = {model: fit_network(part) for model, part in rows.groupby("model")}
    predicted = replay(fits, rows)          # seconds of each row's parts, from simulations
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.devices.keras import ARCHITECTURES
from calibration.measured.adaptive_dnn_fit import LEVELS
from calibration.measured.adaptive_dnn_link import Array
from calibration.measured.tables import data_file, read_table
from simulator.foundation.errors import ProfileError

NAME = "adaptivednn/benchmark_2020-05-27.csv.gz"
"""The file in the folder of third-party data."""
CUT_POINTS = "adaptivednn/cut_points.csv"
"""Which Keras layer each cut of a network follows."""
_SECONDS = ("total_s", "edge_s", "cloud_s")
_COLUMNS = ("model", *LEVELS, "cut", *_SECONDS)
_STRESS = LEVELS[1:]
RATIOS = {
    "edge CPU 50 %": ("edge_s", "edge_cpu", 50), "edge CPU 100 %": ("edge_s", "edge_cpu", 100),
    "cloud CPU 50 %": ("cloud_s", "cloud_cpu", 50), "cloud CPU 100 %": ("cloud_s", "cloud_cpu", 100),
    "edge memory 50 %": ("edge_s", "edge_mem", 50), "edge memory 100 %": ("edge_s", "edge_mem", 100),
    "cloud memory 50 %": ("cloud_s", "cloud_mem", 50), "cloud memory 100 %": ("cloud_s", "cloud_mem", 100),
}  # fmt: skip
"""Factor → the seconds it acts on, its column, its level [%]."""

Condition = tuple[int, int, int]
"""Network [Mbit/s], edge CPU stress [%], cloud CPU stress [%]."""
Totals = Mapping[Condition, Array]
"""The total of each cut [s] by condition, cuts in ascending order."""


def read_adaptive_dnn(path: Path | None = None, root: Path | None = None) -> pd.DataFrame:
    """Return the rows of *path*, or of the set's own file below *root*: a cut under a condition each, times in s.

    Columns: ``model``, ``net_mbps`` [Mbit/s], ``cloud_cpu``, ``edge_mem``, ``cloud_mem``, ``edge_cpu`` [%], ``cut``
    (from 1), ``total_s``, ``edge_s``, ``cloud_s``: means of two requests. What a model has twice is averaged.

    Raises:
        ProfileError: if the file is absent or cut short, a time is not above zero, its parts exceed the total, or a
            level is none.
    """
    path = path or data_file(NAME, root)
    rows = read_table(path, _COLUMNS, text=("model",))[list(_COLUMNS)]
    whole = [*LEVELS, "cut"]
    wrong = {
        "a time above zero": (rows[list(_SECONDS)] <= 0).any(axis=1),
        "a total of at least edge and cloud": rows["total_s"] < 0.999 * (rows["edge_s"] + rows["cloud_s"]),
        "stress levels from 0 to 100": ~rows[list(_STRESS)].isin(range(101)).all(axis=1),
        "whole cuts from 1 and whole rates above zero": ((rows[["cut", "net_mbps"]] < 1) | (
            rows[["cut", "net_mbps"]] % 1 != 0)).any(axis=1),
    }  # fmt: skip
    for expected, where in wrong.items():
        if where.any():
            line = int(where.to_numpy().argmax())
            came = ", ".join(f"{key} {value}" for key, value in rows.iloc[line].items())
            raise ProfileError(f"{path}:{line + 2}: expected {expected}; came: {came}")
    rows[whole] = rows[whole].astype(int)
    return rows.groupby(["model", *whole], sort=False, as_index=False)[list(_SECONDS)].mean()


def known_sizes(model: str, root: Path | None = None) -> dict[int, int]:
    """Return the bytes of each cut of a network whose Keras layers are known; empty for any other.

    Raises:
        ProfileError: if the table of cuts is absent or malformed.
    """
    table = read_table(data_file(CUT_POINTS, root), ("model", "cut", "keras_layer_index"), text=("model",))
    layers = ARCHITECTURES[model]() if model in ARCHITECTURES else []
    own = table[table["model"] == model]
    pairs = zip(own["cut"], own["keras_layer_index"], strict=True)
    return {int(cut): layers[int(layer)].out_bytes for cut, layer in pairs if layer < len(layers)}


def factors_changed(rows: pd.DataFrame) -> pd.Series[int]:
    """Return, for each row, how many factors differ from the base: the fastest rate and no stress."""
    slower = (rows["net_mbps"] != rows["net_mbps"].max()).astype(int)
    changed: pd.Series[int] = slower + (rows[list(_STRESS)] != 0).sum(axis=1)
    return changed


def factor_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what each factor does, per model and over all of them.

    Slowdowns are medians over cuts, of the median seconds at a level over those without that stress. Choices follow
    one rule: on :func:`clean_totals`, the best cut of the base (fastest rate, no stress) is deployed, and in each
    condition compared with the best one there: how often they differ, and by how much less the best takes
    (:func:`gains`; mean over all conditions, the base among them, and maximum).

    Returns:
        A frame indexed by model, the last row ``(all)`` with medians over models: slowdowns by factor, ``best_cut``,
        ``changed_pct``, ``mean_gain_pct``, ``max_gain_pct``.
    """
    found = {str(model): {**_slowdowns(part), **_choices(part)} for model, part in rows.groupby("model")}
    table = pd.DataFrame.from_dict(found, orient="index")
    together = table.drop(columns="best_cut").median()
    together["best_cut"] = np.nan
    table.loc["(all)"] = together
    return table.rename_axis("model")


def _slowdowns(rows: pd.DataFrame) -> dict[str, float]:
    found = {}
    for name, (seconds, column, level) in RATIOS.items():
        medians = rows.pivot_table(index="cut", columns=column, values=seconds, aggfunc="median")
        known = {0, level} <= set(medians.columns)
        found[name] = float((medians[level] / medians[0]).median()) if known else np.nan
    return found


def _choices(rows: pd.DataFrame) -> dict[str, float]:
    totals = clean_totals(rows)
    deployed, gained = _best(totals[base_of(totals)]), list(gains(totals).values())
    return {
        "best_cut": float(sorted(set(rows["cut"]))[deployed]),
        "changed_pct": 100.0 * float(np.mean([_best(total) != deployed for total in totals.values()])),
        "mean_gain_pct": 100.0 * float(np.nanmean(gained)),
        "max_gain_pct": 100.0 * float(np.nanmax(gained)),
    }


def clean_totals(rows: pd.DataFrame) -> Totals:
    """Return the totals of one network without noise: what each part depends on decides its median, then they add up.

    The rest goes by rate, the edge by its CPU stress, the cloud by its own: 27 conditions where there are three levels
    each. NaN for a cut that was not measured at a level.
    """
    parts = rows.assign(rest=rows["total_s"] - rows["edge_s"] - rows["cloud_s"])
    sides = (("net_mbps", "rest"), ("edge_cpu", "edge_s"), ("cloud_cpu", "cloud_s"))
    tables = [parts.pivot_table(index="cut", columns=key, values=part, aggfunc="median") for key, part in sides]
    return {
        (n, e, c): np.asarray(tables[0][n] + tables[1][e] + tables[2][c], dtype=float)
        for n, e, c in product(*(sorted(map(int, table.columns)) for table in tables))
    }


def base_of(totals: Totals) -> Condition:
    """Return the condition of the fastest rate and the least stress."""
    return max(totals, key=lambda condition: (condition[0], -condition[1], -condition[2]))


def gains(totals: Totals) -> dict[Condition, float]:
    """Return the share of the total that the best cut of a condition saves against the base's best cut."""
    old = _best(totals[base_of(totals)])
    return {condition: float(1.0 - np.nanmin(now) / now[old]) for condition, now in totals.items()}


def _best(total: Array) -> int:
    return int(np.nanargmin(total))
