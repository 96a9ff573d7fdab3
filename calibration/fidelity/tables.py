"""The tables people read, as frames of text: the terminal and the page show the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from calibration.fidelity.comparison import Comparison
from calibration.fidelity.report import choices, errors, regret, with_error, worst
from simulator.commands.tables import number, seconds

_NUMBER = re.compile(r"[-+]?[\d.]|$")


def tables(comparison: Comparison, count: int = 5) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield title, table and a sentence below it: goals, errors, the *count* worst rows, the set's own tables."""
    rows = comparison.judged
    if comparison.goals:
        yield f"goals: {_tally(comparison)}", _goals(comparison), ""
    yield "predicted against measured", _errors(rows), _regret(rows)
    left = len(rows) - len(with_error(rows))
    yield "worst rows", _worst(rows, count), f"{left:,} rows measured nothing and are left out" if left else ""
    for title, table in comparison.tables.items():
        plain = table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
        yield title, plain.map(_cell), ""


def right(column: pd.Series[str]) -> bool:
    """Say whether a column holds numbers, which stand to the right."""
    return all(_NUMBER.match(text) for text in column)


def _errors(rows: pd.DataFrame) -> pd.DataFrame:
    frame = errors(rows).reset_index()
    regrets = regret(rows)
    keys = list(zip(frame["model"], frame["segment"], strict=True))

    def lost(figure: str) -> list[str]:
        known = (segment == "total" and model in regrets.index for model, segment in keys)
        return [f"{regrets.loc[k[0], figure]:.1f} %" if here else "" for k, here in zip(keys, known, strict=True)]

    return pd.DataFrame(
        {
            "model": frame["model"].where(frame["model"] != frame["model"].shift(), "").astype(str),
            "segment": frame["segment"],
            "rows": [f"{count:,}" for count in frame["n"]],
            "MAPE": _percent(frame["mape_pct"]),
            "median": _percent(frame["median_ape_pct"]),
            "90 %": _percent(frame["p90_ape_pct"]),
            "worst": _percent(frame["max_ape_pct"]),
            "bias": _percent(frame["bias_pct"], "+"),
            "regret": lost("median_pct"),
            "its mean": lost("mean_pct"),
        }
    )


def _regret(rows: pd.DataFrame) -> str:
    made = choices(rows)
    if made.empty:
        return ""
    missed = int((made["regret_pct"] > 0).sum())
    return (
        "regret: how much longer the split predicted to be fastest took than the fastest one, median over conditions "
        f"({len(made):,} choices, {missed:,} not the best, the worst {made['regret_pct'].max():.1f} %)"
    )


def _worst(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    found = worst(rows, count)
    return pd.DataFrame(
        {
            **{name: found[name].astype(str) for name in ("model", "condition", "split", "segment")},
            "measured": [seconds(value) for value in found["measured_s"]],
            "predicted": [seconds(value) for value in found["predicted_s"]],
            "error": _percent(found["error_pct"], "+"),
        }
    )


def _tally(comparison: Comparison) -> str:
    """``9 of 10 met``, and how many could not be judged."""
    verdicts = [goal.verdict for goal in comparison.goals]
    unknown = verdicts.count("not measured")
    judged = f"{verdicts.count('met')} of {len(verdicts) - unknown} met"
    return f"{judged}, {unknown} not measured" if unknown else judged


def _goals(comparison: Comparison) -> pd.DataFrame:
    rows = []
    for goal in comparison.goals:
        bound = "at most" if goal.least is None else f"{goal.least:g} to"
        wanted = f"{bound} {goal.limit:g} {goal.unit}"
        reached = "" if goal.verdict == "not measured" else f"{goal.reached:.2f} {goal.unit}"
        rows.append((goal.what, reached, wanted, goal.verdict))
    return pd.DataFrame(rows, columns=["goal", "reached", "wanted", "verdict"])


def _percent(values: pd.Series[float], sign: str = "") -> list[str]:
    return [f"{value:{sign}.1f} %" for value in values]


def _cell(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)
