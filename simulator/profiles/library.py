"""The shelf of shipped and user-given data: model profiles, hardware, scenarios and traces, found by name.

Shipped data stand in the checkout's ``scenarios/`` folder and in the wheel's ``simulator/shipped``; the profile
files' schema is in ``docs/reference/profile_schema.md``.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simulator.foundation.errors import ProfileError, did_you_mean
from simulator.profiles.hardware import Hardware, read_hardware
from simulator.profiles.model import Layer, LayerTimes, ModelProfile, TrainingTimes

SCHEMA_VERSIONS = ("1", "2")
"""Versions of the profile files that are read; the second adds training."""


def shipped() -> Path:
    """Return the folder of shipped data: inside the wheel, else beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent / "scenarios"


def recordings_folder() -> Path | None:
    """Return the folder of recordings that others made and that are not ours to ship, None where there is none.

    ``OFFING_DATA`` in the environment names it; a checkout also finds ``shared/data`` in the folder it stands in.
    """
    named = os.environ.get("OFFING_DATA")
    if named:
        return Path(named)
    package = Path(__file__).resolve().parent.parent
    beside = package.parent.parent / "shared" / "data"
    return beside if not (package / "shipped").is_dir() and beside.is_dir() else None


@dataclass
class Library:
    """Where models and hardware are looked up; pass your own to :func:`simulator.run` to add some in Python."""

    folder: Path = field(default_factory=shipped)
    models: list[ModelProfile] = field(default_factory=list)
    """Profiles made in Python, found before the shipped ones."""
    machines: list[Hardware] = field(default_factory=list)
    """Hardware made in Python, found before the shipped ones."""

    def hardware(self, name: str) -> Hardware:
        """Return the machine called *name*.

        Raises:
            ProfileError: if there is none.
        """
        for machine in self.machines:
            if machine.name == name:
                return machine
        path = self.folder / "hardware" / f"{name}.yaml"
        if not path.is_file():
            known = self.hardware_names()
            raise ProfileError(f'no hardware named "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')
        return read_hardware(path)

    def hardware_names(self) -> list[str]:
        """Return the names of all machines."""
        files = (path.stem for path in (self.folder / "hardware").glob("*.yaml"))
        return sorted({*files, *(machine.name for machine in self.machines)})

    def model_names(self) -> list[str]:
        """Return the names of all models."""
        return sorted({profile.name for profile in self.models} | {key.model for key in self._files()})

    def profiles(self) -> list[tuple[str, str, int, str]]:
        """Return (model, input, batch, hardware) of every profile on the shelf."""
        files = [(key.model, key.input, key.batch, key.hardware) for key in self._files()]
        made = [
            (profile.name, profile.resolution, profile.batch, hardware)
            for profile in self.models
            for hardware in profile.measured
        ]
        return sorted(made + files)

    def model(self, name: str, resolution: str | None = None, batch: int = 1) -> ModelProfile:
        """Return the profile of model *name* at an input size and batch, with its times on every machine measured.

        Between measured batches every figure is piecewise linear (times then have grade ``transferred``).

        Raises:
            ProfileError: unknown model, several input sizes and none chosen, or a batch outside those measured.
        """
        found = [profile for profile in self.models if profile.name == name]
        keys = [key for key in self._files() if key.model == name]
        if not found and not keys:
            known = self.model_names()
            raise ProfileError(f'no model named "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')
        sizes = sorted({profile.resolution for profile in found} | {key.input for key in keys})
        if resolution is None and len(sizes) > 1:
            raise ProfileError(
                f'model "{name}" was profiled at inputs {", ".join(sizes)}; say which: input: {sizes[0]}'
            )
        wanted = sizes[0] if resolution is None else resolution
        found = [profile for profile in found if profile.resolution == wanted]
        keys = [key for key in keys if key.input == wanted]
        if not found and not keys:
            raise ProfileError(f'model "{name}" was not profiled at input {wanted} (only at: {", ".join(sizes)})')
        made = {profile.batch: profile for profile in found}
        low, high = _around(name, sorted({*made, *(key.batch for key in keys)}), batch)

        def at(size: int) -> ModelProfile:
            return made.get(size) or _merged([read_profile(key.path) for key in keys if key.batch == size])

        return at(low) if low == high else _between(at(low), at(high), batch)

    def _files(self) -> list[_Key]:
        return [
            _Key.of(path)
            for path in sorted((self.folder / "profiles").glob("*/*_b*.csv"))
            if not path.name.endswith((".repeats.csv", ".checks.csv"))
        ]


