"""Trace files: two formats read into one form, and every malformed one refused with its line."""

from __future__ import annotations

import json

import pytest

from simulator import Scenario, ScenarioError, Trace
from simulator.foundation.errors import TraceError
from simulator.testing import tiny
from simulator.traces.format import known_formats
from simulator.traces.reader import Request, read_file, read_recording, read_trace
from simulator.traces.source import Source

ARRIVALS, BANDWIDTH = Request("arrivals"), Request("bandwidth")
HEAD = "# kind: bandwidth; unit: Mbit/s; duration_s: 20; end: wrap\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="trace.csv"):
        path = tmp_path / name
        path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        return path

    return write


def shape(trace: Trace) -> tuple:
    return list(trace.starts), list(trace.values), trace.duration, trace.end


def refused(read, *arguments) -> str:
    with pytest.raises(TraceError) as caught:
        read(*arguments)
    return str(caught.value)


# -- what is read --------------------------------------------------------------------------------------------------


def test_csv(write):
    trace = read_trace(write(HEAD + "start_s,value\n0,8\n5,0\n\n12.5,16\n"), BANDWIDTH)
    assert shape(trace) == ([0, 5, 12.5], [1e6, 0, 2e6], 20, "wrap")
    assert (trace.source, trace.grade) == ("trace.csv", "measured")


def test_sabre_says_the_same_in_json(write):
    rows = [(5000, 8000), (7500, 0), (7500, 16000)]
    rows = [{"duration_ms": ms, "bandwidth_kbps": kbps, "latency_ms": 100} for ms, kbps in rows]
    assert shape(read_trace(write(rows, "t.json"), BANDWIDTH)) == ([0, 5, 12.5], [1e6, 0, 2e6], 20, "wrap")


def test_a_processor_load_in_per_cent(write):
    trace = read_trace(write("# kind: cpu; unit: %; end: hold\nstart_s,value\n0,50\n5,100"), Request("cpu"))
    assert shape(trace)[1:] == ([0.5, 1.0], float("inf"), "hold")


def test_instants(write):
    for text, times in (("t_s\n0.5\n0.5\n2\n", [0.5, 0.5, 2.0]), ("# kind: arrivals\nt_s\n1\n", [1.0])):
        assert read_recording(write(text), ARRIVALS).columns["t_s"].tolist() == times


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("# unit: B/s\nx", "a.txt", "csv"),
        ("start_s, value\n", "a.dat", "csv"),
        ('[{"duration_ms": 1', "a.csv", "sabre"),
    ],
)
def test_the_format_is_found_by_what_is_in_the_file(write, text, name, kind):
    source = Source(write(text, name))
    assert [form.name for form in known_formats().values() if not form.last and form.fits(source)] == [kind]


@pytest.mark.parametrize(
    ("in_file", "asked", "end"),
    [
        ("wrap", None, "wrap"),
        ("wrap", "zero", "zero"),
        (None, None, "wrap"),
        (None, "hold", "hold"),
        ("zero", None, "zero"),
    ],
)
def test_who_says_what_follows_the_end(write, in_file, asked, end):
    said = f"; end: {in_file}" if in_file else ""
    path = write(f"# unit: B/s; duration_s: 4{said}\nstart_s,value\n0,1\n")
    assert read_trace(path, Request("bandwidth", end=asked)).end == end


# -- units and kinds -----------------------------------------------------------------------------------------------


def test_a_missing_unit_is_refused_unless_the_scenario_gives_one(write):
    path = write("# duration_s: 4\nstart_s,value\n0,8\n")
    assert refused(read_trace, path, BANDWIDTH) == (
        'trace.csv does not say its unit; add it to the first line ("# unit: Mbit/s") or to the scenario (unit: ...)'
    )
    assert list(read_trace(path, Request("bandwidth", unit="Mbit/s")).values) == [1e6]
    assert "the largest here is 8" in refused(read_trace, path, Request("cpu", unit=""))


