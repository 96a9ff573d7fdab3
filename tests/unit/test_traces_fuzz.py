"""Whatever a file holds, whoever reads it gets a reading or one sentence that names the file: never another exception,
never a wait without end, and nothing mended in silence.

Each format has a small file of its kind here (:data:`SAMPLES`, written for this test). Those are damaged in every way
that files get damaged, read by their own reader, by all the others, and by whichever is found to fit.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import signal
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.foundation.errors import TraceError
from simulator.traces import source as sources
from simulator.traces.format import known_formats
from simulator.traces.reader import Request, as_trace, read_file
from simulator.traces.recording import COLUMNS, UNITS, Reading, Recording
from simulator.traces.writing import write_csv, write_parquet


def lines(*rows: object) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def frame(**columns: list) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


GRAPH = """<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key attr.name="Latitude" attr.type="double" for="node" id="d1" />
<key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d2" />
<graph edgedefault="undirected">
<node id="0"><data key="d1">41.5</data></node><node id="1" />
<edge source="0" target="1"><data key="d2">1e9</data></edge>
</graph></graphml>"""
SAMPLES: dict[str, list[bytes]] = {
    "csv": [
        lines("# kind: bandwidth; unit: Mbit/s; duration_s: 9; end: wrap", "start_s,value", "0,8", "2.5,0", "5,16"),
        lines("# unit: %; step_s: 300; kind: cpu", "value", *range(10)),
        lines("t_s,size_in,note", "0.5,10,a", "0.5,20,b", "7,,c"),
        lines("down_s,up_s", "0,5", "100,250.5"),
        lines("t_s,lat,lon", "0,63.1,10.2", "1,63.2,10.3"),
        lines("lat,lon,name", '-37.8,144.9,"a, b"', "-37.9,144.8,c"),
    ],
    "sabre": [json.dumps([{"duration_ms": 999, "bandwidth_kbps": 7 * i, "latency_ms": 1} for i in range(4)]).encode()],
    "pensieve": [lines("0.25\t1.5", "1.3\t2.5", "2.2\t0.25", "3.9\t4")],
    "mahimahi": [lines(3, 3, 90, 120, 120, 250, 777, 1500)],
    "nyu-mets": [
        lines("1.5,Mbits/sec", "300,Kbits/sec", "12,bits/sec"),
        lines(*(f"{i}.5,80,{i % 2},1,2,3,4,5" for i in range(6))),
    ],
    "ucc-5g": [
        lines(
            "Timestamp,Longitude,Latitude,Speed,State,DL_bitrate,UL_bitrate",
            *(f"2020.02.14_13.21.{26 + i},-8.5,51.9,3,{'ID'[i % 2]},{i * 900},-" for i in range(5)),
        )
    ],
    "5gophers": [
        lines("carrier,run_num,protocol,seq_num,throughput_mbps", "V,1,TCP,1,90.5", "V,1,TCP,2,0", "V,2,TCP,1,7"),
        lines("seq_num,A_throughput_mbps,B_throughput_mbps", "1,900,5", "2,0,7", "5,3.5,1"),
    ],
    "5gophers-rtt": [lines("carrier,server,probe_num,rtt_ms", "V,w,1,50.5", "V,w,2,", "V,w,3,61", "T,w,1,90")],
    "lumos5g": [lines(*(f"{i}.0\t{i * 70.5}" for i in range(1, 6))), lines("0 5", "1 6", "1 7", "3 0")],
    "oboe": [lines(*(f"{i * 4000 + 9 + j * 1500} {700 + 13 * i}" for i in range(4) for j in range(2)))],
    "planetlab": [lines(*(7, 0, 12, 99, 100, 3))],
    "bitbrains": [
        lines("Timestamp [ms];\tCPU cores;\tCPU usage [%]", "1376314846;\t4;\t10.5", "1376315146;\t4;\t0"),
        frame(id=["a", "a"], timestamp=[1, 2], duration=[300000, 300000], cpu_count=[2, 2], cpu_usage=[5.0, 6.0]),
    ],
    "azure": [
        lines("0,vm1,1.5,9,3", "300,vm1,0,5,2", "0,vm2,1,2,1.5", "300,vm2,1,2,1.5"),
        lines("value,runtime,starttime,VM_id", "5.5,60,2023-01-05 10:00:00,a", "5.6,61,2023-01-04 10:00:00,b"),
        lines("v,s,d,0,2591700,99.5,3.4,10.5,Delay-insensitive,2,4", "w,s,d,0,300,9.5,3.4,10.5,Unknown,>24,>64"),
    ],
    "alibaba-pai": [lines("worker,time,batch_time_norm", "0,0,100", "0,5,110.5", "1,0,90", "1,7,91", "1,7,95")],
    "azure-llm": [
        lines("TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:17:03.9799600,4,1", "2023-11-16 18:17:04,3,8")
    ],
    "counts-per-second": [b"3 0 12 7 7 1"],
    "gentd26": [
        lines("gmt_create,exec_time_seconds,predict_status", "2024-05-01 10:00:00,3,SUCCEED", "2024-05-01 10:00:09,,X"),
        lines("value,timestamp_anon,container_ip", "5,0,a", "-0.00001,60,a", "7,60,b"),
    ],
    "eua": [lines("SITE_ID,LATITUDE,LONGITUDE,NAME", "10,-37.8,144.9,x", "11,-37.7,144.8,y")],
    "ifogsim2": [
        lines("Latitude,Longitude", "-37.81,144.96", "-37.82,144.97"),
        lines("ID,Latitude,Longitude,Level,Parent,Details", "1,-37.8,144.9,0,0,D", "2,-37.7,144.8,1,1,P"),
    ],
    "cloud-uptime": [
        frame(failure_interval=[0, 3600000], failure_duration=[1200000, 2400000], failure_intensity=[1.0, 0.5])
    ],
    "graphml": [GRAPH.encode()],
    "table": [
        lines("device,latency_ms,power", "pi4,355.5,0", "pi5,104,7.5"), b'{"a": {"x": 1}, "b": {"x": 2}}',
        frame(device=["a", "b"], mean=[1.5, 2.5]),
    ],
    "columns": [
        lines("when,where,what", "0,a,8", "1,b,0", "2.5,c,16"),
        lines("What;When", "12,5;2026-11-20 10:00:00", "0;2026-11-20 10:00:01"),
    ],
    "parquet": [],
}  # fmt: skip
"""By format; all of them are read without a word of complaint."""
NUMBERS = (
    b"", b"-", b"nan", b"inf", b"-inf", b"-1", b"1e999", b"1e308", b"5e-324", b"-0", b"x", b'"', b"1_0", b"\xd9\xa3",
    b"0x10", b"99999999999999999999", b"1" * 5000, b"2262-04-11 23:47:17", b"0001-01-01", b"\x00", b",", b"1 2",
)  # fmt: skip
ALL = [*known_formats(), None]
SECONDS = 120


@pytest.fixture(scope="module", autouse=True)
def _parquet_of_ours(tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "x.csv"
    path.write_bytes(SAMPLES["csv"][0])
    write_parquet(read_file(path).series[""], path.with_suffix(".parquet"))
    SAMPLES["parquet"][:] = [path.with_suffix(".parquet").read_bytes()]


@pytest.fixture(autouse=True)
def _no_wait_without_end():
    """A read that hangs fails its test, and not the whole run."""

    def give_up(*_):
        raise AssertionError(f"still reading after {SECONDS} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)


def wanted(form: str | None, **more: object) -> Request:
    """Return a request for a file of *form*; which columns are meant only the user knows."""
    named = {"time": "when", "value": "what", "unit": "Mbit/s"} if form == "columns" else {}
    return Request(format=form, **named, **more)


def outcome(path: Path, request: Request) -> Reading | str:
    """Read *path* and use all there is in it; return the reading, or what the error says."""
    try:
        reading = read_file(path, request)
    except TraceError as caught:
        error = caught
    else:
        return used(reading, path)
    said = str(error)
    assert error.__cause__ is None, f"the reader did not foresee this: {error.__cause__!r}"
    assert path.name in said, f"which file? {said}"
    assert len(said) < 2000
    return said


def used(reading: Reading, path: Path) -> Reading:
    assert reading.series
    for name, found in reading.series.items():
        json.dumps(found.facts())
        json.dumps(found.report.as_dict())
        if isinstance(found, Recording):
            replay(found, path, name)
    return reading


def replay(found: Recording, path: Path, name: str) -> None:
    if found.kind in UNITS:
        try:
            trace = as_trace(found, path.name)
            trace.integral(trace.starts[-1])
            trace.finish(0.0, 1.0)
        except TraceError as error:
            assert path.name in str(error)  # noqa: PT017 (a refusal is as good as a trace)
    copy = path.with_name("copy.csv")
    try:
        write_csv(found, copy)
    except TraceError as error:
        assert "no t_s" in str(error)  # noqa: PT017 (a path without times)
        return
    back = read_file(copy, Request(format="csv")).series[""]
    assert isinstance(back, Recording)
    for key in COLUMNS[found.kind]:
        assert np.array_equal(back.columns[key], found.columns[key]), key


def read_strictly_and_with_repair(path: Path, form: str | None, kind: str | None = None) -> None:
    strict = outcome(path, wanted(form, kind=kind))
    mended = outcome(path, wanted(form, kind=kind, repair=True))
    if isinstance(strict, str) and isinstance(mended, Reading):
        assert any(found.report.repaired for found in mended.series.values()), f"mended in silence: {strict}"
    if isinstance(strict, Reading):
        assert not any(found.report.repaired for found in strict.series.values())


# -- what the samples are --------------------------------------------------------------------------------------------


def test_every_format_has_a_sample():
    assert set(SAMPLES) == set(known_formats())


@pytest.mark.parametrize("form", [*known_formats()])
def test_samples_are_read_and_found(form, tmp_path):
    for index, sample in enumerate(SAMPLES[form]):
        path = tmp_path / f"sample{index}"
        path.write_bytes(sample)
        reading = outcome(path, wanted(form))
        assert isinstance(reading, Reading), reading
        assert not any(found.report.repaired for found in reading.series.values())
        if form == "columns":
            continue  # never found out
        found = outcome(path, Request())
        assert found.format == form if isinstance(found, Reading) else re.search(rf"fit: .*\b{form}\b", found), found


# -- damage ----------------------------------------------------------------------------------------------------------


@st.composite
def damaged(draw, sample: bytes) -> bytes:
    data = sample
    for _ in range(draw(st.integers(1, 3))):
        data = draw(st.sampled_from(DAMAGE))(draw, data)
    return data


def cut(draw, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def spoil_bytes(draw, data: bytes) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(min_size=0, max_size=3)) + data[at + draw(st.integers(0, 3)) :]


def spoil_number(draw, data: bytes) -> bytes:
    found = list(re.finditer(rb"[-+.\w]+", data))
    if not found:
        return data
    number = draw(st.sampled_from(found))
    return data[: number.start()] + draw(st.sampled_from(NUMBERS)) + data[number.end() :]


def move_line(draw, data: bytes) -> bytes:
    rows = data.splitlines(keepends=True)
    if not rows:
        return data
    row = draw(st.sampled_from(rows))
    if draw(st.booleans()):
        rows.remove(row)
    rows.insert(draw(st.integers(0, len(rows))), row)
    return b"".join(rows)


def drop_line(draw, data: bytes) -> bytes:
    rows = data.splitlines(keepends=True)
    return b"".join(rows[:i] + rows[i + 1 :]) if (i := draw(st.integers(0, len(rows)))) is not None else data


def drop_column(draw, data: bytes) -> bytes:
    separator = draw(st.sampled_from([b",", b"\t", b" ", b";"]))
    index = draw(st.integers(0, 3))
    rows = [row.split(separator) for row in data.splitlines()]
    return b"\n".join(separator.join(row[:index] + row[index + 1 :]) for row in rows)


def encode(draw, data: bytes) -> bytes:
    text = data.decode("latin-1")
    return draw(
        st.sampled_from([
            data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r"), b"\xef\xbb\xbf" + data, text.encode("utf-16"),
            text.encode("utf-16-be"), data + b"\xe9\n", data.replace(b"\n", b"\n\n"), data.replace(b",", b";"),
            data.replace(b"\n", b"\x85\n"), data.rstrip(), data + b"\n \n",
        ])
    )  # fmt: skip


DAMAGE = (cut, spoil_bytes, spoil_number, spoil_number, move_line, drop_line, drop_column, encode)


@pytest.mark.parametrize("form", [*known_formats()])
def test_damaged_files_of_each_family(form, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "damaged"

    @settings(max_examples=80)
    @given(st.data())
    def read(data):
        path.write_bytes(data.draw(damaged(data.draw(st.sampled_from(SAMPLES[form])))))
        read_strictly_and_with_repair(path, form, data.draw(st.sampled_from([None, *known_formats()[form].kinds])))
        read_strictly_and_with_repair(path, None)

    read()


@pytest.mark.parametrize("form", ALL)
def test_files_of_other_families(form, tmp_path):
    """Each reader is given the files of all the others, as a wrong ``--format`` does."""
    for index, sample in enumerate(sample for samples in SAMPLES.values() for sample in samples):
        path = tmp_path / f"sample{index}"
        path.write_bytes(sample)
        read_strictly_and_with_repair(path, form)


@given(st.binary(max_size=300))
def test_any_bytes_at_all(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(data)
    for form in ALL:
        outcome(path, wanted(form, repair=True))


# -- what is refused, and why ----------------------------------------------------------------------------------------


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, SAMPLES["csv"][0])
    return buffer.getvalue()


def tarred(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(SAMPLES["csv"][0])
            archive.addfile(entry, io.BytesIO(SAMPLES["csv"][0]))
    return buffer.getvalue()


PACKED = gzip.compress(SAMPLES["csv"][0] * 50)
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "one line end": (b"\n", "is empty"),
    "blanks": (b" \r\n\t\n", "is empty"),
    "zero bytes": (b"\x00" * 1000, "binary|zero bytes|no Parquet|JSON"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)), "binary|zero bytes|not UTF-8|no Parquet"),
    "pickle": (pickle.dumps({"a": 1}), "is a Python pickle"),
    "packed pickle": (gzip.compress(pickle.dumps([1])), "is a Python pickle"),
    "zipped pickle": (zipped("archive/data.pkl", "archive/version"), "a PyTorch file, which holds a pickle"),
    "packed garbage": (b"\x1f\x8b\x08\x00" + bytes(range(200)), "damaged"),
    "packed and cut off": (PACKED[:-20], "damaged, cut off"),
    "packed with a wrong sum": (PACKED[:-8] + b"\x00\x00\x00\x00" + PACKED[-4:], "damaged"),
    "packed twice": (gzip.compress(PACKED), "holds a gzip file; unpack that first"),
    "a zip in a gzip": (gzip.compress(zipped("a")), "holds a zip archive"),
    "xz": (b"\xfd7zXZ\x00" + bytes(100), "holds an xz file"),
    "zip of two": (zipped("a.csv", "b.csv"), "an archive of 2 files; say which with member: \\(a.csv, b.csv\\)"),
    "zip of none": (zipped(), "an archive of 0 files"),
    "zip cut off": (zipped("a.csv")[:-30], "damaged"),
    "tar of two": (tarred("a.csv", "b.csv"), "an archive of 2 files"),
    "tar cut off": (tarred("a.csv", "b.csv")[:-40], "damaged|an archive of"),
}


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_recording(bad, form, tmp_path):
    path = tmp_path / "bad.bin"
    path.write_bytes(BAD[bad][0])
    for repair in (False, True):
        said = outcome(path, wanted(form, repair=repair))
        assert isinstance(said, str), "read as if nothing were wrong"
        if not (repair and bad in ("a picture",)):
            assert re.search(BAD[bad][1], said), said


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda _: zipped("a", "__MACOSX/._a"), lambda _: tarred("x/a", "x/._a")]
)
def test_what_is_packed_well_is_read(pack, tmp_path):
    path = tmp_path / "packed"
    path.write_bytes(pack(SAMPLES["csv"][0]))
    assert outcome(path, Request()).series[""].report.rows == 3


@pytest.mark.parametrize("form", ALL)
def test_what_is_no_file(form, tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    request = wanted(form, repair=True)
    for path, why in (
        (tmp_path, "is a folder"), (loop, "cannot be read: Too many levels of symbolic links"), (pipe, "is a pipe"),
        (Path("/dev/zero"), "a device"), (tmp_path / "none", "no trace file none in"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"), (tmp_path / "a\x00b", "cannot be read"),
        (tmp_path / "loop" / "x", "cannot be read"),
    ):  # fmt: skip
        assert why in outcome(path, request)


@pytest.mark.parametrize("form", ALL)
def test_a_file_that_goes_away_or_may_not_be_read(form, tmp_path, monkeypatch):
    path = tmp_path / "gone"
    path.write_bytes(SAMPLES[form or "csv"][0])
    looked = sources.Source.__init__

    def look_and_lose(self, *arguments, **more):
        looked(self, *arguments, **more)
        path.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(sources.Source, "__init__", look_and_lose)
        assert "gone: damaged, cut off or gone: No such file or directory" in outcome(path, wanted(form))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    path.write_bytes(SAMPLES[form or "csv"][0])
    with monkeypatch.context() as patch:  # whoever runs this may be allowed to read anything
        patch.setattr(Path, "open", refuse)
        assert outcome(path, wanted(form)) == "gone: cannot be read: Permission denied"


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize("pack", ["gzip", "zip", "tar"])
def test_an_archive_that_unpacks_to_very_much(form, pack, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST", 2**20)
    monkeypatch.setattr(sources, "BOMB", (300, 2**20))
    monkeypatch.setattr(sources, "BLOCK", 2**16)
    data = (SAMPLES["csv"][0] + b"9,1\n" * 2**20) if form in ("csv", None) else b"1 " * 2**21
    path = tmp_path / "bomb"
    if pack == "gzip":
        path.write_bytes(gzip.compress(data))
    elif pack == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", data)
    else:
        with tarfile.open(path, "w:gz") as archive:
            entry = tarfile.TarInfo("a")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    said = outcome(path, wanted(form))
    assert isinstance(said, str)
    assert re.search("longer than 1 MiB|more than 300 times|no Parquet|JSON", said), said


LONG = {
    "digits": b"1" * 10_000_000, "counts": b"1 " * 5_000_000, "cells": b"a," * 5_000_000, "quotes": b'"' * 10_000_000,
    "facts": b"# kind: " + b"x" * 10_000_000, "brackets": b"[" * 10_000_000,
    "a row": SAMPLES["csv"][0] + b"6," * 5_000_000,
}  # fmt: skip


@pytest.mark.parametrize("long", LONG)
def test_one_very_long_line(long, tmp_path):
    path = tmp_path / "long"
    path.write_bytes(LONG[long])
    for form in (None, "csv", "table", "counts-per-second"):
        got = outcome(path, wanted(form, repair=True))
        assert isinstance(got, str) or form == "counts-per-second" or long in ("counts", "a row"), got


@pytest.mark.slow
@pytest.mark.parametrize("form", [*known_formats()])
@pytest.mark.parametrize("long", LONG)
def test_one_very_long_line_for_all(form, long, tmp_path):
    path = tmp_path / "long"
    path.write_bytes(LONG[long])
    for repair in (False, True):
        outcome(path, wanted(form, repair=repair))


# -- nothing in silence ----------------------------------------------------------------------------------------------

ROWS = ["0,8", "1,9", "2,10", "3,11"]


@pytest.mark.parametrize(
    ("rows", "line", "told"),
    [
        (["0,8", "1,nan", "2,10"], 4, "dropped 1 row (line 4) without a number"),
        (["0,8", "1,inf", "2,10"], 4, "dropped 1 row (line 4) without a number"),
        (["0,8", "1,", "2,10"], 4, "dropped 1 row (line 4) without a number"),
        (["0,8", "1", "2,10"], 4, "dropped 1 row (line 4) without a number"),
        (["0,8", "1,9,9", "2,10"], 4, "dropped 1 row (line 4) without a number"),
        (["0,8", "1,-9", "2,10"], 4, "dropped 1 row (line 4): value is below zero"),
        (["0,8", "2,10", "1,9"], 5, "sorted: time went back 1 times, first at line 5"),
        (["0,8", "1,9", "1,11"], 5, "averaged: 1 rows repeated an instant, first at line 5"),
        (["", "0,8", "", "1,x", "2,10"], 6, "dropped 1 row (line 6) without a number"),
        (["5,8", "6,9"], 3, "moved to begin at 0 s"),
        (["0,8", "1,\xe9"], 4, "read as Latin-1, being no UTF-8"),
    ],
)
def test_what_is_wrong_with_a_row_is_told(rows, line, told, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(
        "\n".join(["# unit: B/s; duration_s: 9; kind: bandwidth", "start_s,value", *rows]).encode("latin-1")
    )
    assert f"x.csv:{line}:" in outcome(path, Request())
    assert told in outcome(path, Request(repair=True)).series[""].report.repaired[0]


@given(
    st.lists(st.sampled_from([*ROWS, "4,x", "", "5,-1", "1,9", "6,1e3", "7, 2.5 "]), min_size=1, max_size=12), st.data()
)
def test_both_ways_to_read_a_piece_agree(tmp_path_factory, rows, data):
    """A blank line between rows sends a piece through the slow reader; nothing else may change by it."""
    path = tmp_path_factory.getbasetemp() / "two_ways.csv"
    head = ["# kind: bandwidth; unit: bit/s; duration_s: 99", "start_s,value"]

    def read(rows):
        path.write_text("\n".join(head + rows) + "\n")
        found = outcome(path, Request(repair=True))
        if isinstance(found, str):
            return found.split(":")[-1]
        columns = found.series[""].columns
        return [column.tolist() for column in columns.values()], found.series[""].report.dropped

    full = [row for row in rows if row]
    slow = [blank for row in full for blank in ("", row)]
    assert read(full) == read(slow)
