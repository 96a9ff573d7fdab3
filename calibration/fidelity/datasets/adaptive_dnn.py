"""``adaptive-dnn``: six networks under 162 operating conditions, replayed from what other conditions say.

Two protocols, fixed before looking: half of the conditions (drawn once from ``SEED``) to fit and the other half to
predict; and each network as if never seen before, fitted on the rows alone that differ from the base in at most one
factor. ``--check`` asks for the rows of a file instead, ``--fit`` fits on another.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from calibration.fidelity.comparison import Comparison, Goal
from calibration.fidelity.report import errors, regret
from calibration.measured.adaptive_dnn import factors_changed, known_sizes, read_adaptive_dnn
from calibration.measured.adaptive_dnn_fit import LEVELS, NetworkFit, fit_network
from calibration.measured.adaptive_dnn_link import SHAPER, Shaper, fit_shaper
from calibration.measured.adaptive_dnn_replay import PARTS, Condition, replay
from simulator.foundation.errors import ProfileError

NAME = "adaptive-dnn"
TITLE = "Every cut of six networks between an edge and a cloud machine (AdaptiveDNN)"
SEED = 20200527
"""Draws the half of the conditions that is fitted; the benchmark's date."""
MEASURED_ON = (
    "one edge and one cloud machine (Amazon EC2 by the name of their interface, else not named), TensorFlow/Keras, "
    "batch 1, wall clock, token bucket of 10, 25 or 50 Mbit/s; McNamee et al., 2020-05-27; mean of 2 requests"
)
NOISY = ("alexnet", "lenet", "mobilenet")
"""Whose cloud times were recorded with many slow outliers (what came with the data says so)."""
OTHERS = {"vgg16": 3.0, "resnet50": 4.0, "resnet50v2": 4.0, **dict.fromkeys(NOISY, 20.0)}
"""Median error of the total allowed where other conditions of the network were fitted [%]."""
NEVER = 4.0
"""The same of a network of which only single-factor rows were fitted; DenseNet's are noisier."""
NEVER_DENSENET = 12.0
REGRET = 2.0
"""Regret of the chosen split allowed on the clean networks [%]."""
CHOICE = "regret of the chosen split over conditions [%]"
MIXED = ["net_mbps", "edge_cpu", "cloud_cpu"]
"""Factors that matter to a choice; over the others, medians are taken."""


def compare(fit: Path | None = None, check: Path | None = None) -> Comparison:
    """Fit on *fit* (else on the set) and predict *check* (else as the module says).

    Raises:
        ProfileError: if a file is wrong, or nothing of *check* was fitted.
    """
    rows = read_adaptive_dnn(fit)
    if check is not None:
        asked, left = _answerable(rows, read_adaptive_dnn(check))
        judged = replay(_fits(rows[rows["model"].isin(asked["model"])]), asked)
        return _comparison(judged, rows, [f"fitted on {_said(rows, fit)}; asked for {_said(asked, check)}", *left])
    first, second = _halves(rows)
    judged = replay(_fits(first), second)
    notes = [f"fitted on {_said(first, fit)}; asked for the {len(_conditions(second))} other conditions"]
    unseen = never_seen(rows)
    found = _comparison(judged, first, notes)
    frame = errors(_long(unseen)).round(2).drop(index="(all)", level="model", errors="ignore")
    tables = {
        **found.tables, "never seen before: fitted on unstressed and single-factor rows alone": frame,
        f"never seen before: {CHOICE}": _regrets(unseen).round(2),
        "the link, fitted to each network of known sizes": identified(rows).round(3),
    }  # fmt: skip
    return Comparison(NAME, MEASURED_ON, found.rows, (*found.goals, *_goals(unseen, True)), found.notes, tables)


