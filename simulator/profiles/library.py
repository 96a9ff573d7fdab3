"""The shelf of shipped and user-given data: model profiles, hardware, scenarios and traces, found by name.

Shipped data stand in the checkout's ``scenarios/`` folder and in the wheel's ``simulator/shipped``; a profile's
files are read in :mod:`simulator.profiles.profile_files`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from simulator.foundation.errors import ProfileError, did_you_mean
from simulator.profiles.hardware import Hardware, read_hardware
from simulator.profiles.model import LayerTimes, ModelProfile, TrainingTimes
from simulator.profiles.profile_files import ProfileKey, read_profile


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

    def _files(self) -> list[ProfileKey]:
        return [
            ProfileKey.of(path)
            for path in sorted((self.folder / "profiles").glob("*/*_b*.csv"))
            if not path.name.endswith((".repeats.csv", ".checks.csv"))
        ]


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
