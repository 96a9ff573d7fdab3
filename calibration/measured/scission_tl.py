"""ScissionTL's block times with a transfer layer (Ahn et al., "ScissionLite", 2021), as profiles of our own.

Behind the device's last block a transfer layer makes the tensor a quarter as large (down-sample, convert), and before
the edge's first block another one makes it whole again (up-sample, convert). So a network cut behind block *n* is
another network than the one cut behind block *m*: each cut has a profile of its own, with that one place to cut.
The same format under Triton times the edge by cuts: a row there is "this layer to the end", its own transfer layer
included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.measured.replay import in_a_row
from calibration.measured.scission import BLOCKS, RAW_INPUT, BlockTable, Floats, read_blocks
from calibration.measured.tables import read_table
from simulator.foundation.errors import ProfileError
from simulator.profiles.model import LayerTimes, ModelProfile

FILE = "scissiontl/block_profiles_tl.csv"
NEVER = 1e6
"""Stands for what a machine was not measured at [s]: long enough that nobody chooses it."""
_TL = ("tl_downsample_s", "tl_upsample_s", "tl_dataconvert_s")
_COLUMNS = ("backend", "tier", "machine", "model", "block", "time_s", "tl_output_npy_bytes", *_TL)


@dataclass(frozen=True)
class TransferTable:
    """Blocks of one backend, with what the transfer layer costs behind each."""

    backend: str
    blocks: BlockTable
    """Devices' and, but for Triton, edges' blocks."""
    suffixes: pd.DataFrame = field(repr=False)
    """Triton: the edges' rows, from a layer to the end; else empty."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Machines of the tier ``device``."""
        rows = self.blocks.rows
        return tuple(dict.fromkeys(rows.loc[rows["tier"] == "device", "machine"]))

    @property
    def edges(self) -> tuple[str, ...]:
        """Machines of the tier ``edge``."""
        rows = pd.concat([self.blocks.rows, self.suffixes])
        return tuple(dict.fromkeys(rows.loc[rows["tier"] == "edge", "machine"]))

    def models(self, device: str, edge: str) -> tuple[str, ...]:
        """Return the networks that both machines ran."""
        rows = pd.concat([self.blocks.rows, self.suffixes])
        there = set(rows.loc[rows["machine"] == edge, "model"])
        return tuple(name for name in self.blocks.models if self.blocks.has(device, name) and name in there)

    def cuts(self, device: str, edge: str, model: str) -> tuple[int, ...]:
        """Return the blocks behind which a transfer layer fits on both sides (the last one is none)."""
        here = self.blocks.of(device, model)
        fits = (here[["tl_downsample_s", "tl_dataconvert_s"]] >= 0).all(axis=1).to_numpy()
        if self.suffixes.empty:
            there = self.blocks.of(edge, model)
            fits = fits & (there[["tl_upsample_s", "tl_dataconvert_s"]] >= 0).all(axis=1).to_numpy()
            return tuple(np.flatnonzero(fits[:-1]).tolist())
        starts = set(self._suffix(edge, model)["first_layer"])
        lasts = here["last_layer"].to_numpy()
        return tuple(int(i) for i in np.flatnonzero(fits[:-1]) if lasts[i] + 1 in starts)

    def profile(self, model: str, device: str, edge: str, cut: int) -> ModelProfile:
        """Return the network with a transfer layer behind block *cut*, the one place where it can be cut.

        Raises:
            ProfileError: if no transfer layer fits there.
        """
        if cut not in self.cuts(device, edge, model):
            raise ProfileError(f'{self.blocks.source}: no transfer layer was measured behind block {cut} of "{model}"')
        here = self.blocks.of(device, model)
        head = here["time_s"].to_numpy(dtype=float)
        row = here.iloc[cut]
        down = row["tl_downsample_s"] + row["tl_dataconvert_s"]
        tail = self._tail(edge, model, cut, int(row["last_layer"]))
        names = [f"block {i}" for i in range(cut + 1)] + ["down", *(f"tail {i}" for i in range(len(tail)))]
        sizes = here["output_npy_bytes"].astype(float).tolist()
        after = sizes[cut + 1 :] if self.suffixes.empty else sizes[-1:]
        sizes = [RAW_INPUT, *sizes[: cut + 1], float(row["tl_output_npy_bytes"]), sizes[cut], *after]
        times = {
            device: [*head[: cut + 1], down, *np.full(len(tail), NEVER / len(tail))],
            edge: [*np.full(cut + 2, NEVER / (cut + 2)), *tail],
        }
        source = f"{Path(self.blocks.source).name}, {self.backend}"
        measured = [LayerTimes(name, tuple(map(float, seconds)), source=source) for name, seconds in times.items()]
        found = in_a_row(model, names, sizes, measured, BLOCKS)
        return replace(found, layers=tuple(replace(layer, cut_ok=layer.name == "down") for layer in found.layers))

    def _tail(self, edge: str, model: str, cut: int, last: int) -> Floats:
        """Return what the edge takes: its transfer layer, and each block after *cut*; Triton: all of it at once."""
        if not self.suffixes.empty:
            rows = self._suffix(edge, model)
            whole = float(rows.loc[rows["first_layer"] == last + 1, "time_s"].iloc[0])
            return np.array([0.0, whole])  # the transfer layer is inside
        there = self.blocks.of(edge, model)
        up = there["tl_upsample_s"].iloc[cut] + there["tl_dataconvert_s"].iloc[cut]
        return np.array([up, *there["time_s"].to_numpy(dtype=float)[cut + 1 :]])

    def _suffix(self, edge: str, model: str) -> pd.DataFrame:
        rows = self.suffixes[(self.suffixes["machine"] == edge) & (self.suffixes["model"] == model)]
        if rows.empty:
            raise ProfileError(f'{self.blocks.source}: "{model}" was not measured on "{edge}"')
        return rows


def read_transfer(path: Path) -> dict[str, TransferTable]:
    """Return the table of each backend in the file.

    Raises:
        ProfileError: unreadable or malformed; as :func:`calibration.measured.scission.read_blocks`.
    """
    return dict(_tables(path))


def _tables(path: Path) -> Iterator[tuple[str, TransferTable]]:
    rows = read_table(path, _COLUMNS, text=("backend", "tier", "machine", "model"))
    strange = sorted(set(rows["tier"]) - {"device", "edge"})
    if strange:
        raise ProfileError(f"{path}: unknown tier {', '.join(strange)}; known: device, edge")
    for backend, group in rows.groupby("backend", sort=False):
        edges = group["tier"] == "edge"
        by_cut = edges if backend == "triton" else edges & False
        kept = group[~by_cut]
        if kept.empty:
            raise ProfileError(f"{path}: backend {backend} has no device")
        yield str(backend), TransferTable(str(backend), read_blocks(path, kept), group[by_cut])
