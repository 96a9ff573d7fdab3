"""Replay recorded requests in the simulator: one scenario for each group of repeats, times read from its spans.

What is fitted, and only on rows that may be fitted on: what turning tensors into bytes costs (per message and byte),
what a part costs more in a split run than in a tight loop (cold), how it varies, and what a shaper adds to its delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import nnls

from calibration.testbed.rows import HARDWARE, SETTING
from calibration.testbed.setting import FRAMING
from simulator.foundation.errors import ProfileError
from simulator.profiles.hardware import Fact, Hardware
from simulator.profiles.library import Library
from simulator.profiles.model import LayerTimes, ModelProfile
from simulator.profiles.profile_files import read_profile
from simulator.results.frames import Results
from simulator.run.simulation import Simulation
from simulator.scenario.scenario import Scenario

PARTS = ("device", "serialise", "uplink", "server", "downlink", "total")
SHORT = 50e-6
"""Parts of less profiled time [s] hold a layer or two, and are not fitted on."""
Times = dict[str, npt.NDArray[np.float64]]
"""Seconds of each request by part."""


@dataclass(frozen=True)
class Fit:
    """What the replay takes from the rows that it may fit on."""

    message: float = 0.0
    """Turning tensors into bytes or back, per message and end [s]."""
    byte: float = 0.0
    """The same per byte [s/B]."""
    cold: float = 0.0
    """Added to a part that runs after a rest [s]."""
    rest: float = 0.0
    """How long a rest has to be for that [s]."""
    latency: Mapping[str, float] = field(default_factory=dict)
    """By shaper: what a message takes beside rate and delay, such as system calls and waking up [s]."""
    paces: tuple[float, ...] = ()
    """Measured over predicted time of computed parts, around its median in each group."""
    groups: int = 0
    """How many groups of repeats it rests on."""


def profiles_beside(folder: Path, names: Sequence[str]) -> dict[str, ModelProfile]:
    """Return the profiles *names* taken with the recording in *folder*.

    Raises:
        ProfileError: if one of them is not there.
    """
    found = {}
    for name in names:
        path = folder / "profiles" / HARDWARE / f"{name}.csv"
        if not path.is_file():
            raise ProfileError(f"{path}: not there; a rows file needs the profiles recorded with it beside it")
        found[name] = read_profile(path)
    return found


def groups(rows: pd.DataFrame) -> list[tuple[dict[str, Any], pd.DataFrame]]:
    """Return each setting with its repeats, warm-ups left out."""
    timed = rows[rows["repeat"] >= 0]
    return [(dict(zip(SETTING, key, strict=True)), group) for key, group in timed.groupby(list(SETTING), sort=False)]


def fitted(rows: pd.DataFrame, profiles: Mapping[str, ModelProfile]) -> Fit:
    """Fit on the rows of *rows* whose ``use`` is ``fit``, one segment at a time.

    Raises:
        ProfileError: if there are none.
    """
    chosen = groups(rows[rows["use"] == "fit"])
    if not chosen:
        raise ProfileError(
            'no row may be fitted on: none has "fit" in the column use; name a file that has: --fit FILE'
        )
    sizes, serialise = [], []
    added: list[tuple[float, float, float, float]] = []
    extra: dict[str, list[float]] = {}
    paces: list[float] = []
    for setting, group in chosen:
        sizes.append((4.0, 2.0 * (setting["payload_bytes"] + setting["answer_bytes"])))
        serialise.append(group["serialise_s"].median())
        prefix = profiles[setting["profile"]].measured[HARDWARE].prefix()
        cut = int(setting["cut"])
        for column, expected in (("device_s", prefix[cut]), ("server_s", prefix[-1] - prefix[cut])):
            if expected > SHORT:
                took, total = group[column].median(), group["total_s"].median()
                added.append((expected, took - expected, total - took, total))
                paces += (group[column] / group[column].median()).tolist()
        if setting["mode"] != "new":
            for column, size in (("uplink_s", "payload_bytes"), ("downlink_s", "answer_bytes")):
                if setting["burst_bytes"] and setting[size] > setting["burst_bytes"] / 2:
                    continue
                per_byte = FRAMING[setting["link"]] * 8e-6 / setting["rate_mbit_s"]
                wire = 0.0 if setting["burst_bytes"] else per_byte * setting[size]
                extra.setdefault(setting["link"], []).append(group[column].median() - wire - setting["delay_ms"] * 1e-3)
    message, byte = _line(np.array(sizes), np.array(serialise))
    return Fit(
        message, byte, *_cold(added),
        {link: max(0.0, float(np.median(values))) for link, values in extra.items()}, tuple(paces), len(chosen),
    )  # fmt: skip


def _line(sizes: npt.NDArray[np.float64], times: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the cost per message and per byte, by least squares in relative error, neither below zero."""
    scaled = sizes / times[:, None] * np.array([1.0, 1e-6])
    message, per_mb = nnls(scaled, np.ones(len(times)))[0]
    return float(message), float(per_mb) * 1e-6


def _cold(parts: Sequence[tuple[float, float, float, float]]) -> tuple[float, float]:
    """Return the cold cost and the rest from which on it is due [s], of least mean error relative to the total.

    Args:
        parts: for each part its profiled time, what it took more, how long its process rested before, and the total of
            the request [s].
    """
    _, added, rested, total = np.array(parts).T
    costs = np.unique(np.append(added[added > 0], 0.0))
    rests = np.unique(np.append(rested, 0.0))
    error = [
        (float(np.abs((added - cost * (rested > rest)) / total).mean()), float(cost), float(rest))
        for cost in costs for rest in rests
    ]  # fmt: skip
    _, cost, rest = min(error)
    return cost, rest


