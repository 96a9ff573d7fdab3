"""Positions and access links that are written wrong: what came, what was expected, and what to write."""

from __future__ import annotations

import pytest
from roads import drive, failure

from simulator import ScenarioError, Simulation

BAD = {
    "no interruption": (
        {"links.radio.attach": {"to": "nearest"}},
        ["links.radio.attach.interruption: is missing", "50 ms"],
    ),
    "attach to whom": ({"links.radio.attach.to": "best"}, ["links.radio.attach.to: 'best' is none of nearest"]),
    "device nowhere": (
        {"nodes.car.position": None},
        ["nodes.car.position: is missing", '"radio" attaches "car"', "{trace: FILE}"],
    ),
    "masts nowhere": (
        {"nodes.mast.position": None},
        ["nodes.mast.position: is missing", 'the nearest of "mast"', "for each"],
    ),
    "one place for two": (
        {"nodes.mast.position": "0, 0"},
        ["nodes.mast.position: 1 came for 2 members", "count: 1"],
    ),
    "three for two": (
        {"nodes.mast.position": ["0, 0", "0, 1", "0, 2"]},
        ["nodes.mast.position: 3 came for 2 members; write one for each, or count: 3"],
    ),
    "two for one": ({"nodes.car.position": ["0, 0", "0, 1"]}, ["2 came for one node", "count: 2 under car"]),
    "a file of too many": (
        {"nodes.mast.position": {"trace": "sites.csv"}},
        ["sites.csv has 3 places for 2 members", "count: 3", "step: 1 s, or speed: 30 km/h"],
    ),
    "a mast that moves": ({"nodes.mast.position": {"trace": "drive.csv"}}, ["access points", "stand still"]),
    "no group of masts": (
        {"nodes.mast": {"kind": "server", "hardware": "rack", "position": "0, 0"}},
        ["links.radio.between[1]: attach: chooses among a group", '"mast" is one node', "count:"],
    ),
    "one member of the masts": ({"links.radio.between": ["car", "mast-0"]}, ['"mast-0" is one node']),
    "two servers": (
        {"nodes.car.kind": "server"},
        ["links.radio.between: attach: links devices to access points", "servers came"],
    ),
    "numbers": ({"nodes.car.position": [0, 1]}, ["nodes.car.position: [0, 1] came", "as a list of such texts"]),
    "no place": ({"nodes.car.position": "Melbourne"}, ["'Melbourne' is not a place", '"-37.815, 144.974"']),
    "the other way round": ({"nodes.car.position": "144.97, -37.8"}, ["on no globe (the latitude comes first)"]),
    "on no globe": ({"nodes.car.position": "1, 181"}, ['"1, 181" is on no globe;']),
    "no such file": (
        {"nodes.car.position.trace": "drives.csv"},
        ["nodes.car.position", 'Did you mean "drive.csv"'],
    ),
    "unknown key": ({"nodes.car.position.ends": "wrap"}, ["nodes.car.position.ends: unknown key", '"end"']),
    "step and times": (
        {"nodes.car.position.step": "1 s"},
        ["drive.csv: the path has times of its own; leave out step:"],
    ),
    "step and speed": (
        {"nodes.car.position": {"trace": "sites.csv", "step": "1 s", "speed": "3 m/s"}},
        ["step and speed both say"],
    ),
    "speed without unit": (
        {"nodes.car.position.speed": 30},
        ["nodes.car.position.speed: 30 has no unit", "30 km/h"],
    ),
    "an offset into what ends": (
        {"nodes.car.position.offset": "random"},
        ["only a path with end: wrap", "end: wrap"],
    ),
    "a place that holds": (
        {"nodes.mast.position": {"trace": "sites.csv", "end": "hold"}},
        ["sites.csv: sites have no end:"],
    ),
    "another kind of trace": ({"nodes.car.position.trace": "asks.csv"}, ["asks.csv is a trace of arrivals"]),
    "a wire shared": ({"links.radio.shared": True}, ["links.radio.shared", "sharing: max-min"]),
    "both groups": (
        {"nodes.car.count": 2, "nodes.car.position": ["0, 0", "0, 1"], "links.radio.attach": None},
        ["links.radio.between: both ends are groups", "attach: {to: nearest, interruption: 50 ms}"],
    ),
    "two ways to one mast": (
        {"links.wire": {"between": ["car", "mast-0"], "bandwidth": "1 MB/s", "delay": "1 ms"}},
        ['"radio[mast-0]" and "wire" both join "car" and "mast-0"; leave one of them out'],
    ),
    "a stranger": ({"dynamics": [failure("link", "radio[mast-7]", 1.0, None)]}, ['no link named "radio[mast-7]"']),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_written_wrong(tmp_path, case):
    (tmp_path / "sites.csv").write_text("# kind: sites\nlat,lon\n0,-0.01\n0,0.01\n0,0.02\n")
    changes, words = BAD[case]
    scenario = drive(tmp_path)
    with pytest.raises(ScenarioError) as error:
        Simulation(scenario.with_(changes))
    for word in words:
        assert word in str(error.value), error.value
