"""``map``: the best cut for every bandwidth and server speed around the scenario's, and what cutting gains there.

The colours are those of ``adaptation``: the darker, the more runs on the device. ``analysis/terrain.py`` says what is
assumed; bars show between which values bandwidth and speed are for nine tenths of the run, where they move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from scipy.ndimage import distance_transform_edt, minimum_filter

from analysis.picture import BLACK, Picture, paper
from analysis.subject import Subject
from analysis.terrain import Array, Terrain

MBIT = 1e6 / 8
"""One Mbit/s [B/s]."""
PER_DECADE = 40
"""Points of the map in each factor of ten of the bandwidth; of the speed there are three quarters of that."""
SPEEDS = (0.01, 10.0)
"""Slowest and fastest servers, relative to the scenario's."""
RATES = (0.1 * MBIT, 1000 * MBIT)
"""Bandwidths that are always on the map [B/s]."""
NAME, LINE = 0.2, 0.06
"""Length and height of a region's name, as shares of the panel's width."""


def draw(subject: Subject) -> Picture:
    """Draw the best cut, and its gain, over bandwidth and server speed for the device of *subject*."""
    world = Terrain(subject)
    table = tabulate(world)
    model, here = subject.cluster.model, world.at([world.rate], [1.0]).iloc[0]
    best, gain = _where(here["split_point"], here["layer"], len(model)), here["gain"]
    top = table["gain"].max()
    saves = f"saves {gain:.0%} over all on one side" if gain > 0 else "a cut in between saves nothing"
    finding = f"At the scenario: {best}, {saves}; anywhere on the map a cut saves up to {top:.0%}"
    figure, (upper, lower) = paper(
        f"{model.name} from {subject.device}: the best cut by bandwidth and server speed",
        finding,
        subject.caption(),
        (9.5, 7.6),
        (1.0, 1.0),
    )
    x, y = table["bandwidth_bytes_per_s"].unique() / MBIT, table["server_speed"].unique()
    for axes in (upper, lower):
        axes.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        axes.set_ylabel("server speed [× the scenario's]")
        axes.grid(visible=False)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _cuts(upper, table, x, y, world)
    _gains(lower, 100 * table["gain"].to_numpy().reshape(len(x), len(y)).T, x, y)
    _mark(upper, world, "the scenario")
    _mark(lower, world)
    lower.set_xlabel(f"bandwidth of {world.wire.channel.name} [Mbit/s]")
    return Picture("map", figure, table)


