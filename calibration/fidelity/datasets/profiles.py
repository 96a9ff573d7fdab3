"""``profiles``: do the shipped tables of layers add up to what was measured beside them?

Four questions, all answered from the files alone: the sum of the layers against the whole forward pass; the same for a
training step; the sums before and after a cut against head and tail run as models of their own; and a batch size left
out, put between its neighbours by the simulator's own shelf, against the whole as it was measured. Nothing is fitted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.fidelity.comparison import EVERY, Comparison, Goal
from calibration.fidelity.report import errors
from simulator.foundation.errors import ProfileError
from simulator.profiles.library import Library, shipped
from simulator.profiles.model import ModelProfile
from simulator.profiles.profile_files import machine_facts, read_profile

NAME = "profiles"
TITLE = "Layer profiles: sums against whole passes, halves of split models, batches left out"
LEAST_S = 1e-3
"""Parts of a split model shorter than this are not judged [s]."""
KINDS = {
    "forward": (2.0, 10.0),
    "training step": (3.0, 10.0),
    "head": (3.0, None),
    "tail": (3.0, None),
    "training head": (3.0, None),
    "training tail": (3.0, None),
    "batch not profiled": (5.0, None),
    "batch not profiled, training": (5.0, None),
}
"""What is compared, with the largest mean and single error allowed [%]."""

Row = dict[str, Any]


@dataclass(frozen=True)
class _Taken:
    """One profile file with what was measured beside its table."""

    model: ModelProfile
    hardware: str
    entry: Mapping[str, Any]
    walls: Mapping[str, Sequence[float]]
    """Wall-clock columns of the layers [s]."""
    checks: Sequence[Mapping[str, str]]

    def row(self, kind: str, measured_ns: float, predicted_s: float, wall: tuple[float, float] | None = None) -> Row:
        """Return one comparison; *wall* is (measured [ns], predicted [s])."""
        size, batch = self.model.resolution, self.model.batch
        return {
            "model": self.model.name,
            "condition": f"{self.hardware}, input {size}, batch {batch}, {kind}, {self.entry.get('clock')} clock",
            "split": "",
            "segment": "device",
            "measured_s": measured_ns * 1e-9,
            "predicted_s": predicted_s,
            "grade": "transferred" if kind.startswith("batch") else "measured",
            "kind": kind,
            "wall_measured_s": None if wall is None else wall[0] * 1e-9,
            "wall_predicted_s": None if wall is None else wall[1],
        }


def compare(fit: Path | None = None, check: Path | None = None) -> Comparison:
    """Compare the shipped profiles, or those below the folder *check* (of one machine or of several).

    Raises:
        ProfileError: if *fit* is given, or there is no profile, or one is malformed.
    """
    if fit is not None:
        raise ProfileError(f"fidelity {NAME}: nothing is fitted here; leave --fit {fit} away")
    folder = shipped() / "profiles" if check is None else check
    taken = [_taken(path) for path in _files(folder)]
    if not taken:
        raise ProfileError(f"{folder}: no profile below it; take some with: offing profile MODEL --out {folder}")
    rows = pd.DataFrame([*(row for one in taken for row in _rows(one)), *_left_out(taken)])
    by_kind = errors(rows.assign(model=rows["kind"])).droplevel("segment").drop(index=EVERY, errors="ignore")
    tables = {"by what is compared, CPU clock (wall clock where the profile says so)": by_kind.round(2)}
    walls = rows[rows["wall_measured_s"].notna()]
    if len(walls):
        shown = walls.assign(
            model=walls["kind"], measured_s=walls["wall_measured_s"], predicted_s=walls["wall_predicted_s"]
        )
        beside = errors(shown).droplevel("segment").drop(index=EVERY, errors="ignore")
        tables["the same on the wall clock"] = beside.round(2)
    judged = rows.drop(columns=["kind", "wall_measured_s", "wall_predicted_s"])
    return Comparison(NAME, _measured_on(taken), judged, tuple(_goals(by_kind)), _notes(rows, taken), tables)


def _files(folder: Path) -> list[Path]:
    found = {*folder.glob("*_b*.csv"), *folder.glob("*/*_b*.csv")}
    return sorted(path for path in found if not path.name.endswith((".repeats.csv", ".checks.csv")))


def _taken(path: Path) -> _Taken:
    model = read_profile(path)
    entry = machine_facts(path).get("profiles", {}).get(path.stem)
    if entry is None:
        raise ProfileError(f"{path.with_name('machine.json')}: no entry for {path.stem}; profile it again")
    checks = path.with_name(f"{path.stem}.checks.csv")
    columns = ("fwd_ns", "train_fwd_ns", "bwd_wall_ns")
    layers = [row for row in _table(path) if row["op"] != "placeholder"]
    walls = {name: [float(row.get(name) or 0) * 1e-9 for row in layers] for name in columns}
    return _Taken(model, path.parent.name, entry, walls, _table(checks) if checks.is_file() else [])


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _rows(one: _Taken) -> Iterator[Row]:
    """Whole passes, and the parts of split ones."""
    entry, (times,) = one.entry, one.model.measured.values()
    wall = (entry["plain_wall_ns"], entry["sum_wall_ns"] * 1e-9) if "sum_wall_ns" in entry else None
    yield one.row("forward", entry["plain_cpu_ns"], fsum(times.seconds), wall)
    step = entry.get("training")
    learned = times.training
    if learned is not None and step is not None:
        yield one.row(
            "training step", step["step_cpu_ns"], learned.total, (step["step_wall_ns"], step["sum_wall_ns"] * 1e-9)
        )
    for number, check in enumerate(one.checks, start=2):
        try:
            cut, measured, waited = int(check["cut"]), float(check["cpu_ns"]), float(check["wall_ns"])
            mode, part = check["mode"], check["part"]
        except (KeyError, TypeError, ValueError) as error:
            where = f"{one.hardware}/{one.model.name}: checks, line {number}"
            raise ProfileError(f"{where}: malformed: {error}; take the profile again") from None
        if measured * 1e-9 < LEAST_S:
            continue
        layers = slice(None, cut) if part == "head" else slice(cut, None)
        if mode == "inference":
            predicted, on_the_wall = fsum(times.seconds[layers]), fsum(one.walls["fwd_ns"][layers])
        elif learned is not None:
            loss = learned.loss if part == "tail" else 0.0
            predicted = fsum((*learned.forward[layers], *learned.backward[layers], loss))
            on_the_wall = fsum((*one.walls["train_fwd_ns"][layers], *one.walls["bwd_wall_ns"][layers], loss))
        else:
            continue
        kind = part if mode == "inference" else f"training {part}"
        yield {**one.row(kind, measured, predicted, (waited, on_the_wall)), "split": cut}


def _left_out(taken: Sequence[_Taken]) -> Iterator[Row]:
    """Each batch that has neighbours taken in turn with it, as the shelf makes it up from them when it is not there."""
    families: dict[tuple[str, ...], list[_Taken]] = {}
    for one in taken:
        together = str(one.entry.get("taken"))
        families.setdefault((one.hardware, one.model.name, one.model.resolution, together), []).append(one)
    for family in families.values():
        ordered = sorted(family, key=lambda one: one.model.batch)
        for one in ordered[1:-1]:
            others = [other.model for other in ordered if other is not one]
            shelf = Library(folder=Path("/nonexistent"), models=others)
            made = shelf.model(one.model.name, one.model.resolution, one.model.batch)
            (times,) = made.measured.values()
            yield one.row("batch not profiled", one.entry["plain_cpu_ns"], fsum(times.seconds))
            if times.training is not None and "training" in one.entry:
                step = one.entry["training"]["step_cpu_ns"]
                yield one.row("batch not profiled, training", step, times.training.total)


def _goals(by_kind: pd.DataFrame) -> Iterator[Goal]:
    """What was promised; a kind that was not measured is not reached (NaN)."""
    for kind, (mean, most) in KINDS.items():
        there = kind in by_kind.index
        reached = float(by_kind["mape_pct"][kind]) if there else float("nan")
        yield Goal(f"{kind}: mean absolute error", reached, mean)
        if most is not None:
            largest = float(by_kind["max_ape_pct"][kind]) if there else float("nan")
            yield Goal(f"{kind}: largest error", largest, most)


def _measured_on(taken: Sequence[_Taken]) -> str:
    machines = []
    for name in sorted({one.hardware for one in taken}):
        clocks = sorted({str(one.entry.get("clock")) for one in taken if one.hardware == name})
        dates = sorted(str(one.entry.get("date")) for one in taken if one.hardware == name)
        machines.append(f"{name}, {' and '.join(clocks)} clock, {dates[0]} to {dates[-1]}")
    return "; ".join(machines) + "; measured by this project with offing profile"


def _notes(rows: pd.DataFrame, taken: Sequence[_Taken]) -> tuple[str, ...]:
    trained = sum("training" in one.entry for one in taken)
    cut = sum(bool(one.checks) for one in taken)
    notes = [
        f"{len(taken)} profiles, {trained} of them with training, {cut} with split models run by themselves; "
        "nothing is fitted",
        "a batch left out is held against neighbours that were taken in turn with it, where the files say so: others "
        "met another speed of the machine",
        f"parts of split models shorter than {LEAST_S * 1e3:g} ms are not judged",
        "sum and whole were measured in turn in the same minutes, so this says nothing of how the machine's speed "
        "wanders from one hour to another",
    ]
    missing = [kind for kind in KINDS if kind not in set(rows["kind"])]
    if missing:
        notes.append(f"not measured in any of these profiles: {', '.join(missing)}")
    flagged = [one for one in taken if one.entry.get("flags")]
    if flagged:
        notes.append(f"{len(flagged)} profiles carry flags (a shared core, kernels that moved, or accepted)")
    return tuple(notes)
