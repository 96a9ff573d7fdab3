"""``testbed``: recorded split inference between two processes, replayed in the simulator group by group.

Which rows may be fitted on stands in the file (column ``use``), fixed before they were recorded. A rows file brings
the profiles recorded with it; one without them is replayed with the shipped ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.fidelity.comparison import Comparison, Goal
from calibration.testbed import replay
from calibration.testbed.rows import HARDWARE, SPREAD, read_rows
from simulator.profiles.library import shipped

NAME = "testbed"
TITLE = "Real split inference between two processes over shaped TCP, recorded with offing testbed"
RECORDING = "epyc-zen5-1t"
"""The shipped recording that is fitted on and judged unless files are named."""
LEVELS = (50, 95, 99)
SETS = 40
"""How often the repeats of a group are simulated, for the band of their quantiles."""
GOALS = (
    ("persistent, 5 and 20 Mbit/s", "error", "persistent", (5.0, 20.0), 3.0),
    ("persistent, 75 Mbit/s", "error", "persistent", (75.0,), 5.0),
    ("new connections", "error", "new", (), 5.0),
    ("token bucket", "error", "bucket", (), 5.0),
    ("token bucket, head and tail as measured", "network", "bucket", (), 2.0),
)  # fmt: skip


def compare(fit: Path | None = None, check: Path | None = None) -> Comparison:
    """Fit on the rows of *fit* that may be fitted on, and replay those of *check* (default: the shipped recording).

    Raises:
        ProfileError: a file is wrong, or lacks a profile.
    """
    own = shipped() / "testbed" / RECORDING / "rows.csv"
    base, asked = fit or own, check or fit or own
    known = read_rows(base)
    fitted = replay.fitted(known, _profiles(base, known))
    rows = known if asked == base else read_rows(asked)
    same = asked.resolve() == base.resolve()
    profiles = _profiles(asked, rows)
    frame = pd.DataFrame([_replayed(setting, group, profiles, fitted, same) for setting, group in replay.groups(rows)])
    held = frame[frame["held_out"]]
    cubic = held[held["congestion"] == "cubic"]
    tables = {
        "total by link, rows not fitted on [%]": _by_link(held),
        "quantiles of the repeats inside the predicted 90 % band [% of groups]": _coverage(held),
    }
    goals = (*_goals(cubic), _coverage_goal(cubic))
    return Comparison(NAME, _measured_on(asked), _long(frame), goals, _notes(frame, fitted, base, asked), tables)


def _profiles(path: Path, rows: pd.DataFrame) -> Any:
    names = sorted(set(rows["profile"]))
    folder = path.resolve().parent
    beside = (folder / "profiles" / HARDWARE).is_dir()
    return replay.profiles_beside(folder if beside else shipped() / "testbed" / RECORDING, names)


def _replayed(
    setting: dict[str, Any], group: pd.DataFrame, profiles: Any, fitted: replay.Fit, same: bool
) -> dict[str, Any]:
    """Return what one group measured and what is predicted of it, and the same with head and tail as measured."""
    profile = profiles[setting["profile"]]
    about, size = float(group["total_s"].median()), len(group)
    predicted = replay.replayed(setting, profile, fitted, about)
    varied = replay.replayed(setting, replay.as_split(profile, fitted), fitted, about, SETS * size)
    found: dict[str, Any] = {**setting, "held_out": not same or setting["use"] != "fit"}
    for part in replay.PARTS:
        found[part] = float(group[f"{part}_s"].median())
        found[f"{part}_predicted"] = float(predicted[part][0])
        medians = np.median(varied[part].reshape(SETS, size), axis=1)
        found[f"{part}_low"], found[f"{part}_high"] = np.percentile(medians, [5, 95])
    totals = varied["total"].reshape(SETS, size)
    for level in LEVELS:
        low, high = np.percentile(np.percentile(totals, level, axis=1), [5, 95])
        found[f"p{level}"] = bool(low <= np.percentile(group["total_s"], level) <= high)
    found["error"] = 100.0 * abs(found["total_predicted"] / found["total"] - 1.0)
    alone = replay.with_measured_parts(setting, profile, fitted, found["device"], found["server"])
    network = float(replay.replayed(setting, *alone, about)["total"][0])
    found["network"] = 100.0 * abs(network / found["total"] - 1.0)
    found["marked"] = bool(group["marked"].iloc[0])
    return found


def _long(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per group and segment; a cut at the input has no head, and so no device row."""
    rows = []
    for one in frame.to_dict("records"):
        about = f"{one['mode']} {one['rate_mbit_s']:g} Mbit/s, {one['congestion']}, batch {one['batch']:g}"
        for part in replay.PARTS:
            if part == "device" and one["cut"] == 0:
                continue
            rows.append(
                {"model": one["model"], "condition": about, "split": int(one["cut"]), "segment": part,
                 "measured_s": one[part], "predicted_s": one[f"{part}_predicted"], "low_s": one[f"{part}_low"],
                 "high_s": one[f"{part}_high"], "grade": "measured", "held_out": bool(one["held_out"])}
            )  # fmt: skip
    return pd.DataFrame(rows)


