"""Errors are interface: each wrong file is answered by one clear sentence, exit code 2, no traceback, nothing written.

Each case is a small change of one good file, with what the answer must say: line, key, what came, what to write.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from simulator import ScenarioError, Simulation
from simulator.cli import main
from simulator.testing import tiny

GOOD = """\
# A good scenario; line numbers below count from here.
name: good
seed: 1
until: 20 s
model: vgg5
nodes:
  pi: {kind: device, hardware: raspberry-pi-4}
  edge: {kind: server, hardware: epyc-zen5-1t, slots: 2}
links:
  uplink: {between: [pi, edge], bandwidth: 50 Mbit/s, delay: 5 ms}
workload: {kind: inference, sources: [pi], arrivals: {kind: poisson, rate: 2 /s}, deadline: 500 ms}
technique: {kind: min-latency}
"""
SPLIT = "{kind: min-latency}", "{kind: fixed-split, split_point: %s}"
TRACE = "bandwidth: 50 Mbit/s", "bandwidth: {trace: %s}"
GENERATE = "bandwidth: 50 Mbit/s", "bandwidth: {generate: %s}"
FAILURES = """\
dynamics:
  - {kind: failure, node: edge, at: {time: 5 s}, repair_after: 10 s}
  - {kind: failure, node: edge, at: {time: 8 s}}
