"""What all figures have in common: palette, paper, caption, and saving with the table behind the picture.

Figures are made without pyplot, so that drawing leaves no state behind. The palette is that of Okabe and Ito, which
readers with any common colour vision tell apart; one part of a latency has one colour in every figure.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from simulator.foundation.errors import ResultsError

BLUE, SKY, ORANGE, YELLOW = "#0072B2", "#56B4E9", "#E69F00", "#F0E442"
GREEN, RED, PURPLE, GREY, BLACK = "#009E73", "#D55E00", "#CC79A7", "#9A9A9A", "#333333"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW, GREY)

PARTS: dict[str, tuple[str, str]] = {
    "device": ("computing on the device", BLUE),
    "compute": ("computing", BLUE),
    "software": ("software", GREY),
    "transfer": ("bytes on the wire", ORANGE),
    "delay": ("propagation", YELLOW),
    "server": ("computing on servers", SKY),
    "answer": ("the answer back", PURPLE),
    "queue": ("waiting for a turn", RED),
    "recovery": ("lost to failures", BLACK),
    "hold": ("held by a redeployment", GREEN),
}
"""Part of a latency → (its name in a legend, its colour), in the order they are stacked."""

STYLE: Any = {
    "font.size": 9.5,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": BLACK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.xmargin": 0.01,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.7,
    "text.color": BLACK,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "offing",
}
PIXELS_PER_INCH = 130

Heights = Mapping[str, npt.NDArray[np.float64]]
"""Part of a latency → one number per bar [s]."""


@dataclass(frozen=True, repr=False)
class Picture:
    """A figure and the table it was drawn from."""

    name: str
    figure: Figure
    table: pd.DataFrame

    def save(self, folder: str | Path, svg: bool = False) -> list[Path]:
        """Write ``NAME.png`` (and ``NAME.svg``) with ``NAME.csv`` beside it, and return the files.

        Raises:
            ResultsError: if they cannot be written.
        """
        target = Path(folder)
        files = [target / f"{self.name}.{kind}" for kind in (("png", "svg", "csv") if svg else ("png", "csv"))]
        try:
            target.mkdir(parents=True, exist_ok=True)
            drafts = [file.with_name(f".{file.name}.part") for file in files]  # whole, or not there
            for draft, file in zip(drafts[:-1], files, strict=False):
                draft.write_bytes(self._image(file.suffix[1:]))
            self.table.to_csv(drafts[-1], index=False)
            for draft, file in zip(drafts, files, strict=True):
                draft.replace(file)
        except OSError as error:
            for file in files:
                with contextlib.suppress(OSError):
                    file.with_name(f".{file.name}.part").unlink(missing_ok=True)
            raise ResultsError(f"{folder}: cannot be written: {error.strerror}") from None
        return files

    def __repr__(self) -> str:
        """Write ``Picture(cuts, table of 154 rows)``."""
        return f"Picture({self.name}, table of {len(self.table)} rows)"

    def _image(self, form: str) -> bytes:
        stream = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}  # the same picture, the same bytes
        with mpl.rc_context(STYLE):
            self.figure.savefig(stream, format=form, dpi=PIXELS_PER_INCH, metadata=metadata)
        return stream.getvalue()

    def _repr_png_(self) -> bytes:
        """Show the figure in a notebook."""
        return self._image("png")


def paper(
    title: str,
    finding: str,
    caption: str,
    size: tuple[float, float],
    heights: Sequence[float] = (1.0,),
    legend: int = 0,
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure and its panels, one below the other.

    Args:
        title: what is shown.
        finding: what can be seen, in a sentence.
        caption: where it comes from, for the corner.
        size: width and height [inch].
        heights: relative height of each panel; they share the horizontal axis.
        legend: lines to keep free for :func:`legend_above`.
    """
    with mpl.rc_context(STYLE):
        low, high = 0.26 / size[1], 1.0 - (0.52 + 0.22 * legend) / size[1]
        engine = ConstrainedLayoutEngine(rect=(0.005, low, 0.99, high - low))
        figure = Figure(figsize=size, layout=engine)
        figure.text(0.012, 1.0 - 0.1 / size[1], title, ha="left", va="top", fontsize=12, fontweight="bold")
        figure.text(0.012, 1.0 - 0.33 / size[1], finding, ha="left", va="top", color="#555555")
        figure.text(0.994, 0.06 / size[1], caption, ha="right", va="bottom", fontsize=7, color="#777777")
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=list(heights), squeeze=False)
    return figure, list(panels[:, 0])


def stack(axes: Axes, where: Sequence[float], width: float, parts: Heights, unit: float) -> None:
    """Draw stacked bars of *parts* (those that are anywhere above nothing), each divided by *unit*."""
    bottom = np.zeros(len(where))
    for part, (label, colour) in PARTS.items():
        values = parts.get(part)
        if values is None or not np.nanmax(values, initial=0.0) > 0:
            continue
        axes.bar(where, values / unit, width, bottom=bottom, color=colour, label=label, linewidth=0)
        bottom = bottom + values / unit


def legend_above(figure: Figure, axes: Axes, columns: int = 7) -> None:
    """Put the legend between the title and the panels, where it covers nothing."""
    top = 1.0 - 0.5 / figure.get_figheight()
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.004, top), ncols=columns, fontsize=8.5, handlelength=1.0,
        handleheight=1.0, markerscale=0.7, columnspacing=1.2, borderaxespad=0.2, frameon=False, labelcolor=BLACK,
    )  # fmt: skip
    legend.set_in_layout(False)


def name_ticks(axes: Axes, names: Sequence[str], always: Sequence[int] = (), most: int = 46) -> None:
    """Write *names* under positions 0, 1, 2 ...; where there are too many, every so many, and *always* those."""
    step = -(-len(names) // most)
    shown = {i for i in range(0, len(names), step) if all(i == a or abs(i - a) >= step for a in always)} | set(always)
    places = sorted(shown)
    axes.set_xticks(places, [names[i] for i in places], rotation=90, fontsize=7)
    axes.tick_params(axis="x", length=2)


def folded(text: str, width: int = 32) -> str:
    """Return a long name on several lines."""
    return "\n".join(wrap(text, width)) or text


def scale(largest: float) -> tuple[float, str]:
    """Return the unit [s] that suits durations up to *largest* [s], and its name."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if largest >= unit:
            return unit, name
    return 1e-6, "µs"


def duration(seconds: float) -> str:
    """Write a duration for a sentence: ``318 ms``."""
    unit, name = scale(seconds)
    return f"{float(f'{seconds / unit:.3g}'):g} {name}"
