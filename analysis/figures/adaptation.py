"""``adaptation``: one device's run over time: its latencies, the bandwidth of its link, and the cut it chose.

The bandwidth is the truth, rebuilt from the scenario and the run's seed. Beside it stands what could be known of it:
what each probe or, where there are none, each transfer showed (its bytes over the time in which they were sent). A cut
has one colour in all panels, so that one sees which latencies are whose.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.map import MBIT, shades
from analysis.picture import BLACK, GREY, RED, Picture, duration, legend_above, paper, scale
from analysis.subject import Subject
from simulator import Results
from simulator.foundation.errors import ResultsError
from simulator.physics.network import Channel
from simulator.profiles.trace import Trace

NAMED = 6
"""So many cuts are named at the axis."""
TRUE: Any = {"color": GREY, "linewidth": 1.3}
KNOWN: Any = {"color": BLACK, "marker": "o", "linestyle": "", "markersize": 3.5}
OUT: Any = {"color": RED, "alpha": 0.14, "linewidth": 0}
CHANGE: Any = {"color": BLACK, "alpha": 0.45, "linewidth": 0.9, "linestyle": ":"}


def draw(subject: Subject) -> Picture:
    """Draw the run of *subject* over time, for one device.

    Raises:
        ResultsError: if no request of the device arrived.
    """
    results, device = subject.results, subject.device
    channel = link_of(subject)
    asked = _requests(results, device)
    truth, known = steps(channel.bandwidth, float(results.meta["until_s"])), sensed(results, channel.name)
    chosen = decisions(results, device)
    table = pd.concat(
        [
            _rows("latency", asked["arrival_s"], asked["latency_s"], "s", asked["split_point"], asked["outcome"]),
            _rows("bandwidth", truth["time_s"], truth["bytes_per_s"], "B/s"),
            _rows("known", known["time_s"], known["bytes_per_s"], "B/s", note=known["kind"]),
            _rows("split", chosen["time_s"], chosen["downtime_s"], "s", chosen["split_point"], chosen["hook"]),
        ],
        ignore_index=True,
    )  # fmt: skip
    changes = int((chosen["hook"] == "adapt").sum())
    free = max(0, len(chosen) - 1 - changes)
    moves = f"{changes} redeployments" if changes else f"{free} changes of the cut" if free else "the cut never changed"
    answered = asked[asked["latency_s"].notna()]
    mean, deadline = answered["latency_s"].mean(), results.meta["deadline_s"]
    said = f"{moves}; mean latency {duration(mean)}" if len(answered) else f"{moves}; nothing was answered"
    if deadline is not None and len(answered):
        said += f", {(asked['latency_s'] <= deadline).mean():.0%} within the deadline of {duration(deadline)}"
    said += f"; {len(asked) - len(answered)} never answered" if len(answered) < len(asked) else ""
    title = f"{device} over time: latency, bandwidth, and the cut that was chosen"
    figure, panels = paper(title, said, subject.caption(), (11.0, 7.4), (3.0, 2.4, 1.5), legend=1)
    used = [*asked["split_point"].tolist(), *chosen["split_point"].tolist()]
    colours = shades(used, len(subject.cluster.model))
    _latencies(panels[0], asked, colours, deadline)
    _key(panels[0], truth, known, chosen, channel.name)
    _bandwidth(panels[1], truth, known)
    _cuts(panels[2], chosen, colours, subject, float(results.meta["until_s"]))
    for axes in panels:
        _held(axes, chosen)
        _out(axes, truth)
    panels[0].set_xlim(0.0, float(results.meta["until_s"]))
    panels[2].set_xlabel("time since the start of the run [s]")
    legend_above(figure, panels[0], 8)
    return Picture("adaptation", figure, table)


def link_of(subject: Subject) -> Channel:
    """Return the first channel on the way from the device to its nearest server."""
    route = subject.cluster.network.route(subject.device, subject.view.nearest_server())
    return route.wires[0].channel


def steps(trace: Trace, until: float) -> pd.DataFrame:
    """Return the steps of *trace* before *until* [s]: time_s, bytes_per_s, to_s."""
    times, values, time = [], [], 0.0
    while time < until:
        times.append(time)
        values.append(trace.at(time))
        time = trace.next_change(time)
    return pd.DataFrame({"time_s": times, "bytes_per_s": values, "to_s": [*times[1:], until]})


def sensed(results: Results, channel: str) -> pd.DataFrame:
    """Return what probes on *channel* showed, or transfers where nobody probed: time_s, bytes_per_s, kind.

    Empty where the bandwidth was known without looking, or the run did not record spans.
    """
    knowledge, empty = str(results.meta["knowledge"]), pd.DataFrame({"time_s": [], "bytes_per_s": [], "kind": []})
    kind = next((k for word, k in KINDS.items() if knowledge.startswith(f"bandwidth {word}")), None)
    if kind is None or "spans" not in results.columns:
        return empty
    spans = results.spans
    mine = spans[(spans["kind"] == kind) & (spans["resource"] == channel) & spans["completed"]]
    mine = mine[mine["finish_s"] > mine["start_s"]].sort_values("finish_s")
    rate = mine["sent_bytes"] / (mine["finish_s"] - mine["start_s"])
    return pd.DataFrame({"time_s": mine["finish_s"], "bytes_per_s": rate, "kind": kind}).reset_index(drop=True)


KINDS = {"probed": "probe", "last-transfer": "transfer", "ewma": "transfer"}
"""How the bandwidth is known, as the run has it → the spans that showed it."""


def decisions(results: Results, device: str) -> pd.DataFrame:
    """Return the standing decisions of *device* in order: time_s, hook, split_point, downtime_s."""
    frame = results.decisions
    mine = frame[(frame["source"] == device) & frame["hook"].isin(["place", "adapt"])]
    return mine[["time_s", "hook", "split_point", "downtime_s"]].reset_index(drop=True)


def _requests(results: Results, device: str) -> pd.DataFrame:
    requests = results.requests[results.requests["source"] == device]
    if requests.empty:
        raise ResultsError(
            f'no request of "{device}" arrived in the run of "{results.meta["scenario"]}": nothing to draw'
        )
    return requests


def _rows(series: str, time: Any, value: Any, unit: str, split: Any = None, note: Any = "") -> pd.DataFrame:
    columns = {"time_s": time, "value": value, "unit": unit, "split_point": split, "note": note}
    plain = {name: each.to_numpy() if isinstance(each, pd.Series) else each for name, each in columns.items()}
    frame = pd.DataFrame(plain, index=range(len(time)))
    frame["split_point"] = frame["split_point"].astype("Int64")
    frame.insert(0, "series", series)
    return frame


def _latencies(axes: Axes, requests: pd.DataFrame, colours: Mapping[int, Any], deadline: float | None) -> None:
    latency = requests["latency_s"]
    typical, longest = float(latency.median()), float(latency.max())
    wide = bool(longest > 8 * typical)
    unit, symbol = scale(typical if wide else longest) if latency.notna().any() else (1.0, "s")
    for split in sorted(set(requests["split_point"].tolist())):
        mine = requests[requests["split_point"] == split]
        axes.plot(mine["arrival_s"], mine["latency_s"] / unit, ".", markersize=5.5, color=colours[split])
    if deadline is not None:
        axes.axhline(deadline / unit, color=RED, linestyle="--", linewidth=1.3, label="deadline")
    axes.set_yscale("log" if wide else "linear")
    if not wide:
        axes.set_ylim(0.0)
    lost = requests[latency.isna()]
    if len(lost):
        axes.plot(
            lost["arrival_s"],
            np.full(len(lost), 0.97),
            "x",
            color=RED,
            markersize=5,
            transform=axes.get_xaxis_transform(),
            label="never answered",
        )
    axes.set_ylabel(f"latency [{symbol}]")


def _bandwidth(axes: Axes, truth: pd.DataFrame, known: pd.DataFrame) -> None:
    values = truth["bytes_per_s"].to_numpy(dtype=float) / MBIT
    axes.stairs(values, [*truth["time_s"], truth["to_s"].iloc[-1]], baseline=None, **TRUE)
    axes.plot(known["time_s"], known["bytes_per_s"] / MBIT, **KNOWN)
    axes.set_ylim(0.0, 1.08 * max(values.max(), known["bytes_per_s"].max() / MBIT if len(known) else 0.0))
    axes.set_ylabel("bandwidth [Mbit/s]")


def _cuts(axes: Axes, chosen: pd.DataFrame, colours: Mapping[int, Any], subject: Subject, until: float) -> None:
    """Draw the standing cut: few cuts in even steps, each with its name, many at the height of their number."""
    times, splits = [*chosen["time_s"].tolist(), until], chosen["split_point"].tolist()
    used = sorted(set(splits))
    height = {split: i if len(used) <= NAMED else split for i, split in enumerate(used)}
    levels = [height[split] for split in splits]
    axes.step(times, [*levels, *levels[-1:]], where="post", color=GREY, linewidth=0.8, zorder=1)
    for (begin, end), split, level in zip(pairwise(times), splits, levels, strict=True):
        axes.plot([begin, end], [level, level], color=colours[split], linewidth=5, solid_capstyle="butt")
    if len(used) <= NAMED:
        axes.set_yticks(range(len(used)), [_named(split, subject.cluster.model) for split in used], fontsize=8)
        axes.set_ylim(-0.6, max(len(used), 2) - 0.4)
    axes.set_ylabel("layers on\nthe device")


def _key(axes: Axes, truth: pd.DataFrame, known: pd.DataFrame, chosen: pd.DataFrame, name: str) -> None:
    """Say in the legend of *axes* what stands in the panels below."""
    axes.plot([], [], label=f"bandwidth of {name}", **TRUE)
    if len(known):
        axes.plot([], [], label=f"what a {known['kind'].iloc[0]} showed", **KNOWN)
    if (truth["bytes_per_s"] == 0.0).any():
        axes.fill_between([], [], label="nothing comes through", **OUT)
    if (chosen["hook"] == "adapt").any():
        axes.plot([], [], label="redeployment, and its downtime", **CHANGE)


def _named(split: int, model: Any) -> str:
    if split == 0:
        return "none"
    return f"all {split}" if split == len(model) else f"{split}, to {model.layers[split - 1].name}"


def _held(axes: Axes, chosen: pd.DataFrame) -> None:
    """Mark redeployments, and shade while they held requests up."""
    down = chosen[chosen["hook"] == "adapt"]
    for begin, length in zip(down["time_s"], down["downtime_s"], strict=True):
        axes.axvline(begin, zorder=0, **CHANGE)
        axes.axvspan(begin, begin + length, color=BLACK, alpha=0.15, linewidth=0, zorder=0)


def _out(axes: Axes, truth: pd.DataFrame) -> None:
    """Shade while nothing came through."""
    out = truth[truth["bytes_per_s"] == 0.0]
    for begin, end in zip(out["time_s"], out["to_s"], strict=True):
        axes.axvspan(begin, end, zorder=0, **OUT)
