"""PORTEND (Ebrahimi et al., ICPADS 2023): times of every range of blocks of a network on EC2, exits, and pickling.

A range was run by itself, one call for all its blocks, so its time is one cost per call and the sum of its blocks::

    seconds(first..last) = call + block[first] + ... + block[last]

which the project's objects say as a profile of one layer per block and a cold cost that every activation pays
(``rest`` of zero). Both come from a least-squares fit, each row divided by its measured time. A network of which
nothing but single blocks is known takes the call's cost from others on the same instance.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np
from scipy.optimize import nnls

from calibration.measured import replay
from calibration.measured.tables import data_file, read_table
from simulator.foundation.errors import ProfileError, did_you_mean
from simulator.profiles.exits import ExitTable
from simulator.profiles.hardware import Fact, Hardware, Software
from simulator.profiles.model import LayerTimes, ModelProfile

SOURCE = "PORTEND, aws_profiling_results, commit daea47d"
RANGES = "portend/partition_latency_ms.csv"
_RANGE_COLUMNS = ("instance", "model", "block_start", "block_end", "lat_ms_samples")
_MOST = 100_000  # blocks; a larger number is a slip, and would be a list of that length
_FLOAT = 4  # bytes; a pickled tensor of 384 x 300 x 300 takes 138 240 000 bytes and a header
_ANSWERS = {"ResNet20": 10, "ResNet110": 10, "EfficientNetB0": 1000, "EfficientNetB7": 1000, "VGGish": 527}
"""Numbers in the last block's answer: classes of CIFAR-10, ImageNet and AudioSet (how many of those is not said)."""
_SAME = {"a1.large_multicore 1core": "a1.large"}
"""Instances whose recorded rows are another's, digit by digit."""
_MEMORY = {"a1.medium": 2, "a1.large": 4, "m4.large": 8, "g4dn.xlarge": 16, "g5.xlarge": 16}
"""[GiB], as Amazon publishes."""

Key: TypeAlias = tuple[str, str, int, int]
"""Model, instance, first and last block."""


@dataclass(frozen=True)
class Range:
    """Blocks *first* to *last* (from 1, both included) of a network in one call on one instance."""

    model: str
    instance: str
    """EC2 type; with a tag where the table has one (``a1.large_multicore 2core``)."""
    first: int
    last: int
    samples: tuple[float, ...]
    """Means of 100 calls each [s]."""

    @property
    def seconds(self) -> float:
        """Median of the samples [s]."""
        return median(self.samples)

    @property
    def spread(self) -> float:
        """How far the samples lie apart, relative to their median."""
        return (max(self.samples) - min(self.samples)) / self.seconds

    @property
    def blocks(self) -> range:
        """Numbers of its blocks."""
        return range(self.first, self.last + 1)

    @property
    def key(self) -> Key:
        """What was run where."""
        return self.model, self.instance, self.first, self.last


@dataclass(frozen=True)
class Blocks:
    """A network's blocks on one instance, as fitted."""

    call: float
    """What each call costs besides its blocks [s]."""
    seconds: tuple[float, ...]
    """Per block, shape (blocks,)."""
    repeats: tuple[tuple[float, ...], ...] = ()
    """The same, varied as each of the samples varied, shape (samples, blocks)."""


@dataclass(frozen=True)
class PickleLaw:
    """What pickling a tensor costs on one instance, ``message + byte * size``."""

    dump: Software
    load: Software

    @property
    def end(self) -> Software:
        """Mean of both: the simulator has one cost for either end of a message."""
        return Software((self.dump.message + self.load.message) / 2, (self.dump.byte + self.load.byte) / 2)


def read_ranges(path: Path | None = None, root: Path | None = None) -> list[Range]:
    """Return the ranges of a table of that format (default: the recorded one), those written twice once.

    The recorded table has the rows of ``a1.large`` a second time, as ``a1.large_multicore`` with one core.

    Raises:
        ProfileError: the table is absent or malformed; with the line.
    """
    path = path or data_file(RANGES, root)
    table = read_table(path, _RANGE_COLUMNS, text=("instance", "model", "lat_ms_samples"))
    tags = table["file_tag"].tolist() if "file_tag" in table else [""] * len(table)
    columns = (table[name].tolist() for name in _RANGE_COLUMNS)
    found: dict[tuple[object, ...], Range] = {}
    for line, (tag, instance, model, first, last, text) in enumerate(zip(tags, *columns, strict=True), start=2):
        if not (float(first).is_integer() and float(last).is_integer() and 1 <= first <= last <= _MOST):
            raise ProfileError(
                f"{path}:{line}: blocks {first:g} to {last:g}; expected whole numbers, 1 <= start <= end <= {_MOST:,}"
            )
        samples = _milliseconds(text, f"{path}:{line}")
        name = f"{instance} {tag}" if isinstance(tag, str) and tag else instance
        name = _SAME.get(name, name)
        row = Range(model, name, int(first), int(last), samples)
        found.setdefault((model, int(first), int(last), samples), row)
    return list(found.values())


