"""PORTEND: what a range of blocks takes on EC2, from the cost of a call and of each block, played in the simulator.

Half of the longer ranges of each network on each instance and all its single blocks are fitted; the other half is
predicted. A network that ``--check`` brings and ``--fit`` does not know is predicted from its own single blocks and
the instance's cost of a call, which other networks tell.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from calibration.fidelity.comparison import EVERY, Comparison, Goal
from calibration.fidelity.report import choices, errors
from calibration.measured import portend
from calibration.measured.portend import Blocks, Key, Range
from calibration.measured.replay import InTurn, one_by_one
from simulator import Hardware, ModelProfile, Placement, Segment, Simulation
from simulator.foundation.errors import ProfileError

NAME = "portend"
TITLE = "Time of ranges of blocks of ResNet-20, EfficientNet-B0 and VGGish on five EC2 types (PORTEND)"
_SEED = 5
_NOISY = 0.10
"""Spread of the samples from which on a row is marked."""
_LINKS = (("10 Mbit/s", "20 ms"), ("400 Mbit/s", "40 ms"))
"""Those of the paper's experiment."""
_PAIRS = (("a1.large", "m4.large"), ("m4.large", "g4dn.xlarge"), ("a1.large", "g4dn.xlarge"))


class Cell(NamedTuple):
    """A network on one instance: what is fitted, and what is checked."""

    blocks: Blocks
    how: str
    """``ranges``, ``single blocks`` or ``single blocks, no call``."""
    checked: tuple[Range, ...]


def compare(fit: Path | None = None, check: Path | None = None) -> Comparison:
    """Predict ranges of blocks.

    Args:
        fit: table of ranges to fit on (default: the recorded one).
        check: table of ranges to predict (default: half of the longer ranges of *fit*).

    Raises:
        ProfileError: a table is absent or malformed, or has a range with a block of unknown time.
    """
    known = portend.read_ranges(fit)
    wanted = portend.read_ranges(check) if check else None
    cells = _cells(known, wanted)
    shapes, guessed = _shapes(cells)
    profiles = {
        model: portend.profile(model, {i: c.blocks for (m, i), c in cells.items() if m == model}, shapes[model])
        for model in dict.fromkeys(model for model, _ in cells)
    }
    rows = pd.DataFrame(
        [row for (model, instance), cell in cells.items() for row in _rows(profiles[model], instance, cell)]
    )
    everything = list(dict.fromkeys([*known, *(wanted or ())]))
    tables = {"single blocks added up (n calls instead of one)": additivity(everything)}
    unseen = unseen_networks(everything)
    if not unseen.empty:
        tables["longer ranges of a network from its single blocks, the call's cost from other networks"] = unseen
    splits = split_choice(profiles, cells, everything)
    if not splits.empty:
        tables["split chosen between two instances, network by the link law"] = splits
    noisy = rows["spread_pct"] > 100 * _NOISY
    tables["errors without rows whose samples spread over 10 %"] = errors(rows[~noisy])
    return Comparison(
        NAME,
        "Amazon EC2 a1.medium, a1.large (1 and 2 cores), m4.large, g4dn.xlarge (T4), g5.xlarge (A10G); wall clock, "
        "three means of 100 runs; measured by Ebrahimi et al. (ICPADS 2023)",
        rows,
        _goals(rows, splits),
        _notes(cells, rows, noisy, guessed, fit, check),
        tables,
    )


