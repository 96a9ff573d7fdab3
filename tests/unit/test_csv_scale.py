"""The project's own form at scale: ten million rows in bounded memory, to the last bit, with progress told.

Memory is that of a process which does nothing but the import. Speed is measured in ``benchmarks/traces.py``.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.foundation.errors import TraceError
from simulator.profiles.trace import Trace
from simulator.traces import source, streaming
from simulator.traces.reader import Request, as_trace, read_file
from simulator.traces.recording import COLUMNS, Measurements, Recording, Report
from simulator.traces.writing import write_csv, write_parquet

ROWS = 10_000_000
GIB = 2**30
CHILD = """
import sys
from simulator.cli import main
sys.argv = ["offing", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) * 1024, file=sys.stderr)  # ru_maxrss would count what pytest held at the fork
"""
WRITERS = pytest.mark.parametrize("write", [write_csv, write_parquet])


def recording(starts, values, duration=np.inf, **more) -> Recording:
    columns = {"start_s": np.array(starts, dtype=float), "value": np.array(values, dtype=float)}
    return Recording("bandwidth", columns, Report(rows=len(starts)), duration, more.pop("end", "hold"), **more)


def bits(found: Recording) -> dict[str, list[str]]:
    return {name: [value.hex() for value in column.tolist()] for name, column in found.columns.items()}


# -- ten million rows ------------------------------------------------------------------------------------------------


def make(path, rows: int, seed: int = 1) -> tuple[float, float]:
    """Write a trace of *rows* seconds with plain formatting; return the sum of its values, and the last of them."""
    rng = np.random.default_rng(seed)
    total = last = 0.0
    with path.open("w") as stream:
        stream.write(f"# kind: bandwidth; unit: bit/s; duration_s: {rows}; end: wrap\nstart_s,value\n")
        for first in range(0, rows, 1_000_000):
            values = rng.integers(0, 10**9, min(1_000_000, rows - first)).tolist()
            stream.write("".join(f"{first + index},{value}\n" for index, value in enumerate(values)))
            total, last = total + sum(values), values[-1]
    return total, last


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ten_million_rows_in_less_than_two_gib(suffix, tmp_path):
    total, last = make(tmp_path / "big.csv", ROWS)
    out = tmp_path / f"out{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, "traces", "import", str(tmp_path / "big.csv"), "--out", str(out), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stderr.split()[-1]) < 2 * GIB
    back = read_file(out).series[""]
    assert isinstance(back, Recording)
    assert len(back.columns["value"]) == ROWS
    assert (float(back.columns["value"].sum()), float(back.columns["value"][-1])) == (total, last)
    trace = as_trace(back, "out")  # 24 bytes a segment
    assert trace.finish(0.0, total / 8) == pytest.approx(ROWS)
    assert trace.integral(ROWS) == pytest.approx(total / 8)


@pytest.mark.slow
def test_a_trace_of_ten_million_segments_answers_at_once():
    """A question is a bisection: 24 steps for ten million segments. The sum is the formula for 0 + 1 + ... + n."""
    starts = np.arange(ROWS, dtype=float)
    trace = Trace(starts, starts, float(ROWS), "wrap")
    assert trace.integral(float(ROWS)) == ROWS * (ROWS - 1) / 2
    for time in np.random.default_rng(1).uniform(0, ROWS, 20_000).tolist():
        assert trace.when(trace.integral(time)) == pytest.approx(time, abs=1e-6)


# -- pieces ----------------------------------------------------------------------------------------------------------


@given(
    rows=st.lists(st.sampled_from(["9,8", "1,x", "2,10", "", "3,1e3", "3,1e3,7", "4,-0.5"]), max_size=30),
    piece=st.integers(24, 60),  # a line may be as long as two pieces
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    repair=st.booleans(),
)
def test_where_a_piece_ends_makes_no_difference(tmp_path_factory, rows, piece, end, repair):
    path = tmp_path_factory.getbasetemp() / "pieces.csv"
    path.write_bytes(
        end.join(["# kind: bandwidth; unit: bit/s; duration_s: 99", "start_s,value", "0,1", *rows]).encode()
    )

    def read():
        try:
            found = read_file(path, Request(format="csv", repair=repair)).series[""]
        except TraceError as error:
            return str(error)
        return bits(found), found.report

    whole = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK", piece)
        assert read() == whole


def test_lines_are_named_in_later_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "BLOCK", 1000)
    rows = [f"{i},1" for i in range(1000)]
    rows[777] = "777,fast"
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["# unit: B/s; kind: bandwidth; end: hold", "start_s,value", *rows]))
    with pytest.raises(TraceError, match=r"x\.csv:780: value is 'fast'; expected a number"):
        read_file(path)
    found = read_file(path, Request(repair=True)).series[""]
    assert found.report.repaired == ["dropped 1 row (line 780) without a number where one belongs"]
    assert len(found.columns["value"]) == found.report.rows - found.report.dropped == 999


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_end_cut_in_two_is_one(end, tmp_path, monkeypatch):
    facts = "# kind: bandwidth; unit: bit/s; duration_s: 99"
    monkeypatch.setattr(source, "BLOCK", len(facts) + 1)
    (tmp_path / "x.csv").write_bytes(end.join([facts, "start_s,value", "0,1", "1,x"]).encode())
    with pytest.raises(TraceError, match=r"x\.csv:4: value is 'x'"):
        read_file(tmp_path / "x.csv")


def test_rows_without_times_keep_their_places_when_one_is_dropped(tmp_path):
    (tmp_path / "x.csv").write_text("# kind: cpu; unit: %; step_s: 300\nvalue\n10\nx\n30\n\n-4\n50\n")
    found = read_file(tmp_path / "x.csv", Request(repair=True)).series[""]
    assert found.columns["start_s"].tolist() == [0, 600, 1200]
    assert found.columns["value"].tolist() == pytest.approx([0.1, 0.3, 0.5])
    assert found.duration == 1500


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_progress_is_told_in_bytes_of_the_file(name, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "BLOCK", 4096)
    path = tmp_path / name
    write_csv(recording(range(5000), range(5000)), path)
    told: list[tuple[int, int]] = []
    read_file(path, Request(progress=lambda done, total: told.append((done, total))))
    assert len(told) > 5
    assert told == sorted(told)
    assert {total for _, total in told} == {path.stat().st_size}
    assert told[-1][0] == path.stat().st_size


# -- written and read back -------------------------------------------------------------------------------------------

NUMBER = st.floats(0, 1e200, allow_subnormal=True)


@given(st.lists(NUMBER, min_size=1, max_size=20, unique=True).map(sorted), st.data())
def test_what_is_written_is_read_back_to_the_last_bit(tmp_path_factory, times, data):
    values = data.draw(st.lists(st.floats(0, 1e90), min_size=len(times), max_size=len(times)))
    found = recording([0.0, *(time for time in times if time > 0)][: len(times)], values)
    for name, write in (("x.csv", write_csv), ("x.csv.gz", write_csv), ("x.parquet", write_parquet)):
        path = tmp_path_factory.getbasetemp() / name
        write(found, path)
        assert bits(read_file(path).series[""]) == bits(found)


EVERYTHING = recording(
    [0, 0.1, 0.30000000000000004], [1e6, 0, 5e-324], 7.700000000000001, end="zero", layer="goodput", direction="up",
    grade="published", epoch="2010-09-28T07:58:28", round_trip=True, source="a drive; by car\n(once)", original="ab12",
)  # fmt: skip


@WRITERS
def test_all_that_is_known_of_a_recording_comes_back(write, tmp_path):
    EVERYTHING.columns["uplink"] = np.array([1.5, np.nan, 2.5])
    path = tmp_path / f"x.{'csv' if write is write_csv else 'parquet'}"
    write(EVERYTHING, path)
    back = read_file(path).series[""]
    for name in ("kind", "duration", "end", "layer", "direction", "grade", "epoch", "round_trip", "original"):
        assert getattr(back, name) == getattr(EVERYTHING, name), name
    assert back.source.split() == EVERYTHING.source.replace(";", ",").split()  # on one line, as one fact
    assert back.columns["uplink"].tolist()[::2] == [1.5, 2.5]
    assert np.isnan(back.columns["uplink"][1])


@WRITERS
@pytest.mark.parametrize("kind", ["arrivals", "failures", "mobility", "sites", "cpu", "slowdown", "latency", "rate"])
def test_every_kind_comes_back(write, kind, tmp_path):
    columns = {name: np.array([0.0, 0.25, 0.75]) for name in COLUMNS[kind]}
    names = ("a", 'b, "c"', "é") if kind == "sites" else ()
    found = Recording(kind, columns, Report(), 1.0 if kind != "sites" else np.inf, names=names)
    path = tmp_path / f"x.{'csv' if write is write_csv else 'parquet'}"
    write(found, path)
    back = read_file(path).series[""]
    assert (back.kind, bits(back), back.names, back.duration) == (kind, bits(found), names, found.duration)


def test_a_parquet_file_holds_how_it_was_imported(tmp_path):
    (tmp_path / "x.csv").write_text("# unit: bit/s; duration_s: 9; kind: bandwidth\nstart_s,value\n0,8\n1,x\n2,10\n")
    reading = read_file(tmp_path / "x.csv", Request(repair=True))
    write_parquet(reading.series[""], tmp_path / "x.parquet")
    said = parquet.read_schema(tmp_path / "x.parquet").metadata[b"offing"].decode()
    assert reading.sha256 in said
    assert '"dropped": 1' in said
    back = read_file(tmp_path / "x.parquet").series[""]
    assert back.original == reading.sha256
    assert back.report.repaired == ["when it was imported: dropped 1 row (line 4) without a number where one belongs"]


@WRITERS
def test_a_file_appears_whole_or_not_at_all(write, tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("what was there")

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("simulator.traces.writing.os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write(EVERYTHING, path)
    assert path.read_text() == "what was there"
    assert [each.name for each in tmp_path.iterdir()] == ["x.csv"]


@WRITERS
def test_what_cannot_be_written(write, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(TraceError, match="folder: cannot be written: Is a directory"):
        write(EVERYTHING, tmp_path / "folder")
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="cannot be written"):
        write(EVERYTHING, tmp_path / "file" / "x.csv")
    path = Recording("mobility", {"lat": np.zeros(2), "lon": np.zeros(2)}, Report())
    with pytest.raises(TraceError, match=r"the mobility has no t_s; say the time from row to row"):
        write(path, tmp_path / "x.csv")
    with pytest.raises(TraceError, match=r"x\.csv: a table is no recording over time"):
        write(Measurements(None, Report()), tmp_path / "x.csv")


def test_both_readers_of_a_piece_take_the_same_texts_for_the_same_numbers(tmp_path):
    """What one of them reads and the other refuses would depend on the lines around it."""
    wanted = streaming.Wanted(("value",), ("value",))
    for text in (
        "1",
        "1.",
        ".5",
        "+1",
        " 1 ",
        "1e3",
        "1E-3",
        "-0",
        "0x1",
        "1_0",
        "1,5",
        "٣",
        "1e999",
        "nan",
        "inf",
        '"1"',
    ):
        parts = streaming._Parts(columns=[[]])
        if streaming._at_once(f"{text}\n".encode(), 1, wanted, parts):
            path = tmp_path / "x.csv"
            path.write_text(f"# kind: bandwidth; unit: bit/s; step_s: 1\nvalue\n\n{text}\n\n7\n")
            assert read_file(path).series[""].columns["value"][0] == parts.columns[0][0][0], text
