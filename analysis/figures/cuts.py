"""``cuts``: what a request would take, part by part, for every place where the model can be cut.

For an otherwise idle world at the start of the run, with warm processors and median layer times: the formulas of
``physics.cost``, which the simulation obeys and which ``View.latency`` answers from. With more than one server each
cut of the device is shown with the best way to divide the rest.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.picture import BLACK, Picture, duration, legend_above, name_ticks, paper, scale, stack
from analysis.subject import Subject
from simulator.physics import cost
from simulator.profiles.placement import Placement
from simulator.world.cluster import Cluster

STAGES = ("device", "software", "transfer", "delay", "server", "answer")


def draw(subject: Subject) -> Picture:
    """Draw the latency of every cut for the device of *subject*."""
    table = tabulate(subject)
    model, device = subject.cluster.model, subject.device
    best = int(np.argmax(table["best"]))
    latency = table["latency_s"].to_numpy(dtype=float)
    top = 1.35 * max(latency[0], latency[-1], latency[best])  # the two ends are what a cut has to beat
    finding = f"Best: {_where(table, best, len(model))}, {duration(latency[best])} ({table['placement'].iloc[best]})"
    if not subject.cluster.steady and subject.view.reachable_servers:
        way = subject.cluster.network.route(device, subject.view.reachable_servers[0]).legs[0]
        rate = min(wire.channel.bandwidth.at(0.0) for wire in way.wires)
        finding += f"; at time 0, when {way.name} carries {rate * 8e-6:.3g} Mbit/s"
    beyond = np.flatnonzero(latency > top)
    if len(beyond):
        finding += f"; bars with a triangle go on, up to {duration(latency.max())}"
    top = min(top, 1.08 * latency.max())
    title = f"{model.name}: latency of an unloaded request from {device}, by where the model is cut"
    figure, (axes,) = paper(title, finding, subject.caption(), (11.0, 5.4), legend=1)
    unit, symbol = scale(top)
    heights = {stage: table[f"{stage}_s"].to_numpy(dtype=float) for stage in STAGES}
    stack(axes, range(len(table)), 0.86, heights, unit)
    axes.set_ylim(0, top / unit)
    if len(beyond):
        axes.plot(beyond, np.full(len(beyond), 0.985 * top / unit), "^", color=BLACK, markersize=3, clip_on=False)
    _mark(axes, best, latency[best] / unit, "*", "best")
    chosen = np.flatnonzero(table["split_point"] == subject.first_choice)
    if len(chosen) and chosen[0] != best:
        _mark(axes, int(chosen[0]), min(latency[chosen[0]], top) / unit, "v", "chosen first")
    axes.set_ylabel(f"latency [{symbol}]")
    axes.set_xlabel(f"last layer on {device}")
    name_ticks(axes, list(table["layer"]), always=[best])
    legend_above(figure, axes, 8)
    return Picture("cuts", figure, table)


def tabulate(subject: Subject) -> pd.DataFrame:
    """Return one row per split point: the parts of the latency [s], and which one is the best."""
    cluster, device = subject.cluster, subject.device
    found: dict[int, tuple[dict[str, float], Placement]] = {}
    for placement in subject.view.splits():
        parts, split_point = stages(cluster, device, placement), placement.split_point(device)
        if split_point not in found or sum(parts.values()) < sum(found[split_point][0].values()):
            found[split_point] = (parts, placement)
    rows = []
    for split_point, (parts, placement) in sorted(found.items()):
        rows.append(
            {
                "split_point": split_point,
                "layer": cluster.model.layers[split_point - 1].name if split_point else "(nothing)",
                "placement": str(placement),
                "crossing_bytes": cluster.cut_bytes[split_point],
                **{f"{stage}_s": parts[stage] for stage in STAGES},
                "latency_s": sum(parts.values()),
            }
        )
    table = pd.DataFrame(rows)
    table["best"] = table.index == table["latency_s"].idxmin()
    return table


def stages(cluster: Cluster, device: str, placement: Placement) -> dict[str, float]:
    """Return what an unloaded request from *device* at time 0 takes under *placement*, by stage [s]."""
    took = dict.fromkeys(STAGES, 0.0)
    way, now, here = cost.Parts(), 0.0, device
    for segment in placement.segments:
        if segment.node != here:
            now = cost.message(cluster.network.route(here, segment.node), cluster.cut_bytes[segment.start], now, way)
        node, median = cluster.nodes[segment.node], cluster.timing[segment.node].median
        end = node.facts.capacity.finish(now, (median[segment.stop] - median[segment.start]) * node.slowdown)
        took["device" if segment.node == device else "server"] += end - now
        here, now = segment.node, end
    took |= {"transfer": way.transfer, "delay": way.delay, "software": way.software}
    if here != device:
        back = cluster.network.route(here, device)
        took["answer"] = cost.message(back, cluster.answer_bytes, now, cost.Parts()) - now
    return took


def _where(table: pd.DataFrame, index: int, layers: int) -> str:
    split_point = int(table["split_point"].iloc[index])
    if split_point == 0:
        return "everything on the server"
    return "everything on the device" if split_point == layers else f"cut behind {table['layer'].iloc[index]}"


def _mark(axes: Axes, place: int, height: float, marker: str, label: str) -> None:
    lift = 0.04 * axes.get_ylim()[1]
    axes.plot(
        place, height + lift, marker, markersize=13 if marker == "*" else 9, color=BLACK if marker == "*" else "white",
        markeredgecolor=BLACK, label=label, clip_on=False,
    )  # fmt: skip