def _cells(known: Sequence[Range], wanted: Sequence[Range] | None) -> dict[tuple[str, str], Cell]:
    """Return by (model, instance) what is known of its blocks and which ranges are left to check."""
    alone = {one.key for one in known if one.first == one.last}  # the profile: fitted on, and never judged
    held = {one.key for one in wanted} - alone if wanted is not None else _held_back(known)
    asked = list(known if wanted is None else wanted)
    cells = {}
    for model, instance in dict.fromkeys((one.model, one.instance) for one in asked):
        here = [one for one in known if (one.model, one.instance) == (model, instance) and one.key not in held]
        others = [one for one in known if one.instance == instance and one.key not in held]
        mine = [one for one in asked if (one.model, one.instance) == (model, instance)]
        end = max(one.last for one in mine)
        covered = {block for one in here for block in one.blocks} >= set(range(1, end + 1))
        if covered and any(one.last > one.first for one in here):  # else nothing tells a call from its block
            cell = Cell(portend.fit_blocks(here), "ranges", tuple(one for one in mine if one.key in held))
        else:
            call = portend.call_cost(others)
            singles = [one for one in {one.key: one for one in [*mine, *here]}.values() if one.first == one.last]
            _refuse_gaps(model, instance, singles, end)
            how = "single blocks" if call else "single blocks, no call"
            longer = tuple(one for one in mine if one.last > one.first)
            cell = Cell(portend.fit_blocks(singles, call), how, longer)
        if cell.checked:
            cells[model, instance] = cell
    if not cells:
        raise ProfileError("PORTEND: no range of several blocks is left to check; give a table with some by --check")
    return cells


def _refuse_gaps(model: str, instance: str, singles: Sequence[Range], end: int) -> None:
    missing = sorted(set(range(1, end + 1)) - {one.first for one in singles})
    if missing:
        raise ProfileError(
            f"{model} on {instance}: a range to be checked holds block {missing[0]}, whose time is not known; give the "
            f"row of block {missing[0]} by itself in --check, or ranges with it in --fit"
        )