@pytest.mark.parametrize(
    ("text", "request_", "sentence"),
    [
        (HEAD + "start_s,value\n0,8\n", Request("cpu"), "trace.csv is a trace of bandwidth, but cpu is needed here"),
        (
            HEAD + "start_s,value\n0,8\n", Request("bandwidth", unit="kbit/s"),
            "trace.csv says its unit is Mbit/s, the scenario says kbit/s",
        ),
        (
            "# unit: MB; end: hold\nstart_s,value\n0,8\n", BANDWIDTH,
            'trace.csv: "MB" is not a unit of bandwidth; known: B/s,',
        ),
        ("# unit: %; end: hold\nstart_s,value\n0,101\n", Request("cpu"), "the largest here is 1.01"),
        (
            "# unit: B/s; duration_s: 2; end: wrap\nstart_s,value\n0,0\n", BANDWIDTH,
            "trace.csv: the trace is zero everywhere",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(write, text, request_, sentence):
    assert sentence in refused(read_trace, write(text), request_)


def test_arrivals_are_no_capacity_and_a_capacity_is_no_arrivals(write):
    assert "is a trace of bandwidth, but arrivals is needed here" in refused(
        read_recording, write(HEAD + "start_s,value\n0,8\n"), ARRIVALS
    )
    assert "is a trace of arrivals, but bandwidth is needed here" in refused(
        read_trace, write("# kind: arrivals\nt_s\n1"), BANDWIDTH
    )
    assert refused(read_recording, write("t_s\n2\n1\n"), ARRIVALS) == (
        "trace.csv:3: time goes back to 1 s, after 2 s (repair: sorts the rows)"
    )


# -- malformed files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + "start_s,value\n0,8\nfive,8\n", "trace.csv:4: start_s is 'five'; expected a number"),
        (HEAD + "start_s,value\n0,8\n5\n", "trace.csv:4: 1 columns, expected 2"),
        (HEAD + "start_s,value\n0,8\n5,-1\n", "trace.csv:4: value is below zero (repair: drops the row)"),
        (HEAD + "start_s,value\n0,8\n5,inf\n", "trace.csv:4: value is inf; expected a finite number"),
        (HEAD + "start_s,value\n0,8\n\n5,1\n5,2\n", "trace.csv:6: a second row for 5 s (repair: averages them)"),
        (HEAD + "time,rate\n0,8\n", "trace.csv:2: the columns are ['time', 'rate']; expected \"start_s,value\""),
        (
            HEAD + "start_s,value\n0,8\n9,8\n5,2\n",
            "trace.csv:5: time goes back to 5 s, after 9 s (repair: sorts the rows)",
        ),
        (HEAD + "start_s,value\n1,8\n", "trace.csv:3: the first segment starts at 1 s; expected 0, the first measured"),
        (HEAD + "start_s,value\n0,8\n20,8\n", "trace.csv: duration_s: 20 s is not after the last row's 20 s"),
        (HEAD + "start_s,value,value\n0,8,8\n", "trace.csv:2: the columns are ['start_s', 'value', 'value']; expected"),
        (HEAD + "start_s,value\n0,8e307\n", "trace.csv: a value is too large for its unit"),
        (HEAD, "trace.csv: the trace is empty"),
        (HEAD + "start_s,value\n", "trace.csv: the trace is empty"),
        ("# kind bandwidth\n", 'trace.csv:1: "kind bandwidth" is not "name: value".'),
        ("# units: B/s\n", 'trace.csv:1: "units: B/s" is not "name: value". Did you mean "unit"? Known: kind, unit,'),
        ("# end: stop\nstart_s,value\n0,1\n", "trace.csv:1: end: 'stop' is none of wrap, hold, zero"),
        ("# duration_s: long\nstart_s,value\n0,1\n", "trace.csv:1: duration_s: 'long' is not a number"),
        ("# unit: B/s\nstart_s,value\n0,1\n", "trace.csv:1: how long does the last segment last? Add"),
        (
            "# grade: guesed\nstart_s,value\n0,1\n",
            "trace.csv:1: grade: 'guesed' is none of measured, transferred, publ",
        ),
        ("# unit: B/s; step_s: 0\nvalue\n1\n", "trace.csv: a step of 0 s; expected more than 0 s"),
        ("# unit: B/s\nvalue\n1\n", "trace.csv has no times; say how far apart its rows are"),
        ("# unit: B/s; step_s: 1; duration_s: 2\nstart_s,value\n0,1\n", "trace.csv has times of its own (start_s)"),
        ("", "trace.csv: is empty"),
        ("\n", "trace.csv: is empty"),
        ("hello\n", "trace.csv: formats that fit: none; say which with format: (known: "),
    ],
)
def test_a_malformed_csv_is_refused_with_its_line(write, text, sentence):
    assert sentence in refused(read_trace, write(text), BANDWIDTH)


GOOD = {"duration_ms": 1000, "bandwidth_kbps": 5}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([GOOD, {"duration_ms": 1000}], "t.json: row 1 has bandwidth_kbps: None; expected a number"),
        ([GOOD, {**GOOD, "duration_ms": "1 s"}], "t.json: row 1 has duration_ms: '1 s'; expected a number"),
        ([GOOD, {**GOOD, "duration_ms": 0}], "t.json: row 1 lasts 0 ms; a segment lasts longer than that"),
        ([GOOD, "x"], "t.json: row 1 has duration_ms: None"),
        ([{**GOOD, "bandwidth_kbps": True}], "row 0 has bandwidth_kbps: True"),
        ([GOOD, {**GOOD, "bandwidth_kbps": -5}], "t.json: row 1 has bandwidth_kbps -5; it must be zero or more"),
        ("[" + json.dumps(GOOD), "t.json: not JSON: "),
    ],
)
def test_a_malformed_sabre_file_is_refused_with_its_row(write, rows, sentence):
    assert sentence in refused(read_trace, write(rows, "t.json"), BANDWIDTH)


