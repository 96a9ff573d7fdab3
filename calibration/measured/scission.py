"""Scission's block times and links (Lockhart et al., UCC 2020), as profiles and scenarios of our own.

They are not ours to ship, so they are read where they stand. A *block* is a run of Keras layers that ends where a
single tensor goes on; its time is the mean of ten single images. Any file of that format is read: other machines,
networks, numbers of blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from calibration.measured.replay import in_a_row
from calibration.measured.tables import data_file, read_table
from simulator.foundation.errors import ProfileError, did_you_mean
from simulator.profiles.model import LayerTimes, ModelProfile

FILE = "scission/block_profiles.csv"
RAW_INPUT = 150_000.0
"""What crosses when nothing runs on the device [B]: an image file, as Scission assumes."""
NPY_HEADER = 128
TIERS = ("device", "edge", "cloud")
BLOCKS = "blocks"
"""Stands for the input size of these profiles, so that they are not mistaken for shipped ones of the same name."""
_COLUMNS = ("machine", "model", "block", "first_layer", "last_layer", "time_s", "output_npy_bytes")
_SHAPE = ["block", "first_layer", "last_layer", "output_npy_bytes"]

Floats = npt.NDArray[np.float64]


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


@dataclass(frozen=True)
class BlockTable:
    """Blocks of several networks on several machines; every machine that has a network has all of its blocks."""

    source: str
    rows: pd.DataFrame = field(repr=False)
    """As in the file, in order of machine, model and block."""

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """Names of the machines, in the file's order."""
        return tuple(dict.fromkeys(self.rows["machine"]))

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Names of the networks, in the file's order."""
        return tuple(dict.fromkeys(self.rows["model"]))

    @cached_property
    def _groups(self) -> dict[tuple[str, str], pd.DataFrame]:
        groups = self.rows.groupby(["machine", "model"], sort=False)
        return {(str(machine), str(model)): rows for (machine, model), rows in groups}

    @cached_property
    def _seconds(self) -> dict[tuple[str, str], Floats]:
        return {key: rows["time_s"].to_numpy(dtype=float) for key, rows in self._groups.items()}

    @cached_property
    def _layers(self) -> dict[str, Floats]:
        return {
            model: (rows["last_layer"] - rows["first_layer"] + 1).to_numpy(dtype=float)
            for (_, model), rows in self._groups.items()
        }

    @cached_property
    def _sizes(self) -> dict[str, Floats]:
        return {model: rows["output_npy_bytes"].to_numpy(dtype=float) for (_, model), rows in self._groups.items()}

    def has(self, machine: str, model: str) -> bool:
        """Return whether *model* was measured on *machine*."""
        return (machine, model) in self._groups

    def layers(self, model: str) -> Floats:
        """Return how many Keras layers each block of *model* has, shape (blocks,)."""
        return self._layers[model]

    def of(self, machine: str, model: str) -> pd.DataFrame:
        """Return the rows of *model* on *machine*, by block.

        Raises:
            ProfileError: if there is no such machine or network, or the one was not measured on the other.
        """
        for column, name, known in (("machine", machine, self.machines), ("model", model, self.models)):
            if name not in known:
                hint = did_you_mean(name, known)
                raise ProfileError(f'{self.source}: no {column} "{name}".{hint} Known: {", ".join(known)}')
        if not self.has(machine, model):
            there = ", ".join(m for m in self.machines if self.has(m, model))
            raise ProfileError(f'{self.source}: "{model}" was not measured on "{machine}" (only on: {there})')
        return self._groups[machine, model]

    def sizes(self, model: str) -> Floats:
        """Return the size of the file that each block of *model* sends on [B], shape (blocks,)."""
        return self._sizes[model]

    def seconds(self, machine: str, model: str) -> Floats:
        """Return the time of each block [s], shape (blocks,)."""
        found = self._seconds.get((machine, model))
        return self.of(machine, model)["time_s"].to_numpy(dtype=float) if found is None else found

    def tier(self, machine: str) -> str:
        """Return the tier the file gives *machine*: device, edge or cloud.

        Raises:
            ProfileError: if the file has no column ``tier``, or another word there.
        """
        if "tier" not in self.rows:
            raise ProfileError(f"{self.source} lacks the column tier (device, edge or cloud)")
        tier = str(self.rows.loc[self.rows["machine"] == machine, "tier"].iloc[0])
        if tier not in TIERS:
            raise ProfileError(f'{self.source}: {machine} has the tier "{tier}"; expected {", ".join(TIERS)}')
        return tier

    def with_(self, other: BlockTable) -> BlockTable:
        """Return both tables as one; a network on a machine that both have is taken from *other*.

        Raises:
            ProfileError: if they cut a network into different blocks.
        """
        newer = set(zip(other.rows["machine"], other.rows["model"], strict=True))
        keys = zip(self.rows["machine"], self.rows["model"], strict=True)
        kept = self.rows[[key not in newer for key in keys]]
        both = pd.concat([kept, other.rows], ignore_index=True)
        source = self.source if self.source == other.source else f"{self.source} and {other.source}"
        _check_alike(both, source)
        return BlockTable(source, both)

    def profile(
        self, model: str, machines: Iterable[str] | None = None, predicted: Iterable[LayerTimes] = ()
    ) -> ModelProfile:
        """Return *model* as a profile with one layer per block, whose output is the ``.npy`` file that Scission sends.

        Args:
            model: its name.
            machines: whose measured times it has (default: all that measured it).
            predicted: times on other machines.
        """
        named = [m for m in self.machines if self.has(m, model)] if machines is None else list(machines)
        shape = self.of(named[0], model) if named else self.rows[self.rows["model"] == model].drop_duplicates("block")
        source = f"{Path(self.source).name}, mean of 10 runs"
        measured = [LayerTimes(m, tuple(self.seconds(m, model).tolist()), source=source) for m in named]
        sizes = [RAW_INPUT, *shape["output_npy_bytes"].astype(float)]
        names = [
            f"layers {first}-{last}" for first, last in zip(shape["first_layer"], shape["last_layer"], strict=True)
        ]
        return in_a_row(model, names, sizes, (*measured, *predicted), BLOCKS)

    def blocks(self, machine: str, models: Iterable[str]) -> list[Block]:
        """Return the blocks of *models* on *machine*.

        Raises:
            ProfileError: as :meth:`of`.
        """
        names = ["model", "first_layer", "last_layer", "time_s", "output_npy_bytes"]
        return [
            Block(name, int(first), int(last), seconds, int(size) - NPY_HEADER)
            for model in models
            for name, first, last, seconds, size in self.of(machine, model)[names].itertuples(index=False)
        ]


