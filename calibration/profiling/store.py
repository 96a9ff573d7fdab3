"""The files of a profile, written whole or not at all.

``<out>/<hardware>/<model>_<input>_b<batch>.csv`` holds one row per layer, ``….repeats.csv`` every round of every
layer, ``….checks.csv`` what the parts of a split model took, and ``machine.json`` the machine and one entry per
profile. Everything is written under a temporary name and renamed; ``machine.json`` comes last, so an entry there means
that its files are complete.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from calibration.profiling.profiler import Measurement
from simulator.foundation.errors import ProfileError

SCHEMA_VERSION = 2
COLUMNS = (
    "schema_version", "model", "batch", "idx", "node", "op", "kind", "operator", "target", "parents", "out_shape",
    "flops", "in_bytes", "out_bytes", "params", "param_bytes", "alias", "cut_ok",
    "fwd_ns", "fwd_mad_ns", "fwd_p90_ns", "fwd_cpu_ns", "reps", "live_n", "live_bytes",
    "train_fwd_ns", "bwd_ns", "bwd_wall_ns", "opt_ns", "saved_bytes",
)  # fmt: skip
"""Columns of a profile. Times in integer ns with the cost of clock reads and hooks included, sizes in integer bytes.
The last five are empty where training was not measured."""
CHECKS = ("mode", "cut", "part", "cpu_ns", "wall_ns", "reps")
"""Columns of the checks, see :class:`calibration.profiling.checks.Check`."""
_SAME = ("cpu", "cpu_family", "gpu", "threads", "device", "dtype")  # what a folder's profiles have in common


def save(measured: Measurement, facts: dict[str, Any], folder: Path) -> Path:
    """Write the profile and return the CSV's path.

    Args:
        measured: the profile.
        facts: the machine's facts.
        folder: of this machine; need not be there yet.

    Raises:
        ProfileError: if the folder holds another machine's profiles, or cannot be written.
    """
    name = measured.recipe.file_name(measured.batch)
    machine = merged(folder, facts, {name: measured.summary})
    files = {
        f"{name}.repeats.csv": repeats_csv(measured),
        **({f"{name}.checks.csv": checks_csv(measured)} if measured.checks else {}),
        f"{name}.csv": profile_csv(measured),
    }
    write(folder, machine, files)
    return folder / f"{name}.csv"


def add(fields: dict[str, Any], facts: dict[str, Any], folder: Path, name: str) -> None:
    """Write *fields* into the entry of profile *name*, whose layer times stay.

    Raises:
        ProfileError: if there is no such profile, the folder is another machine's, or it cannot be written.
    """
    known = load_machine(folder).get("profiles", {})
    if name not in known:
        raise ProfileError(
            f'no profile "{name}" below {folder} to add to (there: {", ".join(known) or "none"}); '
            "take it without --load-only"
        )
    write(folder, merged(folder, facts, {name: {**known[name], **fields}}))


def entry_of(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the entry of profile *name* in the folder's ``machine.json``, None where it or its table is missing.

    An entry whose table is of another schema version counts as missing: it has to be taken again.

    Raises:
        ProfileError: if ``machine.json`` is not JSON.
    """
    entry: dict[str, Any] | None = load_machine(folder).get("profiles", {}).get(name)
    if entry is None or not (folder / f"{name}.csv").is_file():
        return None
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        first = next(csv.DictReader(stream), {})
    return entry if first.get("schema_version") == str(SCHEMA_VERSION) else None


def write(folder: Path, machine: dict[str, Any], files: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write all *files* and last ``machine.json`` under temporary names, then rename them in order.

    Raises:
        ProfileError: if it cannot be written; then nothing is left of it.
    """
    texts = {**files, "machine.json": json.dumps(machine, indent=2) + "\n"}
    parts = {folder / file: folder / f".{file}.part" for file in texts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part, text in zip(parts.values(), texts.values(), strict=True):
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


def merged(folder: Path, facts: dict[str, Any], entries: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """Return the folder's ``machine.json`` with the profiles' *entries* added or replaced; what else is there stays.

    Raises:
        ProfileError: if the folder belongs to another machine or thread count, or its ``machine.json`` is not JSON.
    """
    old = load_machine(folder)
    for key in _SAME:
        if old and old.get("machine", {}).get(key) != facts.get(key):
            raise ProfileError(
                f'"{folder.name}" holds profiles taken with {key} {old.get("machine", {}).get(key)}, and this is '
                f"{facts.get(key)}; choose another --hardware name"
            )
    profiles = {**old.get("profiles", {}), **entries}
    overheads = {}
    for key in ("tick_overhead_ns", "bwd_call_overhead_ns"):
        known = [entry[key] for entry in profiles.values() if key in entry]
        if known:
            overheads[key] = round(float(np.median(known)))
    return {
        **old,
        "schema_version": SCHEMA_VERSION,
        "hardware": folder.name,
        **overheads,
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
    learned = _training_columns(measured)
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
                **learned.get(fact.node, dict.fromkeys(COLUMNS[-5:], "")),
            }
        )
    return _csv([COLUMNS, *([row[name] for name in COLUMNS] for row in rows)])


def _training_columns(measured: Measurement) -> dict[str, dict[str, int]]:
    """Return each node's five figures of training by their columns' names, nothing where it was not measured."""
    table = measured.training
    if table is None:
        return {}
    whole = table.timing.median("optimizer")
    times = {
        "train_fwd_ns": table.timing.nodes("forward"),
        "bwd_ns": table.timing.nodes("backward"),
        "bwd_wall_ns": table.timing.nodes("backward_wall"),
        "opt_ns": whole * table.shares,
    }
    column = {node: i for i, node in enumerate(measured.timed)}
    return {
        fact.node: {
            **{
                name: round(float(values[column[fact.node]])) if fact.node in column else 0
                for name, values in times.items()
            },
            "saved_bytes": table.saved.get(fact.node, 0),
        }
        for fact in measured.facts
    }


def checks_csv(measured: Measurement) -> str:
    """Return what head and tail took after each cut that was tried."""
    return _csv([CHECKS, *([getattr(check, name) for name in CHECKS] for check in measured.checks)])


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
