"""``offing traces generate`` and ``offing record cpu``: made and recorded traces are traces that scenarios can use."""

from __future__ import annotations

from collections import namedtuple
from itertools import pairwise

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from simulator import Scenario, run
from simulator.commands import record
from simulator.profiles.library import shipped
from simulator.traces.generator import find_generator, generator_names
from simulator.traces.reader import Request, read_recording


def made(offing, folder, *call: str):
    """Return the recording that a call of ``generate`` wrote to ``x.csv``."""
    code, out, err = offing("traces", "generate", *call, "--out", "x.csv", "--force")
    assert (code, out) == (0, ""), (out, err)
    assert "written to x.csv" in err
    return read_recording(folder / "x.csv", Request())


# -- generate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*generator_names(shipped() / "networks"), *generator_names(shipped() / "loads")])
def test_every_shipped_generator_makes_a_file_that_says_it_is_synthetic(offing, tmp_path, name):
    recording = made(offing, tmp_path, name, "--duration", "2 h", "--seed", "3")
    assert (recording.duration, recording.end) == (7200.0, "wrap")
    assert recording.grade in ("transferred", "guessed")
    facts = (tmp_path / "x.csv").read_text().splitlines()[0]
    assert f"source: synthetic {name}" in facts
    assert recording.kind == ("cpu" if name in generator_names(shipped() / "loads") else "bandwidth")
    assert recording.columns["value"].max() <= (1.0 if recording.kind == "cpu" else 1e10)


def test_the_file_is_the_seed_s(offing, tmp_path):
    first = made(offing, tmp_path, "4g", "--duration", "60", "--seed", "3").columns["value"]
    again = made(offing, tmp_path, "4g", "--duration", "1 min", "--seed", "3").columns["value"]
    other = made(offing, tmp_path, "4g", "--duration", "60", "--seed", "4").columns["value"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    twice = made(offing, tmp_path, "4g", "--duration", "60", "--seed", "3", "--scale", "2").columns["value"]
    assert twice == pytest.approx(2 * first)
    long = made(offing, tmp_path, "4g", "--duration", "2 d", "--seed", "3").columns["value"]
    expected = 8 * find_generator("4g", shipped() / "networks").mean  # bit/s in files
    assert long.mean() == pytest.approx(expected, rel=0.2)


def test_outages_are_generated_as_failures(offing, tmp_path):
    recording = made(offing, tmp_path, "web-service", "--duration", "30 d", "--seed", "1")
    down, up, share = (recording.columns[name] for name in ("down_s", "up_s", "share"))
    assert recording.kind == "failures"
    assert (up > down).all()
    assert (down[1:] > up[:-1]).all()
    assert down.max() < 30 * 86400
    assert ((share > 0) & (share <= 1)).all()


def test_blocks_of_a_recording_keep_its_values_and_outages(offing, tmp_path):
    rows = [(0, 5), (1, 7), (2, 0), (5, 3), (6, 9)]
    text = "".join(f"{start},{value}\n" for start, value in rows)
    (tmp_path / "mine.csv").write_text(f"# kind: bandwidth; unit: Mbit/s; duration_s: 7\nstart_s,value\n{text}")
    recording = made(offing, tmp_path, "--from", "mine.csv", "--block", "30s", "--duration", "10 min", "--seed", "1")
    starts, values = recording.columns["start_s"], recording.columns["value"]
    assert set(values / 1e6) == {0, 3, 5, 7, 9}
    lengths = np.diff(starts, append=600.0)
    assert lengths[1:-1][values[1:-1] == 0] == pytest.approx(3.0)
    assert "synthetic: block bootstrap of mine.csv" in (tmp_path / "x.csv").read_text()
    assert recording.grade == "transferred"
    called = made(offing, tmp_path, "bootstrap", "--from", "mine.csv", "--duration", "10 min", "--seed", "1")
    assert np.array_equal(called.columns["value"], values)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["4q", "--duration", "9"], ['no generator named "4q"', "Known: 3g,"]),
        (["5g-wlking", "--duration", "9"], ['Did you mean "5g-walking"?']),
        (["--duration", "9"], ["what to generate?"]),
        (["bootstrap", "--duration", "9"], ["bootstrap of what?"]),
        (["4g"], ["--duration"]),
        (["4g", "--duration", "0"], ["--duration"]),
        (["4g", "--duration", "long"], ["--duration", "long"]),
        (["4g", "--duration", "1e12"], ["--duration 1e12: more than"]),
        (["4g", "--duration", "9", "--seed", "-1"], ["--seed"]),
        (["4g", "--duration", "9", "--scale", "-1"], ["--scale -1"]),
        (["server-day", "--duration", "1 d", "--scale", "5"], ["a load is at most 100 %"]),
        (["web-service", "--duration", "1 d", "--scale", "5"], ["--scale"]),
        (["web-service", "--duration", "1 us", "--seed", "1"], ["no outage of web-service begins within"]),
        (["4g", "--from", "t.csv", "--duration", "9"], ['"4g" is a shipped generator']),
        (["--from", "no.csv", "--duration", "9"], ["no trace file no.csv"]),
        (["--from", "t.csv", "--duration", "9"], ["--from t.csv: is a trace of arrivals"]),
        (["--from", "u.csv", "--duration", "9", "--block", "1 s"], ["--block 1 s"]),
        (["--from", "u.csv", "--duration", "9", "--block", "x"], ["--block"]),
    ],
)
def test_bad_calls_of_generate_write_nothing(offing, tmp_path, call, words):
    (tmp_path / "t.csv").write_text("t_s\n1\n2\n")
    (tmp_path / "u.csv").write_text("# kind: bandwidth; unit: B/s; duration_s: 60\nstart_s,value\n0,1\n30,2\n")
    refused(offing("traces", "generate", *call, "--out", "x.csv"), *words)
    assert not (tmp_path / "x.csv").exists()


