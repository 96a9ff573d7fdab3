"""The fidelity report: errors and regret by hand, what a data set must hand over, what the command prints."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from calibration.fidelity import datasets
from calibration.fidelity.comparison import COLUMNS, Comparison, Goal
from calibration.fidelity.report import as_plain, choices, errors, regret, worst
from simulator.cli import app
from simulator.foundation.errors import RegistryError, ResultsError


def frame(*rows):
    return pd.DataFrame(rows, columns=list(COLUMNS))


BY_HAND = frame(
    ("net", "slow", 1, "device", 2.0, 1.0),
    ("net", "slow", 1, "total", 10.0, 11.0),
    ("net", "slow", 2, "total", 8.0, 12.0),
    ("net", "fast", 1, "total", 4.0, 3.0),
    ("net", "fast", 2, "total", 5.0, 5.0),
    ("other", "slow", 1, "total", 0.0, 1.0),
    ("other", "slow", 2, "total", 1.0, 0.5),
)


def test_errors_by_hand():
    found = errors(BY_HAND)
    total = found.loc[("net", "total")]
    assert total["n"] == 4
    assert total["mape_pct"] == pytest.approx((10 + 50 + 25 + 0) / 4)
    assert total["median_ape_pct"] == pytest.approx(17.5)
    assert total["max_ape_pct"] == pytest.approx(50.0)
    assert total["bias_pct"] == pytest.approx((10 + 50 - 25 + 0) / 4)
    assert found.loc[("net", "device"), "bias_pct"] == pytest.approx(-50.0)
    assert found.loc[("other", "total"), "n"] == 1  # the row that measured nothing is left out
    assert found.loc[("(all)", "total"), "n"] == 5


def test_regret_by_hand():
    made = choices(BY_HAND).set_index(["model", "condition"])
    assert made.loc[("net", "slow"), ["chosen", "best"]].tolist() == [1, 2]
    assert made.loc[("net", "slow"), "regret_pct"] == pytest.approx(25.0)
    assert made.loc[("net", "fast"), "regret_pct"] == 0.0
    assert regret(BY_HAND).to_dict("index") == {"net": {"median_pct": 12.5, "mean_pct": 12.5, "n": 2}}  # not "other"
    once_more = frame(("net", "odd", 1, "total", 900.0, 1.0), ("net", "odd", 2, "total", 1.0, 2.0))
    found = regret(pd.concat([BY_HAND, once_more])).loc["net"]
    assert found["median_pct"] == pytest.approx(25.0)  # one interruption does not move it
    assert found["mean_pct"] > 1e4


def test_the_worst_row_is_the_worst_relative_one():
    assert worst(BY_HAND, 3)["error_pct"].abs().tolist() == pytest.approx([50.0, 50.0, 50.0])
    assert worst(frame(("a", "", 1, "total", 1.0, 1.2), ("a", "", 2, "total", 100.0, 110.0)), 1)["split"].item() == 1


times = st.floats(1e-6, 1e3)


@given(st.lists(st.tuples(times, times), min_size=2, max_size=30), st.floats(1e-3, 1e3))
def test_regret_is_never_negative_nor_above_the_worst_split_and_no_unit_matters(pairs, factor):
    rows = frame(*(("m", "c", i, "total", a, b) for i, (a, b) in enumerate(pairs)))
    found = regret(rows).loc["m", "mean_pct"]
    measured = np.array([a for a, _ in pairs])
    assert -1e-9 <= found <= 100.0 * (measured.max() / measured.min() - 1.0) + 1e-6
    scaled = rows.assign(measured_s=rows["measured_s"] * factor, predicted_s=rows["predicted_s"] * factor)
    assert regret(scaled).loc["m", "mean_pct"] == pytest.approx(found, rel=1e-6, abs=1e-6)
    assert errors(scaled)["mape_pct"].tolist() == pytest.approx(errors(rows)["mape_pct"].tolist(), rel=1e-6)


@given(st.lists(times, min_size=2, max_size=30))
def test_a_perfect_prediction_has_no_error_and_no_regret(measured):
    rows = frame(*(("m", "c", i, "total", a, a) for i, a in enumerate(measured)))
    assert errors(rows)["max_ape_pct"].max() == 0.0
    assert regret(rows).loc["m", "mean_pct"] == 0.0


def test_rows_that_were_fitted_on_are_not_judged():
    rows = BY_HAND.assign(held_out=[True] * 6 + [False], grade=["measured"] * 5 + ["published", "guessed"])
    found = Comparison("x", "here", rows)
    assert len(found.judged) == 6
    assert found.grade == "published"  # the guess was only fitted on


def test_a_goal_has_two_sides_and_nothing_computed_is_no_verdict():
    reached = (80.0, 90.0, 96.0, float("nan"))
    verdicts = [Goal("coverage", value, 95.0, least=85.0).verdict for value in reached]
    assert verdicts == ["missed", "met", "missed", "not measured"]


def test_rows_that_cannot_be_judged_are_refused():
    with pytest.raises(ResultsError, match="lack the columns split"):
        Comparison("x", "here", BY_HAND.drop(columns="split"))
    with pytest.raises(ResultsError, match="unknown segments wire"):
        Comparison("x", "here", BY_HAND.assign(segment="wire"))
    with pytest.raises(ResultsError, match="the word for all of them"):
        Comparison("x", "here", BY_HAND.assign(model="(all)"))
    with pytest.raises(ResultsError, match="no row"):
        Comparison("x", "here", BY_HAND.assign(held_out=False))


@pytest.fixture
def made_up(monkeypatch):
    """A data set of the rows above, named made-up."""
    module = ModuleType("calibration.fidelity.datasets.made_up")
    goal = Goal("error of the total", 20.0, 3.0)
    module.NAME, module.TITLE = "made-up", "Rows by hand."
    module.compare = lambda fit=None, check=None: Comparison(
        "made-up", "paper", BY_HAND, (goal,), ("written | by hand",), {"more": pd.DataFrame({"a": [1.5]})}
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(datasets, "names", lambda: ["made-up"])
    monkeypatch.setattr("calibration.fidelity.commands.names", lambda: ["made-up"])
    return module


def run(*arguments):
    return CliRunner().invoke(app, ["fidelity", *arguments])


def test_json_has_the_errors_by_model_and_segment(made_up):
    done = run("made-up", "--json")
    told = json.loads(done.stdout)
    assert told["models"]["net"]["total"]["mape_pct"] == pytest.approx(21.25)
    assert told["models"]["net"]["total"]["n"] == 4
    assert told["models"]["net"]["split_regret_pct"] == pytest.approx(12.5)
    assert told["models"]["other"]["split_regret_pct"] is None
    assert set(told["models"]) == {"net", "other"}
    assert told["goals"][0]["verdict"] == "missed"
    assert told == json.loads(json.dumps(as_plain(made_up.compare())))


def test_the_tables_say_what_was_missed(made_up):
    done = run("made-up")
    assert done.exit_code == 0
    assert "missed" in done.stdout
    assert "note: written | by hand" in done.stdout
    assert run("made-up", "--strict").exit_code == 1


def test_the_page_holds_errors_and_a_picture_but_no_rows(made_up, tmp_path):
    assert run("--all", "--out", str(tmp_path)).exit_code == 0
    text = (tmp_path / "index.md").read_text()
    assert "| net | device | 1 | 50.0 % |" in text
    assert "made-up.png" in text
    assert {file.name for file in tmp_path.iterdir()} == {"index.md", "made-up.png", "made-up.csv"}
    assert "measured_s" not in (tmp_path / "made-up.csv").read_text()


def test_one_data_set_saves_its_rows_for_the_user(made_up, tmp_path):
    run("made-up", "--out", str(tmp_path))
    assert len(pd.read_csv(tmp_path / "made-up.rows.csv")) == len(BY_HAND)


def test_wrong_words_get_an_answer(made_up):
    with pytest.raises(RegistryError, match=r'no data set named "made"\. Did you mean "made-up"'):
        datasets.find("made")
    for words in ((), ("made-up", "--all"), ("--all", "--check", "x.csv")):
        done = run(*words)
        assert isinstance(done.exception, ResultsError), words