def read_blocks(path: Path, rows: pd.DataFrame | None = None) -> BlockTable:
    """Read a table of blocks.

    Args:
        path: the file.
        rows: part of its rows, where it was read before and holds several tables.

    Raises:
        ProfileError: unreadable or malformed; layers that overlap or are left out; machines that differ in a network's
            blocks (as in a file cut short).
    """
    rows = read_table(path, _COLUMNS, text=("machine", "model")) if rows is None else rows
    _check_numbers(rows, path)
    rows = rows.sort_values(["block"], kind="stable")
    order = {key: i for i, key in enumerate(dict.fromkeys(zip(rows["machine"], rows["model"], strict=True)))}
    first_seen = [order[key] for key in zip(rows["machine"], rows["model"], strict=True)]
    rows = rows.assign(_order=first_seen).sort_values(["_order", "block"], kind="stable")
    rows = rows.drop(columns="_order").reset_index(drop=True)
    for (machine, model), group in rows.groupby(["machine", "model"], sort=False):
        _check_order(group, f'{path}: "{model}" on "{machine}"')
    _check_alike(rows, str(path))
    return BlockTable(str(path), rows)


def _check_numbers(rows: pd.DataFrame, path: Path) -> None:
    """Refuse times and sizes that cannot be.

    Raises:
        ProfileError: with the line.
    """
    for column, least in (("time_s", 0.0), ("output_npy_bytes", 1.0), ("block", 0.0), ("first_layer", 0.0)):
        values = rows[column].to_numpy(dtype=float)
        wrong = ~(np.isfinite(values) & (values >= least))
        if wrong.any():
            line = int(wrong.argmax())
            raise ProfileError(
                f"{path}:{line + 2}: {column} is {values[line]:g}, expected a number of at least {least:g}"
            )


def _check_order(group: pd.DataFrame, where: str) -> None:
    """Refuse blocks that are not numbered from 0, or whose layers do not follow one another.

    Raises:
        ProfileError: with the block.
    """
    reached = -1
    for place, (block, first, last) in enumerate(
        zip(group["block"], group["first_layer"], group["last_layer"], strict=True)
    ):
        if block != place:
            what = "stands there twice" if block < place else f"comes where block {place} should"
            raise ProfileError(f"{where}: block {block:g} {what}; is the file cut short, or two files in one?")
        if first <= reached or last < first:
            raise ProfileError(f"{where}: block {block:g} has layers {first:g}-{last:g}, which overlap those before it")
        reached = last


def _check_alike(rows: pd.DataFrame, source: str) -> None:
    """Refuse a network that has other blocks on one machine than on another.

    Raises:
        ProfileError: with the network and both machines.
    """
    for name, group in rows.groupby("model", sort=False):
        model = str(name)
        shapes = {str(machine): part[_SHAPE].to_numpy() for machine, part in group.groupby("machine", sort=False)}
        longest = max(shapes, key=lambda name: len(shapes[name]))
        for machine, shape in shapes.items():
            if len(shape) != len(shapes[longest]):
                raise ProfileError(
                    f'{source}: "{model}" has {len(shape)} blocks on "{machine}" and {len(shapes[longest])} on '
                    f'"{longest}"; is the file cut short?'
                )
            if not np.array_equal(shape, shapes[longest]):
                block = int((shape != shapes[longest]).any(axis=1).argmax())
                raise ProfileError(
                    f'{source}: block {block} of "{model}" has other layers or bytes on "{machine}" than on '
                    f'"{longest}"; only machines that ran the same blocks can be compared'
                )


def read_scission(machine: str, models: tuple[str, ...], root: Path | None = None) -> list[Block]:
    """Return the blocks of *models* on *machine* (``raspi4``, ``2500``, ``vm2Core``, ``6700k(NoGPU)`` ...).

    Raises:
        ProfileError: if the table is absent or malformed, or knows no such machine or model.
    """
    return read_blocks(data_file(FILE, root)).blocks(machine, sorted(models))
