"""A profile's files, read and checked: the table of layers, its repeats, and what ``machine.json`` says of it.

Their schema is in ``docs/reference/profile_schema.md``. What is cut short, of another version or without a time is
refused with its line, since a zero that means "not known" would go unnoticed into every result.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.foundation.errors import ProfileError
from simulator.profiles.model import Layer, LayerTimes, ModelProfile, TrainingTimes

SCHEMA_VERSIONS = ("1", "2")
"""Versions of the profile files that are read; the second adds training."""


@dataclass(frozen=True)
class ProfileKey:
    """What a profile's file name says."""

    path: Path
    hardware: str
    model: str
    input: str
    batch: int

    @classmethod
    def of(cls, path: Path) -> ProfileKey:
        """Take ``hardware/model_input_bN.csv`` apart.

        Raises:
            ProfileError: if the name is not of that form.
        """
        try:
            model, size, batch = path.stem.rsplit("_", 2)
            return cls(path, path.parent.name, model, size, int(batch.removeprefix("b")))
        except ValueError:
            raise ProfileError(f"{path}: a profile is named MODEL_INPUT_bBATCH.csv, e.g. vgg16_224_b1.csv") from None


def read_profile(path: Path) -> ModelProfile:
    """Read one profile file (and its repeats and ``machine.json`` where they lie beside it).

    Times are the CPU clock's medians, less what reading the clock once per layer cost when they were taken.

    Raises:
        ProfileError: if the file cannot be read, or a row is malformed; the message has its line.
    """
    key = ProfileKey.of(path)
    rows = _table(path)
    if not rows:
        raise ProfileError(f"{path}: the profile is empty; take it again with: offing profile {key.model}")
    facts = machine_facts(path)
    entry = facts.get("profiles", {}).get(path.stem, {})
    if entry.get("nodes") not in (None, len(rows)):
        raise ProfileError(
            f"{path}: {len(rows)} rows, and machine.json says {entry['nodes']}: one of them is truncated or of another "
            f"run; take it again with: offing profile {key.model}"
        )
    tick = _number(path, {**facts, **entry}, "tick_overhead_ns") or 0.0
    layers: list[Layer] = []
    seconds: list[float] = []
    timed: list[Mapping[str, str]] = []
    source, source_bytes = "", 0.0
    for line, row in enumerate(rows, start=2):
        try:
            _complete(row)
            if row["op"] == "placeholder":
                source, source_bytes = row["node"], _amount(row, "out_bytes")
                continue
            layers.append(_layer(row))
            seconds.append(max(0.0, _amount(row, "fwd_cpu_ns") - tick) * 1e-9)
            timed.append(row)
        except (KeyError, ValueError, TypeError) as error:
            raise ProfileError(
                f"{path}:{line}: malformed row: {error}; take it again with: offing profile {key.model}"
            ) from None
    load, first, warm = (_number(path, entry, name) for name in ("load_ns", "first_call_ns", "warm_call_ns"))
    times = LayerTimes(
        key.hardware,
        tuple(seconds),
        _repeats(path, source, layers, tick),
        "measured",
        path.name,
        None if load is None else load * 1e-9,
        None if first is None or warm is None else max(0.0, first - warm) * 1e-9,
        _training(path, timed, {**facts, **entry}, 2 + len(rows) - len(timed)),
    )
    return ModelProfile(key.model, source, source_bytes, tuple(layers), key.batch, key.input, {key.hardware: times})


def _table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a profile's table.

    Raises:
        ProfileError: if it is no table, or its last line does not end: a number there may have lost digits.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            text = stream.read()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProfileError(f"{path}: cannot be read: {error}") from None
    if text and not text.endswith("\n"):
        raise ProfileError(f"{path}: its last line has no end: the file is truncated; take the profile again")
    return rows


def _amount(row: Mapping[str, str], name: str) -> float:
    """Return a time or size.

    Raises:
        KeyError: if the table has no such column.
        ValueError: unless it is a finite number of at least 0.
    """
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise ValueError(f"{name} is {row[name]!r}, expected a number of at least 0")
    return value


