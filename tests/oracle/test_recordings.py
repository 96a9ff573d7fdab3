"""Real round trips: what a right reader finds in each file (``EXPECTED.csv``), and that one reader alone fits."""

from __future__ import annotations

import csv
import json

import pytest
from support import DATA, recordings

from simulator.traces.format import known_formats
from simulator.traces.reader import Request, read_file, read_trace
from simulator.traces.source import Source


def latencies() -> list[dict[str, str]]:
    path = DATA / "EXPECTED.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["file"].startswith("latency/")]


ROWS = latencies()


@pytest.mark.data
def test_the_recordings_are_here():
    recordings("EXPECTED.csv")
    assert len(ROWS) >= 8


@pytest.mark.data
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"].split("/")[-1])
def test_a_file_holds_what_it_should(row):
    expected = json.loads(row["expected"])
    reading = read_file(DATA / row["file"])
    series = list(reading.series.values())
    values = [value for recording in series for value in recording.columns["value"]]
    found = {
        "rows": sum(recording.report.rows for recording in series),
        "mean": sum(values) / len(values) * 1e3,
        "nan": sum(recording.report.dropped for recording in series),
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=6e-5)
    assert reading.format == "5gophers-rtt"
    assert all(recording.kind == "latency" and recording.round_trip for recording in series)
    assert [form.name for form in known_formats().values() if form.fits(Source(DATA / row["file"]))][:1] == [
        "5gophers-rtt"
    ]


@pytest.mark.data
def test_operators_and_servers_are_told_apart():
    """The means per operator are those the pack's README names, over both servers."""
    path = recordings("latency/5gophers-rtt/02-round-trip-times.csv")
    series = read_file(path).series
    servers = {name.split("/")[1] for name in series}
    for operator, mean in {"SPRINT": 62.9, "TMOBILE": 113.54, "VERIZON": 80.51}.items():
        means = [series[f"{operator}/{server}"].facts()["mean"] * 1e3 for server in servers]
        assert sum(means) / len(means) == pytest.approx(mean, abs=6e-3)
    trace = read_trace(path, Request("latency", series="SPRINT/US-East"))
    assert (len(trace.values), trace.duration, trace.at(1.5)) == (120, 120.0, pytest.approx(37.8e-3))