"""

TRACES = {
    "letters.csv": "# kind: bandwidth; unit: Mbit/s; duration_s: 10; end: wrap\nstart_s,value\n0,1\n1,fast\n",
    "no_unit.csv": "# kind: bandwidth; duration_s: 10; end: wrap\nstart_s,value\n0,1\n",
    "backwards.csv": "# unit: Mbit/s; duration_s: 10; end: wrap\nstart_s,value\n0,1\n5,2\n4,3\n",
    "negative.csv": "# unit: Mbit/s; duration_s: 10; end: wrap\nstart_s,value\n0,1\n5,-2\n",
    "all_zero.csv": "# unit: Mbit/s; duration_s: 10; end: wrap\nstart_s,value\n0,0\n",
    "columns.csv": "# unit: Mbit/s; duration_s: 10; end: wrap\ntime,rate\n0,1\n",
    "endless.csv": "# unit: Mbit/s\nstart_s,value\n0,1\n",
    "fact.csv": "# unit: Mbit/s; durations: 10\nstart_s,value\n0,1\n",
    "load.csv": "# kind: cpu; unit: %; duration_s: 10; end: wrap\nstart_s,value\n0,50\n",
    "empty.csv": "",
    "rows.json": '[{"duration_ms": 1000, "bandwidth_kbps": 5}, {"duration_ms": -1, "bandwidth_kbps": 5}]',
    "cut.json": '[{"duration_ms": 1000, "bandwidth_kbps": 5}, {"dura',
}


def change(old: str, new: str) -> str:
    """Return the good file with one thing changed."""
    assert GOOD.count(old) == 1, f"{old!r} stands {GOOD.count(old)} times in the good file"
    return GOOD.replace(old, new)


def without(old: str) -> str:
    return change(old, "")


CASES: dict[str, tuple[str, list[str]]] = {
    # keys
    "unknown key": (GOOD + "untill: 5 s\n", ["bad.yaml:13: untill", 'Did you mean "until"?', "Known here: name"]),
    "unknown key of a node": (change("slots: 2", "slot: 2"), ["bad.yaml:8: nodes.edge.slot", 'Did you mean "slots"?']),
    "unknown parameter": (
        change("min-latency", "min-latency, budget: 5"),
        ["bad.yaml:12: technique.budget", "no param"],
    ),
    "key of a recording": (
        change(TRACE[0], TRACE[1] % "load.csv, ofset: 3 s"),
        ["bad.yaml:10: links.uplink.bandwidth.ofset", 'Did you mean "offset"?'],
    ),
    "missing key": (without("until: 20 s\n"), ["bad.yaml: until: is missing", "Arrivals end then"]),
    "missing key of a link": (change(", delay: 5 ms", ""), ["bad.yaml:10: links.uplink.delay: is missing", "Propag"]),
    "missing kind": (change("kind: poisson, ", ""), ["bad.yaml:11: workload.arrivals", "has no kind", "kind: poisson"]),
    "wrong kind": (change("kind: poisson", "kind: poison"), [":11: workload.arrivals", 'Did you mean "poisson"?']),
    "key twice": (GOOD + "seed: 3\n", ["bad.yaml:13: seed", "stands twice (first on line 3)"]),
    "node twice": (
        change("  edge: {", "  pi: {kind: device, hardware: jetson-nano}\n  edge: {"),
        ["bad.yaml:8: nodes.pi", "first on line 7"],
    ),
    "a list as a key": (GOOD + "[1, 2]: 3\n", ["bad.yaml:13", "a list came as a key"]),
    # quantities
    "no unit": (change("50 Mbit/s", "50"), ["bad.yaml:10: links.uplink.bandwidth", "50 has no unit", "75 Mbit/s"]),
    "unit of another kind": (
        change("50 Mbit/s", "50 ms"),
        [":10: links.uplink.bandwidth", '"ms" is not a unit of band'],
    ),
    "misspelt unit": (change("50 Mbit/s", "50 Mbits/s"), ['"Mbits/s"', 'Did you mean "Mbit/s"?']),
    "zero bandwidth": (
        change("50 Mbit/s", "0 Mbit/s"),
        ["links.uplink.bandwidth: 0 Mbit/s is out of range", "above zero"],
    ),
    "negative bandwidth": (change("50 Mbit/s", "-5 Mbit/s"), ["-5 Mbit/s is out of range"]),
    "zero rate": (change("2 /s", "0 /s"), ["bad.yaml:11: workload.arrivals.rate: 0 /s", "above zero"]),
    "negative delay": (change("5 ms", "-5 ms"), ["links.uplink.delay: -5 ms is out of range", "zero or more"]),
    "not a number": (change("5 ms", ".nan"), ["bad.yaml:10: links.uplink.delay: nan", '"5 ms"']),
    "not a number with a unit": (change("5 ms", "nan ms"), ["links.uplink.delay: 'nan ms'", '"5 ms"']),
    "infinite": (change("20 s", ".inf"), ["bad.yaml:4: until: inf", "write e.g."]),
    "too large for a float": (change("50 Mbit/s", "1e400 Mbit/s"), ["1e400 Mbit/s is not a finite bandwidth"]),
    "a share above one": (change("slots: 2", "load: 150 %"), ["bad.yaml:8: nodes.edge.load", "between 0 and 100 %"]),
    # numbers
    "a million million devices": (
        change("raspberry-pi-4}", "raspberry-pi-4, count: 1000000000000}"),
        ["bad.yaml:7: nodes.pi.count: 1000000000000 came", "1000000 or less"],
    ),
    "more requests than time": (
        change("2 /s", "1e300 /s"),
        [":11: workload.arrivals.rate", "2e+301 requests", "lower rate:"],
    ),
    "more time than computers have": (change("20 s", "1e300 s"), ["workload.arrivals.rate", "shorten until:"]),
    "huge seed": (
        change("seed: 1", "seed: 99999999999999999999"),
        ["bad.yaml:3: seed: 99999999999999999999 came", "below"],
    ),
    "no slots": (change("slots: 2", "slots: 0"), ["bad.yaml:8: nodes.edge.slots: 0 came", "1 or more"]),
    "yes as a number": (change("slots: 2", "slots: yes"), ["nodes.edge.slots: True came", "a whole number"]),
    "half a seed": (change("seed: 1", "seed: 1.5"), ["bad.yaml:3: seed: 1.5 came", "a whole number"]),
    "a number as a name": (change("name: good", "name: 5"), ["bad.yaml:2: name: 5 came", "in quotes"]),
    # names
    "technique": (
        change("min-latency", "min-latenci"),
        [":12: technique.kind", 'Did you mean "min-latency"?', "Installed:"],
    ),
    "technique as a word": (change("{kind: min-latency}", "min-latency"), [":12: technique", "{kind: min-latency}"]),
    "model": (change("vgg5", "vgg55"), ["bad.yaml:5: model", 'no model named "vgg55"', "Did you mean"]),
    "input size": (
        change("model: vgg5", "model: {name: vgg5, input: 300}"),
        ["bad.yaml:5: model", "300", "only at: 32"],
    ),
    "batch": (change("deadline: 500 ms", "batch: 64"), ["bad.yaml", "vgg5", "batch 1, 2, 4, 8, 16, 32; 64 is outside"]),
    "hardware": (
        change("raspberry-pi-4", "raspbery-pi-4"),
        [":7: nodes.pi.hardware", 'Did you mean "raspberry-pi-4"?'],
    ),
    "end of a link": (change("[pi, edge]", "[pi, edgy]"), [":10: links.uplink.between[1]", 'Did you mean "edge"?']),
    "source": (change("sources: [pi]", "sources: [pii]"), [":11: workload.sources[0]", 'Did you mean "pi"?']),
    "source twice": (change("sources: [pi]", "sources: [pi, pi]"), ["workload.sources[1]", "twice"]),
    "node of a failure": (
        GOOD + "dynamics: [{kind: failure, node: egde, at: {time: 1 s}}]\n",
        ["bad.yaml:13: dynamics[0].node", 'Did you mean "edge"?'],
    ),
    "server of a technique": (
        change("{kind: min-latency}", "{kind: server-only, server: edgy}"),
        ["bad.yaml:12: technique", '"edgy"', 'Did you mean "edge"?'],
    ),
    # what cannot be
    "link to itself": (change("[pi, edge]", "[pi, pi]"), ["bad.yaml:10: links.uplink.between", "joins two nodes"]),
    "link with one end": (change("[pi, edge]", "[pi]"), ["bad.yaml:10: links.uplink.between", "[pi, edge]"]),
    "link with three ends": (change("[pi, edge]", "[pi, edge, pi]"), ["links.uplink.between", "at most 2"]),
    "link named as a node": (change("  uplink:", "  edge:"), ["bad.yaml:10: links.edge", "rename the link"]),
    "group to group": (
        change("raspberry-pi-4}", "raspberry-pi-4, count: 2}").replace("slots: 2", "count: 2"),
        ["bad.yaml:10: links.uplink.between", "both ends are groups"],
    ),
    "member named as a node": (
        change("raspberry-pi-4}", "raspberry-pi-4, count: 2}").replace(
            "links:", "  pi-1: {kind: device, hardware: jetson-nano}\nlinks:"
        ),
        ["bad.yaml:7: nodes.pi", '"pi-1"', "rename"],
    ),
    "up without down": (change("bandwidth: 50", "up: 50"), ["bad.yaml:10: links.uplink", "both up: and down:"]),
    "up beside bandwidth": (change("delay: 5 ms", "delay: 5 ms, up: 1 Mbit/s"), ["links.uplink", "both up: and down:"]),
    "half duplex with two rates": (
        change("bandwidth: 50 Mbit/s", "up: 5 Mbit/s, down: 5 Mbit/s, duplex: half"),
        ["bad.yaml:10: links.uplink", "one bandwidth:"],
    ),
    "burst of a fair link": (
        change("delay: 5 ms", "delay: 5 ms, sharing: max-min, burst: 5 kB"),
        ["links.uplink", "fifo only"],
    ),
    "a link shared by nobody": (
        change("delay: 5 ms", "delay: 5 ms, shared: true"),
        [":10: links.uplink.shared", "group"],
    ),
    "slowdown without partitions": (
        change("slots: 2", "slots: 2, slowdown: 3"),
        [":8: nodes.edge", "concurrency: partitioned"],
    ),
    "partitions without slowdown": (
        change("slots: 2", "concurrency: partitioned"),
        [":8: nodes.edge", "slowdown: 3.2"],
    ),
    "failures overlap": (GOOD + FAILURES, ["bad.yaml:15: dynamics[1]", "until 15 s", "fails again at 8 s"]),
    "failure of both": (
        GOOD + "dynamics: [{kind: failure, node: edge, link: uplink, at: {time: 1 s}}]\n",
        ["bad.yaml:13: dynamics[0]", "either a node: or a link:"],
    ),
    "unreachable server": (
        change("links:", "  far: {kind: server, hardware: jetson-nano}\nlinks:").replace(
            "{kind: min-latency}", "{kind: server-only, server: far}"
        ),
        ["bad.yaml:13: technique", 'no link leads from "pi" to "far"', "links:"],
    ),
    "no server at all": (
        without("  uplink: {between: [pi, edge], bandwidth: 50 Mbit/s, delay: 5 ms}\n")
        .replace("links:", "links: {}")
        .replace("min-latency", "server-only"),
        ["bad.yaml:11: technique", "no link leads from", "links:"],
    ),
    "a model that does not fit": (
        change("slots: 2", "memory: 100 kB").replace("min-latency", "server-only"),
        ["bad.yaml:12: technique", "MiB", '"edge"', "memory:"],
    ),
    "a model that fits nowhere": (
        change("slots: 2", "memory: 10 kB").replace("raspberry-pi-4", "raspberry-pi-4, memory: 10 kB"),
        ["bad.yaml:12: technique", "no placement", "memory:"],
    ),
    "split outside the model": (change(SPLIT[0], SPLIT[1] % 999), [":12: technique", "split_point 999 is outside"]),
    "split below zero": (change(SPLIT[0], SPLIT[1] % -1), [":12: technique.split_point: -1 came", "0 or more"]),
    "split in letters": (
        change(SPLIT[0], SPLIT[1] % "five"),
        [":12: technique.split_point: 'five' came", "whole number"],
    ),
    # recordings
    "no such recording": (
        change(TRACE[0], TRACE[1] % "lod.csv"),
        [":10: links.uplink.bandwidth", '"lod.csv"', "Did you mean"],
    ),
    # synthetic bandwidth
    "unknown generator": (
        change(GENERATE[0], GENERATE[1] % "wi-fi"),
        ["bad.yaml:10: links.uplink.bandwidth: no generator named", 'Did you mean "wifi"?', "Known: 3g, 3g-markov, 4g"],
    ),
    "generator scaled to nothing": (
        change(GENERATE[0], GENERATE[1] % "4g, scale: 0"),
        ["bad.yaml:10: links.uplink.bandwidth.scale: 0 came", "above 0"],
    ),
    "key of a generator": (
        change(GENERATE[0], GENERATE[1] % "4g, perod: 5 min"),
        ["bad.yaml:10: links.uplink.bandwidth.perod", 'Did you mean "period"?', "Known here: generate, scale, period"],
    ),
    "key of a recording with a generator": (
        change(GENERATE[0], GENERATE[1] % "4g, offset: random"),
        ["bad.yaml:10: links.uplink.bandwidth.offset: unknown key", "generate, scale, period"],
    ),
    "period without a unit": (
        change(GENERATE[0], GENERATE[1] % "4g, period: 600"),
        ["bad.yaml:10: links.uplink.bandwidth.period: 600 has no unit"],
    ),
    "period for ever": (
        change(GENERATE[0], GENERATE[1] % "4g, period: 1000 h"),
        ["bad.yaml:10: links.uplink.bandwidth", "period: 3.6e+06 s came", "from 1 s to 86400 s"],
    ),
    "generator of load": (
        change("slots: 2", "load: {generate: 4g}"),
        ["bad.yaml:8: nodes.edge.load", 'generate: "4g" is not a load', "known: server-day, bootstrap"],
    ),
    "generator without a name": (
        change(GENERATE[0], GENERATE[1] % "[4g]"),
        ["bad.yaml:10: links.uplink.bandwidth.generate", "text is expected here"],
    ),
    "letters in a recording": (
        change(TRACE[0], TRACE[1] % "letters.csv"),
        ["letters.csv:4", "value is 'fast'; expected a number"],
    ),
    "recording without a unit": (change(TRACE[0], TRACE[1] % "no_unit.csv"), ["no_unit.csv", "# unit: Mbit/s"]),
    "recording out of order": (
        change(TRACE[0], TRACE[1] % "backwards.csv"),
        ["backwards.csv:5", "back to 4 s, after 5 s"],
    ),
    "recording below zero": (change(TRACE[0], TRACE[1] % "negative.csv"), ["negative.csv:4", "value is below zero"]),
    "recording of nothing": (change(TRACE[0], TRACE[1] % "all_zero.csv"), ["all_zero.csv", "zero everywhere"]),
    "recording of other columns": (change(TRACE[0], TRACE[1] % "columns.csv"), ["columns.csv:2", "start_s,value"]),
    "recording without an end": (change(TRACE[0], TRACE[1] % "endless.csv"), ["endless.csv:1", "end: hold"]),
    "recording with an odd fact": (change(TRACE[0], TRACE[1] % "fact.csv"), ["fact.csv:1", "durations"]),
    "recording of load": (change(TRACE[0], TRACE[1] % "load.csv"), ["load.csv", "a trace of cpu, but bandwidth"]),
    "empty recording": (change(TRACE[0], TRACE[1] % "empty.csv"), ["empty.csv: is empty"]),
    "recording with a row that lasts no time": (change(TRACE[0], TRACE[1] % "rows.json"), ["rows.json", "row 1"]),
    "recording that breaks off": (change(TRACE[0], TRACE[1] % "cut.json"), ["cut.json", "not JSON"]),
    "recording of an unknown format": (
        change(TRACE[0], TRACE[1] % "load.csv, format: cvs"),
        ['"cvs"', 'Did you mean "csv"?'],
    ),
    # files
    "broken YAML": (change("[pi, edge]", "[pi, edge"), ["bad.yaml:10", "not valid YAML", "expected ',' or ']'"]),
    "tabs": (change("  uplink", "\tuplink"), ["bad.yaml:10", "not valid YAML", "'\\t'"]),
    "two documents": (GOOD + "---\nname: two\n", ["bad.yaml:13", "another document"]),
    "empty": ("", ["bad.yaml: the file is empty", "a scenario is a mapping"]),
    "comments only": ("# later\n", ["the file is empty"]),
    "a list": ("- name: x\n", ["bad.yaml: a list came", "a scenario is a mapping"]),
    "a word": ("hello\n", ["bad.yaml: a single value came"]),
    "nested without end": ("a: " + "[" * 5000, ["nested too deeply"]),
    "an alias of itself": (GOOD + "x: &a [*a]\n", ["nested too deeply"]),
    "code": (GOOD + "x: !!python/object/apply:os.system ['ls']\n", ["bad.yaml:13"]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to stand in, with recordings that are wrong in all sorts of ways."""
    for name, text in TRACES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refuse(arguments: list[str], capsys) -> str:
    """Run the command line, demand that it refuses as it should, and return what it said."""
    before = sorted(Path().rglob("*"))
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert "pydantic" not in err.lower()
    assert sorted(Path().rglob("*")) == before, "something was written"
    return err


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_file_is_answered_by_a_clear_sentence(name, folder, capsys):
    text, said = CASES[name]
    (folder / "bad.yaml").write_text(text, encoding="utf-8")
    err = refuse(["run", "bad.yaml", "--out", "result", "--timeline", "t.json"], capsys)
    for part in said:
        assert part in err
    assert len(err.strip().splitlines()) == 1, "one problem, one line"
    assert len(err) < 600
    assert refuse(["validate", "bad.yaml"], capsys) == err


