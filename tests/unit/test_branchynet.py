"""BranchyNet: times to exits come back from made-up settings; the recorded sweep is held back by half and predicted."""

from __future__ import annotations

import pytest
from support import recordings

from calibration.fidelity.datasets import branchynet as dataset
from calibration.fidelity.report import errors
from calibration.measured import branchynet
from calibration.measured.branchynet import Setting
from simulator.foundation.errors import ProfileError

TIMES = (0.001, 0.003, 0.0035)
SHARES = ((0.2, 0.3, 0.5), (0.5, 0.3, 0.2), (0.7, 0.3, 0.0), (0.9, 0.05, 0.05), (1.0, 0.0, 0.0), (0.0, 0.5, 0.5))
HEADER = "notebook,platform,network,acc_pct,time_ms,gain_x,thresholds,exit_pct\n"


def settings(network="Made", times=TIMES, shares=SHARES) -> list[Setting]:
    return [
        Setting(network, "CPU", (0.01 * i, 0.5), row, 0.9, sum(s * t for s, t in zip(row, times, strict=True)))
        for i, row in enumerate(shares, start=1)
    ]


def listed(values) -> str:
    return f"{{{', '.join(map(str, values))}}}"


def table(path, rows):
    lines = (
        f"n,{one.platform},{one.network},{100 * one.accuracy},{1e3 * one.seconds!r},1,"
        f'"{listed(one.thresholds)}","{listed(100 * share for share in one.shares)}"\n'
        for one in rows
    )
    path.write_text(HEADER + "".join(lines))
    return path


def test_times_to_exits_come_back_from_mean_times():
    assert branchynet.fit_exits(settings()) == pytest.approx(TIMES, rel=1e-6)


def test_no_exit_is_nearer_than_the_one_before():
    found = branchynet.fit_exits(settings(times=(0.003, 0.001, 0.004)))
    assert list(found) == sorted(found)
    assert found[0] > 0.001


def test_each_exit_is_a_run_of_the_simulator():
    assert dataset.play("Made", TIMES) == pytest.approx(TIMES, rel=1e-12)


def test_settings_of_a_fit_predict_those_of_a_check(tmp_path):
    found = dataset.compare(table(tmp_path / "fit.csv", settings()[:4]), table(tmp_path / "check.csv", settings()[4:]))
    assert found.rows["predicted_s"].tolist() == pytest.approx([0.001, 0.00325], rel=1e-6)
    assert set(found.rows["model"]) == {"Made CPU"}
    other = table(tmp_path / "other.csv", settings("Other", tuple(2 * time for time in TIMES)))
    alone = dataset.compare(table(tmp_path / "fit.csv", settings()), other)
    assert len(alone.rows) == 3
    assert errors(alone.rows)["max_ape_pct"].max() < 1e-6
    assert any("Other CPU: too few settings in the fit table" in note for note in alone.notes)


def test_nothing_measured_in_a_check_file_reaches_a_prediction(tmp_path):
    """A threshold of the fit table, measured otherwise in the check table, is still the one that is checked."""
    rows = settings(shares=(*SHARES, (0.4, 0.4, 0.2), (0.3, 0.3, 0.4)))
    fit = table(tmp_path / "fit.csv", rows)
    late = [Setting(one.network, "CPU", one.thresholds, one.shares, 0.5, 3 * one.seconds) for one in rows[5:]]
    plain, odd = (dataset.compare(fit, table(tmp_path / "check.csv", made)).rows for made in (rows[5:], late))
    assert plain["predicted_s"].equals(odd["predicted_s"])
    assert len(odd) == 3


@pytest.mark.data
def test_the_recorded_sweep():
    """The gain at the knee (4.96x in the notebook) is that of the shares and the times to the exits."""
    recordings("branchynet")
    found = dataset.compare()
    figures = errors(found.judged)
    assert {key[0] for key in figures.index} == {"B-LeNet CPU", "B-LeNet-MNIST GPU", "(all)"}
    assert len(found.rows) == 16  # of 34: what is fitted is not judged
    assert figures["mape_pct"].max() < 5
    assert all(goal.met for goal in found.goals)
    assert any("same numbers" in note for note in found.notes)
    rows = branchynet.read_settings()
    first, last = branchynet.fit_exits([one for one in rows if one.name == "B-LeNet CPU"])
    (whole,) = (one for one in rows if one.name == "LeNet CPU")
    assert whole.shares == (1.0,)
    assert whole.seconds / (0.9395 * first + 0.0605 * last) == pytest.approx(4.96, rel=0.08)
    assert last == pytest.approx(whole.seconds, rel=0.1)  # the last exit is the network itself, timed by itself


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('n,CPU,Made,99,1.0,1,{0.1},"{50.0, 30.0}"', "100 % in all"),
        ('n,CPU,Made,99,1.0,1,{0.1},"{50.0, 30.0, 20.0}"', "one exit more than thresholds"),
        ('n,CPU,Made,99,0.0,1,{0.1},"{50.0, 50.0}"', "a time above zero"),
        ("n,CPU,Made,99,1.0,1,{0.1}", "exit_pct is empty"),
        ("n,CPU,Made,99,", "time_ms is empty"),
    ],
)
def test_a_table_cut_short_says_its_line(tmp_path, row, words):
    path = table(tmp_path / "cut.csv", settings())
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(ProfileError) as caught:
        branchynet.read_settings(path)
    assert words in str(caught.value)
    assert f"{path}:8: " in str(caught.value)


def test_settings_that_are_not_enough(tmp_path):
    rows = settings("B-LeNet")
    with pytest.raises(ProfileError, match="B-LeNet CPU: 2 settings do not tell the times to 3 exits apart"):
        branchynet.fit_exits(rows[:2])
    two = Setting("B-LeNet", "CPU", (0.5,), (0.5, 0.5), 0.9, 0.001)
    with pytest.raises(ProfileError, match="different numbers of exits"):
        branchynet.fit_exits([*rows, two])
    few = table(tmp_path / "few.csv", rows[:2])
    with pytest.raises(ProfileError, match="1 settings do not tell"):
        dataset.compare(few, few)  # every setting is asked for, so half of them has to tell
    plain = table(tmp_path / "plain.csv", [])
    plain.write_text(HEADER + "n,CPU,LeNet,99,2.79,-,-,-\n")
    with pytest.raises(ProfileError, match="no setting is left to check"):
        dataset.compare(few, plain)