@dataclass(frozen=True)
class _Key:
    """What a profile's file name says."""

    path: Path
    hardware: str
    model: str
    input: str
    batch: int

    @classmethod
    def of(cls, path: Path) -> _Key:
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
    key = _Key.of(path)
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


def _merged(profiles: Iterable[ModelProfile]) -> ModelProfile:
    """Return one profile with the times of all machines; their graphs must be the same."""
    first, *others = profiles
    for other in others:
        if other.layers != first.layers:
            raise ProfileError(
                f'the profiles of "{first.name}" on {", ".join(first.measured)} and {", ".join(other.measured)} '
                "hold different graphs; take them again with one version of the model"
            )
        first = replace(first, measured={**first.measured, **other.measured})
    return first


def _around(name: str, sizes: Sequence[int], batch: int) -> tuple[int, int]:
    """Return the measured batches next to *batch*, twice the same where it is one of them."""
    if batch in sizes:
        return batch, batch
    if not sizes[0] < batch < sizes[-1]:
        raise ProfileError(f'model "{name}" was profiled at batch {", ".join(map(str, sizes))}; {batch} is outside')
    return max(size for size in sizes if size < batch), min(size for size in sizes if size > batch)


def _between(low: ModelProfile, high: ModelProfile, batch: int) -> ModelProfile:
    """Return the profile on the line from *low* to *high*."""
    if [(a.name, a.parents) for a in low.layers] != [(b.name, b.parents) for b in high.layers]:
        raise ProfileError(
            f'the profiles of "{low.name}" at batch {low.batch} and {high.batch} hold different graphs; take them '
            "again with one version of the model"
        )
    weight = (batch - low.batch) / (high.batch - low.batch)

    def mix(a: float, b: float) -> float:
        return a + weight * (b - a)

    def mix_known(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else mix(a, b)

    layers = tuple(
        replace(
            a,
            flops=mix(a.flops, b.flops),
            in_bytes=mix(a.in_bytes, b.in_bytes),
            out_bytes=mix(a.out_bytes, b.out_bytes),
        )
        for a, b in zip(low.layers, high.layers, strict=True)
    )
    measured = {}
    for name in (name for name in low.measured if name in high.measured):
        a, b = low.measured[name], high.measured[name]
        measured[name] = LayerTimes(
            name,
            tuple(mix(x, y) for x, y in zip(a.seconds, b.seconds, strict=True)),
            tuple(
                tuple(mix(x, y) for x, y in zip(*runs, strict=True)) for runs in zip(a.repeats, b.repeats, strict=False)
            ),
            "transferred",
            f"between batch {low.batch} and {high.batch}",
            mix_known(a.load, b.load),
            mix_known(a.first_call, b.first_call),
            _mixed(a.training, b.training, mix),
        )
    size = mix(low.input_bytes, high.input_bytes)
    return replace(low, input_bytes=size, layers=layers, batch=batch, measured=measured)


def _mixed(
    a: TrainingTimes | None, b: TrainingTimes | None, mix: Callable[[float, float], float]
) -> TrainingTimes | None:
    """Return the training times on the line between two batches, None unless both ends know them."""
    if a is None or b is None:
        return None

    def each(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(mix(x, y) for x, y in zip(one, other, strict=True))

    return TrainingTimes(
        each(a.forward, b.forward),
        each(a.backward, b.backward),
        each(a.optimizer, b.optimizer),
        each(a.saved_bytes, b.saved_bytes),
        mix(a.loss, b.loss),
    )