def test_the_good_file_is_good(folder, capsys):
    """Else each of the cases above could be refused for a reason of its own."""
    (folder / "good.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(SystemExit, match="0"):
        main(["validate", "good.yaml"])
    assert "good.yaml is valid: 2 nodes" in capsys.readouterr().out


def test_all_problems_are_told_at_once(folder, capsys):
    text = change("50 Mbit/s", "50").replace("slots: 2", "slot: 2").replace("rate: 2 /s", "rate: 0 /s")
    (folder / "bad.yaml").write_text(text.replace("min-latency", "min-latenci"))
    lines = refuse(["run", "bad.yaml"], capsys).strip().splitlines()
    assert [line.split(": ")[0 if i else 1] for i, line in enumerate(lines)] == [
        f"bad.yaml:{n}" for n in (8, 10, 11, 12)
    ]


def test_problems_of_the_build_are_told_at_once(folder, capsys):
    text = change("[pi, edge]", "[pi, edgy]").replace("raspberry-pi-4", "raspbery-pi-4").replace("[pi],", "[pii],")
    (folder / "bad.yaml").write_text(text)
    assert len(refuse(["run", "bad.yaml"], capsys).strip().splitlines()) == 3


def test_a_cut_that_is_not_valid():
    """A layer after which no cut may follow (its value is a tuple): the answer names the places beside it."""
    scenario = tiny({"technique": {"kind": "fixed-split", "split_point": 2}})
    profile = scenario.library.models[0]
    layers = tuple(replace(layer, cut_ok=layer.name != "layer1") for layer in profile.layers)
    scenario.library.models[0] = replace(profile, layers=layers)
    with pytest.raises(ScenarioError) as error:
        Simulation(scenario).check()
    assert 'cut "tiny" before layer 2, where it cannot be cut; the nearest valid cuts: 0, 1, 3' in str(error.value)
    assert "technique" in str(error.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nowhere.yaml", ["nowhere.yaml: no such scenario file", "Shipped: quick/"]),
        ("quick/split_inferense", ['Did you mean "quick/split_inference"?']),
        ("sub", ["sub: is a folder"]),
        ("binary.yaml", ["binary.yaml: cannot be read: not a text file"]),
        ("control.yaml", ["control.yaml: not valid YAML"]),
    ],
)
def test_what_is_no_scenario_file(path, said, folder, capsys):
    (folder / "sub").mkdir()
    (folder / "binary.yaml").write_bytes(bytes(range(128, 256)) * 10)
    (folder / "control.yaml").write_bytes(b"name: a\x00b\n")
    err = refuse(["run", path], capsys)
    for part in said:
        assert part in err


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("links.uplnk.up=5 Mbit/s", ["links.uplnk.up", 'Did you mean "uplink"?']),
        ("links.uplink.dealy=5 ms", ["links.uplink.dealy", 'Did you mean "delay"?']),
        ("nothing", ["--set nothing: write PATH=VALUE"]),
        ("=5", ["write PATH=VALUE"]),
        ("seed=[1", ["--set seed=[1", "not valid YAML"]),
        ("seed.deep=1", ["seed.deep", "no parts to set"]),
        ("links.uplink.delay=5", ["links.uplink.delay: 5 has no unit"]),
        ("model=vgg55", ['no model named "vgg55"']),
    ],
)
def test_settings_that_lead_nowhere(setting, said, folder, capsys):
    (folder / "good.yaml").write_text(GOOD)
    err = refuse(["run", "good.yaml", "--set", setting], capsys)
    for part in said:
        assert part in err


