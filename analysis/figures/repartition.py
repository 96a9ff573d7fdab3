"""What a new cut gains when conditions change, by network: as measured and as simulated.

One row of points per network: each point is one condition, at the share of the total that the best cut of that
condition saves against the cut that was best before. Conditions are in the order of their measured gain.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from importlib.metadata import version

import numpy as np
import pandas as pd

from analysis.picture import BLUE, GREY, ORANGE, Picture, legend_above, paper

Gains = Mapping[str, Mapping[tuple[int, int, int], float]]
"""Network → condition (Mbit/s, edge CPU stress, cloud CPU stress) → gain, as a share of the total."""


def draw(measured: Gains, simulated: Gains) -> Picture:
    """Draw the gains of both, condition by condition."""
    table = tabulate(measured, simulated)
    off = 100 * (table["simulated"] - table["measured"]).abs()
    finding = f"{len(table)} conditions; simulated and measured gain differ by {off.mean():.1f} points on average"
    caption = f"offing {version('offing')}  ·  evidence: measured, replayed"
    figure, (axes,) = paper("Gain of a new cut when conditions change", finding, caption, (10.0, 4.6), legend=1)
    networks, start = list(dict.fromkeys(table["network"])), 0
    middles: list[float] = []
    for number, (_, rows) in enumerate(table.groupby("network", sort=False)):
        places = np.arange(start, start + len(rows))
        axes.vlines(places, 100 * rows["measured"], 100 * rows["simulated"], color=GREY, linewidth=0.8)
        named = number == 0
        axes.plot(places, 100 * rows["measured"], "o", color=BLUE, ms=4, label="measured" if named else None)
        axes.plot(places, 100 * rows["simulated"], "D", color=ORANGE, ms=3, label="simulated" if named else None)
        middles.append(float(places.mean()))
        start += len(rows) + 3
        axes.axvline(start - 2, color="#E3E3E3", linewidth=0.7)
    axes.set_xticks(middles, networks)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("gain of the best cut over the one deployed [%]")
    axes.set_xlabel("each network: its conditions, by measured gain")
    legend_above(figure, axes)
    return Picture("repartition-gain", figure, table)


def tabulate(measured: Gains, simulated: Gains) -> pd.DataFrame:
    """Return one row per network and condition: measured and simulated gain, sorted by the former."""
    rows: list[Mapping[Hashable, object]] = [
        {
            "network": network, "net_mbps": condition[0], "edge_cpu": condition[1], "cloud_cpu": condition[2],
            "measured": gain, "simulated": simulated[network][condition],
        }
        for network, found in measured.items()
        for condition, gain in found.items()
    ]  # fmt: skip
    return pd.DataFrame(rows).sort_values(["network", "measured"], kind="stable", ignore_index=True)