def never_seen(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with two or more factors changed, predicted from the other rows of their network alone."""
    simple = factors_changed(rows) <= 1
    asked, _ = _answerable(rows[simple], rows[~simple])
    return replay(_fits(rows[simple]), asked)


def identified(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the shaper fitted to each network by itself, of those whose sizes are known.

    How far the networks agree says what of the link can be told from such rows. First quartiles are fitted: waiting for
    the server makes a transfer seem long.
    """
    found = {}
    for model, part in rows.groupby("model"):
        known = known_sizes(str(model))
        part = part[part["cut"].isin(known)]
        if part.empty:
            continue
        left = part["total_s"] - part["edge_s"] - part["cloud_s"]
        cells = left.groupby([part["cut"], part["net_mbps"]]).quantile(0.25)
        sizes = np.array([float(known[int(cut)]) for cut in cells.index.get_level_values(0)])
        rates = cells.index.get_level_values(1).to_numpy(dtype=float)
        found[str(model)] = _described(fit_shaper(sizes, rates, cells.to_numpy()))
    found["used"] = _described(SHAPER)
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("network")


def _described(shaper: Shaper) -> dict[str, float]:
    return {
        "burst [kB]": shaper.burst / 1e3, "message [ms]": shaper.message * 1e3, "byte [ns]": shaper.byte * 1e9,
        "framing": shaper.framing,
    }  # fmt: skip


def _fits(rows: pd.DataFrame) -> dict[str, NetworkFit]:
    return {str(model): fit_network(part) for model, part in rows.groupby("model")}


def _conditions(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[list(LEVELS)].drop_duplicates().sort_values(list(LEVELS))


def _halves(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of a half of the conditions, and those of the others (as far as they can be predicted)."""
    conditions = _conditions(rows)
    chosen = np.random.default_rng(SEED).permutation(len(conditions)) < (len(conditions) + 1) // 2
    first = pd.MultiIndex.from_frame(rows[list(LEVELS)]).isin(pd.MultiIndex.from_frame(conditions[chosen]))
    asked, _ = _answerable(rows[first], rows[~first])
    return rows[first], asked


def _answerable(rows: pd.DataFrame, asked: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return those of *asked* whose network and cut are in *rows*, and what is said of the others."""
    known = pd.MultiIndex.from_frame(rows[["model", "cut"]])
    kept = pd.MultiIndex.from_frame(asked[["model", "cut"]]).isin(known)
    if not kept.any():
        raise ProfileError(
            f"nothing to predict: no row to fit has a network and a cut of {', '.join(sorted(set(asked['model'])))}; "
            f"fitted: {', '.join(sorted(set(rows['model'])))}; give unstressed and single-factor rows of it: --fit FILE"
        )
    lost = asked[~kept]
    notes = [f"{len(lost)} rows left out, for no row to fit has their network and cut: "
             f"{', '.join(sorted(set(lost['model'])))}"] if len(lost) else []  # fmt: skip
    return asked[kept], notes


def _said(rows: pd.DataFrame, path: Path | None) -> str:
    where = "AdaptiveDNN's rows" if path is None else path.name
    return f"{len(rows):,} rows of {rows['model'].nunique()} networks, {len(_conditions(rows))} conditions of {where}"


def _long(judged: pd.DataFrame) -> pd.DataFrame:
    """Return one row per segment, as a report wants them."""
    rest = judged["total_s"] - judged["edge_s"] - judged["cloud_s"]
    guessed = judged["predicted_total_s"] - judged["predicted_edge_s"] - judged["predicted_cloud_s"]
    levels = zip(*(judged[name] for name in LEVELS), strict=True)
    common = judged[["model", "grade"]].assign(condition=[str(Condition(*map(int, own))) for own in levels],
                                               split=judged["cut"], held_out=True)  # fmt: skip
    segments = {
        "device": (judged["edge_s"], judged["predicted_edge_s"]),
        "uplink": (rest, guessed),
        "server": (judged["cloud_s"], judged["predicted_cloud_s"]),
        "total": (judged["total_s"], judged["predicted_total_s"]),
    }
    long = [common.assign(segment=key, measured_s=a, predicted_s=b) for key, (a, b) in segments.items()]
    return pd.concat(long, ignore_index=True)


def _regrets(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the regret of the chosen split by network [%], over conditions.

    Beside it that of the choice by the medians of the judged rows themselves, over memory stress: no prediction from
    the five factors can know more, so what is left of it is luck.
    """
    medians = judged.groupby(["model", *MIXED, "cut"])["total_s"].transform("median")
    found = {}
    for name, predicted in (("", judged["predicted_total_s"]), (", best possible", medians)):
        own = regret(_long(judged.assign(predicted_total_s=predicted)))
        found[f"median{name}"], found[f"mean{name}"] = own["median_pct"], own["mean_pct"]
    return pd.DataFrame(found)


def _goals(judged: pd.DataFrame, never: bool) -> list[Goal]:
    found = errors(_long(judged))["median_ape_pct"]
    regrets = _regrets(judged)
    goals = []
    for model in sorted(set(judged["model"])):
        dense = model.lower().startswith("densenet")
        if never and model in NOISY:
            continue  # nothing was promised of them
        limit = (NEVER_DENSENET if dense else NEVER) if never or model not in OTHERS else OTHERS[model]
        how = "as if never seen" if never else "conditions not fitted"
        goals.append(Goal(f"{model}, {how}: median error of the total", float(found[model, "total"]), limit))
        if model not in NOISY and not dense and model in regrets.index:
            lost = float(regrets.loc[model, "median"])
            goals.append(Goal(f"{model}, {how}: regret of the chosen split, median over conditions", lost, REGRET))
    return goals


def _comparison(judged: pd.DataFrame, rows: pd.DataFrame, notes: list[str]) -> Comparison:
    """Return the comparison of *judged*, predicted from *rows*."""
    few = [model for model, part in rows.groupby("model") if (factors_changed(part) <= 1).all()]
    never = judged["model"].isin(few)
    goals = [goal for part, kind in ((judged[never], True), (judged[~never], False)) if len(part)
             for goal in _goals(part, kind)]  # fmt: skip
    parts = [f"predicted_{name}" for name in PARTS]
    shares = judged.groupby("model")[parts].mean().rename(columns=lambda name: f"{name[10:-2]} [s]")
    notes = [
        *notes,
        "uplink holds all of the total that is neither edge nor cloud: writing and reading the file, the transfer, the "
        "wait for a server that still builds the tail, the answer; the set has no finer times",
        "a row is the mean of two requests. Where the server builds a network anew in one of them, single rows of cuts "
        "near the input jump by seconds and no factor says when; so the goal of the choice is the median over "
        "conditions, and the mean stands beside it, with the regret of a choice by the judged rows' own medians",
    ]
    tables = {"mean of the predicted parts": shares.round(4), CHOICE: _regrets(judged).round(2)}
    return Comparison(NAME, MEASURED_ON, _long(judged), tuple(goals), tuple(notes), tables)