@pytest.mark.parametrize(
    "name", ["no unit", "technique", "broken YAML", "unreachable server", "letters in a recording"]
)
def test_from_a_shell(name, folder):
    """The same through a process of its own: nothing on standard output, the sentence on standard error."""
    (folder / "bad.yaml").write_text(CASES[name][0])
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "run", "bad.yaml", "--out", "result"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert all(part in done.stderr for part in CASES[name][1])
    assert not (folder / "result").exists()


def test_a_run_that_exists_is_not_overwritten(folder, capsys):
    (folder / "good.yaml").write_text(GOOD)
    (folder / "result").mkdir()
    (folder / "result" / "thesis.txt").write_text("ten years of work")
    for force in ([], ["--force"]):
        err = refuse(["run", "good.yaml", "--out", "result", *force], capsys)
        assert "result exists already" in err
    assert (folder / "result" / "thesis.txt").read_text() == "ten years of work"


SLOW_DISK = """
import time, simulator.results.frames as frames
frame = frames.Results.frame
def slow(self, name):
    if name == "spans":
        open("now", "w").close()
        time.sleep(60)
    return frame(self, name)
frames.Results.frame = slow
"""
LONG_RUN = "open('now', 'w').close()\n"
MAIN = "from simulator.cli import main; main()"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
@pytest.mark.parametrize(("before", "until"), [(LONG_RUN, "1 h"), (SLOW_DISK, "5 s")], ids=["running", "saving"])
def test_kill_9_leaves_no_folder_that_looks_whole(before, until, folder):
    """Killed while the clock runs, and while the frames are written."""
    (folder / "good.yaml").write_text(change("20 s", until).replace("2 /s", "200 /s"))
    process = subprocess.Popen(
        [sys.executable, "-c", before + MAIN, "run", "good.yaml", "--out", "result"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    limit = time.monotonic() + 30
    while not (folder / "now").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(1.0)
    assert process.poll() is None, "it should still be at work"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "result").exists()
    drafts = [path.name for path in folder.iterdir() if path.is_dir()]
    assert all(name.startswith(".") and name.endswith(".part") for name in drafts)
    assert bool(drafts) == (before == SLOW_DISK)
