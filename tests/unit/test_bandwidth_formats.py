"""Bandwidth and latency files of known families that nobody has seen: made-up numbers, and each mess the sets have."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.foundation.errors import TraceError
from simulator.traces.format import known_formats
from simulator.traces.reader import Request, read_file, read_trace
from simulator.traces.recording import Recording
from simulator.traces.source import Source


@pytest.fixture
def write(tmp_path):
    def write(text, name="recording"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def only(write):
    """Return the one recording in a text, whose format must be found out."""

    def only(text, form, **request) -> Recording:
        reading = read_file(write(text), Request(**request))
        assert reading.format == form
        (recording,) = reading.series.values()
        return recording

    return only


def steps(recording: Recording) -> tuple[list[float], list[float], float]:
    """Return starts [s], values and the end, without the last digits."""
    starts, values = (recording.columns[name].round(9).tolist() for name in ("start_s", "value"))
    return starts, values, round(recording.duration, 9)


def refused(write, text, **request) -> str:
    with pytest.raises(TraceError) as caught:
        read_file(write(text), Request(**request))
    return str(caught.value)


def says(recording: Recording, word: str) -> bool:
    return any(word in line for line in recording.report.assumed)


# -- Pensieve ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "0.0\t9\n1.5\t2\n4.0\t3\n",
        "0.0 9\n1.5 2\n4.0 3",  # blanks, no final newline
        "0.0\t9\r\n1.5\t2\r\n\r\n4.0\t3\r\n",
        "10.25\t9\n11.75\t2\n14.25\t3\n",  # begins elsewhere
    ],
)
def test_pensieve_rows_stand_at_the_end_of_their_interval(only, text):
    recording = only(text, "pensieve")
    assert steps(recording) == ([0.0, 1.5], [2e6, 3e6], 4.0)
    assert (recording.end, recording.layer, recording.direction) == ("wrap", "goodput", "down")


def test_pensieve_wraps_to_its_second_row(write):
    trace = read_trace(write("0.0\t800\n1.5\t8\n4.0\t16\n"), Request("bandwidth"))
    assert [trace.at(t) for t in (0.0, 1.4, 1.6, 4.0, 5.4, 5.6)] == [1e6, 1e6, 2e6, 1e6, 1e6, 2e6]


def test_pensieve_errors_and_repairs(write):
    assert "recording:3: time goes back to 1 s, after 1.5 s" in refused(write, "0.0\t9\n1.5\t2\n1.0\t3\n2.2\t4\n")
    assert "recording:2: bandwidth is 'x'; expected a number" in refused(
        write, "0.5\t9\n" + "1.5\tx\n", format="pensieve"
    )
    assert "one row" in refused(write, "0.5\t9\n", format="pensieve")
    assert "recording:2: bandwidth is below zero" in refused(write, "0.0\t9\n1.5\t-2\n4.0\t3\n")
    mended = read_file(write("0.0\t9\n1.5\t2\n1.0\t3\n2.2\t4\n"), Request(repair=True)).series[""]
    assert steps(mended) == ([0.0, 1.0, 1.5], [3e6, 2e6, 4e6], 2.2)
    assert mended.report.reordered == 1
    assert "sorted" in mended.report.repaired[0]


# -- Lumos5G -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 45.0\n1 44.0\n2 43.5\n", ([0, 1, 2], [45e6, 44e6, 43.5e6], 3.0)),
        ("1.0\t45.0\r\n2.0\t44.0\r\n3.0\t43.5", ([0, 1, 2], [45e6, 44e6, 43.5e6], 3.0)),
        ("17 45.0\n18 44.0\n\n19 43.5\n", ([0, 1, 2], [45e6, 44e6, 43.5e6], 3.0)),
        ("0 1.0\n1 2.0\n1 4.0\n2 5.0\n5 7.0\n6 8.0\n", ([0, 1, 2, 5, 6], [1e6, 3e6, 5e6, 7e6, 8e6], 7.0)),
    ],
)
def test_lumos5g_rows_begin_their_second(only, text, expected):
    recording = only(text, "lumos5g")
    assert steps(recording) == expected
    assert (recording.layer, recording.direction) == ("goodput", "down")


def test_lumos5g_counts_what_it_averages_and_what_is_missing(only):
    report = only("0 1.0\n1 2.0\n1 4.0\n2 5.0\n5 7.0\n6 8.0\n", "lumos5g").report
    assert (report.rows, report.merged, report.holes, report.hole_s) == (6, 1, 1, 2.0)
    assert not report.repaired


def test_lumos5g_in_steps_of_two_seconds_may_be_pensieve_and_says_so(write):
    text = "0 45.0\n2 44.0\n4 43.5\n6 9\n"
    assert "formats that fit: lumos5g and pensieve; say which with format:" in refused(write, text)
    one = read_file(write(text), Request(format="lumos5g")).series[""]
    assert steps(one) == ([0, 2, 4, 6], [45e6, 44e6, 43.5e6, 9e6], 8.0)


@pytest.mark.parametrize(
    "text",
    [
        "0.0\t3\n1.0\t4\n2.0\t5\n",  # whole seconds from 0.0 on: Lumos5G's or Pensieve's
        "0 3\n1 3\n2 3\n3 3\n",  # and steady: Oboe's too
        "5.0\t3\n10.0\t4\n15.0\t6\n",
    ],
)
def test_what_content_cannot_tell_is_asked(write, text):
    assert "and" in refused(write, text).split(";")[0]


# -- Oboe ----------------------------------------------------------------------------------------------------------


def test_oboe_leaves_out_what_was_not_measured_and_says_how_much(only):
    recording = only("100.0 800.5\n350.0 800.5\n400.0 900.5\n900.0 900.5\n900.0 70.5\n1000.0 70.5\n", "oboe")
    assert steps(recording) == ([0.0, 0.25, 0.75], [800500, 900500, 70500], 0.85)
    assert (recording.report.holes, recording.report.hole_s) == (1, pytest.approx(0.05))
    assert says(recording, "0.050 s between chunks, of 0.900 s in all, were not measured")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 5\n2 5\n3 6\n", "recording:3: a chunk begins and never ends"),
        ("1 5\n2 5\n3 6\n4 7\n", "recording:4: a chunk has two rates"),
        ("1 5\n2 5\n4 6\n3 6\n", "recording:4: a chunk ends before it begins"),
        ("1 5\n3 5\n2 6\n4 6\n", "recording:4: a chunk begins before the last one ended"),
    ],
)
def test_oboe_errors(write, text, sentence):
    assert sentence in refused(write, text, format="oboe")


def test_oboe_repairs_what_has_no_other_end(write):
    text = "1000 5\n2000 5\n3000 6\n4000 7\n5000 7\n6000 8\n"
    recording = read_file(write(text), Request(format="oboe", repair=True)).series[""]
    assert steps(recording) == ([0.0, 1.0], [5e3, 7e3], 2.0)
    assert recording.report.dropped == 2


# -- Mahimahi ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n\n"])
def test_mahimahi_counts_packets_in_bins_and_wraps_at_the_last_stamp(only, line_end):
    """Stamp k ends its millisecond: 100 is in the first bin, 101 in the second; the last bin is 50 ms long."""
    recording = only("0,0,100,101,637,1050".replace(",", line_end), "mahimahi")
    packets = [3, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    lengths = [0.1] * 10 + [0.05]
    starts = [i / 10 for i in range(11)]
    assert recording.columns["start_s"].tolist() == pytest.approx(starts)
    rates = [12000 * count / length for count, length in zip(packets, lengths, strict=True)]
    assert recording.columns["value"].tolist() == pytest.approx(rates)
    assert recording.duration == pytest.approx(1.05)
    assert (recording.end, recording.layer, recording.direction) == ("wrap", "link", "unknown")
    assert says(recording, "uplink or the downlink")


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300), st.sampled_from([0.001, 0.01, 0.1, 0.7, 20.0]))
def test_mahimahi_loses_no_packet(tmp_path_factory, stamps, step):
    stamps = [*sorted(stamps), 5001]
    path = tmp_path_factory.mktemp("m") / "up"
    path.write_text("\n".join(map(str, stamps)))
    facts = read_file(path, Request(format="mahimahi", step=step)).series[""].facts()
    assert facts["volume"] == pytest.approx(12000 * len(stamps))
    assert facts["duration_s"] == pytest.approx(5.001)


def test_mahimahi_errors(write):
    assert "recording:3: time goes back" in refused(write, "1\n5\n3\n900\n", format="mahimahi")
    assert "recording:2: time is no whole millisecond" in refused(write, "1\n5.5\n", format="mahimahi")
    assert "the last stamp is 0 ms" in refused(write, "0\n0\n", format="mahimahi")
    assert "expected at most 2e+07" in refused(write, "1\n100000000000000\n", format="mahimahi")
    assert "bins of 1 ms or more" in refused(write, "1\n2\n", format="mahimahi", step=1e-5)
    mended = read_file(write("1\n5\n3\n900\n"), Request(format="mahimahi", repair=True)).series[""]
    assert (mended.report.reordered, mended.facts()["volume"]) == (1, 48000)


def test_a_rare_backward_stamp_does_not_hide_mahimahi(write):
    stamps = list(range(0, 4000, 10))
    stamps[200] = 5
    assert "recording:201: time goes back" in refused(write, "\n".join(map(str, stamps)))


def test_a_column_of_small_rising_numbers_may_be_a_load_too(write):
    message = refused(write, "\n".join(str(i % 100 // 4) for i in range(100)))
    assert "mahimahi and planetlab" in message


# -- NYU-METS ------------------------------------------------------------------------------------------------------


def test_nyu_mets_takes_the_unit_of_each_row(only):
    recording = only("3.5,Mbits/sec\r\n780,Kbits/sec\r\n0.00,bits/sec\r\n1.25,Gbits/sec", "nyu-mets")
    assert steps(recording) == ([0, 1, 2, 3], [3.5e6, 780e3, 0.0, 1.25e9], 4.0)
    assert recording.report.units == {"Mbits/sec": 1, "Kbits/sec": 1, "bits/sec": 1, "Gbits/sec": 1}
    assert (recording.layer, recording.direction) == ("goodput", "unknown")


def test_nyu_mets_refuses_a_unit_it_does_not_know_or_holds_the_value_before(write):
    text = "".join(f"{i},Mbits/sec\n" for i in range(1, 20)) + "5,Mbots/sec\n6,Mbits/sec\n"
    assert 'recording:20: the unit is "Mbots/sec"; expected bits/sec' in refused(write, text)
    assert "Mbits/sec" in refused(write, text).split("?")[0]
    mended = read_file(write(text), Request(repair=True)).series[""]
    assert mended.duration == 21.0  # time goes on where a row is dropped
    assert mended.columns["start_s"].tolist()[-2:] == [18.0, 20.0]
    assert (mended.report.dropped, mended.report.holes, mended.report.hole_s) == (1, 1, 1.0)


def test_nyu_mets_of_eight_columns_in_a_gzip(write):
    rows = "12.6,9,0,102,13,3,7.37,2100\r\n0,11,1,107,16,3,8.5,2100\r\n3.25,9,0,-102,-13,3,7.37,700\r\n"
    reading = read_file(write(gzip.compress(rows.encode()), "multivariate.txt.gz"))
    assert reading.format == "nyu-mets"
    assert steps(reading.series[""]) == ([0, 1, 2], [12.6e6, 0.0, 3.25e6], 3.0)


def test_nyu_mets_with_another_step(only):
    assert only("1,Mbits/sec\n2,Mbits/sec\n", "nyu-mets", step=0.5).duration == 1.0
    assert only("1,Mbits/sec\n", "nyu-mets", step=0.5).duration == 0.5


# -- UCC 5G --------------------------------------------------------------------------------------------------------

HEADER = "Timestamp,Longitude,Latitude,Operatorname,NetworkMode,DL_bitrate,UL_bitrate,State"


def ucc(rows, header=HEADER, extra="", end="\n"):
    """Return a G-NetTrack file; *rows*: (minute and second, down [kbit/s] as text, state)."""
    lines = [header + (",Extra" if extra else "")]
    lines += [f"2020.02.14_13.{at},-8.3,51.8,B,5G,{down},7,{state}{extra}" for at, down, state in rows]
    return end.join(lines)


ROWS = [
    ("59.58", "1000", "D"), ("59.59", "2000", "D"), ("59.59", "4000", "D"), ("59.57", "9000", "D"), ("59.59", "-", "D")
]  # fmt: skip


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("extra", ["", ",-"])
def test_ucc_averages_a_second_and_sorts_a_stamp_that_goes_back(only, end, extra):
    recording = only(ucc(ROWS, extra=extra, end=end), "ucc-5g")
    assert steps(recording) == ([0, 1, 2], [9e6, 1e6, 3e6], 3.0)
    report = recording.report
    assert (report.rows, report.dropped, report.merged, report.reordered) == (5, 1, 1, 1)
    assert not report.repaired
    assert (recording.epoch, recording.layer, recording.direction) == ("2020-02-14T13:59:57", "link", "down")
    assert says(recording, "UL_bitrate was not read")


def test_ucc_finds_columns_by_their_names(only):
    text = "State;DL_bitrate;Timestamp\nD;1000;2019.11.21_10.20.17\nD;500;2019.11.21_10.20.20\n"
    recording = only(text, "ucc-5g")
    assert steps(recording) == ([0, 3], [1e6, 5e5], 4.0)
    assert (recording.report.holes, recording.report.hole_s) == (1, 2.0)


def test_ucc_warns_of_demand_and_of_nothing_where_there_is_none(only):
    busy = [(f"10.{i:02d}", str(1000 + 37 * i % 11), "D") for i in range(40)]
    idle = [(at, "0" if i % 4 else down, "I" if i % 4 else "D") for i, (at, down, _) in enumerate(busy)]
    assert says(only(ucc(idle), "ucc-5g"), "75% of the rows are idle or zero: this is what an application asked for")
    assert not says(only(ucc(busy), "ucc-5g"), "asked for")


@pytest.mark.parametrize(("every", "told"), [(14, True), (None, False)])
def test_ucc_tells_of_dips_that_come_by_the_clock(only, every, told):
    """At times spread like chance there is no word of a period."""
    chance = {5, 16, 22, 45, 51, 80, 89, 120, 139, 146, 171, 182, 213, 221, 240, 275}
    rows = [
        (f"{10 + i // 60}.{i % 60:02d}", "10" if (i % every == 0 if every else i in chance) else "50000", "D")
        for i in range(300)
    ]
    assert says(only(ucc(rows), "ucc-5g"), "every 14 s (or a multiple) the rate falls") is told
    assert says(only(ucc(rows), "ucc-5g"), "the rate falls") is told


def test_ucc_errors(write):
    rows = [*ROWS, ("61.00", "5", "D")]
    assert "recording:7: Timestamp is '2020.02.14_13.61.00'; expected one such as" in refused(write, ucc(rows))
    assert "recording:3: DL_bitrate is below zero" in refused(write, ucc([ROWS[0], ("59.59", "-5", "D")]))
    assert "recording:3: DL_bitrate is 'x'" in refused(write, ucc([ROWS[0], ("59.59", "x", "D")]))
    assert "no row with numbers" in refused(write, HEADER + "\n")
    assert 'recording:1: two columns are named "State"' in refused(write, HEADER + ",State\n1\n")
    assert "no column DL_bitrate" in refused(write, "Timestamp,State\n2020.02.14_13.01.00,D\n", format="ucc-5g")
    mended = read_file(write(ucc(rows)), Request(repair=True)).series[""]
    assert mended.report.dropped == 2
    assert "dropped 1 row (line 7)" in mended.report.repaired[0]


def test_ucc_out_of_an_archive_with_what_macos_leaves_in_it(tmp_path):
    path = tmp_path / "5G production.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("A 1.csv", "B 2.csv"):
            archive.writestr(f"set/{name}", ucc(ROWS))
            archive.writestr(f"__MACOSX/set/._{name}", b"\x00\x05\x16\x07")
    with pytest.raises(TraceError, match="an archive of 2 files; say which with member:"):
        read_file(path)
    assert read_file(path, Request(member="set/B 2.csv")).format == "ucc-5g"


# -- 5Gophers ------------------------------------------------------------------------------------------------------


def test_5gophers_by_operators_nobody_has_heard_of(write):
    text = (
        "protocol,num_tcp_conn,seq_num,Orange_throughput_mbps,A_B_throughput_mbps\r\n"
        "TCP,8,0,10,1\r\nTCP,8,1,20,2\r\nTCP,8,5,30,0.0\r\n"
    )
    reading = read_file(write(text))
    assert reading.format == "5gophers"
    assert list(reading.series) == ["Orange", "A_B"]
    assert steps(reading.series["Orange"]) == ([0, 1, 5], [10e6, 20e6, 30e6], 6.0)
    assert steps(reading.series["A_B"]) == ([0, 1, 5], [1e6, 2e6, 0.0], 6.0)
    assert reading.series["A_B"].report.holes == 1


def test_5gophers_of_several_runs_beside_pings(write):
    text = (
        "protocol,carrier,server_location,run_num,seq_num,throughput_mbps\n"
        "TCP,X,East,1,0,10\nICMP,X,East,1,0,\nTCP,X,East,1,1,20\nTCP,Y,East,2,0,3\nICMP,Y,East,2,1,NaN\n"
    )
    reading = read_file(write(text))
    assert list(reading.series) == ["X/1", "Y/2"]
    assert steps(reading.series["X/1"]) == ([0, 1], [10e6, 20e6], 2.0)
    assert says(reading.series["Y/2"], "2 rows of other protocols than TCP and UDP have no throughput")
    with pytest.raises(TraceError, match=r"holds 2 series; say which with series: \(X/1, Y/2\)"):
        read_trace(write(text), Request("bandwidth"))
    assert read_trace(write(text), Request("bandwidth", series="X/1")).mean() == 15e6 / 8


def test_5gophers_of_one_run(only):
    text = "num_tcp_conn,seq_num,cell,throughput_mbps,handoff\n8,7,3,1.5,\n8,8,3,2.5,up\n"
    assert steps(only(text, "5gophers")) == ([0, 1], [1.5e6, 2.5e6], 2.0)
    assert only(text, "5gophers", step=0.1).duration == pytest.approx(0.2)


def test_5gophers_errors(write):
    head = "protocol,seq_num,throughput_mbps\n"
    assert "recording:3: throughput_mbps is ''; expected a number" in refused(write, head + "TCP,0,1\nTCP,1,\n")
    assert "recording:3: throughput_mbps is NaN; expected a finite number" in refused(
        write, head + "TCP,0,1\nTCP,1,NaN\n"
    )
    assert "recording:3: time goes back to 0 s" in refused(write, head + "TCP,1,1\nTCP,0,1\n")
    assert "recording:3: a second row for 1 s" in refused(write, head + "TCP,1,1\nTCP,1,2\n")
    assert "no row of TCP or UDP" in refused(write, head + "ICMP,1,\n")
    assert "recording:2: no throughput_mbps: 2 columns, expected at least 3" in refused(write, head + "TCP,1\n")


# -- round trips ---------------------------------------------------------------------------------------------------


def test_round_trips_by_operator_and_server(write):
    text = "rtt_ms,carrier,server_location\n40,X,East\n50,X,East\n90,X,West\n60,X,East\n"
    reading = read_file(write(text))
    assert (reading.format, list(reading.series)) == ("5gophers-rtt", ["East", "West"])
    east = reading.series["East"]
    assert steps(east) == ([0, 1, 2], [0.04, 0.05, 0.06], 3.0)
    assert (east.kind, east.round_trip) == ("latency", True)
    assert says(east, "1 s from row to row")


@pytest.mark.parametrize("lost", ["", "-", "NaN"])
def test_a_probe_without_an_answer_is_a_hole(only, lost):
    text = f"protocol,target_server,probe_num,rtt_in_ms\r\nICMP,A,1,10\r\nICMP,A,2,{lost}\r\nICMP,A,4,30\r\n"
    recording = only(text, "5gophers-rtt", step=0.5)
    assert steps(recording) == ([0, 1.5], [0.01, 0.03], 2.0)
    assert (recording.report.rows, recording.report.dropped, recording.report.holes) == (3, 1, 1)


def test_round_trip_errors(write):
    head = "carrier,probe_num,rtt_ms\n"
    assert "recording:2: rtt_ms is below zero" in refused(write, head + "X,1,-4\n")
    assert "recording:3: rtt_ms is 'soon'" in refused(write, head + "X,1,4\nX,2,soon\n")
    assert "a header, and no row" in refused(write, head)
    assert "no row with numbers" in refused(write, head + "X,1,-\n")


# -- all of them ---------------------------------------------------------------------------------------------------

SAMPLES = {
    "pensieve": "0.0\t9\n1.5\t2\n4.25\t3\n", "lumos5g": "0 45.0\n1 44.0\n2 43.5\n",
    "oboe": "1 5.5\n2 5.5\n3 6.5\n4 6.5\n", "mahimahi": "0\n137\n1050\n2000\n",
    "nyu-mets": "3.5,Mbits/sec\n4,Kbits/sec\n", "ucc-5g": ucc(ROWS),
    "5gophers": "protocol,seq_num,throughput_mbps\nTCP,0,1\nTCP,1,2\n",
    "5gophers-rtt": "rtt_ms,carrier\n4,X\n5,X\n",
}  # fmt: skip


@pytest.mark.parametrize("form", SAMPLES)
def test_one_format_fits_each_family(write, form):
    assert [f.name for f in known_formats().values() if not f.last and f.fits(Source(write(SAMPLES[form])))] == [form]


@pytest.mark.parametrize("form", SAMPLES)
def test_each_family_out_of_a_tar_and_with_a_byte_order_mark(write, form):
    plain = read_file(write(SAMPLES[form])).series
    marked = read_file(write(b"\xef\xbb\xbf" + SAMPLES[form].encode())).series
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("a recording.txt")
        member.size = len(SAMPLES[form])
        archive.addfile(member, io.BytesIO(SAMPLES[form].encode()))
    for other in (marked, read_file(write(packed.getvalue(), "a b.tar.gz")).series):
        assert {name: steps(recording) for name, recording in other.items()} == {
            name: steps(recording) for name, recording in plain.items()
        }


@pytest.mark.parametrize("form", [None, *SAMPLES])
@pytest.mark.parametrize("text", ["\n", " ", "\r\n\r\n"])
def test_a_file_of_nothing_is_called_empty(write, text, form):
    """One of NYU-METS's is a single newline."""
    assert "recording: is empty" in refused(write, text, format=form)


@pytest.mark.parametrize("form", SAMPLES)
@given(text=st.text(alphabet="0123456789.,-\t\n e;nNaAK/bits", max_size=80))
def test_any_text_is_read_or_refused(tmp_path_factory, form, text):
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_text(text)
    for repair in (False, True):
        said = ""
        try:
            read_file(path, Request(format=form, repair=repair))
        except TraceError as error:
            said = str(error)
        assert not said or said.startswith("file:")
