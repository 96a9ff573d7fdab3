"""Anybody's CSV by the names of its columns: dates, decimal commas, gaps, and what is answered where it cannot be."""

from __future__ import annotations

import pytest

from simulator.foundation.errors import TraceError
from simulator.traces.reader import Request, read_file, read_trace

LOG = (
    "Zeit;Ort;Durchsatz (Mbit/s)\r\n2026-11-20 10:00:00;A;12,5\r\n"
    "2026-11-20 10:00:01;A;0\r\n2026-11-20 10:00:03;B;20,25\r\n"
)


def asked(**more: object) -> Request:
    return Request(**{"time": "Zeit", "value": "durchsatz (mbit/s)", "unit": "Mbit/s", **more})


def test_a_spreadsheet_drives_a_link(write):
    trace = read_trace(write(LOG, "log.csv"), asked(kind="bandwidth"))
    assert list(trace.starts) == [0, 1, 3]
    assert [value * 8 / 1e6 for value in trace.values] == [12.5, 0, 20.25]
    assert trace.duration == 4.5  # the last for the median of 1 s and 2 s
    assert trace.finish(0.5, 12.5e6 / 8 * 0.5 + 20.25e6 / 8) == pytest.approx(4.0)


def test_the_same_with_seconds_and_commas_is_the_same(write):
    seconds = "when,where,what\n1763632800,A,12.5\n1763632801,A,0\n1763632803,B,20.25\n"
    there = read_trace(write(seconds, "seconds.csv"), asked(kind="bandwidth", time="when", value="what"))
    here = read_trace(write(LOG, "log.csv"), asked(kind="bandwidth"))
    assert (there.starts, there.values, there.duration) == (here.starts, here.values, here.duration)


def test_a_time_alone_is_requests(write):
    found = read_file(write(LOG, "log.csv"), asked(value=None, unit=None)).series[""]
    assert (found.kind, found.columns["t_s"].tolist(), found.epoch) == ("arrivals", [0, 1, 3], "2026-11-20T10:00:00")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"time": None}, 'log.csv: which column is the time? Say it by its name, e.g. time: "Zeit"'),
        ({"time": "Zeitt"}, 'no column "zeitt" among zeit, ort, durchsatz (mbit/s). Did you mean "zeit"?'),
        ({"value": "Ort"}, "log.csv:2: ort is 'A'; expected a number"),
        ({"value": "zeit"}, 'time and value both name the column "zeit"'),
        ({"unit": None}, 'log.csv: in what is "durchsatz (mbit/s)"? Say its unit, e.g. unit: Mbit/s'),
        ({"unit": "Mbps"}, 'log.csv: "Mbps" is no unit of bandwidth'),
        ({"kind": "mobility"}, "time and value make no recording of mobility"),
    ],
)
def test_what_cannot_be_is_refused(write, more, sentence):
    with pytest.raises(TraceError) as caught:
        read_file(write(LOG, "log.csv"), asked(**more))
    assert sentence in str(caught.value)


def test_a_second_row_for_an_instant_is_refused_or_averaged(write):
    path = write("t,v\n0,1\n0,3\n1,5\n", "twice.csv")
    wanted = {"time": "t", "value": "v", "kind": "bandwidth"}
    with pytest.raises(TraceError, match=r"twice\.csv:3: a second row for 0 s"):
        read_file(path, asked(**wanted))
    found = read_file(path, asked(**wanted, repair=True)).series[""]
    assert found.columns["value"].tolist() == [2e6, 5e6]
    assert found.report.repaired


def test_in_a_scenario(write):
    from simulator.scenario.capacity import TraceEntry

    path = write(LOG, "log.csv")
    entry = TraceEntry(trace="log.csv", time="Zeit", value="Durchsatz (Mbit/s)", unit="Mbit/s")
    assert entry.capacity(path, "bandwidth").trace.mean() * 8 / 1e6 == pytest.approx((12.5 + 1.5 * 20.25) / 4.5)
