"""Real recordings: transfers through the bare link of a whole simulation end when an independent computation says.

``TRANSFERS.csv`` holds "N bytes begun at s on this recording, wrapping at its end, are through at e", on which two
methods agree within half a microsecond; ``EXPECTED.csv`` what a right reader finds in each file.
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from support import DATA, play, recordings

from simulator import Library, Scenario
from simulator.testing import chain, machine
from simulator.traces.format import known_formats
from simulator.traces.reader import Request, read_file, read_trace
from simulator.traces.source import Source

READ = {
    "sabre-json": "sabre", "pensieve-tsv": "pensieve", "mahimahi": "mahimahi", "nyu-csv": "nyu-mets",
    "nyu-multivariate": "nyu-mets", "gnettrack-csv": "ucc-5g", "long-csv": "5gophers", "long-csv-runs": "5gophers",
    "wide-csv": "5gophers", "ts-ws": "lumos5g", "oboe-pairs": "oboe",
}  # fmt: skip
"""Formats of bandwidth files in EXPECTED.csv, by our name for them."""


def table(name: str) -> list[dict[str, str]]:
    path = DATA / name
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


BANDWIDTH = [row for row in table("EXPECTED.csv") if row["file"].startswith("bandwidth/")]
FORMATS = {row["file"]: READ.get(row["format"], row["format"]) for row in BANDWIDTH}
EXPECTED = [row for row in BANDWIDTH if "n_segments" in row["expected"]]
TRANSFERS = table("TRANSFERS.csv")


def bare_link(trace: object, size: float, start: float, folder) -> Scenario:
    """Return a scenario with one request at *start*: *size* bytes over a link that has nothing but a capacity."""
    (folder / "arrival.csv").write_text(f"t_s\n{start!r}\n")
    return Scenario.from_dict(
        {
            "name": "bare link", "until": f"{start + 1} s", "model": "tiny", "variability": "none",
            "nodes": {"pi": {"kind": "device", "hardware": "free"}, "edge": {"kind": "server", "hardware": "free"}},
            "links": {
                "wire": {"between": ["pi", "edge"], "up": trace, "down": "1 Gbit/s", "delay": "0 s", "framing": 1.0}
            },
            "workload": {"kind": "inference", "sources": ["pi"],
                         "arrivals": {"kind": "replay", "trace": str(folder / "arrival.csv")}},
            "technique": {"kind": "server-only"},
        },
        Library(models=[chain((size, 0.0), {"free": (0.0,)})], machines=[machine("free")]),
    )  # fmt: skip


@pytest.mark.data
def test_the_recordings_are_here():
    """Skips where they are not, fails where ``OFFING_REQUIRE_DATA=1`` promises them: CI cannot pass by skipping."""
    recordings("TRANSFERS.csv")
    recordings("EXPECTED.csv")
    assert len(TRANSFERS) >= 180
    assert len(EXPECTED) >= 60
    assert set(FORMATS.values()) == set(READ.values())
    assert {row["file"] for row in TRANSFERS} <= set(FORMATS)


@pytest.mark.data
@pytest.mark.parametrize("file", FORMATS, ids=lambda file: file.split("/")[-1])
def test_one_format_fits_and_it_is_the_right_one(file):
    fitting = [form.name for form in known_formats().values() if not form.last and form.fits(Source(DATA / file))]
    assert fitting == [FORMATS[file]]


@pytest.mark.data
@pytest.mark.parametrize("row", TRANSFERS, ids=lambda row: f"{row['file'].split('/')[-1]}@{row['start_s']}")
def test_a_recording_by_itself_says_the_same(row):
    start = float(row["start_s"])
    end = read_trace(DATA / row["file"], Request("bandwidth")).finish(start, float(row["bytes"]))
    assert end == pytest.approx(float(row["end_s"]), abs=1e-6, rel=0)
    assert end - start == pytest.approx(float(row["duration_s"]), abs=1.5e-6, rel=0)


@pytest.mark.data
@pytest.mark.parametrize(
    "row", TRANSFERS, ids=lambda row: f"{row['file'].split('/')[-1]}@{row['start_s']}+{row['bytes']}"
)
@pytest.mark.parametrize("sharing", ["fifo", "max-min"])
def test_a_transfer_ends_when_it_should(row, sharing, tmp_path):
    trace = {"trace": str(DATA / row["file"]), "format": FORMATS[row["file"]], "accept": "down-as-up"}
    scenario = bare_link(trace, float(row["bytes"]), float(row["start_s"]), tmp_path)
    requests = play(scenario.with_({"links.wire.sharing": sharing})).requests
    assert requests["finish_s"].tolist() == pytest.approx([float(row["end_s"])], abs=1e-6, rel=0)
    assert requests["transfer_s"].tolist() == pytest.approx([float(row["duration_s"])], abs=1.5e-6, rel=0)


@pytest.mark.data
@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"].split("/")[-1])
def test_a_file_holds_what_it_should(row):
    trace = read_trace(DATA / row["file"], Request("bandwidth"))
    values = [value / 125e3 for value in trace.values]
    ends = [*trace.starts[1:], trace.duration]
    lengths = [end - start for start, end in zip(trace.starts, ends, strict=True)]
    zero, longest, run = 0.0, 0.0, 0.0
    for value, length in zip(values, lengths, strict=True):
        run = run + length if value == 0 else 0.0
        zero += length if value == 0 else 0.0
        longest = max(longest, run)
    found = {
        "n_segments": len(values),
        "duration_s": trace.duration,
        "tw_mean": trace.mean() / 125e3,
        "min": min(values),
        "max": max(values),
        "zero_time_s": zero,
        "longest_zero_s": longest,
        "volume": trace.integral(trace.duration) / 125e3,
    }
    expected = json.loads(row["expected"])
    also = {key: expected.pop(key) for key in list(expected) if key not in found}
    assert found == pytest.approx(expected, abs=6e-3, rel=1e-6)
    report = read_file(DATA / row["file"]).series[""].report
    others = {
        "n_packets": report.rows, "rows": report.rows, "idle_s": report.hole_s,
        "wall_s": report.hole_s + trace.duration,
    }  # fmt: skip
    told = {key: value for key, value in also.items() if key not in ("max_idle_s", "t0")}
    assert {key: others[key] for key in told} == pytest.approx(told, abs=1e-3)


@pytest.mark.data
@pytest.mark.parametrize("row", [row for row in BANDWIDTH if row not in EXPECTED], ids=lambda row: row["file"])
def test_a_file_of_several_recordings_holds_all_of_them(row):
    """Means by operator (keys such as ``Sprint_tw_mean``), or of all rows, in which missing seconds have no say."""
    expected = json.loads(row["expected"])
    series = read_file(DATA / row["file"]).series
    facts = {name: recording.facts() for name, recording in series.items()}
    if "runs" in expected:
        found = {
            "rows": sum(recording.report.rows for recording in series.values()), "runs": len(series),
            "tw_mean": np.concatenate([recording.columns["value"] for recording in series.values()]).mean() / 1e6,
            "max": max(f["max"] for f in facts.values()) / 1e6,
        }  # fmt: skip
    else:
        found = {}
        for name, of in facts.items():
            found |= {
                f"{name}_duration_s": of["duration_s"], f"{name}_tw_mean": of["mean"] / 1e6,
                f"{name}_zero_time_s": of["zero_s"],
            }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-6)


# -- stretches without any bandwidth -------------------------------------------------------------------------------


@pytest.mark.parametrize("sharing", ["fifo", "max-min"])
@pytest.mark.parametrize(
    ("start", "size", "end"),
    [
        (0.0, 1e6, 1.0),  # all in the first second
        (0.0, 1e6 + 1, 101.0 + 1e-6),  # one byte over the outage
        (0.5, 1e6, 101.5),
        (1.0, 1.0, 101.0 + 1e-6),  # begun as the outage begins
        (50.0, 2e6, 103.0),  # begun inside it: from 102 s on it is the first second again
        (102.5, 1e6, 203.5),
    ],
)
def test_an_outage_neither_hangs_nor_divides_by_zero(start, size, end, sharing, tmp_path):
    """1 MB/s for a second, nothing for a hundred, 1 MB/s for a second, again and again."""
    (tmp_path / "outage.csv").write_text(
        "# kind: bandwidth; unit: MB/s; duration_s: 102; end: wrap\nstart_s,value\n0,1\n1,0\n101,1\n"
    )
    scenario = bare_link({"trace": str(tmp_path / "outage.csv")}, size, start, tmp_path)
    requests = play(scenario.with_({"links.wire.sharing": sharing})).requests
    assert requests["finish_s"].tolist() == pytest.approx([end], rel=1e-9)


@pytest.mark.parametrize("sharing", ["fifo", "max-min"])
def test_a_link_that_stays_at_zero_leaves_an_unfinished_row(sharing, tmp_path):
    (tmp_path / "dead.csv").write_text("# kind: bandwidth; unit: MB/s; end: hold\nstart_s,value\n0,1\n1,0\n")
    scenario = bare_link({"trace": str(tmp_path / "dead.csv")}, 5e6, 0.5, tmp_path)
    requests = play(scenario.with_({"links.wire.sharing": sharing})).requests
    assert requests["outcome"].tolist() == ["unfinished"]
