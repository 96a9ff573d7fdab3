"""The files of a profile, written whole or not at all.

``<out>/<hardware>/<model>_<input>_b<batch>.csv`` holds one row per layer, ``….repeats.csv`` every round of every
layer, and ``machine.json`` the machine and one entry per profile. Everything is written under a temporary name and
renamed; ``machine.json`` comes last, so an entry there means that its files are complete.
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from calibration.profiling.profiler import Measurement
from calibration.zoo import Recipe
from simulator.foundation.errors import ProfileError

SCHEMA_VERSION = 1
COLUMNS = (
    "schema_version", "model", "batch", "idx", "node", "op", "kind", "operator", "target", "parents", "out_shape",
    "flops", "in_bytes", "out_bytes", "params", "param_bytes", "alias", "cut_ok",
    "fwd_ns", "fwd_mad_ns", "fwd_p90_ns", "fwd_cpu_ns", "reps", "live_n", "live_bytes",
)  # fmt: skip
"""Columns of a profile. Times in integer ns with one clock read included, sizes in integer bytes."""
_SAME = ("cpu", "cpu_family", "threads", "device", "dtype")  # what a folder's profiles have in common


def save(measured: Measurement, facts: dict[str, Any], out: Path, hardware: str) -> Path:
    """Write the profile below ``out/hardware`` and return the CSV's path.

    Args:
        measured: the profile.
        facts: the machine's facts.
        out: folder of all hardware.
        hardware: folder of this machine.

    Raises:
        ProfileError: if the folder holds another machine's profiles, or cannot be written.
    """
    folder = out / hardware
    name = file_name(measured.recipe, measured.batch)
    machine = merged(load_machine(folder), facts, hardware, name, measured.summary)
    files = {
        f"{name}.repeats.csv": repeats_csv(measured),
        f"{name}.csv": profile_csv(measured),
        "machine.json": json.dumps(machine, indent=2) + "\n",
    }
    _write(folder, files)
    return folder / f"{name}.csv"


def add(fields: dict[str, Any], facts: dict[str, Any], out: Path, hardware: str, name: str) -> Path:
    """Write *fields* into the entry of profile *name*, whose layer times stay, and return the CSV's path.

    Raises:
        ProfileError: if there is no such profile, the folder is another machine's, or it cannot be written.
    """
    folder = out / hardware
    old = load_machine(folder)
    if name not in old.get("profiles", {}):
        known = ", ".join(old.get("profiles", {})) or "none"
        raise ProfileError(
            f'no profile "{name}" below {folder} to add to (there: {known}); take it without --load-only'
        )
    machine = merged(old, facts, hardware, name, {**old["profiles"][name], **fields})
    _write(folder, {"machine.json": json.dumps(machine, indent=2) + "\n"})
    return folder / f"{name}.csv"


def file_name(recipe: Recipe, batch: int) -> str:
    """Return the name of a profile's files without their endings, such as ``vgg16_224_b1``."""
    return f"{recipe.name}_{recipe.tag}_b{batch}"


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write all files under temporary names, then rename them in order."""
    parts = {folder / file: folder / f".{file}.part" for file in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for (_, part), text in zip(parts.items(), files.values(), strict=True):
            part.write_text(text, encoding="utf-8")
        for path, part in parts.items():
            os.replace(part, path)
    except OSError as error:
        raise ProfileError(f"cannot write the profile below {folder}: {error.strerror}") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def load_machine(folder: Path) -> dict[str, Any]:
    """Return the folder's ``machine.json``, or an empty dict where there is none yet.

    Raises:
        ProfileError: if it is not JSON.
    """
    path = folder / "machine.json"
    if not path.exists():
        return {}
    try:
        machine: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ProfileError(f"{path} is not valid JSON ({error}); move it away and profile again") from error
    return machine


def merged(
    old: dict[str, Any], facts: dict[str, Any], hardware: str, name: str, summary: dict[str, Any]
) -> dict[str, Any]:
    """Return ``machine.json`` with the entry *name* added or replaced.

    Raises:
        ProfileError: if the folder belongs to another machine or thread count.
    """
    for key in _SAME:
        if old and old.get("machine", {}).get(key) != facts.get(key):
            raise ProfileError(
                f'"{hardware}" holds profiles taken with {key} {old.get("machine", {}).get(key)}, and this is '
                f"{facts.get(key)}; choose another --hardware name"
            )
    profiles = {**old.get("profiles", {}), name: summary}
    ticks = [entry["tick_overhead_ns"] for entry in profiles.values()]
    return {
        "schema_version": SCHEMA_VERSION,
        "hardware": hardware,
        "tick_overhead_ns": round(float(np.median(ticks))),
        "machine": facts,
        "profiles": dict(sorted(profiles.items())),
    }


def profile_csv(measured: Measurement) -> str:
    """Return the table of layers as CSV text."""
    wall, cpu = measured.timing.nodes_wall, measured.timing.nodes_cpu
    median = np.median(wall, axis=0)
    times = {
        "fwd_ns": median,
        "fwd_mad_ns": np.median(np.abs(wall - median), axis=0),
        "fwd_p90_ns": np.percentile(wall, 90, axis=0),
        "fwd_cpu_ns": np.median(cpu, axis=0),
    }
    column = {node: i for i, node in enumerate(measured.timed)}
    rows = []
    for idx, fact in enumerate(measured.facts):
        at = column.get(fact.node)
        rows.append(
            {
                "schema_version": SCHEMA_VERSION,
                "model": measured.recipe.name,
                "batch": measured.batch,
                "idx": idx,
                **{name: getattr(fact, name) for name in COLUMNS if hasattr(fact, name)},
                "parents": "|".join(fact.parents),
                "out_shape": json.dumps(fact.out_shape),
                "alias": int(fact.alias),
                "cut_ok": int(fact.cut_ok),
                **{name: 0 if at is None else round(float(values[at])) for name, values in times.items()},
                "reps": len(cpu),
            }
        )
    return _csv([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])


def repeats_csv(measured: Measurement) -> str:
    """Return one row per round and one column per layer [ns, gate's clock, clock read included]; 0 for the input."""
    column = {node: i for i, node in enumerate(measured.timed)}
    names = [fact.node for fact in measured.facts]
    rounds = [[int(row[column[name]]) if name in column else 0 for name in names] for row in measured.timing.nodes_cpu]
    return _csv([names, *rounds])


def _csv(rows: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
