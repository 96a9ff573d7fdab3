"""``offing fidelity testbed`` on recorded rows: what is judged, what is refused, and how near it comes."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.fidelity.datasets import testbed as dataset
from calibration.testbed.commands import _links, _quotas, _recipes
from calibration.testbed.rows import read_rows
from simulator.foundation.errors import ProfileError
from simulator.profiles.library import shipped

ROWS = shipped() / "testbed" / dataset.RECORDING / "rows.csv"


def part(tmp_path, wanted):
    """Write a rows file of the recorded lines that *wanted* chooses."""
    frame = pd.read_csv(ROWS, dtype=str)
    path = tmp_path / "rows.csv"
    frame[wanted(frame)].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    path = part(
        tmp_path_factory.mktemp("rows"),
        lambda rows: (rows["use"] == "held-out") & rows["rate_mbit_s"].isin(["5.0", "20.0"])
        & (rows["mode"] != "new") & rows["profile"].isin(["vgg8_32_b1", "resnet18_64_b1"]),
    )  # fmt: skip
    return path, dataset.compare(check=path)


def test_held_out_rows_come_near_on_slow_links(checked):
    """The recorded accuracy, held to with some room; the whole set and its goals: offing fidelity testbed."""
    path, found = checked
    goals = {re.sub(r" \(.*", "", goal.what): goal for goal in found.goals}
    # 3.8 % of these 14 groups (2.8 % of all 39): two of them were disturbed, are marked, and are 20 % off.
    assert goals["MAPE of the total, persistent, 5 and 20 Mbit/s"].reached <= 4.0
    total = found.rows[found.rows["segment"] == "total"]
    assert len(total) == read_rows(path).groupby(["profile", "mode", "rate_mbit_s", "cut"]).ngroups
    errors = (total["predicted_s"] / total["measured_s"] - 1).abs()
    assert errors.median() < 0.01
    network = found.rows[found.rows["segment"] == "uplink"]
    persistent = network[network["condition"].str.startswith("persistent")]
    assert (persistent["predicted_s"] / persistent["measured_s"] - 1).abs().median() < 0.01


def test_rows_never_seen_before_are_all_judged(checked):
    _, found = checked
    assert found.rows["held_out"].all()
    inner = found.rows[found.rows["split"] > 0]
    assert set(inner["segment"]) == {"device", "serialise", "uplink", "server", "downlink", "total"}
    assert "device" not in set(found.rows.loc[found.rows["split"] == 0, "segment"])
    assert (found.rows["low_s"] <= found.rows["high_s"]).all()
    sums = found.rows[found.rows["segment"] != "total"].groupby(["model", "condition", "split"])["predicted_s"].sum()
    totals = found.rows[found.rows["segment"] == "total"].set_index(["model", "condition", "split"])["predicted_s"]
    assert np.allclose(sums.sort_index(), totals.sort_index())


def test_measured_is_the_median_of_the_repeats(checked):
    path, found = checked
    frame = pd.read_csv(path)
    one = frame[(frame["repeat"] >= 0) & (frame["profile"] == "vgg8_32_b1") & (frame["mode"] == "persistent")]
    one = one[(one["rate_mbit_s"] == 20.0) & (one["place"] == 1)]
    rows = found.rows[(found.rows["model"] == "vgg8") & found.rows["condition"].str.startswith("persistent 20")]
    rows = rows[rows["split"] == one["cut"].iloc[0]].set_index("segment")["measured_s"]
    assert rows["uplink"] == pytest.approx(np.median(one["uplink_s"]))
    assert rows["total"] == pytest.approx(np.median(one["total_s"]))


def test_fit_rows_of_the_same_file_are_not_judged(tmp_path):
    path = part(tmp_path, lambda rows: rows["profile"].eq("vgg8_32_b1") & rows["rate_mbit_s"].eq("5.0"))
    shutil.copytree(ROWS.parent / "profiles", tmp_path / "profiles")
    found = dataset.compare(fit=path)
    assert set(found.rows.loc[found.rows["held_out"], "split"]).isdisjoint(
        found.rows.loc[~found.rows["held_out"] & found.rows["condition"].str.startswith("persistent"), "split"]
    )


def test_a_profile_that_is_not_there_is_named(tmp_path):
    path = part(tmp_path, lambda rows: rows["profile"].eq("vgg8_32_b1"))
    path.write_text(path.read_text().replace("vgg8_32_b1", "vgg99_32_b1"))
    with pytest.raises(ProfileError, match=r"vgg99_32_b1\.csv: not there"):
        dataset.compare(check=path)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: _recipes("vgg8:big"), "NAME:SIZE:BATCH"),
        (lambda: _recipes("vgg0"), "no model named"),
        (lambda: _quotas("2,1"), "between 0 and 1"),
        (lambda: _quotas("half"), "device and server"),
        (lambda: _links("relay", "5", "slow", "cubic", 0.01, 16384), "none of persistent"),
        (lambda: _links("relay", "5", "new", "cubic", 0.01, 16384), "needs network namespaces"),
        (lambda: _links("relay", "fast", "new", "cubic", 0.01, 16384), "Mbit/s with commas"),
        (lambda: _links("relay", "-5", "new", "cubic", 0.01, 16384), "lies between"),
        (lambda: _links("relay", "5", "bucket", "cubic", 0.01, 100), "two packets"),
        (lambda: _links("wire", "5", "bucket", "cubic", 0.01, 16384), "neither auto nor relay"),
    ],
)
def test_options_that_are_wrong_are_refused(ask, said):
    with pytest.raises(ProfileError, match=said):
        ask()


@pytest.mark.live
def test_a_short_recording_over_loopback(tmp_path):
    """Real processes and bytes; resuming adds nothing, and nothing is left running."""
    pytest.importorskip("torch")
    command = (f"{sys.executable} -m simulator testbed --models vgg5:32 --rates 75 --mode persistent --link relay "
               f"--rounds 1 --repeats 2 --out {tmp_path}")  # fmt: skip
    assert os.system(command) == 0
    first = read_rows(tmp_path / "rows.csv")
    assert len(first) == 5 * 3
    assert (first["uplink_s"] > first["payload_bytes"] * 8e-6 / 75).all()
    assert os.system(command) == 0
    assert len(read_rows(tmp_path / "rows.csv")) == 5 * 3
    assert not list(Path("/sys/fs/cgroup/cpu").glob("offing-*"))