def _goals(held: pd.DataFrame) -> list[Goal]:
    """Return the goals of the groups not fitted on that are there."""
    goals = []
    for what, column, mode, rates, limit in GOALS:
        chosen = held[held["mode"] == mode]
        if rates:
            chosen = chosen[chosen["rate_mbit_s"].isin(rates)]
        if len(chosen):
            goals.append(Goal(f"MAPE of the total, {what} ({len(chosen)} groups)", float(chosen[column].mean()), limit))
    return goals


def _coverage_goal(held: pd.DataFrame) -> Goal:
    inside = (
        float(held[[f"p{level}" for level in LEVELS]].to_numpy(dtype=float).mean()) * 100.0 if len(held) else np.nan
    )
    return Goal("p50, p95 and p99 of the repeats inside the predicted 90 % band", inside, 95.0, least=85.0)


def _by_link(held: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of the total by kind of link, as predicted and with head and tail as measured."""
    found = held.groupby(["mode", "congestion", "rate_mbit_s"])[["error", "network"]].agg(["mean", "median", "max"])
    table = pd.DataFrame(
        {
            "groups": held.groupby(["mode", "congestion", "rate_mbit_s"]).size(),
            "MAPE": found["error"]["mean"], "median": found["error"]["median"], "max": found["error"]["max"],
            "MAPE, head and tail as measured": found["network"]["mean"],
        }
    )  # fmt: skip
    return table.round(2).reset_index()


def _coverage(held: pd.DataFrame) -> pd.DataFrame:
    columns = [f"p{level}" for level in LEVELS]
    return (held.groupby(["mode", "congestion"])[columns].mean() * 100.0).round(1).reset_index()


def _measured_on(path: Path) -> str:
    """Say what was measured on what, from the recording's ``machine.json``."""
    file = path.resolve().parent / "machine.json"
    if not file.is_file():
        return f"{path.name}; what machine it was recorded on is not said (no machine.json beside it)"
    facts = json.loads(file.read_text(encoding="utf-8"))
    return (
        f"{facts.get('cpu')}, both processes and the link on {facts.get('cores_allowed')} core(s), 1 thread each, wall "
        f"clock, PyTorch {facts.get('torch')}, {facts.get('os')}; measured by us, {facts.get('date')}"
    )


def _notes(frame: pd.DataFrame, fitted: replay.Fit, base: Path, asked: Path) -> tuple[str, ...]:
    held = frame[frame["held_out"]]
    latency = ", ".join(f"{seconds * 1e3:.2f} ms ({link})" for link, seconds in fitted.latency.items())
    errors = {part: (held[f"{part}_predicted"] - held[part]).abs().mean() for part in replay.PARTS}
    shares = ", ".join(f"{part} {error * 1e3:.2f}" for part, error in errors.items())
    return (
        f"fitted on {fitted.groups} groups of {base.name}: {fitted.message * 1e3:.3f} ms and "
        f"{fitted.byte * 1e9:.2f} ms/MB per message and end to turn tensors into bytes; cold start "
        f"{fitted.cold * 1e3:.2f} ms after {fitted.rest * 1e3:.2f} ms of rest; messages take {latency} beside rate and "
        "delay; how parts vary",
        f"replayed: {len(frame)} groups of repeats of {asked.name}, medians compared; {len(held)} of them were not "
        "fitted on (BBR stands in the tables and in no goal)",
        f"{int(frame['marked'].sum())} groups are marked: their totals spread by more than {SPREAD:.0%}; none is left "
        "out",
        f"mean absolute error of each segment, groups not fitted on [ms]: {shares}",
        "a new connection is opened before the clock starts: its handshake is a column of its own (connect_s)",
    )