def _complete(row: Mapping[str, str | None]) -> None:
    """Refuse a row of another schema version, one that breaks off, or one without a time.

    Raises:
        ValueError: with what is wrong.
    """
    version = row.get("schema_version")
    if version not in SCHEMA_VERSIONS:
        known = " and ".join(SCHEMA_VERSIONS)
        raise ValueError(f"schema_version {version!r}, this program reads {known}")
    missing = [str(name) for name, text in row.items() if text is None]
    if missing:
        raise ValueError(f"it breaks off before {missing[0]}: the file is truncated")
    if row.get("fwd_cpu_ns") == "":
        raise ValueError(f"{row.get('node')} has no time (fwd_cpu_ns is empty)")


_LEARNED = ("train_fwd_ns", "bwd_ns", "opt_ns", "saved_bytes")


def _training(
    path: Path, rows: Sequence[Mapping[str, str]], facts: Mapping[str, Any], first: int
) -> TrainingTimes | None:
    """Return the times of training, less what reading the clock cost; None where the file has none.

    Raises:
        ProfileError: if some rows have them and others not, or one is no number.
    """
    if not any(row.get(name) for row in rows for name in _LEARNED):
        return None
    step = facts.get("training") or {}
    if not isinstance(step, Mapping):
        raise ProfileError(f"{path.with_name('machine.json')}: {path.stem}: training is {step!r}, expected a mapping")
    tick = _number(path, step, "tick_overhead_ns") or 0.0
    hook = _number(path, facts, "bwd_call_overhead_ns") or 0.0
    less = dict(zip(_LEARNED, (tick, hook, 0.0, 0.0), strict=True))
    columns: dict[str, list[float]] = {name: [] for name in _LEARNED}
    for line, row in enumerate(rows, start=first):
        for name, values in columns.items():
            try:
                values.append(max(0.0, _amount(row, name) - less[name]))
            except (KeyError, ValueError):
                raise ProfileError(
                    f"{path}:{line}: {row['node']} has no time in training ({name} is {row.get(name)!r}), and other "
                    "rows have; take it again with training"
                ) from None
    forward, backward, optimizer = (tuple(ns * 1e-9 for ns in columns[name]) for name in _LEARNED[:3])
    loss = _number(path, step, "loss_ns") or 0.0
    return TrainingTimes(forward, backward, optimizer, tuple(columns["saved_bytes"]), loss * 1e-9)


def _layer(row: Mapping[str, str]) -> Layer:
    return Layer(
        name=row["node"],
        kind=row["kind"],
        operator=row["operator"],
        parents=tuple(row["parents"].split("|")) if row["parents"] else (),
        flops=_amount(row, "flops"),
        in_bytes=_amount(row, "in_bytes"),
        out_bytes=_amount(row, "out_bytes"),
        param_bytes=_amount(row, "param_bytes"),
        alias=row["alias"] == "1",
        cut_ok=row["cut_ok"] == "1",
    )


def machine_facts(path: Path) -> dict[str, Any]:
    """Return the ``machine.json`` beside a profile (empty where there is none)."""
    file = path.parent / "machine.json"
    if not file.is_file():
        return {}
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProfileError(f"{file}: cannot be read: {error}") from None
    entries = facts.get("profiles", {}) if isinstance(facts, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ProfileError(f"{file}: expected a mapping with a mapping per profile under profiles; take it again")
    return dict(facts)


def _number(path: Path, entry: Mapping[str, Any], name: str) -> float | None:
    """Return a number of ``machine.json``, None where it has none."""
    try:
        return None if entry.get(name) is None else _amount(entry, name)
    except ValueError:
        file = path.with_name("machine.json")
        raise ProfileError(f"{file}: {path.stem}: {name} is {entry[name]!r}, expected whole nanoseconds") from None


def _repeats(path: Path, source: str, layers: Sequence[Layer], tick: float) -> tuple[tuple[float, ...], ...]:
    file = path.with_name(path.stem + ".repeats.csv")
    if not file.is_file():
        return ()
    rows, names = _table(file), {source, *(layer.name for layer in layers)}
    strange = sorted(set(map(str, rows[0] if rows else ())) ^ names)
    if strange:
        raise ProfileError(f"{file}: does not fit {path.name}: '{strange[0]}' is in one of them; is one truncated?")
    try:
        return tuple(tuple(max(0.0, _amount(row, layer.name) - tick) * 1e-9 for layer in layers) for row in rows)
    except ValueError as error:
        raise ProfileError(f"{file}: does not fit {path.name}: {error}") from None
