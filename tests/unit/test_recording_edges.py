"""Recordings at the edge: names that are no files, hashes, sums beyond counting, outages of no length, archives."""

from __future__ import annotations

import json
import os
import time
import zipfile

import numpy as np
import pytest

from simulator import Scenario
from simulator.foundation.errors import ScenarioError, TraceError
from simulator.scenario.happenings import RecordedEntry
from simulator.traces.reader import read_file

BANDWIDTH = "# kind: bandwidth; unit: Mbit/s; duration_s: 9; end: wrap\nstart_s,value\n0,8\n2,4\n"
LINK = {"between": ["pi", "edge"], "delay": "1 ms"}
WORLD = {
    "name": "edges", "until": "5 s", "model": "mobilenet_v2",
    "nodes": {"pi": {"kind": "device", "hardware": "raspberry-pi-4"},
              "edge": {"kind": "server", "hardware": "epyc-zen5-1t"}},
    "workload": {"kind": "inference", "sources": ["pi"], "arrivals": {"kind": "periodic", "every": "1 s"}},
    "technique": {"kind": "device-only"},
}  # fmt: skip


def world(folder, trace: str) -> Scenario:
    link = LINK | {"bandwidth": {"trace": trace, "otherwise": {"generate": "4g"}}}
    return Scenario.from_dict(WORLD | {"links": {"radio": link}}, folder=folder)


# -- a fallback is for what is nowhere, never for what is wrong ------------------------------------------------------


@pytest.mark.parametrize(("name", "said"), [("sub", "is a folder"), ("", "is a folder"), ("x" * 5000, "too long")])
def test_a_name_that_is_wrong_is_refused_and_not_replaced(tmp_path, name, said):
    (tmp_path / "sub").mkdir()
    with pytest.raises(ScenarioError, match=said) as caught:
        world(tmp_path, name)
    assert len(str(caught.value)) < 400


def test_a_pipe_is_refused_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ScenarioError, match="is a pipe"):
        world(tmp_path, "pipe")


def test_a_folder_of_recordings_that_is_a_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "b.csv").write_text(BANDWIDTH)
    monkeypatch.setenv("OFFING_DATA", str(tmp_path / "b.csv"))
    assert world(tmp_path, "b.csv").inputs()[0].origin == "beside"  # found before it comes to that
    with pytest.raises(ScenarioError, match=r"OFFING_DATA: .* is no folder"):
        world(tmp_path, "other.csv")
    monkeypatch.setenv("OFFING_DATA", str(tmp_path / "missing"))
    assert world(tmp_path, "other.csv").inputs()[0].origin == "nowhere"


def test_the_hash_sees_other_contents_of_the_same_size_and_time(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text(BANDWIDTH)
    before, facts = world(tmp_path, "b.csv").hash(), path.stat()
    time.sleep(0.02)  # the clock of the file system ticks every few ms
    path.write_text(BANDWIDTH.replace("4", "5"))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert world(tmp_path, "b.csv").hash() != before


# -- outages ---------------------------------------------------------------------------------------------------------


def test_outages_of_no_length_strike_nobody(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("# kind: failures\ndown_s,up_s\n0,0\n")
    assert RecordedEntry(trace="f.csv").spans(path, np.random.default_rng(0), 9.0) == []
    with pytest.raises(TraceError, match="lasts 0 s"):
        RecordedEntry(trace="f.csv", end="wrap").spans(path, np.random.default_rng(0), 9.0)


@pytest.mark.filterwarnings("error")
def test_an_outage_of_no_length_is_drawn_without_a_warning(offing, tmp_path):
    (tmp_path / "f.csv").write_text("# kind: failures\ndown_s,up_s\n0,0\n")
    code, out, said = offing("traces", "plot", str(tmp_path / "f.csv"), "--out", str(tmp_path / "drawn"))
    assert (code, said) == (0, "")
    assert "f.png" in out


@pytest.mark.parametrize("length", ["1e12", "1e300"])
def test_more_outages_than_can_be_drawn_are_refused_at_once(offing, tmp_path, length):
    begun = time.monotonic()
    code, out, said = offing(
        "traces", "generate", "web-service", "--duration", length, "--out", str(tmp_path / "o.csv")
    )
    assert (code, out) == (2, "")
    assert "outages would come" in said
    assert time.monotonic() - begun < 10
    assert not (tmp_path / "o.csv").exists()


# -- what cannot be counted ------------------------------------------------------------------------------------------


def test_a_transfer_beyond_all_measure_is_refused(offing, tmp_path):
    (tmp_path / "b.csv").write_text(BANDWIDTH)
    code, out, said = offing(
        "traces", "transfer", str(tmp_path / "b.csv"), "--start", "1e306", "--bytes", "1", "--json"
    )
    assert (code, out) == (2, "")
    assert "than can be counted" in said
    code, out, _ = offing("traces", "transfer", str(tmp_path / "b.csv"), "--start", "0", "--bytes", "1e299", "--json")
    assert code == 0
    assert json.loads(out)["end_s"] == pytest.approx(1e299 / ((2 * 8 + 7 * 4) * 1e6 / 8) * 9)  # by whole rounds


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_scaled_beyond_all_measure_is_not_written(offing, tmp_path, ending):
    (tmp_path / "b.csv").write_text(BANDWIDTH)
    out = tmp_path / f"o.{ending}"
    code, _, said = offing("traces", "import", str(tmp_path / "b.csv"), "--out", str(out), "--scale", "1e300")
    assert code == 2
    assert "scaled by 1e+300" in said
    assert "than can be counted" in said
    assert not out.exists()


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_named_once(offing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, said = offing("traces", "describe", ".")
    assert code == 2
    assert said.split() == ["Error:", ".:", "is", "a", "folder,", "not", "a", "file"]


def test_what_macos_leaves_in_an_archive_counts_for_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("set/b.csv", BANDWIDTH)
        archive.writestr("set/.DS_Store", b"\0\0\0\1Bud1")
        archive.writestr("set/._b.csv", b"\0\5\26\7")
    assert read_file(tmp_path / "a.zip").format == "csv"
