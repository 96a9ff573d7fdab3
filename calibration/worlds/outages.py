"""Fit distributions to recorded outages of web services, and say which fits best and where all of them fail.

The recordings stand on a grid: an outage of *k* periods of twenty minutes is one of which users complained in *k*
periods in a row. Its length is fitted as anything above ``k - 1`` and up to *k* periods, and so is the time between
(interval-censored likelihood): a density at the grid's own points would take the grid for the distribution. Fitted are
the exponential, Weibull and log-normal distributions (the first as a Weibull of shape one); the one with the least AIC
is shipped, and the Kolmogorov-Smirnov distance at the grid's points stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from simulator.foundation.errors import TraceError
from simulator.traces.outages import Exponential, LogNormal, OutageGenerator, Weibull
from simulator.traces.recording import Array

GRID = 1200.0
"""Twenty minutes [s]."""
SERVICES = ("Facebook", "Netflix")
CITATION = "Cloud Uptime Archive, Facebook and Netflix as reported by users (arXiv 2504.09476)"
DISTRIBUTIONS = {"exponential": stats.expon, "weibull": stats.weibull_min, "log-normal": stats.lognorm}
HITS = 10
"""Parts of the hosts that are out are rounded to as many steps."""


@dataclass(frozen=True)
class Fitted:
    """A distribution fitted to durations."""

    kind: str
    parameters: tuple[float, ...]
    """As scipy has them: shape (if any), location 0, scale [s]."""
    aic: float
    distance: float
    """Kolmogorov-Smirnov, at the grid's points."""

    @property
    def frozen(self) -> Any:
        """The distribution with its parameters, as scipy has it."""
        return DISTRIBUTIONS[self.kind](*self.parameters)


def read_failures(data: Path) -> dict[str, pd.DataFrame]:
    """Read the recorded outages: service → columns between_s, length_s, hit.

    Raises:
        TraceError: if there are none.
    """
    folder = data / "failures" / "cloud-uptime-archive"
    found = {}
    for service in SERVICES:
        path = folder / f"{service}_user_reported.parquet"
        if not path.is_file():
            raise TraceError(f"no {path.name} in failures/cloud-uptime-archive")
        table = pd.read_parquet(path).iloc[1:]  # nothing is known of what was before the first
        found[service] = pd.DataFrame(
            {
                "between_s": table["failure_interval"].to_numpy(dtype=float) / 1e3,
                "length_s": table["failure_duration"].to_numpy(dtype=float) / 1e3,
                "hit": table["failure_intensity"].to_numpy(dtype=float),
            }
        )
    return found


def fit_durations(durations: Array) -> list[Fitted]:
    """Fit each kind of distribution to durations on the grid [s]; the best (least AIC) first."""
    data: Any = stats.CensoredData(interval=np.column_stack([durations - GRID, durations]))
    found = []
    for kind, distribution in DISTRIBUTIONS.items():
        start = () if kind == "exponential" else (1.0,)
        with np.errstate(divide="ignore"):  # on its way the search meets scales under which the longest cannot be
            parameters = distribution.fit(data, *start, floc=0.0, scale=float(np.median(durations)))
        frozen = distribution(*parameters)
        likely = np.log(np.maximum(frozen.sf(durations - GRID) - frozen.sf(durations), 1e-300)).sum()
        aic = 2 * (len(parameters) - 1) - 2 * float(likely)  # the location is not free
        found.append(Fitted(kind, tuple(map(float, parameters)), aic, distance(durations, frozen)))
    return sorted(found, key=lambda fitted: fitted.aic)


def distance(durations: Array, distribution: Any) -> float:
    """Return the largest difference between the recorded and the fitted share below a point of the grid."""
    points, counts = np.unique(durations, return_counts=True)
    return float(np.abs(np.cumsum(counts) / counts.sum() - distribution.cdf(points)).max())


def fit_outages(failures: Mapping[str, pd.DataFrame]) -> OutageGenerator:
    """Fit outages to the services of *failures* together."""
    pool = pd.concat(list(failures.values()))
    between, length = (_distribution(fit_durations(pool[column].to_numpy())[0]) for column in ("between_s", "length_s"))
    parts, counts = np.unique(np.round(pool["hit"].to_numpy() * HITS) / HITS, return_counts=True)
    hit = tuple(zip(parts.tolist(), (counts / counts.sum()).tolist(), strict=True))
    source = f"fitted to {len(pool)} outages: {CITATION}"
    title = "Outages of two web services as their users reported them"
    return OutageGenerator("web-service", title, "transferred", source, between, length, hit)


def _distribution(fitted: Fitted) -> Exponential | Weibull | LogNormal:
    scale = float(f"{fitted.parameters[-1]:.4g}")
    if fitted.kind == "exponential":
        return Exponential(kind="exponential", mean=scale)
    shape = float(f"{fitted.parameters[0]:.4g}")
    if fitted.kind == "weibull":
        return Weibull(kind="weibull", scale=scale, shape=shape)
    return LogNormal(kind="log-normal", median=scale, spread=shape)


def fit_table(failures: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what each kind comes to for each service and both together, and how it does on the other service."""
    sets = {**failures, "both": pd.concat(list(failures.values()))}
    other = dict(zip(failures, reversed(list(failures)), strict=True))
    rows = []
    for service, table in sets.items():
        for column in ("between_s", "length_s"):
            durations = table[column].to_numpy()
            best = fit_durations(durations)
            for fitted in best:
                there = failures[other[service]][column].to_numpy() if service in other else None
                rows.append(
                    {
                        "service": service, "of": column.removesuffix("_s"), "kind": fitted.kind,
                        "AIC": fitted.aic - best[0].aic, "KS": fitted.distance,
                        "KS, other service": np.nan if there is None else distance(there, fitted.frozen),
                        "mean_h": fitted.frozen.mean() / 3600, "recorded_mean_h": durations.mean() / 3600,
                        "p95_h": fitted.frozen.ppf(0.95) / 3600, "recorded_p95_h": np.quantile(durations, 0.95) / 3600,
                        "p99_h": fitted.frozen.ppf(0.99) / 3600, "recorded_p99_h": np.quantile(durations, 0.99) / 3600,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def outages_yaml(generator: OutageGenerator) -> str:
    """Return the file of outages."""
    lines = []
    for key in ("between", "length"):
        distribution = getattr(generator, key)
        said = ", ".join(
            f"{name}: {_said(name, getattr(distribution, name))}" for name in type(distribution).model_fields
        )
        lines.append(f"{key}: {{{said}}}")
    hit = "\n".join(f"  {100 * part:.3g} %: {100 * often:.3g} %" for part, often in generator.hit)
    both = "\n".join(lines)
    return f"""\
name: {generator.name}
title: "{generator.title} (synthetic)"
grade: {generator.grade}
source: "{generator.source}"
{both}
hit:  # this part of the hosts is out, in this share of outages
{hit}
"""


def _said(name: str, value: float | str) -> str:
    number = value if isinstance(value, str) else f"{value:.4g}"
    return f"{number} s" if name in ("mean", "scale", "median") else number
