"""``breakdown``: where a request's time went, from the fastest requests to the slowest.

Requests are put in order of latency and averaged in twenty groups, so that the tail can be read: are slow requests
slow because they wait, or because their work is long? Where pieces of work were recorded (``record: spans``),
computing is told apart by where it was done.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.picture import PARTS, Heights, Picture, duration, legend_above, paper, scale, stack
from analysis.subject import Subject, requests_of
from simulator import Results

GROUPS = 20
ACCOUNTS = ("queue", "software", "transfer", "delay", "recovery", "hold")
"""Parts that stand in the table of requests as they are; computing is looked up in the spans."""


def draw(subject: Subject) -> Picture:
    """Draw the parts of latency of the run of *subject*, by percentile."""
    requests = accounts(subject.results)
    table = tabulate(requests)
    parts = [part for part in PARTS if f"{part}_s" in table]
    whole, groups = table.iloc[-1:], table.iloc[:-1]
    share = {part: float(whole[f"{part}_s"].iloc[0] / whole["latency_s"].iloc[0]) for part in parts}
    most = max(share, key=lambda part: share[part])
    figure, (axes,) = paper(
        "Where a request's time goes, from the fastest to the slowest",
        f"{len(requests):,} answered requests, {duration(float(whole['latency_s'].iloc[0]))} on average; "
        f"most of it {PARTS[most][0]} ({share[most]:.0%})",
        subject.caption(),
        (9.0, 5.0),
        legend=2,
    )
    unit, symbol = scale(float(table["latency_s"].max()))
    width = 100 / len(groups)
    stack(axes, list(groups["from_percentile"] + width / 2), 0.9 * width, _heights(groups, parts), unit)
    legend_above(figure, axes, 4)
    stack(axes, [109.0], 7.0, _heights(whole, parts), unit)
    axes.set_ylabel(f"mean time per request [{symbol}]")
    axes.set_xlabel("percentile of latency")
    axes.set_xticks([*range(0, 101, 10), 109], [*map(str, range(0, 101, 10)), "all"])
    axes.set_xlim(-1, 114)
    return Picture("breakdown", figure, table)


def accounts(results: Results) -> pd.DataFrame:
    """Return the answered requests, fastest first, each with the parts of its latency [s].

    Raises:
        ResultsError: if no request was answered.
    """
    requests = requests_of(results, answered=True)
    parts = {part: requests[f"{part}_s"] for part in ACCOUNTS}
    parts["compute" if "spans" not in results.columns else "server"] = requests["compute_s"]
    if "spans" in results.columns:
        home = _home_seconds(results.spans).reindex(pd.MultiIndex.from_frame(requests[["source", "request"]]))
        parts["device"] = pd.Series(home.fillna(0.0).to_numpy(), index=requests.index)
        parts["server"] = (parts["server"] - parts["device"]).clip(lower=0.0)
    frame = pd.DataFrame({f"{part}_s": parts[part] for part in PARTS if part in parts})
    frame["latency_s"] = requests["latency_s"]
    return frame.sort_values("latency_s", kind="stable", ignore_index=True)


def tabulate(requests: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each part in twenty groups of rising latency, and over all (last row)."""
    groups = min(GROUPS, len(requests))
    edges = np.linspace(0, len(requests), groups + 1).round().astype(int)
    means = [requests.iloc[first:last].mean() for first, last in pairwise(edges)]
    table = pd.DataFrame([*means, requests.mean()])
    table.insert(0, "from_percentile", [*(100 * np.arange(groups) / groups), 0.0])
    table.insert(1, "to_percentile", [*(100 * np.arange(1, groups + 1) / groups), 100.0])
    table.insert(2, "requests", [*np.diff(edges), len(requests)])
    return table


def _home_seconds(spans: pd.DataFrame) -> pd.Series[Any]:
    """Return the time each request computed on its own device [s], by (source, request)."""
    home = spans[(spans["kind"] == "compute") & (spans["resource"] == spans["source"]) & spans["completed"]]
    took = (home["finish_s"] - home["start_s"]).groupby([home["source"], home["request"]])
    return took.sum()


def _heights(table: pd.DataFrame, parts: list[str]) -> Heights:
    return {part: table[f"{part}_s"].to_numpy(dtype=float) for part in parts}
