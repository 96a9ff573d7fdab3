"""Errors by model and segment, the worst rows, and the regret of the split that the prediction would choose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from calibration.fidelity.comparison import EVERY, SEGMENTS, Comparison
from simulator.commands.tables import plain

TOTAL = "total"


def with_error(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose measured time is above zero, with ``error_pct``: (predicted - measured) / measured."""
    timed = rows[rows["measured_s"] > 0]
    return timed.assign(error_pct=100.0 * (timed["predicted_s"] / timed["measured_s"] - 1.0))


def errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the errors of each model and segment are like, with a model :data:`EVERY` where there are several.

    Returns:
        A frame indexed by (model, segment): ``n``, ``mape_pct`` (mean absolute), ``median_ape_pct``, ``p90_ape_pct``,
        ``max_ape_pct``, ``bias_pct`` (mean signed). Rows that measured nothing are not in it.
    """
    judged = with_error(rows)
    if len(set(judged["model"])) > 1:
        judged = pd.concat([judged, judged.assign(model=EVERY)])
    figures = {
        key: {
            "n": len(group),
            "mape_pct": np.mean(np.abs(group)),
            "median_ape_pct": np.median(np.abs(group)),
            "p90_ape_pct": np.percentile(np.abs(group), 90),
            "max_ape_pct": np.max(np.abs(group)),
            "bias_pct": np.mean(group),
        }
        for key, group in judged.groupby(["model", "segment"], sort=False)["error_pct"]
    }
    order = sorted(figures, key=lambda key: (key[0] == EVERY, str(key[0]), SEGMENTS.index(key[1])))
    index = pd.MultiIndex.from_tuples(order, names=["model", "segment"])
    return pd.DataFrame([figures[key] for key in order], index=index)


def choices(rows: pd.DataFrame) -> pd.DataFrame:
    """Return, for each model and condition with several splits, the one predicted to be fastest and the one that was.

    Returns:
        Columns ``model``, ``condition``, ``chosen``, ``best``, ``regret_pct``: how much longer than the fastest split
        the chosen one took, as measured.
    """
    total = rows[rows["segment"] == TOTAL]
    cells = (
        total.groupby(["model", "condition", "split"], sort=False)[["measured_s", "predicted_s"]].mean().reset_index()
    )
    found = []
    for (model, condition), group in cells.groupby(["model", "condition"], sort=False):
        measured, predicted = group["measured_s"].to_numpy(), group["predicted_s"].to_numpy()
        if len(group) < 2 or not (measured > 0).all():
            continue
        chosen, best = int(predicted.argmin()), int(measured.argmin())
        splits = group["split"].tolist()
        found.append(
            (model, condition, splits[chosen], splits[best], 100.0 * (measured[chosen] / measured[best] - 1.0))
        )
    return pd.DataFrame(found, columns=["model", "condition", "chosen", "best", "regret_pct"])


def regret(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how much the chosen split loses, over the conditions of each model that has a choice.

    Single recorded rows can hold an interruption of seconds that no prediction knows of, and the split that had none
    is then the best in hindsight; so the median over conditions is the figure, and the mean stands beside it.

    Returns:
        A frame indexed by model: ``median_pct``, ``mean_pct``, ``n`` (conditions).
    """
    lost = choices(rows).groupby("model", sort=False)["regret_pct"]
    return pd.DataFrame({"median_pct": lost.median(), "mean_pct": lost.mean(), "n": lost.size()})


def worst(rows: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """Return the *count* rows with the largest relative error, totals before parts of the same size."""
    judged = with_error(rows)
    order = judged["error_pct"].abs().sort_values(ascending=False, kind="stable").index
    return judged.loc[order].head(count)


def _choice(regrets: pd.DataFrame, model: str) -> dict[str, Any]:
    known = model in regrets.index
    return {
        "split_regret_pct": regrets.loc[model, "median_pct"] if known else None,
        "split_regret_mean_pct": regrets.loc[model, "mean_pct"] if known else None,
    }


def as_plain(comparison: Comparison) -> dict[str, Any]:
    """Return the report as JSON knows it: by model and segment, with regret, goals and notes."""
    rows = comparison.judged
    regrets = regret(rows)
    models: dict[str, Any] = {}
    for figures in errors(rows).reset_index().to_dict("records"):
        model, segment = str(figures.pop("model")), str(figures.pop("segment"))
        if model != EVERY:
            models.setdefault(model, _choice(regrets, model))[segment] = figures
    goals = [
        {"what": g.what, "reached": g.reached, "limit": g.limit, "least": g.least, "unit": g.unit, "verdict": g.verdict}
        for g in comparison.goals
    ]
    plainly: dict[str, Any] = plain(
        {
            "dataset": comparison.dataset,
            "measured_on": comparison.measured_on,
            "grade": comparison.grade,
            "models": models,
            "goals": goals,
            "notes": list(comparison.notes),
            "tables": {title: table.reset_index().to_dict("records") for title, table in comparison.tables.items()},
        }
    )
    return plainly
