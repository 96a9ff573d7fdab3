"""Recorded rows: what is refused, what is marked, and what has to hold of any request whoever measured it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibration.testbed.replay import profiles_beside
from calibration.testbed.rows import COLUMNS, SETTING, append, read_rows
from calibration.testbed.setting import Link, links, places, use
from calibration.testbed.split_inference import segments
from calibration.testbed.split_learning import SEGMENTS, read_rounds, rows_of
from simulator.foundation.errors import ProfileError
from simulator.profiles.library import shipped

RECORDING = shipped() / "testbed" / "epyc-zen5-1t"


@pytest.fixture(scope="module")
def rows():
    return read_rows(RECORDING / "rows.csv")


def row(**changes):
    made = dict.fromkeys(COLUMNS, 1.0) | dict.fromkeys(("profile", "model", "input"), "x")
    return made | {"link": "tun", "mode": "new", "congestion": "cubic", "use": "fit", "repeat": 0} | changes


def test_parts_add_up_to_the_total(rows):
    parts = rows[["device_s", "serialise_s", "uplink_s", "server_s", "downlink_s"]].sum(axis=1)
    assert np.abs(parts - rows["total_s"]).max() < 1e-6
    assert (rows[["uplink_s", "downlink_s", "serialise_s"]] > 0).all().all()


def test_nothing_is_faster_than_its_link(rows):
    """A message of n bytes behind a bucket of b at rate r, framing left out, takes (n - b)/r and the delay at least."""
    rate = rows["rate_mbit_s"] * 1e6 / 8
    for part, size in (("uplink_s", "payload_bytes"), ("downlink_s", "answer_bytes")):
        least = (rows[size] - rows["burst_bytes"]).clip(lower=0) / rate + rows["delay_ms"] * 1e-3
        assert (rows[part] > 0.999 * least).all()


def test_what_crossed_is_what_the_profile_says(rows):
    """Bytes counted on tensors by the workers, against the liveness of the profile's graph."""
    profiles = profiles_beside(RECORDING, sorted(set(rows["profile"])))
    for (name, cut), group in rows.groupby(["profile", "cut"]):
        known = {found.index: found.bytes for found in profiles[name].cuts()}
        assert set(group["payload_bytes"]) == {known[int(cut)]}
        assert set(group["answer_bytes"]) == {profiles[name].layers[-1].out_bytes}


def test_use_is_the_rule_and_not_the_result(rows):
    for setting in rows[list(SETTING)].drop_duplicates().to_dict("records"):
        link = Link(setting["link"], setting["mode"], setting["rate_mbit_s"], 10.0, 0, setting["congestion"])
        assert use(setting["profile"], int(setting["place"]), link) == setting["use"]
    held = rows[rows["use"] == "held-out"]
    fit = rows[rows["use"] == "fit"]
    for column in ("model", "batch", "rate_mbit_s", "place", "congestion"):
        assert set(held[column]) > set(fit[column]), column


def test_a_few_hundred_settings_about_15_repeats_each(rows):
    timed = rows[rows["repeat"] >= 0]
    counts = timed.groupby(list(SETTING)).size()
    assert len(counts) >= 200
    assert counts.min() >= 15


def test_marked_is_a_spread_above_ten_percent(rows):
    for _, group in rows.groupby(list(SETTING)):
        totals = group.loc[group["repeat"] >= 0, "total_s"].to_numpy()
        assert (np.std(totals, ddof=1) / np.mean(totals) > 0.10) == group["marked"].iloc[0]


def test_rows_come_back_as_they_were_written(tmp_path):
    append(tmp_path / "rows.csv", [row(total_s=0.25)])
    append(tmp_path / "rows.csv", [row(repeat=1, total_s=0.5)])
    assert read_rows(tmp_path / "rows.csv")["total_s"].tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("uplink_s", "up_s"), "no column uplink_s"),
        (lambda text: text.strip().rpartition(",")[0] + "\n", "cut short"),
        (lambda text: text.replace("0.2500000", "soon"), "soon"),
        (lambda text: text.replace("0.2500000", "nan"), "no count, size or time"),
        (lambda text: text.split("\n")[0] + "\n", "holds no rows"),
    ],
)
def test_wrong_rows_are_refused_with_their_line(tmp_path, spoil, said):
    path = tmp_path / "rows.csv"
    append(path, [row(total_s=0.25)])
    path.write_text(spoil(path.read_text()))
    with pytest.raises(ProfileError, match=said):
        read_rows(path)