def tabulate(world: Terrain) -> pd.DataFrame:
    """Return one row per point of the map: bandwidth, server speed, the best cut, its latency and its gain."""
    low, high = min(RATES[0], world.span[0]), max(RATES[1], world.span[1])
    low, high = 10 ** math.floor(math.log10(low / MBIT) + 1e-9), 10 ** math.ceil(math.log10(high / MBIT) - 1e-9)
    return world.at(_logarithmic(low, high, PER_DECADE) * MBIT, _logarithmic(*SPEEDS, PER_DECADE * 3 // 4))


def shades(split_points: Sequence[int], layers: int) -> dict[int, Any]:
    """Return a colour for each of *split_points*: darkest where all *layers* run on the device, lightest where none."""
    splits = sorted({0, layers, *split_points}, reverse=True)
    scheme = mpl.colormaps["viridis"]
    return {split: scheme(0.9 * i / (len(splits) - 1)) for i, split in enumerate(splits)}


def _logarithmic(low: float, high: float, per_decade: int) -> Array:
    return np.logspace(math.log10(low), math.log10(high), round(per_decade * math.log10(high / low)) + 1)


def _cuts(axes: Axes, table: pd.DataFrame, x: Array, y: Array, world: Terrain) -> None:
    """Draw the regions of the best cut, the large ones named in place and all in a legend."""
    layers = len(world.subject.cluster.model)
    splits = table["split_point"].to_numpy().reshape(len(x), len(y)).T
    names = dict(zip(table["split_point"].tolist(), table["layer"].tolist(), strict=True))
    colours = shades(list(names), layers)
    order = sorted(names, reverse=True)
    drawn = np.searchsorted([-split for split in order], -splits)
    scheme = ListedColormap([colours[split] for split in order])
    axes.pcolormesh(x, y, drawn, shading="nearest", cmap=scheme, vmin=-0.5, vmax=len(order) - 0.5)
    taken = _taken(x, y, world)
    for split in order:
        text = "all on the device" if split == layers else "all on the server" if split == 0 else names[split]
        ink = "white" if sum(to_rgb(colours[split])) < 1.6 else BLACK
        _name(axes, text, ink, (splits == split) & ~taken, x, y)
    handles = [Patch(color=colours[split], label=_legend(split, names[split], layers)) for split in order]
    axes.legend(
        handles=handles, title="last layer on the device", loc="upper left", bbox_to_anchor=(1.0, 1.02), fontsize=7.5,
        title_fontsize=8, frameon=False, handlelength=1.0, handleheight=1.0, alignment="left",
    )  # fmt: skip


def _name(axes: Axes, text: str, ink: str, inside: npt.NDArray[np.bool_], x: Array, y: Array) -> None:
    """Write *text* into the region where *inside* is true, along or up, if there is room for it."""
    for turned in (False, True):
        size = (LINE, NAME) if turned else (NAME, LINE)
        need = (round(2 * size[1] * len(y)), round(size[0] * len(x)))  # a panel is about twice as wide as high
        room = minimum_filter(inside, need, mode="constant", cval=False)
        if room.any():
            row, column = np.unravel_index(
                int(distance_transform_edt(np.pad(room, 1))[1:-1, 1:-1].argmax()), room.shape
            )
            axes.text(
                x[column], y[row], text, ha="center", va="center", fontsize=8.5, color=ink, rotation=90 if turned else 0
            )
            return


def _taken(x: Array, y: Array, world: Terrain) -> npt.NDArray[np.bool_]:
    """Return where the scenario's mark and its name stand, shape (speeds, rates)."""
    (low, high), (slow, fast) = world.span, world.speeds
    across = (x * MBIT > min(low, world.rate) * 0.8) & (x * MBIT < max(high, 6 * world.rate))
    along = (y > 0.8 * slow) & (y < 1.8 * fast)
    taken: npt.NDArray[np.bool_] = np.outer(along, across)
    return taken


def _gains(axes: Axes, gains: Array, x: Array, y: Array) -> None:
    """Draw what the best cut saves [%], with a line for each ten."""
    top = max(10.0, gains.max())
    drawn = axes.pcolormesh(x, y, gains, shading="gouraud", cmap=_pale("BuPu"), vmin=0.0, vmax=top)
    levels = [level for level in range(10, 100, 10) if level < gains.max()]
    if levels:
        lines = axes.contour(x, y, gains, levels, colors="white", linewidths=0.8)
        axes.clabel(lines, fmt="%d %%", fontsize=7.5, colors=BLACK)
    figure: Any = axes.figure
    bar = figure.colorbar(drawn, cax=axes.inset_axes((1.02, 0.0, 0.025, 1.0)))
    bar.set_label("latency saved by the best cut [%]", fontsize=9.5, color=BLACK)
    bar.ax.tick_params(labelsize=8.5, labelcolor=BLACK)
    bar.outline.set_visible(False)


def _legend(split: int, name: str, layers: int) -> str:
    return "all of them" if split == layers else "none" if split == 0 else f"{name} ({split} of {layers})"


def _where(split: int, layer: str, layers: int) -> str:
    if split == 0:
        return "everything on a server"
    return "everything on the device" if split == layers else f"cut behind {layer}"


def _mark(axes: Axes, world: Terrain, name: str = "") -> None:
    """Mark where the scenario stands, with bars over nine tenths of the run where it moves, and *name* it."""
    x = world.rate / MBIT
    low, high = (rate / MBIT for rate in world.span)
    slow, fast = world.speeds
    for colour, width in (("white", 4.5), (BLACK, 2.0)):
        axes.plot([low, high], [1.0, 1.0], color=colour, linewidth=width, solid_capstyle="round")
        axes.plot([x, x], [slow, fast], color=colour, linewidth=width, solid_capstyle="round")
    axes.plot(x, 1.0, "o", markersize=9, color=BLACK, markeredgecolor="white", markeredgewidth=1.5)
    if not name:
        return
    moves = low < high or slow < fast
    axes.annotate(
        f"{name}: mean, and nine\ntenths of its time" if moves else name, (x, 1.0), xytext=(6, 7),
        textcoords="offset points", fontsize=8, color=BLACK,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
    )  # fmt: skip


def _pale(name: str) -> ListedColormap:
    """Return the light part of a colour map, on which dark letters can be read."""
    return ListedColormap(mpl.colormaps[name](np.linspace(0.0, 0.75, 256)))