def test_generate_overwrites_nothing_unasked(offing, tmp_path):
    (tmp_path / "x.csv").write_text("mine")
    refused(offing("traces", "generate", "4g", "--duration", "9", "--out", "x.csv"), "exists already", "--force")
    assert (tmp_path / "x.csv").read_text() == "mine"


# -- record ----------------------------------------------------------------------------------------------------------

Times = namedtuple("Times", "user nice system idle iowait irq softirq steal guest guest_nice")
ticks = st.integers(0, 10**6).map(lambda count: count / 100)


@given(st.lists(ticks, min_size=10, max_size=10), st.lists(ticks, min_size=10, max_size=10))
def test_the_load_is_what_psutil_calls_cpu_percent(before, spent):
    """For the same two looks, to the tenth of a per cent that psutil rounds to."""
    first, last = Times(*before), Times(*(a + b for a, b in zip(before, spent, strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        looks = iter([first, last])
        patch.setattr(psutil, "cpu_times", lambda percpu=False: next(looks))
        patch.setattr(psutil, "_last_cpu_times", {}, raising=False)
        theirs = psutil.cpu_percent(interval=1e-9) / 100
    assert record.share(first, last) == pytest.approx(theirs, abs=0.0006)


def test_the_load_of_a_few_known_looks():
    none = Times(*[0.0] * 10)
    assert record.share(none, none._replace(user=1.0, idle=3.0)) == 0.25
    assert record.share(none, none._replace(idle=2.0, iowait=2.0)) == 0.0  # waiting for a disk is idle
    assert record.share(none, none._replace(steal=1.0, idle=1.0)) == 0.5  # taken by other guests: not ours to use
    assert record.share(none, none._replace(user=2.0, guest=2.0, idle=2.0)) == 0.5  # guest is within user
    assert record.share(none, none) == 0.0
    assert record.share(none._replace(iowait=5.0), none._replace(user=1.0)) == 1.0  # iowait may go back


def test_steps_last_as_long_as_they_lasted(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(record.time, "monotonic", lambda: clock[0])

    def late(seconds: float) -> None:
        clock[0] += seconds + 0.2

    edges = [edge for edge, _ in record.watch(5.0, 1.0, late)]
    assert edges == pytest.approx([1.2, 2.2, 3.2, 4.2, 5.2])  # a delay does not add up


def test_what_was_recorded_is_a_load(offing, tmp_path):
    code, out, err = offing("record", "cpu", "--seconds", "0.5", "--every", "100 ms", "--out", "mine.csv")
    assert (code, out) == (0, "")
    assert "written to mine.csv" in err
    recording = read_recording(tmp_path / "mine.csv", Request("cpu"))
    assert (recording.grade, recording.end) == ("measured", "wrap")
    assert len(recording.columns["value"]) == 5
    assert recording.duration == pytest.approx(0.5, abs=0.3)
    assert all(a < b for a, b in pairwise(recording.columns["start_s"].tolist()))
    assert recording.epoch.endswith("+00:00")
    assert f"{psutil.cpu_count()} threads" in (tmp_path / "mine.csv").read_text()


def test_a_scenario_takes_it_as_it_is(tmp_path):
    from simulator.traces.writing import write_csv

    write_csv(record.as_recording([0.0, 1.0, 2.5], [0.2, 0.8]), tmp_path / "mine.csv")
    change = {"until": "3 s", "nodes.edge.load": {"trace": str(tmp_path / "mine.csv")}}
    assert len(run(Scenario.load("quick/split_inference").with_(change)).requests)


def test_who_stops_a_recording_keeps_it(offing, tmp_path, monkeypatch):
    def stopped(duration: float, step: float):
        yield 1.0, 0.25
        yield 2.0, 0.75
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "watch", stopped)
    code, _, err = offing("record", "cpu", "--seconds", "60")
    assert code == 130
    assert "stopped early: 2 s of load, 50 % on average, written to cpu.csv" in err
    recording = read_recording(tmp_path / "cpu.csv", Request("cpu"))
    assert (recording.columns["value"].tolist(), recording.duration) == ([0.25, 0.75], 2.0)


def test_stopped_at_once_there_is_nothing_to_keep(offing, tmp_path, monkeypatch):
    def stopped(duration: float, step: float):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(record, "watch", stopped)
    code, _, err = offing("record", "cpu", "--seconds", "60")
    assert code == 130
    assert "nothing was written" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ([], ["--seconds"]),
        (["--seconds", "0"], ["--seconds 0: shorter than one step"]),
        (["--seconds", "-1"], ["--seconds"]),
        (["--seconds", "ten"], ["--seconds"]),
        (["--seconds", "1", "--every", "1 ms"], ["--every 1 ms", "0.1 s at least"]),
        (["--seconds", "1", "--out", "x.txt"], ["a name ends in .csv"]),
        (["--seconds", "1", "--out", "mine.csv"], ["exists already"]),
    ],
)
def test_bad_calls_of_record(offing, tmp_path, call, words):
    (tmp_path / "mine.csv").write_text("mine")
    refused(offing("record", "cpu", *call), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]
