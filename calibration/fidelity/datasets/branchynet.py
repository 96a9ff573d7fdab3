"""BranchyNet: the mean time of a network with early exits at a threshold, from the times to its exits.

Half of the settings of each network and platform are fitted and give the time to each exit; the mean times of the
others are predicted with their recorded shares. The simulator has no exits yet: the way to each exit is played as a
network of its own, and the answer is the mixture of those runs by the shares.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.fidelity.comparison import Comparison, Goal
from calibration.fidelity.report import errors
from calibration.measured import branchynet
from calibration.measured.branchynet import Setting
from calibration.measured.replay import in_a_row, machine, one_by_one
from simulator import LayerTimes, Simulation
from simulator.foundation.errors import ProfileError

NAME = "branchynet"
TITLE = "Mean time of B-LeNet on MNIST over the threshold of its early exit, CPU and GPU (BranchyNet)"
_SEED = 5
_ROUNDING = 0.005e-3
"""Half of the last digit of a recorded time [s]."""


def compare(fit: Path | None = None, check: Path | None = None) -> Comparison:
    """Predict mean times.

    Args:
        fit: table of settings to fit on (default: the recorded one).
        check: table of settings to predict (default: half of those of *fit*).

    Raises:
        ProfileError: a table is absent or malformed, or too few settings tell the times to the exits.
    """
    known = _with_exits(branchynet.read_settings(fit))
    wanted = _with_exits(branchynet.read_settings(check)) if check else known
    rows, times, alone = [], {}, []
    for name in dict.fromkeys(one.name for one in wanted):
        checked = [one for one in wanted if one.name == name]
        asked = {one.thresholds for one in checked}  # whatever was measured there
        here = [one for one in known if one.name == name and one.thresholds not in asked]
        if len({one.shares for one in here}) < len(checked[0].shares):  # then half of its own settings have to tell
            alone += [name] * (check is not None)
            here, checked = _halves(checked)
        fitted = branchynet.fit_exits(here)
        times[name] = fitted
        rows += _rows(checked, play(name, fitted))
    if not rows:
        raise ProfileError("BranchyNet: no setting is left to check; give a table with some by --check")
    frame = pd.DataFrame(rows)
    figures = errors(frame)
    goals = tuple(
        Goal(f"MAPE of the mean time, {model}", float(figures["mape_pct"][model, "total"]), 5.0) for model in times
    )
    return Comparison(
        NAME,
        "one CPU and one GPU that the notebook does not name; wall clock, mean over MNIST's test set; measured by "
        "Teerapittayanon et al. (ICPR 2016)",
        frame,
        goals,
        _notes(frame, wanted, alone, fit, check),
        {"time to each exit as fitted [ms]": _exit_times(times)},
    )


def _with_exits(settings: Sequence[Setting]) -> list[Setting]:
    return [one for one in settings if one.thresholds]


def _halves(settings: Sequence[Setting]) -> tuple[list[Setting], list[Setting]]:
    """Return half of *settings* to fit and the rest to check, drawn with a fixed seed."""
    if not settings:
        return [], []
    seed = [_SEED, zlib.crc32(settings[0].name.encode())]
    order = np.random.default_rng(seed).permutation(len(settings))
    half = math.ceil(len(settings) / 2)
    return [settings[i] for i in sorted(order[:half])], [settings[i] for i in sorted(order[half:])]


def play(name: str, exits: Sequence[float]) -> list[float]:
    """Return what a request takes that leaves at each exit, each simulated as a network of its own [s].

    Args:
        name: of the network.
        exits: time from the start to each exit [s].
    """
    hardware, apart = machine("platform", name, {}), 1.0 + 3.0 * exits[-1]
    stages = tuple(float(stage) for stage in np.diff(exits, prepend=0.0))
    found = []
    for count in range(1, len(exits) + 1):
        names = [f"to_exit{i}" for i in range(1, count + 1)]
        times = LayerTimes("platform", stages[:count], grade="measured", source=branchynet.SOURCE)
        profile = in_a_row(name, names, (1.0,) * (count + 1), [times])
        run = Simulation(one_by_one(profile, {"platform": hardware}, {}, apart)).run()
        found.append(float(run.requests["latency_s"].iloc[0]))
    return found


def _rows(checked: Sequence[Setting], exits: Sequence[float]) -> list[dict[str, object]]:
    return [
        {
            "model": one.name,
            "condition": f"thresholds {', '.join(f'{value:g}' for value in one.thresholds)}",
            "split": 0,
            "segment": "total",
            "measured_s": one.seconds,
            "predicted_s": sum(share * time for share, time in zip(one.shares, exits, strict=True)),
            "grade": "measured",
            "held_out": True,
        }
        for one in checked
    ]


def _exit_times(times: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    columns = {
        name: pd.Series([1e3 * time for time in row], range(1, len(row) + 1), float) for name, row in times.items()
    }
    return pd.DataFrame(columns).rename_axis("exit").T.rename_axis("model")


def _notes(
    rows: pd.DataFrame, settings: Sequence[Setting], alone: Sequence[str], fit: Path | None, check: Path | None
) -> tuple[str, ...]:
    digit = 100 * float((_ROUNDING / rows["measured_s"]).mean())
    notes = [
        "mean time = sum over the exits of share times time to the exit; a mixture of simulated runs, one per exit",
        f"times are recorded to 0.01 ms, which alone is an error of up to {digit:.1f} % of the mean row",
    ]
    if check is None:
        notes.append(f"fitted on {fit or 'the recorded table'}: half of the settings (seeded); checked on the rest")
    if alone:
        notes.append(
            f"{', '.join(alone)}: too few settings in the fit table; fitted on half of those to check instead (seeded)"
        )
    same = _repeated(settings)
    if same:
        notes.append(f"settings with the same shares differ by up to {same:.0f} % in time: no rule can do better there")
    if _platforms_agree(settings):
        notes.append(
            "the recorded times on CPU and GPU are the same numbers, so the two models are one piece of evidence"
        )
    return tuple(notes)


def _repeated(settings: Sequence[Setting]) -> float:
    """Return how far times of settings with the same shares lie apart at most [%]."""
    groups: dict[tuple[object, ...], list[float]] = {}
    for one in settings:
        groups.setdefault((one.name, one.shares), []).append(one.seconds)
    return max((100 * (max(times) / min(times) - 1) for times in groups.values()), default=0.0)


def _platforms_agree(settings: Sequence[Setting]) -> bool:
    cpu, gpu = ([(one.shares, one.seconds) for one in settings if one.platform == name] for name in ("CPU", "GPU"))
    return bool(cpu) and cpu == gpu
