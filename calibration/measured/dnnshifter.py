"""DNNShifter (Eccles et al., arXiv 2309.06973): pruned variants of a network, as its notebook recorded them.

The notebook's times are not milliseconds per image and differ in scale from cell to cell; only their ratio to the
dense, unfused network of the same cell means something, so nothing else is kept.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.measured.tables import data_file, read_table
from simulator.foundation.errors import ProfileError

SOURCE = "blessonvar/DNNShifter, notebook.ipynb, commit f2171f4"
_TEXT = ("method", "model", "dataset", "compression_ratio")
_NUMBERS = ("cell", "nonzero_params", "params", "cpu_ms", "gpu_ms")
_OPTIONAL = ("top1_pct", "pruning_ms")
_BASELINE = "baseline(no BN fusion)"


@dataclass(frozen=True)
class Variant:
    """One of the networks that pruning made out of another."""

    model: str
    dataset: str
    method: str
    """``dnnshifter`` removes what is all zero; ``magnitude``, ``synflow``, ``random`` leave it in place."""
    cell: int
    """Cell of the notebook; its times compare with each other alone."""
    compression: float
    """Weights before over weights left that are not zero, as asked for; 1 is the dense network."""
    parameters: int
    """Those that are stored."""
    nonzero: int
    accuracy: float
    """Share of right answers; NaN where the notebook holds none."""
    cpu: float
    """Time relative to the dense, unfused network of the cell (below 1 is faster); one run, noisy."""
    gpu: float
    prune: float
    """What making the variant took [s]; NaN where not recorded."""
    smaller: float
    """Parameters of the dense network over those stored."""


def read_variants(path: Path | None = None, root: Path | None = None) -> list[Variant]:
    """Return the variants of the recorded table, without the unfused dense networks they are compared with.

    Raises:
        ProfileError: the table is absent or malformed, or a cell has no dense network to compare with.
    """
    path = path or data_file("dnnshifter/notebook_profiles.csv", root)
    table = read_table(path, (*_TEXT, *_NUMBERS), text=_TEXT)
    for column in _OPTIONAL:
        if column not in table:
            raise ProfileError(f"{path} lacks the column {column}; it has {', '.join(table.columns)}")
        table[column] = pd.to_numeric(table[column], errors="coerce")
    rows = list(enumerate(table.to_dict("records"), start=2))
    dense = {(row["cell"], row["model"]): row for _, row in rows if row["compression_ratio"] == _BASELINE}
    found = []
    for line, row in rows:
        if row["compression_ratio"] == _BASELINE:
            continue
        base = dense.get((row["cell"], row["model"]))
        if base is None:
            raise ProfileError(f'{path}:{line}: cell {row["cell"]} has no row "{_BASELINE}" of {row["model"]}')
        found.append(_variant(row, base, f"{path}:{line}"))
    return found


def _variant(row: Mapping[Hashable, Any], base: Mapping[Hashable, Any], where: str) -> Variant:
    try:
        compression = float(row["compression_ratio"])
    except ValueError:
        compression = math.nan
    if not compression > 0:
        raise ProfileError(f"{where}: compression_ratio is {row['compression_ratio']!r}; expected a number above zero")
    return Variant(
        model=row["model"],
        dataset=row["dataset"],
        method=row["method"],
        cell=int(row["cell"]),
        compression=compression,
        parameters=int(row["params"]),
        nonzero=int(row["nonzero_params"]),
        accuracy=float(row["top1_pct"]) / 100,
        cpu=float(row["cpu_ms"] / base["cpu_ms"]),
        gpu=float(row["gpu_ms"] / base["gpu_ms"]),
        prune=float(row["pruning_ms"]) / 1e3,
        smaller=float(base["params"] / row["params"]),
    )