def _milliseconds(text: str, where: str) -> tuple[float, ...]:
    try:
        samples = tuple(float(part) / 1e3 for part in str(text).split(";"))
    except ValueError:
        samples = ()
    if not samples or not all(math.isfinite(one) and one > 0 for one in samples):
        raise ProfileError(
            f"{where}: lat_ms_samples is {text!r}; expected times above zero [ms], ; between; is the file cut short?"
        )
    return samples


def chosen(ranges: Iterable[Range], model: str, instance: str) -> list[Range]:
    """Return those of *model* on *instance*.

    Raises:
        ProfileError: if there is none; with the nearest name.
    """
    ranges = list(ranges)
    for what, name, known in (
        ("model", model, sorted({one.model for one in ranges})),
        ("instance", instance, sorted({one.instance for one in ranges if one.model == model})),
    ):
        _check_known("PORTEND", what, name, known)
    return [one for one in ranges if (one.model, one.instance) == (model, instance)]


def _check_known(where: str, what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ProfileError(f'{where}: no {what} "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')


def fit_blocks(ranges: Sequence[Range], call: float | None = None) -> Blocks:
    """Return the cost of a call and the time of each block from ranges of one network on one instance.

    Args:
        ranges: single blocks and longer ones; without longer ones nothing tells the two costs apart.
        call: cost of a call [s], to take instead of fitting it; at most what the shortest range takes.

    Raises:
        ProfileError: if a block before the last one stands in no range.
    """
    count = max((one.last for one in ranges), default=0)
    absent = sorted(set(range(1, count + 1)) - {block for one in ranges for block in one.blocks})
    if absent or not count:
        raise ProfileError(
            f"{_names(ranges)}: block {absent[0] if absent else 1} is in none of the ranges, so its time is not known; "
            "give its own row (start = end), or a range with it"
        )
    if call is not None:
        call = min(call, min(one.seconds for one in ranges))
    seconds = [one.seconds for one in ranges]
    matrix = np.array([[float(block in one.blocks) for block in range(1, count + 1)] for one in ranges])
    weights = 1.0 / np.array(seconds)
    if call is None:
        matrix = np.column_stack([matrix, np.ones(len(ranges))])
        solution, _ = nnls(matrix * weights[:, None], np.ones(len(ranges)))
        call, blocks = float(solution[-1]), solution[:-1]
    else:
        blocks, _ = nnls(matrix * weights[:, None], 1.0 - call * weights)
    runs = min(len(one.samples) for one in ranges)
    singles = {one.first: one for one in ranges if one.first == one.last}
    factors = [[_wobble(singles.get(block), run) for block in range(1, count + 1)] for run in range(runs)]
    repeats = tuple(tuple(float(f * b) for f, b in zip(row, blocks, strict=True)) for row in factors)
    return Blocks(call, tuple(map(float, blocks)), repeats)


def _wobble(single: Range | None, run: int) -> float:
    return single.samples[run] / single.seconds if single else 1.0


def call_cost(ranges: Iterable[Range]) -> float:
    """Return the cost of a call on one instance from any networks there [s], 0 where no longer range tells it.

    A longer range of n blocks saves n - 1 calls against its blocks one by one. The median of what a call saved is
    weighted by calls saved over time taken, since short ranges of many blocks tell it best.
    """
    ranges = list(ranges)
    alone = {(one.model, one.first): one.seconds for one in ranges if one.first == one.last}
    saved = []
    for one in ranges:
        calls = len(one.blocks) - 1
        parts = [alone.get((one.model, block)) for block in one.blocks]
        if calls and None not in parts:
            saved.append(((math.fsum(filter(None, parts)) - one.seconds) / calls, calls / one.seconds))
    if not saved:
        return 0.0
    values, weights = np.array(sorted(saved)).T
    middle = int(np.searchsorted(np.cumsum(weights), weights.sum() / 2))
    return max(0.0, float(values[middle]))


def read_shapes(root: Path | None = None) -> dict[str, tuple[int, ...]]:
    """Return by model the bytes of the input and of what each block hands on, as 4-byte floats.

    Raises:
        ProfileError: the file is absent, or holds no shapes or those of a network unknown here.
    """
    path = data_file("portend/tensor_shapes.txt", root)
    found = {}
    for line, following in pairwise(path.read_text(encoding="utf-8").splitlines()):
        name = re.match(r"-+\s+(\w+)", line)
        shapes = re.findall(r"(\d+): torch\.Size\(\[([\d, ]+)\]\)", following)
        if name and shapes and shapes[0][0] == "0":  # the second list counts from the input
            if name[1] not in _ANSWERS:
                raise ProfileError(f'{path}: how many numbers "{name[1]}" answers with is not known here')
            sizes = (math.prod(map(int, shape.split(","))) for _, shape in shapes)
            found[name[1]] = tuple(_FLOAT * size for size in (*sizes, _ANSWERS[name[1]]))
    if not found:
        raise ProfileError(f'{path}: no line such as "{{0: torch.Size([1, 3, 32, 32]), ...}}"; is the file cut short?')
    return found


def profile(model: str, fits: Mapping[str, Blocks], sizes: Sequence[int]) -> ModelProfile:
    """Return *model* as a chain of one layer per block, with its times by instance.

    Args:
        model: its name.
        fits: instance → blocks.
        sizes: bytes of the input and of each block's output (:func:`read_shapes`), shape (blocks + 1,).

    Raises:
        ProfileError: no instance, or not one size more than blocks.
    """
    counts = {len(blocks.seconds) for blocks in fits.values()}
    if counts != {len(sizes) - 1}:
        raise ProfileError(f"{model}: tensors of {len(sizes) - 1} blocks, but times of {sorted(counts)}")
    names = [f"block{i}" for i in range(1, len(sizes))]
    times = (
        LayerTimes(instance, blocks.seconds, blocks.repeats, "measured", SOURCE) for instance, blocks in fits.items()
    )
    return replay.in_a_row(model, names, sizes, times)


def machine(instance: str, call: float = 0.0, pickling: PickleLaw | None = None) -> Hardware:
    """Return *instance* as hardware: a cold cost of *call* [s] that each activation pays, and the cost of pickling."""
    known = {"cold": Fact(call, "measured", SOURCE), "rest": Fact(0.0, "measured", "each call pays it")}
    gigabytes = _MEMORY.get(re.split(r"[ _]", instance)[0])
    if gigabytes is not None:
        known["memory"] = Fact(gigabytes * 2**30, "published", "EC2")
    if pickling:
        software = pickling.end
        known |= {
            "message": Fact(software.message, "measured", SOURCE),
            "byte": Fact(software.byte, "measured", SOURCE),
        }
    return replay.machine(instance, f"Amazon EC2 {instance}", known)


def read_pickling(instance: str, root: Path | None = None) -> PickleLaw:
    """Fit the law of pickling on *instance* (relative errors; neither cost below zero).

    Raises:
        ProfileError: the table is absent or malformed, or knows no such instance.
    """
    path = data_file("portend/pickle_ms.csv", root)
    table = read_table(path, ("instance", "pickled_size", "dump_latency", "load_latency"), text=("instance",))
    _check_known(str(path), "instance", instance, sorted(table["instance"].unique()))
    rows = table[table["instance"] == instance]
    size = rows["pickled_size"].to_numpy(float)
    terms = np.column_stack([np.ones_like(size), size])

    def law(column: str) -> Software:
        seconds = rows[column].to_numpy(float) / 1e3
        message, byte = nnls(terms / seconds[:, None], np.ones_like(size))[0]
        return Software(float(message), float(byte))

    return PickleLaw(law("dump_latency"), law("load_latency"))


def read_exits(model: str, split: str = "test", root: Path | None = None) -> ExitTable:
    """Return the exits of *model*, recorded on the samples of *split* (``test``, ``validation``).

    Raises:
        ProfileError: the table is absent, malformed or incomplete, or knows no such model or split.
    """
    path = data_file("portend/exit_rate_accuracy.csv", root)
    numbers = ("exit_block", "threshold", "n_exited", "n_correct_among_exited")
    table = read_table(path, ("model", "dataset", "split", *numbers), text=("model", "dataset", "split"))
    for column, name in (("model", model), ("split", split)):
        _check_known(str(path), column, name, sorted(table[column].unique()))
        table = table[table[column] == name]
    left, right = (table.pivot_table(value, "threshold", "exit_block") for value in numbers[2:])
    if left.isna().any(axis=None) or 1.0 not in left.index:
        raise ProfileError(f"{path}: {model} lacks an exit at some threshold, or all at threshold 1; is it cut short?")
    samples = int(left.to_numpy().max())
    shares, among = left.to_numpy(float) / samples, (right / left.where(left > 0)).to_numpy(float)
    return ExitTable(
        model, str(table["dataset"].iloc[0]), tuple(map(int, left.columns)), tuple(map(float, left.index)),
        tuple(map(tuple, shares.tolist())), tuple(map(tuple, among.tolist())),
        tuple((right.loc[1.0].to_numpy(float) / samples).tolist()), samples,
        "measured", f"{SOURCE}, {split}",
    )  # fmt: skip


def _names(ranges: Sequence[Range]) -> str:
    return f"{ranges[0].model} on {ranges[0].instance}" if ranges else "PORTEND"