def test_not_even_a_list(write):
    assert "expected a list of segments" in refused(read_file, write("{}", "t.json"), Request(format="sabre"))


def test_files_and_formats_that_are_not_there(write, tmp_path):
    write("", "uplink.csv")
    assert refused(read_file, tmp_path / "uplnk.csv").endswith('/. Did you mean "uplink.csv"?')
    assert 'no trace format "cvs". Did you mean "csv"? Known: ' in refused(
        read_file, write("t_s\n1"), Request(format="cvs")
    )


# -- in a scenario -------------------------------------------------------------------------------------------------


def uplink(scenario: Scenario) -> Trace:
    return scenario.entry.links["uplink"].bandwidth.trace


@pytest.fixture
def with_trace(write):
    path = write("# unit: B/s; duration_s: 4; end: wrap\nstart_s,value\n0,100\n1,300\n")
    return lambda **entry: tiny({"links.uplink.bandwidth": {"trace": str(path), **entry}})


def test_scale_and_offset(with_trace):
    assert list(uplink(with_trace(scale=0.5)).values) == [50, 150]
    assert shape(uplink(with_trace(offset="2 s"))) == ([0, 2, 3], [300, 100, 300], 4, "wrap")
    assert uplink(with_trace(end="hold")).at(100) == 300


def test_a_random_offset_is_the_link_s_own_and_both_directions_fade_together(with_trace):
    from simulator.scenario.build import build

    one, other = (build(with_trace(offset="random")) for _ in range(2))
    up, down = (channel.bandwidth for channel in one.channels)
    assert up.starts == down.starts  # bandwidth: says both, as a radio has both
    assert up.integral(4) == pytest.approx(1000)
    assert up.starts != build(with_trace()).channels[0].bandwidth.starts
    assert [c.bandwidth.starts for c in other.channels] == [up.starts, down.starts]  # from the seed


@pytest.mark.parametrize("offset", ["random", "1 s"])
def test_an_offset_needs_a_trace_that_wraps(with_trace, offset):
    with pytest.raises(
        ScenarioError, match='bandwidth: only a trace with end: wrap can start at an offset; this one has "zero"'
    ):
        with_trace(offset=offset, end="zero")


def test_the_scenario_names_the_nearest_file(write, with_trace, tmp_path):
    with pytest.raises(
        ScenarioError, match=r'"busy_server\.csv" is neither beside .* Did you mean "busy_server_cpu\.csv"'
    ):
        tiny({"nodes.edge.load": {"trace": "busy_server.csv"}})
