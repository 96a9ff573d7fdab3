"""``compare``: several techniques in the same worlds, seed by seed, and what can be said of their differences.

Under one seed all contestants meet the same arrivals and the same traces, so that what is compared are differences
within pairs: the chance of the world cancels out, and a technique against itself gives exactly zero. Intervals are
Student's over the seeds (one value per run, never requests pooled); those of differences hold all at once
(Bonferroni), and p values are adjusted in the same way, so that the two never disagree
(``simulator/results/statistics.py`` has the sources).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

import pandas as pd

from simulator.commands.tables import seconds
from simulator.results.replications import FIGURES
from simulator.results.statistics import Interval, p_value, paired, t_interval

EXTRAS = ("unanswered", "changes", "downtime_s")
"""What else is told of each run."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """What came out: one row per run, and the statements that rest on them."""

    runs: pd.DataFrame
    """One row per (label, seed): the figures of ``FIGURES`` and ``EXTRAS``, requests, and ``unstable``."""
    over_time: pd.DataFrame
    """One row per (label, seed, bin): from_s, to_s (of arrival), requests answered, latency_sum_s; no warm-up."""
    scenario: str
    metric: str = "latency_mean_s"
    level: float = 0.95
    bounds: tuple[str, ...] = ()
    """Contestants that know what nobody can."""
    against: str = ""
    """The one that all are compared with; each with each, where it is empty."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Version, weakest evidence, and where bandwidths come from that are not constants."""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The contestants, best first."""
        each = self.runs.groupby("label", sort=False)[self.metric]
        means = each.mean().where(each.count() == each.size())  # no mean of the worlds in which it had an answer
        order = means.sort_values(ascending=FIGURES[self.metric].less, kind="stable")
        return tuple(str(label) for label in order.index)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The worlds."""
        return tuple(int(seed) for seed in sorted(set(self.runs["seed"])))

    def values(self, label: str, metric: str | None = None) -> list[float]:
        """Return the figure of *label* in each world, in the order of :attr:`seeds`."""
        mine = self.runs[self.runs["label"] == label].set_index("seed")[metric or self.metric]
        return [float(mine.loc[seed]) for seed in self.seeds]

    @cached_property
    def means(self) -> pd.DataFrame:
        """One row per contestant, best first: each metric's mean with its interval over seeds, and how often it won."""
        rows = []
        best = self._best_per_seed()
        for label in self.labels:
            row: dict[str, Any] = {"label": label, "seeds": len(self.seeds), "best_in": best.count(label)}
            for metric in FIGURES:
                interval = t_interval(self.values(label, metric), self.level)
                row |= {metric: interval.mean, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
            for extra in EXTRAS:
                row[extra] = math.fsum(self.values(label, extra)) / len(self.seeds)
            rows.append(row)
        return pd.DataFrame(rows)

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """What is compared with what, the better first."""
        every = combinations(self.labels, 2)
        return tuple(pair for pair in every if not self.against or self.against in pair)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """One row per pair (a is the better): mean of a - b, its interval (all at once), adjusted p value, verdict."""
        rows = []
        for a, b in self.pairs:
            p = p_value(self.values(a), self.values(b))
            interval = self.difference(a, b)
            rows.append(
                {
                    "a": a, "b": b, "metric": self.metric, "difference": interval.mean, "low": interval.low,
                    "high": interval.high, "relative": interval.mean / (_mean(self.values(b)) or math.nan),
                    "p_adjusted": min(1.0, len(self.pairs) * p), "verdict": verdict(interval),
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    def difference(self, a: str, b: str) -> Interval:
        """Return the interval of the mean of a - b, one of all pairs that hold at once."""
        return paired(self.values(a), self.values(b), self.level, len(self.pairs))

    @cached_property
    def regret(self) -> pd.DataFrame:
        """One row per contestant: how much worse than the best one it is on average [unit of the metric]."""
        best, less = self.labels[0], FIGURES[self.metric].less
        rows = []
        for label in self.labels:
            a, b = (label, best) if less else (best, label)
            interval = paired(self.values(a), self.values(b), self.level, max(1, len(self.labels) - 1))
            relative = interval.mean / abs(_mean(self.values(best)) or math.nan)
            rows.append({"label": label, "best": best, "regret": interval.mean, "low": interval.low,
                         "high": interval.high, "relative": relative})  # fmt: skip
        return pd.DataFrame(rows)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What should be known before any of this is believed."""
        said = []
        for label in self.labels:
            mine = self.runs[self.runs["label"] == label]
            lost = mine["unanswered"]
            if lost.any():
                said.append(
                    f"{label} left {int(lost.sum())} of {int(mine['requests'].sum())} requests unanswered; "
                    "they are in no latency"
                )
            unstable = mine["unstable"].astype(bool)
            if unstable.any():
                said.append(
                    f"{label} overloads a station in {int(unstable.sum())} of {len(mine)} worlds: its latencies grow "
                    "with the length of the run, and say nothing about any other length"
                )
        known = self.runs.groupby("label", sort=False)["knowledge"].first()
        looking = {label: text for label, text in known.items() if label not in self.bounds and "nothing:" not in text}
        if len(set(looking.values())) > 1:
            said.append(
                "they do not know the same: " + "; ".join(f"{label}: {text}" for label, text in looking.items())
                + " (knowledge: in the scenario holds for all)"
            )  # fmt: skip
        return tuple(said)

    @property
    def sentence(self) -> str:
        """What one would say to somebody who asks which is best."""
        from_bounds = [label for label in self.labels if label in self.bounds]
        free = [label for label in self.labels if label not in self.bounds] or list(self.labels)
        best, name = free[0], FIGURES[self.metric].name
        apart = f" (leaving the bound {' and '.join(from_bounds)} aside)" if from_bounds else ""
        value = self._shown(_mean(self.values(best)))
        parts = [f"Over {len(self.seeds)} worlds {best} has the best {name}{apart}: {value}."]
        parts += [self._against(best, other) for other in free[1:] if not self.against or self.against in (best, other)]
        parts += [self._beyond(best, bound) for bound in from_bounds]
        return " ".join(parts)

    def _against(self, best: str, other: str) -> str:
        gap = self.difference(best, other)
        said = verdict(gap)
        if said == "the same":
            return f"{other} is the same in every world."
        if said == "no interval":
            return f"{other} cannot be compared with {best}: {gap.problem}."
        if said == "cannot be told apart":
            return (
                f"{other} cannot be told from {best} (difference {self._shown(gap.mean)}, "
                f"between {self._shown(gap.low)} and {self._shown(gap.high)})."
            )
        low, high = sorted((abs(gap.low), abs(gap.high)))
        return (
            f"{other} is worse by {self._shown(abs(gap.mean))}{self._share(gap, best)}, "
            f"between {self._shown(low)} and {self._shown(high)}."
        )

    def _beyond(self, best: str, bound: str) -> str:
        """Say what knowing everything would gain over *best*, if it would."""
        gap = self.difference(best, bound)
        worse = gap.mean if FIGURES[self.metric].less else -gap.mean
        if verdict(gap) == "clear" and worse > 0:
            return f"Knowing everything ({bound}) would gain {self._shown(worse)}{self._share(gap, best)} on {best}."
        return f"Knowing everything ({bound}) has no clear advantage over {best} in this."

    def _share(self, gap: Interval, of: str) -> str:
        whole = abs(_mean(self.values(of)))
        return f" ({abs(gap.mean) / whole:.0%})" if whole else ""

    def _shown(self, value: float) -> str:
        return shown(value, self.metric)

    def _best_per_seed(self) -> list[str]:
        table = pd.DataFrame({label: self.values(label) for label in self.labels}, index=list(self.seeds))
        table = table.dropna(how="all")
        found = table.idxmin(axis=1) if FIGURES[self.metric].less else table.idxmax(axis=1)
        return [str(label) for label in found]

    def __repr__(self) -> str:
        """Say what was compared."""
        return f"Comparison({self.scenario!r}: {', '.join(self.labels)}; {len(self.seeds)} seeds)"

    def __str__(self) -> str:
        """Write the sentence."""
        return self.sentence


def shown(value: float, metric: str) -> str:
    """Write *value* of *metric* with its unit."""
    if not math.isfinite(value):
        return "-"
    if metric.endswith("_per_s"):
        return f"{value:.4g} /s"
    if metric.endswith("_j"):
        return f"{value:.4g} J"
    return seconds(value, 3)


def verdict(gap: Interval) -> str:
    """Say what an interval of a difference shows: clear, cannot be told apart, the same, or no interval."""
    if not gap.reliable:
        return "no interval"
    if gap.low == gap.high == 0.0:
        return "the same"
    return "clear" if gap.low > 0.0 or gap.high < 0.0 else "cannot be told apart"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
