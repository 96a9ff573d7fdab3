"""The data set ``adaptive-dnn``: what ``--fit`` and ``--check`` do, and the accuracy on recorded rows."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from adaptive_tables import SET, noisy
from support import recordings, refused

from calibration.fidelity.datasets import adaptive_dnn
from calibration.fidelity.report import errors
from calibration.measured.adaptive_dnn import factors_changed, read_adaptive_dnn
from calibration.measured.adaptive_dnn_fit import LEVELS
from simulator.foundation.errors import ProfileError

MEASURED = ["total_s", "edge_s", "cloud_s"]


def files(tmp_path, rows: pd.DataFrame, asked: pd.Series) -> tuple:
    """Write the rows to fit (plain) and those to predict (packed, shuffled), and return the two paths."""
    fit, check = tmp_path / "fit.csv", tmp_path / "check.csv.gz"
    rows[~asked].to_csv(fit, index=False)
    rows[asked].sample(frac=1.0, random_state=1).to_csv(check, index=False)
    return fit, check


def predicted(comparison) -> pd.Series:
    return comparison.rows.set_index(["model", "condition", "split", "segment"])["predicted_s"].sort_index()


def test_predictions_do_not_look_at_the_times_they_are_checked_against(tmp_path):
    rows = noisy(21)
    fit, check = files(tmp_path, rows, factors_changed(rows) > 3)
    before = predicted(adaptive_dnn.compare(fit, check))
    changed = read_adaptive_dnn(check)
    changed[MEASURED] *= np.random.default_rng(0).uniform(1.0, 9.0, (len(changed), 1))
    changed.to_csv(check, index=False)
    pd.testing.assert_series_equal(before, predicted(adaptive_dnn.compare(fit, check)))


def test_names_and_order_of_rows_do_not_matter(tmp_path):
    rows = noisy(22)
    fit, check = files(tmp_path, rows, factors_changed(rows) > 3)
    before = predicted(adaptive_dnn.compare(fit, check))
    for path in (fit, check):
        again = read_adaptive_dnn(path).sample(frac=1.0, random_state=7)
        again.assign(model="Netz Nr. 7").to_csv(path, index=False)
    after = predicted(adaptive_dnn.compare(fit, check))
    assert set(after.index.get_level_values("model")) == {"Netz Nr. 7"}
    assert after.to_numpy() == pytest.approx(before.to_numpy())


def test_fitted_rows_do_matter(tmp_path):
    rows = noisy(23)
    fit, check = files(tmp_path, rows, factors_changed(rows) > 3)
    before = predicted(adaptive_dnn.compare(fit, check))
    again = read_adaptive_dnn(fit)
    again[MEASURED] *= 2.0
    again.to_csv(fit, index=False)
    assert (predicted(adaptive_dnn.compare(fit, check)) > before * 1.5).mean() > 0.9


def test_what_cannot_be_predicted_is_counted_or_refused(tmp_path):
    rows = noisy(24)
    fit, check = files(tmp_path, rows, (rows["net_mbps"] == 10) & (rows["cloud_cpu"] == 100))
    stranger = read_adaptive_dnn(check)
    pd.concat([stranger, stranger.assign(cut=stranger["cut"] + 90)]).to_csv(check, index=False)
    found = adaptive_dnn.compare(fit, check)
    assert any(f"{len(stranger)} rows left out" in note for note in found.notes)
    stranger.assign(model="unheard of").to_csv(check, index=False)
    with pytest.raises(ProfileError, match=r"a cut of unheard of; fitted: noisy 24; give .* --fit FILE"):
        adaptive_dnn.compare(fit, check)


def test_the_command_takes_both_files_and_writes_json(offing, tmp_path):
    rows = noisy(25, cuts=3)
    rows = rows[(factors_changed(rows) <= 1) | (factors_changed(rows) > 4)]
    fit, check = files(tmp_path, rows, factors_changed(rows) > 1)
    code, out, _ = offing("fidelity", "adaptive-dnn", "--fit", str(fit), "--check", str(check), "--json")
    found = json.loads(out)
    assert code == 0
    assert {"device", "uplink", "server", "total", "split_regret_pct"} <= set(found["models"]["noisy 25"])
    assert [goal["limit"] for goal in found["goals"]] == [4.0, 2.0]
    check.write_text("model,cut\n")
    refused(offing("fidelity", "adaptive-dnn", "--fit", str(fit), "--check", str(check)), "check.csv.gz")


@pytest.mark.data
@pytest.mark.slow
def test_recorded_conditions_that_were_not_fitted_are_met(tmp_path):
    rows = read_adaptive_dnn(recordings(SET))
    conditions = rows[list(LEVELS)].drop_duplicates()
    chosen = conditions.sample(30, random_state=4)
    fit, check = files(
        tmp_path, rows, pd.MultiIndex.from_frame(rows[list(LEVELS)]).isin(pd.MultiIndex.from_frame(chosen))
    )
    found = adaptive_dnn.compare(fit, check)
    goals = {goal.what: goal for goal in found.goals}
    assert len([what for what in goals if what.endswith("median error of the total")]) == 6
    assert [what for what, goal in goals.items() if "median error" in what and not goal.met] == []
    medians = errors(found.rows)["median_ape_pct"]
    for model in ("vgg16", "resnet50", "resnet50v2"):
        for segment, limit in (("device", 2.5), ("uplink", 4.0), ("server", 6.0)):
            assert medians[model, segment] < limit, (model, segment)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("model", ["vgg16", "resnet50", "resnet50v2"])
def test_a_recorded_network_is_predicted_as_if_it_had_never_been_seen(tmp_path, model):
    rows = read_adaptive_dnn(recordings(SET)).query("model == @model").assign(model="a new one")
    simple = factors_changed(rows) <= 1
    asked = ~simple & (np.random.default_rng(8).random(len(rows)) < 0.4)
    fit, check = files(tmp_path, rows[simple | asked], asked[simple | asked])
    found = adaptive_dnn.compare(fit, check)
    assert errors(found.rows)["median_ape_pct"]["a new one", "total"] < 4.0
    assert found.goals[0].limit == 4.0
