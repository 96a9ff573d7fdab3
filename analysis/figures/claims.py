"""The figure of a reproduction: what was simulated over what is claimed, and how far apart they may be.

One line per claim that was run, in the order of the table. The bar is the tolerance, written down before the run; the
point is what came out. Claims of nothing (a value of 0) have no ratio and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.claims.kinds import MEASURED, MISSED, NOT_RUN
from analysis.claims.reproduce import Reproduction
from analysis.claims.table import Claim
from analysis.claims.verdicts import Outcome
from analysis.picture import BLACK, BLUE, GREY, ORANGE, Picture, paper
from simulator.profiles.hardware import worst

LEAST, MOST = 0.5, 2.0
"""What is further off is drawn at the edge, with its number."""


def draw(found: Reproduction) -> Picture:
    """Draw the claims about one system."""
    table = tabulate(found.outcomes)
    shown = table.dropna(subset=["ratio"])
    missed = sum(outcome.verdict in MISSED for outcome in found.outcomes)
    left = sum(outcome.verdict == NOT_RUN for outcome in found.outcomes)
    finding = f"{len(found.outcomes)} claims: {missed} not reproduced, {left} not run; bars: the tolerance of each"
    evidence = worst(grade for outcome in found.outcomes for grade in outcome.quantity.grades)
    caption = f"offing {version('offing')}  ·  evidence: {evidence}"
    height = 1.5 + 0.19 * max(len(shown), 3)
    figure, (axes,) = paper(f"{found.name}: simulated over claimed", finding, caption, (9.0, height))
    for place, row in enumerate(shown.to_dict("records")):
        _line(axes, place, row)
    axes.axvline(1.0, color=BLACK, linewidth=0.8)
    names = [f"{row['id']}  {row['quantity']}" for row in shown.to_dict("records")]
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set_xscale("log", base=2)
    axes.set_xlim(LEAST / 1.12, MOST * 1.25)
    ticks = (0.5, 0.7, 0.9, 1.0, 1.1, 1.4, 2.0)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axes.set_xlabel("simulated / claimed")
    return Picture(f"claims-{found.name}", figure, table)


def tabulate(outcomes: list[Outcome]) -> pd.DataFrame:
    """Return one row per claim: what was claimed, what came out, their ratio and the ends of the tolerance."""
    rows = []
    for outcome in outcomes:
        claim = outcome.claim
        low, high = _ends(claim)
        number = math.nan if outcome.quantity.simulated is None else outcome.quantity.simulated
        size = claim.value or math.nan
        rows.append(
            {
                "id": claim.id, "quantity": claim.quantity, "condition": claim.condition, "claimed": claim.value,
                "simulated": number, "unit": claim.unit, "verdict": outcome.verdict, "ratio": number / size,
                "low": low / size, "high": high / size,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _ends(claim: Claim) -> tuple[float, float]:
    """Return where a number meets the claim: a bound is open on its other side."""
    low, high, _ = claim.band()
    if claim.comparison == "ordering":
        return claim.value, math.inf
    return -math.inf if claim.comparison == "le" else low, math.inf if claim.comparison == "ge" else high


def _line(axes: Axes, place: int, row: Mapping[Hashable, Any]) -> None:
    low, high, ratio = (float(row[key]) for key in ("low", "high", "ratio"))
    colour = ORANGE if row["verdict"] in MISSED else GREY if row["verdict"] == MEASURED else BLUE
    axes.plot([max(low, LEAST), min(high, MOST)], [place, place], color="#D0D0D0", linewidth=6, solid_capstyle="butt")
    inside = min(max(ratio, LEAST), MOST) if ratio > 0 else LEAST
    axes.plot([inside], [place], "o", color=colour, markersize=4.5)
    if inside != ratio:
        away, side = (6, "left") if inside == MOST else (-6, "right")
        axes.annotate(
            f"{ratio:.3g}", (inside, place), xytext=(away, 0), textcoords="offset points", ha=side, va="center",
            fontsize=7, color=colour,
        )  # fmt: skip