def hardware(fit: Fit) -> Hardware:
    """Return the machine of a recording as the simulator knows one, with what was fitted."""
    none = Fact(0.0, "measured", "not part of the testbed")
    source = f"median of {fit.groups} groups of recorded split runs"
    return Hardware(
        HARDWARE, "the machine of the recording", memory=Fact(64e9, "guessed", "large enough for one model"),
        idle=none, busy=none, transmit=none, receive=none,
        cold=Fact(fit.cold, "measured", source), rest=Fact(fit.rest, "measured", source),
        message=Fact(fit.message, "measured", source), byte=Fact(fit.byte, "measured", source),
    )  # fmt: skip


def scenario(setting: Mapping[str, Any], profile: ModelProfile, fit: Fit, until: float, varying: bool) -> Scenario:
    """Return the scenario of one group of repeats: a device that asks again as soon as it has its answer."""
    delay = float(setting["delay_ms"]) * 1e-3 + fit.latency.get(str(setting["link"]), 0.0)
    link = {
        "between": ["device", "server"], "bandwidth": f"{setting['rate_mbit_s']:g} Mbit/s", "delay": f"{delay!r} s",
        "burst": f"{setting['burst_bytes']:g} B", "framing": FRAMING[str(setting["link"])],
        "connection": "slow-start" if setting["mode"] == "new" else "persistent",
    }  # fmt: skip
    document = {
        "name": f"{setting['profile']} cut at {setting['cut']:g}", "until": f"{until!r} s", "seed": 1,
        "variability": "measured" if varying else "none",
        "model": {"name": profile.name, "input": profile.resolution},
        "nodes": {
            "device": {"kind": "device", "hardware": HARDWARE}, "server": {"kind": "server", "hardware": HARDWARE},
        },
        "links": {"wire": link},
        "workload": {"kind": "inference", "sources": ["device"], "batch": profile.batch,
                     "arrivals": {"kind": "closed", "users": 1, "think": "0 s"}},
        "technique": {"kind": "fixed-split", "split_point": int(setting["cut"])},
    }  # fmt: skip
    return Scenario.from_dict(document, Library(Path("nowhere"), [profile], [hardware(fit)]))


def as_split(profile: ModelProfile, fit: Fit) -> ModelProfile:
    """Return *profile* varying as parts did in the split runs that were fitted on."""
    times = profile.measured[HARDWARE]
    runs = tuple(tuple(second * pace for second in times.seconds) for pace in fit.paces)
    return replace(profile, measured={HARDWARE: replace(times, repeats=runs)})


def replayed(
    setting: Mapping[str, Any], profile: ModelProfile, fit: Fit, about: float = 0.1, requests: int = 0
) -> Times:
    """Simulate one group of repeats.

    Args:
        setting: what was recorded.
        profile: the model's, taken with the recording.
        fit: what was fitted.
        about: how long a request takes, roughly [s]; it says how long to simulate, and changes no result.
        requests: how many to simulate with their variability; 0 for one in its medians, on a warm connection.
    """
    count = 1 + requests if requests else 3  # a token bucket forgets by the third that it was full
    until = 1.2 * (count + 0.5) * about
    while True:
        times = parts(Simulation(scenario(setting, profile, fit, until, varying=requests > 0)).run())
        if len(times["total"]) >= count:
            return {part: values[count - max(1, requests) : count] for part, values in times.items()}
        until *= 2.0


def parts(results: Results) -> Times:
    """Return the time of each part of each request, from the spans: each lasts until the next work is handed over."""
    spans = results.columns["spans"]
    order = np.lexsort((spans["queued_s"], spans["request"]))
    request, queued = spans["request"][order], spans["queued_s"][order]
    rows = results.columns["requests"]
    done = np.zeros(len(rows["request"]))
    done[rows["request"].astype(int)] = rows["finish_s"]
    total = np.zeros(len(done))
    total[rows["request"].astype(int)] = rows["latency_s"]
    until = np.append(queued[1:], 0.0)
    last = np.append(request[1:] != request[:-1], True)
    until[last] = done[request[last].astype(int)]
    times = {part: np.zeros(len(done)) for part in PARTS} | {"total": total}
    names = [_part(str(k), str(r)) for k, r in zip(spans["kind"][order], spans["resource"][order], strict=True)]
    for part in set(names):
        mine = np.array([name == part for name in names])
        np.add.at(times[part], request[mine].astype(int), (until - queued)[mine])
    return times


def _part(kind: str, resource: str) -> str:
    if kind == "compute":
        return resource
    if kind == "software":
        return "serialise"
    return "uplink" if resource.endswith(".up") else "downlink"


def with_measured_parts(
    setting: Mapping[str, Any], profile: ModelProfile, fit: Fit, head: float, tail: float
) -> tuple[ModelProfile, Fit]:
    """Return profile and fit in which head and tail take what was measured: what is left to predict is the network."""
    cut = int(setting["cut"])
    seconds = [0.0] * len(profile)
    if cut:
        seconds[0] = head
    seconds[cut] = tail
    times = LayerTimes(HARDWARE, tuple(seconds), source="measured in the split run")
    return replace(profile, measured={HARDWARE: times}), replace(fit, cold=0.0)
