"""Adaptive DNNs' claims: the factors by hand and against the recorded rows, and a replay that never sees the table."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from support import recordings

from analysis.claims import table as table_module
from analysis.claims.reproduce import reproduce
from analysis.claims.table import read_claims
from analysis.figures import repartition
from calibration.measured import adaptive_dnn_claims as claims
from calibration.measured.adaptive_dnn import NAME, gains, read_adaptive_dnn

# -- by hand ----------------------------------------------------------------------------------------------------------


def two_cuts():
    """Two cuts: one sends much and computes on the cloud, the other stays on the edge; all numbers written out."""
    found = {}
    for net, sent in ((50, 1.0), (25, 2.0), (10, 5.0)):
        for edge, slow in ((0, 1.0), (50, 1.5), (100, 2.0)):
            for cloud, load in ((0, 1.0), (50, 1.5), (100, 2.0)):
                found[net, edge, cloud] = np.array([sent + load, 4.0 * slow])
    return found


def test_gains_are_against_the_cut_that_was_best_before():
    found = gains(two_cuts())
    assert found[50, 0, 0] == 0.0  # 2 s against 4 s: the first cut is deployed, and stays
    assert found[10, 0, 0] == pytest.approx(1 - 4 / 6)  # 6 s against 4 s
    assert found[10, 100, 0] == 0.0  # 6 s against 8 s
    assert found[10, 0, 100] == pytest.approx(1 - 4 / 7)
    assert len(found) == 27


def test_one_factor_is_taken_to_its_worst_in_every_context():
    kept, anew, gain = claims.one_factor([two_cuts()], "network")
    assert len(kept) == 9
    assert kept[0] == pytest.approx(6 / 2)  # no stress: the deployed cut goes from 2 s to 6 s
    assert anew[0] == pytest.approx(4 / 2)  # the other takes 4 s
    assert gain[0] == pytest.approx(1 - 4 / 6)
    kept, anew, gain = claims.one_factor([two_cuts()], "edge CPU")
    assert kept[0] == anew[0] == 1.0  # the first cut does not compute on the edge
    # at 10 Mbit/s the edge computed: it takes 8 s now, and the other cut 6, 6.5 or 7 s by the load of the cloud
    assert sorted(set(gain.round(6))) == [0.0, 0.125, 0.1875, 0.25]


# -- on the recorded rows ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    return read_adaptive_dnn(recordings(NAME))


@pytest.fixture(scope="module")
def few(rows):
    """Two networks, under memory stress only where no processor is loaded: quick to replay."""
    plain = (rows["edge_mem"] == 0) & (rows["cloud_mem"] == 0)
    idle = (rows["edge_cpu"] == 0) & (rows["cloud_cpu"] == 0)
    return rows[rows["model"].isin(["vgg16", "alexnet"]) & (plain | idle)]


@pytest.fixture(scope="module")
def played(few):
    return claims.replay({str(name): claims.fit_network(part) for name, part in few.groupby("model")}, few)


@pytest.fixture
def calm(few, monkeypatch):
    """Let the system see these rows alone."""
    monkeypatch.setattr(claims, "read_adaptive_dnn", lambda: few)
    return few


@pytest.fixture
def replayed(calm, played, monkeypatch):
    """Let it see them replayed already."""
    monkeypatch.setattr(claims, "replay", lambda fits, rows: played)
    return calm


@pytest.mark.data
def test_measured_rows_give_what_is_told_of_them(rows):
    """The published analysis of these very rows, to its last digit: the rule is the same, whoever computes it."""
    found = claims.factors(rows)
    told = {c.id.removeprefix("ADAPTIVE-DNN-"): c for c in read_claims() if c.id.startswith("ADAPTIVE-DNN-162")}
    assert len(told) == 24
    for key, claim in told.items():
        value, unit = found[key]
        assert abs(value - claim.value) <= claim.half_unit + 1e-9, key
        assert unit == claim.unit


@pytest.mark.data
def test_the_replay_sees_no_claim_and_answers_each(calm, tmp_path, monkeypatch):
    before = claims.AdaptiveDNN().quantities()
    with monkeypatch.context() as without:
        without.setattr(table_module, "TABLE", tmp_path / "gone.csv")
        assert claims.AdaptiveDNN().quantities() == before
    assert set(before) == set(claims.ids()) - {
        f"ADAPTIVE-DNN-162-{name}-{key}"
        for name in ("LENET", "MOBILENET", "RESNET50", "RESNET50V2")
        for key in ("CUT", "CHANGED", "MEAN", "MAX")
    }
    known = {claim.id: claim for claim in read_claims() if claim.system == "adaptive-dnn"}
    assert set(known) == set(claims.ids())
    assert all(known[key].unit == q.unit for key, q in before.items() if q.simulated is not None)


@pytest.mark.data
def test_the_network_matters_less_than_processors_on_these_rows(replayed):
    found = {outcome.claim.id: outcome for outcome in reproduce("adaptive-dnn").outcomes}
    ordering = found["ADAPTIVE-DNN-020"]
    assert ordering.verdict == "not reproduced"
    assert ordering.quantity.simulated < 1
    assert "slowdowns: network" in ordering.reason
    assert re.search(r"memory (0\.9|1\.0)", ordering.reason)
    conditions = len(replayed[list(claims.LEVELS)].drop_duplicates())
    assert f"on 2 of 8 networks and {conditions} of 243 conditions" in ordering.reason
    assert found["ADAPTIVE-DNN-021"].verdict == "consistent"  # a competitor per core halves the edge
    assert found["ADAPTIVE-DNN-030"].verdict == "consistent"
    assert found["ADAPTIVE-DNN-038"].verdict == "not run"
    assert "densenet121 are not in the folder" in found["ADAPTIVE-DNN-038"].reason


@pytest.mark.data
def test_the_replay_is_near_the_rows_it_was_fitted_on(replayed):
    system = claims.AdaptiveDNN()
    both = system.simulated.merge(system.measured, on=["model", *claims.LEVELS, "cut"], suffixes=("", "_seen"))
    vgg = both[both["model"] == "vgg16"]
    off = (vgg["total_s"] / vgg["total_s_seen"] - 1).abs()
    assert off.median() < 0.03
    assert (both["total_s"] != both["total_s_seen"]).all()  # a replay, not the rows themselves


@pytest.mark.data
def test_the_figure_has_a_point_per_network_and_condition(replayed):
    (picture,) = claims.AdaptiveDNN().pictures()
    assert picture.name == "repartition-gain"
    assert picture.table.groupby("network").size().tolist() == [len(claims.all_totals(replayed)["alexnet"])] * 2
    assert picture.table[["measured", "simulated"]].to_numpy().min() >= -1e-9


def test_a_figure_of_gains_tells_how_far_apart_they_are():
    measured = {"a": {(50, 0, 0): 0.0, (10, 0, 0): 0.3}}
    picture = repartition.draw(measured, {"a": {(50, 0, 0): 0.0, (10, 0, 0): 0.2}})
    assert picture.table["simulated"].tolist() == [0.0, 0.2]
    said = [text.get_text() for text in picture.figure.texts]
    assert any("differ by 5.0 points on average" in text for text in said)


# -- without the rows -------------------------------------------------------------------------------------------------


def test_without_the_recordings_nothing_is_run_and_what_to_set_is_said(offing, tmp_path, monkeypatch):
    monkeypatch.setenv("OFFING_DATA", str(tmp_path))
    code, out, _ = offing("reproduce", "adaptive-dnn", "--json", "--out", "figures")
    assert code == 0
    found = json.loads(out)["claims"]
    assert len(found) == len(claims.ids())
    assert {row["verdict"] for row in found} == {"not run"}
    assert all("set OFFING_DATA to the folder that holds adaptivednn" in row["reason"] for row in found)
    assert not list((tmp_path / "figures").glob("repartition*"))