def test_segments_from_stamps():
    device = {"start": 0.0, "headed": 1.0, "sent": 1.5, "received": 9.0, "end": 9.25, "connect": 0.0, "device_cpu": 1.0}
    server = {"received": 4.0, "start": 4.125, "tailed": 6.125, "sent": 6.25, "server_cpu": 2.0}
    found = segments(device, server)
    assert [found[f"{part}_s"] for part in ("device", "uplink", "server", "downlink", "total")] == [
        1,
        2.5,
        2,
        2.75,
        9.25,
    ]
    assert found["serialise_s"] == 0.5 + 0.125 + 0.125 + 0.25


def test_five_places_and_never_behind_the_last_layer():
    assert places(range(101), 100) == [0, 25, 50, 75, 99]
    assert places([0, 40, 100], 100) == [0, 40]


def test_a_relay_shows_no_slow_start():
    assert links(("relay",), [5.0], ("new",), 10.0, 16384, "cubic") == []
    (bucket,) = links(("tun", "relay"), [5.0], ("bucket",), 10.0, 16384, "cubic")
    assert (bucket.maker, bucket.delay_ms) == ("relay", 0.0)


def test_machine_is_said_without_a_name():
    facts = json.loads((RECORDING / "machine.json").read_text())
    assert {"cpu", "torch", "date", "makers", "cores_allowed"} <= set(facts)
    assert not {"host", "hostname", "node"} & set(facts)


# -- split learning, which waits for the simulator's training ----------------------------------------------------------


def test_split_learning_segments_lie_within_their_round():
    rounds = read_rounds(RECORDING / "rounds.csv")
    assert (rounds[list(SEGMENTS)].min() > -1e-6).all()
    spent = rounds[list(SEGMENTS)].sum(axis=1)
    assert np.abs(rounds["end_s"] - rounds["start_s"] - spent).max() < 1e-5
    by_device = rounds.groupby(["model", "batch", "rate_mbit_s", "quota_device", "quota_server", "round", "device"])
    for _, group in by_device:
        assert sorted(group["step"]) == [-1, *range(len(group) - 1)]
        assert spent[group.index].sum() <= group["round_s"].iloc[0] + 1e-5
    wire = rounds["bytes"] * 8e-6 / rounds["rate_mbit_s"] + rounds["delay_ms"] * 1e-3
    assert (rounds["uplink_s"] > 0.99 * wire).all()
    assert (rounds["downlink_s"] > 0.99 * wire).all()  # a gradient is as large as its activation, and weights come back


def test_the_server_takes_one_batch_at_a_time():
    rounds = read_rounds(RECORDING / "rounds.csv")
    batches = rounds[rounds["step"] >= 0]
    done = batches["end_s"] - batches["backward_s"] - batches["downlink_s"]
    for _, group in batches.groupby(["model", "batch", "rate_mbit_s", "quota_device", "quota_server", "round"]):
        order = np.sort(done[group.index])
        begun = np.sort(done[group.index] - group["server_s"])
        assert (begun[1:] >= order[:-1] - 1e-5).all()


def test_rounds_that_are_not_whole_are_refused(tmp_path):
    lines = (RECORDING / "rounds.csv").read_text().splitlines()
    path = tmp_path / "rounds.csv"
    path.write_text("\n".join(lines[:2] + lines[3:]) + "\n")
    with pytest.raises(ProfileError, match="not whole"):
        read_rounds(path)


def test_rows_of_a_round():
    stamp = {"step": 0, "start": 1.0, "forward": 2.0, "sent": 2.5, "received": 8.0, "end": 9.0}
    there = {(0, 0): {"received": 4.0, "begun": 5.0, "done": 7.0}}
    (found,) = rows_of({}, [[stamp]], there, (10, 20))
    assert [found[name] for name in SEGMENTS] == [1.0, 0.5, 1.5, 1.0, 2.0, 1.0, 1.0]
    assert (found["bytes"], found["round_s"]) == (10, 8.0)
