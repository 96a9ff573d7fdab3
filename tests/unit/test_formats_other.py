"""Recordings of loads and requests that nobody has seen: made-up files with every mess those families have."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from samples import (
    BITBRAINS,
    GRAPH,
    IMAGES,
    LLM,
    MACHINES,
    NOISE,
    PATH,
    READINGS,
    REPAIR,
    SITES,
    WORKERS,
    only,
    refused,
    series,
    steps,
)  # fmt: skip

from simulator.traces.format import format_names, known_formats
from simulator.traces.reader import Request, read_file
from simulator.traces.source import Source

# -- archives, line ends, small files --------------------------------------------------------------------------------

EXAMPLES: dict[str, tuple[str, str | None]] = {
    "5\n100\n0\n7": ("planetlab", None),
    BITBRAINS: ("bitbrains", None),
    READINGS: ("azure", None),
    MACHINES: ("azure", None),
    NOISE: ("azure", None),
    WORKERS: ("alibaba-pai", None),
    LLM: ("azure-llm", None),
    "3 0 12 7": ("counts-per-second", None),
    IMAGES: ("gentd26", None),
    "value,timestamp_anon,container_ip\n5,10,c1\n": ("gentd26", None),
    SITES: ("eua", None),
    PATH: ("ifogsim2", "mobility"),
    "ID,Latitude,Longitude,Block,Level,Parent,State,Details\n0,1,2,0,0,-1,S,D": ("ifogsim2", None),
    GRAPH: ("graphml", None),
    "board,latency_ms\nPi,5\n": ("table", None),
}
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(EXAMPLES.values())]


def zipped(text):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a folder/the data.csv", text)
        archive.writestr("__MACOSX/a folder/._the data.csv", "\x00\x05junk")
        archive.writestr("a folder/._the data.csv", "\x00\x05junk")
    return data.getvalue()


def tarred(text):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in (("._data.csv", "\x00\x05junk"), ("data.csv", text)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return data.getvalue()


WRAPPED = {
    "as it is": str.encode,
    "CRLF": lambda text: text.replace("\r\n", "\n").replace("\n", "\r\n").encode(),
    "no final newline": lambda text: text.rstrip().encode(),
    "blank lines": lambda text: ("\n\n" + text.replace("\n", "\n\n") + "\n \n").encode(),
    "byte-order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zip with junk": zipped,
    "tar.gz with junk": tarred,
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize(("text", "known"), EXAMPLES.items(), ids=IDS)
def test_a_file_is_known_by_its_content_whatever_it_is_wrapped_in(write, text, known, wrap):
    name, kind = known
    if name == "graphml" and wrap is WRAPPED["blank lines"]:
        pytest.skip("nothing may stand before an XML declaration")
    reading = read_file(write(wrap(text)), Request(kind))
    assert reading.format == name
    plain = read_file(write(text, "plain"), Request(kind))
    assert {key: found.facts() for key, found in reading.series.items()} == {
        key: found.facts() for key, found in plain.series.items()
    }


@pytest.mark.parametrize("text", EXAMPLES, ids=IDS)
def test_no_other_format_wants_it(write, text):
    source = Source(write(text))
    fitting = {form.name for form in known_formats().values() if not form.last and form.fits(source)}
    wanted = EXAMPLES[text][0]
    assert fitting == ({"eua", "ifogsim2"} if text == PATH else {wanted} - {"table"})


@pytest.mark.parametrize("name", sorted({name for name, _ in EXAMPLES.values()} | {"cloud-uptime", "nasa-http"}))
@pytest.mark.parametrize("content", [b"\n", b"x", b"\xff", b"{", b"<", b"PAR1", b"a,b\n", b"[[[[", b"\x00\x01", b"1,2"])
def test_a_file_of_next_to_nothing_is_refused_in_words(write, name, content):
    assert "a trace of ours" in refused(write(content), Request(format=name))


def test_no_format_is_offered_for_words(write):
    assert "formats that fit: none" in refused(write("hello\nworld, and all\n"))


def test_further_names_of_one_format(write):
    path = write("3 0 12 7")
    assert read_file(path, Request(format="twitter")).format == "counts-per-second"
    assert 'Did you mean "nasa-http"?' in refused(path, Request(format="nasa-htp"))
    assert {"planetlab", "bitbrains", "azure", "alibaba-pai", "azure-llm", "nasa-http", "twitter", "gentd26", "eua",
            "ifogsim2", "cloud-uptime", "graphml"} <= set(format_names())  # fmt: skip


# -- loads -----------------------------------------------------------------------------------------------------------


def test_planetlab(write):
    found = only(write("5\n100\n0"))
    assert steps(found) == ([0, 300, 600], [0.05, 1, 0], 900)
    assert found.report.assumed == ["300 s from row to row (step: says otherwise)"]
    assert steps(only(write("7\n8"), Request("cpu", step=60.0))) == ([0, 60], [0.07, 0.08], 120)
    assert steps(only(write("42"), Request(format="planetlab")))[2] == 300
    assert refused(write("5\nx\n7"), Request(format="planetlab")).startswith("a trace of ours:2: load is 'x'")
    assert "load is above 100 %" in refused(write("5\n101\n7"), Request(format="planetlab"))
    assert "step: 0 s came" in refused(write("5\n7"), Request(format="planetlab", step=0.0))


def test_a_load_that_is_dropped_leaves_a_hole_and_moves_nothing(write):
    found = only(write("5\n\nnan\n101\n9\n9\n9"), Request(format="planetlab", repair=True))
    assert steps(found) == ([0, 900, 1200, 1500], [0.05, 0.09, 0.09, 0.09], 1800)
    assert (found.report.dropped, found.report.holes, found.report.hole_s) == (2, 1, 600)


def test_a_rising_column_may_be_two_things_until_somebody_says_what_it_is_for(write):
    path = write("0\n1\n1\n7\n")
    assert "mahimahi and planetlab" in refused(path)
    assert read_file(path, Request("cpu")).format == "planetlab"
    assert read_file(path, Request("bandwidth")).format == "mahimahi"
    assert "mahimahi and planetlab" in refused(path, Request("latency"))


def test_bitbrains(write):
    found = only(write(BITBRAINS))
    assert steps(found) == ([0, 300, 1800], [0.1, 0, 1], 2700)
    assert (found.report.holes, found.epoch) == (1, "2023-11-14T22:13:20+00:00")
    assert "1 loads above 100 % are 100 %" in found.report.assumed
    really = BITBRAINS.replace("1700000000", "1700000000000").replace("0300;", "0300000;").replace("1800;", "1800000;")
    assert steps(only(write(really))) == steps(found)
    assert only(write(really)).report.assumed == ["1 loads above 100 % are 100 %"]
    backwards = BITBRAINS.replace("1700000300", "1600000300")
    assert ":3: time goes back" in refused(write(backwards))
    assert "sorted" in only(write(backwards), REPAIR).report.repaired[0]


def test_opendc_parquet_of_machines_is_a_table(tmp_path):
    pd.DataFrame({"id": ["1", "1"], "duration": [300000, 5], "cpu_usage": [19.5, 0.0]}).to_parquet(tmp_path / "f")
    found = only(tmp_path / "f")
    assert (read_file(tmp_path / "f").format, found.kind, len(found.frame)) == ("bitbrains", "table", 2)


def test_azure_readings(write):
    found = series(write(READINGS))
    assert steps(found["a+/="]) == ([0, 300], [0.02, 0.04], 600)
    assert steps(found["b"]) == ([0], [0.3], 300)
    assert found["b"].columns["max"].tolist() == [0.9]
    later = READINGS + "1200,late,1,2,3\r\n"
    assert "begins 600 s after the file's first reading" in series(write(later))["late"].report.assumed
    assert "a second row for 900 s" in refused(write(READINGS + "900,a+/=,1,2,3\r\n"))
    assert series(write(READINGS + "900,a+/=,1,2,8\r\n"), REPAIR)["a+/="].columns["value"].tolist() == [0.02, 0.06]
    assert ":4: 4 columns, expected 5" in refused(write(READINGS + "900,b,1,2\r\n"))


def test_azure_machines(write):
    frame = only(write(MACHINES + MACHINES.replace("vm/1+", "vm2").replace(">24", "4"))).frame
    assert frame["vm"].tolist() == ["vm/1+", "vm2"]
    assert (frame["p95_cpu"].tolist(), frame["memory_gb"].tolist()) == ([10.5, 10.5], [1.75, 1.75])
    assert frame["cores"].tolist() == [">24", "4"]


def test_azure_noise(write):
    found = only(write(NOISE))
    assert found.frame["time_s"].tolist() == [0, 60.25]
    assert found.frame["vm"].tolist() == ["vm a", "vm b"]
    assert (found.report.reordered, found.report.repaired) == (1, [])
    assert ":3: starttime is 'yesterday'; expected a date" in refused(
        write(NOISE.replace("2031-01-01 00:00:00.250", "yesterday"))
    )
    mended = only(write(NOISE.replace("2031-01-01 00:00:00.250", "yesterday")), REPAIR)
    assert (len(mended.frame), mended.report.dropped) == (1, 1)


def test_pai_workers(write):
    found = series(write(WORKERS))
    assert list(found) == ["worker 0", "worker 7"]
    assert steps(found["worker 0"]) == ([0, 10], [0.8, 1.0], 20)  # over the median of all five, 500
    assert steps(found["worker 7"]) == ([0, 10], [1.6, 0.8], 20)
    assert found["worker 7"].report.merged == 1
    assert "begins 1 s after the job's first batch" in found["worker 7"].report.assumed
    assert "is not above zero" in refused(write(WORKERS.replace("800", "0")))


# -- requests --------------------------------------------------------------------------------------------------------


def test_azure_llm(write):
    found = only(write(LLM))
    assert found.columns["t_s"].tolist() == [0, 1.0000002]
    assert found.columns["prompt_tokens"].tolist() == [5, 7]
    assert found.epoch == "2031-01-02T23:59:59.999999900"
    zoned = LLM.replace(".9999999", ".9999999+00:00").replace(".0000001", ".0000001+00:00").replace("\r\n", "\n")
    assert only(write(zoned)).columns["t_s"].tolist() == [0, 1.0000002]
    moved = "OTHER," + LLM.replace("\r\n", "\r\nx,")
    assert only(write(moved)).columns["output_tokens"].tolist() == [6, 0]
    assert ":3: TIMESTAMP is ''; expected a date" in refused(
        write("TIMESTAMP,ContextTokens,GeneratedTokens\n2031-01-01,1,1\n,2,2")
    )
    assert "GeneratedTokens" not in refused(write(LLM.replace(",0", ",-1")))  # by its plain name
    assert "generatedtokens is below zero" in refused(write(LLM.replace(",0", ",-1")))


def test_counts_on_one_line(write):
    found = only(write("3 0 12  7\t1 \n"))
    assert steps(found) == ([0, 1, 2, 3, 4], [3, 0, 12, 7, 1], 5)
    assert steps(only(write("3 0 6"), Request(step=60.0)))[1:] == ([0.05, 0, 0.1], 180)
    assert "value 3 is '-1'" in refused(write("3 0 -1 2"), Request(format="twitter"))
    assert "value 2 is '1.5'" in refused(write("3 1.5 2"), Request(format="twitter"))
    mended = only(write("x 3 nan -1 2"), Request(format="twitter", repair=True))
    assert (steps(mended)[1], mended.report.dropped) == ([3, 3, 3, 3, 2], 3)
    long = " ".join("4" for _ in range(200_000))
    assert only(write(long)).facts()["volume"] == 800_000


def test_gentd26_requests(write):
    found = only(write(IMAGES))
    assert found.columns["t_s"].tolist() == [0, 0, 4]
    assert np.isnan(found.columns["exec_time_seconds"]).tolist() == [False, False, True]
    assert found.report.assumed == [
        "1 rows without exec_time_seconds: not a number there",
        "requests that did not succeed came all the same: 1 FAILED",
        "1 requests came in the same second as the one before",
    ]
    assert "groupId" not in found.columns
    backwards = IMAGES.replace("00:05", "00:00")
    assert ":4: time goes back" in refused(write(backwards))
    assert only(write(backwards), REPAIR).columns["exec_time_seconds"].tolist()[1:] == [3, 0]


def test_gentd26_samples_are_what_they_are_wanted_as(write):
    text = "value,timestamp_anon,container_ip\n50,20,c1\n-0.00001,10,c1\n7,10,NULL\n30,10,c1\n"
    assert only(write(text)).frame["container_ip"].fillna("none").tolist() == ["c1", "c1", "none", "c1"]
    loads = series(write(text), Request("cpu"))
    assert steps(loads["c1"]) == ([0, 10], [0.15, 0.5], 20)
    assert steps(loads["unknown"])[1] == [0.07]
    assert steps(series(write(text), Request("latency"))["c1"])[1] == [0.015, 0.05]
    assert "value is below zero" in refused(write(text.replace("-0.00001", "-2")), Request("cpu"))
    mended = series(write(text.replace("-0.00001", "-2")), Request("cpu", repair=True))
    assert steps(mended["c1"])[1] == [0.3, 0.5]
