"""Read third-party measurements. They are not ours to ship, so they are read where they stand.

Scission (Lockhart et al., UCC 2020): times of blocks of Keras layers on five machines, single images, mean of ten runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibration.measured.tables import data_file, read_table
from simulator.foundation.errors import ProfileError, did_you_mean

_COLUMNS = ("machine", "model", "block", "first_layer", "last_layer", "time_s", "output_npy_bytes")
_NPY_HEADER = 128


@dataclass(frozen=True)
class Block:
    """One measured block of layers."""

    model: str
    first: int
    """Keras number of its first layer."""
    last: int
    """Keras number of its last layer, inclusive."""
    seconds: float
    output_bytes: int
    """Size of the tensor it returns."""


def read_scission(machine: str, models: tuple[str, ...], root: Path | None = None) -> list[Block]:
    """Return the blocks of *models* on *machine* (``raspi4``, ``2500``, ``vm2Core``, ``6700k(NoGPU)`` ...).

    Raises:
        ProfileError: if the table is absent or malformed, or knows no such machine or model.
    """
    path = data_file("scission/block_profiles.csv", root)
    table = read_table(path, _COLUMNS, text=("machine", "model"))
    for column, wanted in (("machine", (machine,)), ("model", models)):
        known = list(table[column].unique())
        for name in wanted:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ProfileError(f'{path}: no {column} "{name}".{hint} Known: {", ".join(known)}')
    rows = table[(table["machine"] == machine) & table["model"].isin(models)].sort_values(["model", "block"])
    columns = (rows[name].tolist() for name in ("model", "first_layer", "last_layer", "time_s", "output_npy_bytes"))
    return [
        Block(model, first, last, seconds, size - _NPY_HEADER)
        for model, first, last, seconds, size in zip(*columns, strict=True)
    ]
