"""``offing traces`` and ``offing record``: good and bad calls of each verb, called in this process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from support import DATA, recordings, refused

from simulator import cli
from simulator.commands import readings, traces
from simulator.commands.readings import SHOWN
from simulator.foundation.units import DURATION
from simulator.traces.format import known_formats
from simulator.traces.reader import Request, choose, read_file
from simulator.traces.recording import Recording

SABRE = [(1000, 8000), (2000, 0), (500, 0), (1500, 16000)]
"""Milliseconds and kbit/s: 1 MB/s for a second, nothing for 2.5 s, 2 MB/s for 1.5 s: 4 MB in 5 s."""


@pytest.fixture
def drive(tmp_path):
    """Return a sabre file."""
    rows = [{"duration_ms": ms, "bandwidth_kbps": rate, "latency_ms": 20} for ms, rate in SABRE]
    (tmp_path / "drive.json").write_text(json.dumps(rows))
    return "drive.json"


@pytest.fixture
def runs(tmp_path):
    """Return a file of 25 runs of 5 s each, run k at k Mbit/s."""
    rows = [f"Cell,1,East,{run},{second},{run}" for run in range(1, 26) for second in range(1, 6)]
    head = "carrier,num_tcp_conn,server_location,run_num,seq_num,throughput_mbps"
    (tmp_path / "runs.csv").write_text("\n".join([head, *rows]) + "\n")
    return "runs.csv"


def said(answer: tuple[int, str, str]) -> str:
    """Return what a good call printed."""
    assert answer[0] == 0, answer
    return answer[1]


def found(answer: tuple[int, str, str]) -> dict:
    """Return the one object of a good call with ``--json``, which says nothing else."""
    assert (answer[0], answer[2]) == (0, ""), answer
    return json.loads(answer[1])


# -- groups of verbs -------------------------------------------------------------------------------------------------


def test_a_group_alone_prints_its_help(offing):
    _, out, err = offing("traces")
    text = out + err
    for verb in ("formats", "describe", "import", "transfer", "plot", "generate"):
        assert f" {verb} " in text
    assert "record" in offing("--help")[1]


def test_an_unknown_verb_of_a_group_gets_the_nearest_of_that_group(offing):
    refused(offing("traces", "descrbe"), 'no command named "descrbe" in traces. Did you mean "describe"?')
    refused(offing("record", "gpu"), 'no command named "gpu" in record.', "Commands: cpu")
    refused(offing("trace"), 'no command named "trace". Did you mean "traces"?')


def test_a_name_is_a_verb_or_a_group(monkeypatch):
    points = [cli.EntryPoint(name, value, cli.GROUP) for name, value in (("a", "x:a"), ("a.b", "y:b"))]
    monkeypatch.setattr(cli, "entry_points", lambda group: points)
    with pytest.raises(cli.RegistryError, match=r'"a" \(x:a\) is a command, so "a.b" \(y:b\) cannot be'):
        cli.verbs()


def test_groups_go_as_deep_as_the_dots(monkeypatch, offing):
    point = cli.EntryPoint("far.away.formats", "simulator.commands.traces:formats", cli.GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda group: [point])
    assert list(cli.verbs()) == ["far.away.formats"]
    assert found(offing("far", "away", "formats", "--json"))["formats"]
    assert "away" in offing("far")[1] + offing("far")[2]


def test_a_verb_s_help_is_read_from_its_source_as_it_would_be_loaded():
    for point in cli.verbs().values():
        assert cli.summary(point).split() == point.load().__doc__.split()
    assert cli.summary(cli.EntryPoint("x", "nowhere_at_all.module:verb", cli.GROUP)) is None


def test_help_loads_none_of_the_verbs():
    code = (
        "import sys\nfrom simulator.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "late = ('matplotlib', 'analysis', 'calibration', 'simulator.commands')\n"
        "sys.exit(', '.join(m for m in sys.modules if m.startswith(late)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# -- formats and describe --------------------------------------------------------------------------------------------


def test_formats_are_listed_with_what_they_hold(offing):
    rows = {row["format"]: row for row in found(offing("traces", "formats", "--json"))["formats"]}
    assert list(rows) == list(known_formats())
    assert rows["sabre"]["kinds"] == ["bandwidth"]
    assert "nasa-http" in rows["counts-per-second"]["aliases"]
    assert "counts-per-second, nasa-http, twitter" in said(offing("traces", "formats"))


def test_describe_says_in_si_units_what_is_in_a_file(offing, drive):
    about = found(offing("traces", "describe", drive, "--json"))
    assert (about["file"], about["format"], len(about["sha256"])) == ("drive.json", "sabre", 64)
    series = about["series"][""]
    expected = {
        "kind": "bandwidth", "unit": "bit/s", "segments": 4, "duration_s": 5.0, "mean": 6.4e6, "min": 0.0, "max": 16e6,
        "volume": 32e6, "zero_s": 2.5, "longest_zero_s": 2.5, "layer": "goodput", "direction": "down",
        "grade": "measured", "end": "wrap",
    }  # fmt: skip
    assert {key: series[key] for key in expected} == expected
    assert series["report"]["rows"] == 4
    assert series["report"]["units"] == {"kbit/s": 4}


def test_describe_says_it_to_people_too(offing, drive):
    text = said(offing("traces", "describe", drive))
    for words in (
        "sabre", "6.4 Mbit/s", "0 Mbit/s to 16 Mbit/s", "4 MB", "2.5 s, 2.5 s at a stretch", "4 read, 0 dropped",
        "layer goodput, direction down, end: wrap", "latency in the file is the player's assumption",
    ):  # fmt: skip
        assert words in text


def test_of_many_series_the_first_are_shown_and_the_rest_counted(offing, runs):
    text = said(offing("traces", "describe", runs))
    assert sum(" bandwidth " in line for line in text.splitlines()) == SHOWN
    assert "... and 5 more" in text
    assert "125 read" in text  # over all of them
    everything = found(offing("traces", "describe", runs, "--json"))["series"]
    assert [series["mean"] for series in everything.values()] == [1e6 * run for run in range(1, 26)]


def test_one_of_many_series_is_described_alone(offing, runs):
    about = found(offing("traces", "describe", runs, "--series", "7", "--json"))
    assert [series["max"] for series in about["series"].values()] == [7e6]
    assert "25, of which this is 7" in said(offing("traces", "describe", runs, "--series", "7"))
    refused(offing("traces", "describe", runs, "--series", "77"), 'no series "77". Did you mean "7"?')


def test_what_was_repaired_is_told(offing, tmp_path):
    (tmp_path / "odd.csv").write_text("# kind: cpu; unit: %; duration_s: 4\nstart_s,value\n0,10\n2,30\n1,20\n")
    refused(offing("traces", "describe", "odd.csv"), "odd.csv:5", "repair")
    about = found(offing("traces", "describe", "odd.csv", "--repair", "--json"))["series"][""]
    assert about["report"]["reordered"] == 1
    assert about["mean"] == pytest.approx((10 + 20 + 2 * 30) / 400)
    assert "repaired" in said(offing("traces", "describe", "odd.csv", "--repair"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t_s\n1\n2\n4\n", ["arrivals", "max gap 2 s"]),
        ("# kind: failures\ndown_s,up_s,share\n0,3600,1\n7200,10800,0.5\n", ["failures", "mean length 3600 s"]),
        ("# kind: latency; unit: ms; end: hold\nstart_s,value\n0,20\n", ["latency, one way", "20 ms", "endless"]),
        ("# kind: sites\nlat,lon\n51.5,-0.1\n", ["sites", "lat min 51.5"]),
    ],
)
def test_every_kind_can_be_described(offing, tmp_path, text, words):
    (tmp_path / "some.csv").write_text(text)
    shown = " ".join(said(offing("traces", "describe", "some.csv")).split())
    for each in words:
        assert each in shown
    assert found(offing("traces", "describe", "some.csv", "--json"))["series"]


@pytest.mark.parametrize("verb", [["describe"], ["transfer", "--start", "0", "--bytes", "1"], ["plot"]])
def test_bad_files_are_refused_by_every_verb(offing, tmp_path, drive, verb):
    call = ("traces", *verb)
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "words.txt").write_text("call me Ishmael\n")
    refused(offing(*call, "drve.json"), "no trace file drve.json", 'Did you mean "drive.json"?')
    refused(offing(*call, "empty.csv"), "empty.csv: is empty")
    refused(offing(*call, "words.txt"), "words.txt", "which with format")
    refused(offing(*call, "."), "is a folder")
    refused(offing(*call, drive, "--format", "sabr"), 'no trace format "sabr"', 'Did you mean "sabre"?')
    refused(offing(*call, drive, "--step", "x"), "--step")
    refused(offing(*call, drive, "--step", "0"), "--step: 0 s")
    refused(offing(*call), "Missing argument")


def test_a_kind_or_an_end_is_one_of_those_there_are(offing, drive):
    refused(offing("traces", "describe", drive, "--kind", "bandwith"), '"bandwith" is none of', 'mean "bandwidth"?')
    refused(offing("traces", "transfer", drive, "--start", "0", "--bytes", "1", "--end", "warp"), 'mean "wrap"?')


# -- transfer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "size", "end"),
    [
        ("0", "1e6", 1.0), ("0", "1000001", 3.5 + 0.5e-6), ("0.5", "1 MB", 3.75), ("500 ms", "8 Mbit", 3.75),
        ("2", "3 MB", 5.0), ("0", "4 MB", 5.0), ("0", "4.5 MB", 5.5), ("1 h", "0", 3600.0), ("3600", "5 MB", 3606.0),
    ],
)  # fmt: skip
def test_a_transfer_ends_when_its_bytes_are_through(offing, drive, start, size, end):
    """By hand: 1 MB/s until 1 s, nothing until 3.5 s, 2 MB/s until 5 s, and again."""
    answer = found(offing("traces", "transfer", drive, "--start", start, "--bytes", size, "--json"))
    begin = DURATION.parse(start) if " " in start else float(start)
    assert answer == {"end_s": pytest.approx(end, abs=1e-9), "duration_s": pytest.approx(end - begin, abs=1e-9)}


def test_a_transfer_is_told_in_words_to_people(offing, drive):
    text = said(offing("traces", "transfer", drive, "--start", "0.5", "--bytes", "1 MB"))
    assert text == "1,000,000 bytes from 0.5 s on are through at 3.75 s, after 3.25 s.\n"


def test_all_digits_are_printed(offing, tmp_path):
    (tmp_path / "third.csv").write_text("# kind: bandwidth; unit: B/s; end: hold\nstart_s,value\n0,3\n")
    answer = offing("traces", "transfer", "third.csv", "--start", "0", "--bytes", "1", "--json")
    assert found(answer)["end_s"] == 1 / 3


def test_a_transfer_that_never_ends_is_an_error(offing, tmp_path, drive):
    refused(offing("traces", "transfer", drive, "--start", "0", "--bytes", "5 MB", "--end", "zero"), "never arrive")
    refused(offing("traces", "transfer", drive, "--start", "0", "--bytes", "5 MB", "--end", "error"), "ends at 5 s")
    (tmp_path / "dead.csv").write_text("# kind: bandwidth; unit: B/s; duration_s: 9; end: wrap\nstart_s,value\n0,0\n")
    refused(offing("traces", "transfer", "dead.csv", "--start", "0", "--bytes", "5"), "dead.csv", "zero everywhere")


@pytest.mark.parametrize(
    ("start", "size", "words"),
    [
        ("-1", "1", "--start"), ("nan", "1", "--start"), ("soon", "1", "--start"), ("1 MB", "1", "--start"),
        ("0", "-1", "--bytes"), ("0", "inf", "--bytes"), ("0", "1 s", "--bytes"), ("0", "", "--bytes"),
    ],
)  # fmt: skip
def test_start_and_bytes_are_checked(offing, drive, start, size, words):
    refused(offing("traces", "transfer", drive, f"--start={start}", f"--bytes={size}"), words)


def test_a_transfer_needs_one_bandwidth(offing, tmp_path, runs):
    call = ("traces", "transfer", runs, "--start", "0", "--bytes", "1 MB", "--json")
    refused(offing(*call), "holds 25 series")
    assert found(offing(*call, "--series", "8"))["end_s"] == 1.0
    (tmp_path / "asked.csv").write_text("t_s\n1\n2\n")
    refused(offing("traces", "transfer", "asked.csv", "--start", "0", "--bytes", "1"), "asked.csv")


def transfers() -> list[dict[str, str]]:
    path = DATA / "TRANSFERS.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.is_file() else []


@pytest.mark.data
def test_transfers_over_real_recordings_end_when_two_others_say_they_do(offing):
    recordings("TRANSFERS.csv")
    rows = transfers()
    assert len(rows) >= 100
    wrong = []
    for row in rows:
        answer = offing(
            "traces", "transfer", str(DATA / row["file"]), "--start", row["start_s"], "--bytes", row["bytes"], "--json"
        )
        end = json.loads(answer[1])["end_s"] if answer[0] == 0 else answer
        if answer[0] != 0 or abs(end - float(row["end_s"])) > 1e-6:
            wrong.append((row["file"], row["start_s"], row["bytes"], row["end_s"], end))
    assert not wrong


@pytest.mark.data
@pytest.mark.parametrize("row", transfers()[::80], ids=lambda row: row["file"].split("/")[-1])
def test_the_command_itself_says_the_same(row, tmp_path):
    call = [sys.executable, "-m", "simulator", "traces", "transfer", str(recordings(row["file"]))]
    done = subprocess.run(
        [*call, "--start", row["start_s"], "--bytes", row["bytes"], "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["end_s"] == pytest.approx(float(row["end_s"]), abs=1e-6, rel=0)
    assert answer["duration_s"] == pytest.approx(float(row["duration_s"]), abs=1.5e-6, rel=0)


# -- import ----------------------------------------------------------------------------------------------------------


def one(path) -> Recording:
    recording = choose(read_file(path, Request()))
    assert isinstance(recording, Recording)
    return recording


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet"])
def test_what_is_imported_is_read_back_to_the_last_bit(offing, tmp_path, drive, name):
    code, out, err = offing("traces", "import", drive, "--out", name)
    assert (code, err) == (0, f"written: {name}\n")
    assert "4 read, 0 dropped" in out
    before, after = one(tmp_path / drive), one(tmp_path / name)
    for column in ("start_s", "value"):
        assert np.array_equal(before.columns[column], after.columns[column])
    for fact in ("kind", "duration", "end", "layer", "direction", "grade"):
        assert getattr(before, fact) == getattr(after, fact)
    assert after.original == read_file(tmp_path / drive).sha256
    call = ("--start", "0.7", "--bytes", "12345678", "--json")
    assert offing("traces", "transfer", name, *call) == offing("traces", "transfer", drive, *call)


def test_nothing_is_overwritten_unasked(offing, tmp_path, drive):
    (tmp_path / "x.csv").write_text("mine")
    refused(offing("traces", "import", drive, "--out", "x.csv"), "exists already", "--force")
    assert (tmp_path / "x.csv").read_text() == "mine"
    said(offing("traces", "import", drive, "--out", "x.csv", "--force"))
    before = (tmp_path / "x.csv").read_bytes()
    refused(offing("traces", "import", "x.csv", "--out", "x.csv", "--force"), "is the recording itself")
    assert (tmp_path / "x.csv").read_bytes() == before


def test_all_series_go_into_a_folder(offing, tmp_path, runs):
    answer = found(offing("traces", "import", runs, "--all", "--out", "cut", "--json"))
    assert len(answer["files"]) == len(list((tmp_path / "cut").iterdir())) == 25
    name = answer["files"]["9"]
    assert one(tmp_path / name).columns["value"].tolist() == [9e6] * 5
    refused(offing("traces", "import", runs, "--all", "--out", "cut"), "exists already")
    said(offing("traces", "import", runs, "--all", "--out", "cut", "--force", "--parquet"))
    assert one(tmp_path / "cut" / "9.parquet").columns["value"].tolist() == [9e6] * 5


def test_names_that_files_cannot_tell_apart_are_told_apart(tmp_path):
    places = traces._places(tmp_path, ["a/b", "a b", "A b", "..", "", "x" * 300], ".csv")
    assert len({str(place).lower() for place in places.values()}) == 6
    assert all(place.parent == tmp_path and len(place.name) < 200 for place in places.values())


def test_values_are_scaled_clipped_and_resampled_in_that_order(offing, tmp_path, drive):
    call = ("traces", "import", drive, "--scale", "0.5", "--clip", "6 Mbit/s", "--resample", "2 s", "--out", "x.csv")
    said(offing(*call))
    found = one(tmp_path / "x.csv")
    assert found.columns["start_s"].tolist() == [0, 2, 4]
    assert found.columns["value"] == pytest.approx([2e6, 0.5 * 6e6 / 2, 6e6])
    assert (found.duration, found.grade) == (5.0, "transferred")  # it is not what was measured any more
    assert "scaled by 0.5, clipped at 6 Mbit/s, means over 2 s" in (tmp_path / "x.csv").read_text()
    said(offing("traces", "import", drive, "--resample", "2.5", "--out", "y.csv"))
    assert one(tmp_path / "y.csv").grade == "measured"
    assert one(tmp_path / "y.csv").columns["value"] * 2.5 == pytest.approx([8e6, 24e6])  # no volume is lost


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["--out", "x.txt"], ["--out x.txt: a name ends in .csv"]),
        (["--out", "."], ["--out ."]),
        ([], ["--out"]),
        (["--out", "x.csv", "--scale", "0"], ["--scale 0"]),
        (["--out", "x.csv", "--clip", "5"], []),
        (["--out", "x.csv", "--clip", "5 apples"], ["--clip", "apples"]),
        (["--out", "x.csv", "--resample", "0"], ["--resample"]),
        (["--out", "x.csv", "--all", "--series", "a"], ["--all and --series"]),
        (["--out", "x.csv", "--parquet"], ["--parquet goes with --all"]),
        (["--out", "drive.json/x.csv"], ["cannot be written"]),
    ],
)
def test_bad_imports_are_refused_and_leave_nothing(offing, tmp_path, drive, call, words):
    answer = offing("traces", "import", drive, *call)
    if words:
        refused(answer, *words)
        assert [path.name for path in tmp_path.iterdir()] == ["drive.json"]
    else:
        said(answer)  # a plain number is in SI: 5 bytes per second


def test_what_has_no_values_over_time_is_neither_scaled_nor_written(offing, tmp_path):
    (tmp_path / "asked.csv").write_text("t_s\n1\n2\n")
    refused(offing("traces", "import", "asked.csv", "--out", "x.csv", "--scale", "2"), "no values over time")
    (tmp_path / "boards.csv").write_text("board,ms\npi,12\nnano,7\n")
    refused(offing("traces", "import", "boards.csv", "--out", "x.csv"), "boards.csv holds a table")
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_who_stops_an_import_finds_no_half_file(offing, tmp_path, drive, name, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupted)  # the last thing that writing does
    code, _, err = offing("traces", "import", drive, "--out", name)
    assert code == 130
    assert "Stopped" in err
    assert [path.name for path in tmp_path.iterdir()] == ["drive.json"]


def test_a_large_file_is_read_with_a_bar(offing, drive, monkeypatch, tmp_path):
    class Terminal(readings.Console):
        is_terminal = True

    monkeypatch.setattr(readings, "Console", Terminal)
    rows = "\n".join(f"{second},1" for second in range(300_000))
    (tmp_path / "long.csv").write_text(f"# kind: bandwidth; unit: B/s; duration_s: 300000\nstart_s,value\n{rows}\n")
    code, out, err = offing("traces", "describe", "long.csv", "--json")
    assert code == 0
    assert "reading" in err
    assert json.loads(out)["series"][""]["segments"] == 300_000