def _held_back(ranges: Sequence[Range]) -> set[Key]:
    """Return the keys of half of the longer ranges of each network on each instance, drawn with a fixed seed."""
    held = set()
    for cell in dict.fromkeys((one.model, one.instance) for one in ranges):
        longer = sorted(one.key for one in ranges if (one.model, one.instance) == cell and one.last > one.first)
        order = np.random.default_rng([_SEED, zlib.crc32("/".join(cell).encode())]).permutation(len(longer))
        held |= {longer[i] for i in order[len(longer) // 2 :]}
    return held


def _shapes(cells: Mapping[tuple[str, str], Cell]) -> tuple[dict[str, tuple[int, ...]], list[str]]:
    """Return the tensors' bytes by model, and the models of which they are not known (one byte stands in)."""
    known = portend.read_shapes()
    counts = {model: len(cell.blocks.seconds) for (model, _), cell in cells.items()}
    guessed = [model for model, count in counts.items() if len(known.get(model, ())) != count + 1]
    return {m: (1,) * (n + 1) if m in guessed else known[m] for m, n in counts.items()}, guessed


def play(profile: ModelProfile, hardware: Hardware, ranges: Sequence[tuple[int, int]]) -> list[float]:
    """Return what each range (first and last block, from 1) takes on *hardware* in the simulator [s]."""
    blocks, nodes = len(profile), ("before", "part", "after")
    placements = tuple(
        Placement((Segment("before", 0, first - 1), Segment("part", first - 1, last), Segment("after", last, blocks)))
        for first, last in ranges
    )
    wire = {"bandwidth": "100 GB/s", "delay": "0 ms", "connection": "none"}
    pairs = (("before", "part"), ("part", "after"), ("after", "before"))
    links = {"-".join(pair): {"between": list(pair), **wire} for pair in pairs}
    seconds = sum(profile.measured[hardware.name].seconds) + 3 * hardware.cold.value
    apart = 10.0 * seconds + 10.0  # nothing queues, and a call is never part of another
    technique = InTurn(placements=placements)
    spans = Simulation(one_by_one(profile, dict.fromkeys(nodes, hardware), links, apart, technique)).run().spans
    part = spans[(spans["kind"] == "compute") & (spans["resource"] == "part")].sort_values("request")
    return [float(one) for one in part["finish_s"] - part["start_s"]]


def _rows(profile: ModelProfile, instance: str, cell: Cell) -> list[dict[str, object]]:
    """Return the checked ranges of one cell; those at the front or the end once more as device or server part."""
    hardware = portend.machine(instance, cell.blocks.call)
    predicted = play(profile, hardware, [(one.first, one.last) for one in cell.checked])
    rows = []
    for one, seconds in zip(cell.checked, predicted, strict=True):
        segments = ["total", *["device"] * (one.first == 1), *["server"] * (one.last == len(profile) and one.first > 1)]
        rows += [
            {
                "model": profile.name, "condition": f"{instance}, blocks {one.first} to {one.last}",
                "split": one.first - 1, "segment": segment,
                "measured_s": one.seconds, "predicted_s": seconds, "grade": "measured", "held_out": True,
                "spread_pct": 100 * one.spread, "fitted_on": cell.how,
            }
            for segment in segments
        ]  # fmt: skip
    return rows


def additivity(ranges: Sequence[Range]) -> pd.DataFrame:
    """Return by network and instance how far single blocks, added up, are from longer ranges [%], and a call's cost.

    Returns:
        Columns ``n`` (longer ranges), ``mape_pct``, ``bias_pct``, ``call_ms``.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for key, rows in _by_cell(ranges).items():
        alone = {one.first: one.seconds for one in rows if one.first == one.last}
        longer = [one for one in rows if one.last > one.first and all(block in alone for block in one.blocks)]
        if longer:
            sums = [100 * (sum(alone[block] for block in one.blocks) / one.seconds - 1) for one in longer]
            mape, bias = np.mean(np.abs(sums)), np.mean(sums)
            call = 1e3 * portend.call_cost(rows)
            found[key] = {"n": len(sums), "mape_pct": float(mape), "bias_pct": float(bias), "call_ms": call}
    return _frame(found)


def unseen_networks(ranges: Sequence[Range]) -> pd.DataFrame:
    """Return by network and instance the error [%] where nothing of the network but its single blocks is known.

    Returns:
        Columns ``n`` (longer ranges), ``call_ms`` (as the other networks tell it), ``mape_pct`` and ``bias_pct`` with
        that call, ``mape_without_pct``. Networks without all single blocks, or alone on an instance, are not in it.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for (model, instance), rows in _by_cell(ranges).items():
        singles = [one for one in rows if one.first == one.last]
        longer = [one for one in rows if one.last > one.first]
        others = [one for one in ranges if one.instance == instance and one.model != model]
        if not longer or not others or len(singles) < max(one.last for one in rows):
            continue
        call = portend.call_cost(others)
        found[model, instance] = {"n": len(longer), "call_ms": 1e3 * call}
        errors_pct = []
        for cost in (call, 0.0):
            blocks = portend.fit_blocks(singles, cost)
            sums = (blocks.call + sum(blocks.seconds[one.first - 1 : one.last]) for one in longer)
            errors_pct.append([100 * (total / one.seconds - 1) for total, one in zip(sums, longer, strict=True)])
        found[model, instance] |= {
            "mape_pct": float(np.mean(np.abs(errors_pct[0]))),
            "bias_pct": float(np.mean(errors_pct[0])),
            "mape_without_pct": float(np.mean(np.abs(errors_pct[1]))),
        }
    return _frame(found)


def _by_cell(ranges: Sequence[Range]) -> dict[tuple[str, str], list[Range]]:
    found: dict[tuple[str, str], list[Range]] = {}
    for one in ranges:
        found.setdefault((one.model, one.instance), []).append(one)
    return found


def _frame(found: Mapping[tuple[str, str], Mapping[str, float]]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(list(found), names=["model", "instance"])
    return pd.DataFrame(list(found.values()), index=index)


def split_choice(
    profiles: Mapping[str, ModelProfile], cells: Mapping[tuple[str, str], Cell], ranges: Sequence[Range]
) -> pd.DataFrame:
    """Return the split that the simulator would choose between two instances, and what it costs against the best.

    Pickling and the network are the simulator's on both sides (nobody measured them together with the blocks), so the
    regret is that of the compute times alone, weighed as they weigh in a real decision.

    Returns:
        Columns as :func:`calibration.fidelity.report.choices` has them; empty where no pair of instances is known.
    """
    measured = {one.key: one.seconds for one in ranges}
    rows = []
    for model, profile in profiles.items():
        for near, far in _PAIRS:
            if (model, near) in cells and (model, far) in cells:
                machines = [
                    portend.machine(name, cells[model, name].blocks.call, portend.read_pickling(name))
                    for name in (near, far)
                ]
                for bandwidth, delay in _LINKS:
                    rows += _splits(profile, machines, bandwidth, delay, measured)
    frame = pd.DataFrame(rows, columns=["model", "condition", "split", "segment", "measured_s", "predicted_s"])
    return choices(frame.dropna())


def _splits(
    profile: ModelProfile, machines: Sequence[Hardware], bandwidth: str, delay: str, measured: Mapping[Key, float]
) -> list[tuple[object, ...]]:
    """Return every split of *profile* between two machines, as rows of a comparison."""
    near, far = (machine.name for machine in machines)
    count = len(profile)
    slow = profile.input_bytes * 8 / 1e6 + 3 * sum(sum(times.seconds) for times in profile.measured.values())
    link = {"between": ["near", "far"], "bandwidth": bandwidth, "delay": delay}
    placements = tuple(Placement.split("near", "far", split, count) for split in range(count + 1))
    nodes = dict(zip(("near", "far"), machines, strict=True))
    scenario = one_by_one(profile, nodes, {"wire": link}, 10.0 * slow + 10.0, InTurn(placements=placements))
    requests = Simulation(scenario).run().requests.sort_values("request")
    rows: list[tuple[object, ...]] = []
    for split, (latency, compute) in enumerate(zip(requests["latency_s"], requests["compute_s"], strict=True)):
        head = measured.get((profile.name, near, 1, split), math.nan) if split else 0.0
        tail = measured.get((profile.name, far, split + 1, count), math.nan) if split < count else 0.0
        condition = f"{near} to {far}, {bandwidth}, {delay}"
        rows.append((profile.name, condition, split, "total", latency - compute + head + tail, latency))
    return rows


def _goals(rows: pd.DataFrame, splits: pd.DataFrame) -> tuple[Goal, ...]:
    figures = errors(rows[rows["measured_s"] > 1e-3])
    goals = []
    for segment, what in (("device", "heads"), ("server", "tails")):
        part = figures[figures.index.get_level_values("segment") == segment]
        if not part.empty:
            named = (EVERY, segment) if (EVERY, segment) in part.index else part.index[0]
            goals.append(Goal(f"MAPE of {what} over 1 ms", float(part.loc[named, "mape_pct"]), 3.0))
    if not splits.empty:
        goals.append(Goal("mean regret of the split chosen", float(splits["regret_pct"].mean()), 2.0))
    return tuple(goals)


def _notes(
    cells: Mapping[tuple[str, str], Cell],
    rows: pd.DataFrame,
    noisy: pd.Series[bool],
    guessed: Sequence[str],
    fit: Path | None,
    check: Path | None,
) -> tuple[str, ...]:
    whole = rows["segment"] == "total"
    notes = [
        "a range costs one call and its blocks; both by least squares on relative errors, the call played as a cold "
        "cost that each activation pays",
        "segment total: every range checked, by itself; device: those that begin at the first block; server: those "
        "that end at the last. No network was measured",
        f"{int((whole & noisy).sum())} of {int(whole.sum())} ranges have samples that spread over 10 % (marked)",
    ]
    if check is None:
        notes.append(
            f"fitted on {fit or 'the recorded table'}: all single blocks and half of the longer ranges of each network "
            "and instance (seeded); checked on the other half"
        )
    for how, text in (
        ("ranges", "ranges of the fit table"),
        ("single blocks", "their single blocks in the table checked, and the call's cost of other networks there"),
        (
            "single blocks, no call",
            "their single blocks in the table checked; no other network tells a call's cost there",
        ),
    ):
        named = [f"{model} on {instance}" for (model, instance), cell in cells.items() if cell.how == how]
        if check is not None and named:
            notes.append(f"predicted from {text}: {', '.join(named)}")
    if guessed:
        notes.append(f"tensors of {', '.join(guessed)} are not known; one byte stands in, and only compute is judged")
    if check is None:
        notes.append(
            "a1.large_multicore with one core repeats the rows of a1.large and is the same here; pickling on a1.medium "
            "repeats that on a1.large"
        )
    return tuple(notes)
