"""``layers``: what each layer takes on each machine of a scenario, and how many bytes a cut behind it would carry.

The picture split inference starts from (Neurosurgeon's figures 3 to 5 are of this kind): where layers are slow on
the device and what follows them is small, a cut pays.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from analysis.picture import BLUE, GREEN, ORANGE, SKY, Picture, duration, name_ticks, paper, scale
from analysis.subject import Subject
from simulator.profiles.model import LayerTimes, ModelProfile

COLOURS = (BLUE, SKY, GREEN)


def draw(subject: Subject) -> Picture:
    """Draw the layers of the model of *subject* on the machines of its nodes."""
    parts = subject.world.parts
    seen = dict.fromkeys(facts.hardware.name for facts in parts.nodes.values())
    return draw_profile(parts.model, {name: parts.times[name] for name in seen}, subject.caption())


def draw_profile(model: ModelProfile, times: Mapping[str, LayerTimes], caption: str) -> Picture:
    """Draw the layers of *model* with its *times* by machine."""
    table = tabulate(model, times)
    whole = ", ".join(f"{duration(sum(found.seconds))} on {name} ({found.grade})" for name, found in times.items())
    figure, panels = paper(
        f"{model.name}: time of each layer, and what a cut behind it carries",
        f"{len(model)} layers, batch {model.batch}; {whole}",
        caption,
        (11.0, 2.0 + 1.45 * (len(times) + 1)),
        [1.0] * (len(times) + 1),
    )
    for index, (axes, name) in enumerate(zip(panels, times, strict=False)):
        _times(axes, name, table[f"{name}_s"].to_numpy(dtype=float), COLOURS[index % len(COLOURS)])
    _bytes(panels[-1], table, model.input_bytes)
    name_ticks(panels[-1], list(table["layer"]))
    return Picture("layers", figure, table)


def tabulate(model: ModelProfile, times: Mapping[str, LayerTimes]) -> pd.DataFrame:
    """Return one row per layer: what it is, its output, what a cut behind it carries, its time on each machine."""
    crossing = {cut.index: cut.bytes for cut in model.cuts()}
    table = pd.DataFrame(
        {
            "layer": [layer.name for layer in model.layers],
            "operator": [layer.operator for layer in model.layers],
            "flop": [layer.flops for layer in model.layers],
            "output_bytes": [layer.out_bytes for layer in model.layers],
            "crossing_bytes": [crossing.get(index + 1, np.nan) for index in range(len(model))],
        }
    )
    for name, found in times.items():
        table[f"{name}_s"] = found.seconds
    return table


def _times(axes: Axes, name: str, seconds: npt.NDArray[np.float64], colour: str) -> None:
    unit, symbol = scale(float(seconds.max()))
    axes.bar(range(len(seconds)), seconds / unit, 0.8, color=colour, linewidth=0)
    axes.set_ylabel(f"time [{symbol}]")
    axes.set_title(f"on {name}", loc="left", fontsize=9.5, pad=3)


def _bytes(axes: Axes, table: pd.DataFrame, input_bytes: float) -> None:
    axes.bar(range(len(table)), table["crossing_bytes"] / 1e3, 0.8, color=ORANGE, linewidth=0)
    axes.axhline(input_bytes / 1e3, color="#777777", linewidth=1, linestyle="--")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5 * float(table["crossing_bytes"].min()) / 1e3)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylabel("size [kB]")
    axes.set_title(
        f"bytes that cross a cut behind the layer (dashed: the input, {input_bytes / 1e3:,.0f} kB)",
        loc="left", fontsize=9.5, pad=3,
    )  # fmt: skip
