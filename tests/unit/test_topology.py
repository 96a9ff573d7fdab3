"""A recorded graph as nodes and links of a scenario: names, delays, bandwidths, and what has to be said of the rest."""

from __future__ import annotations

import json
import math

import networkx as nx
import pandas as pd
import pytest
from support import DATA, play, recordings

from simulator import Scenario, Simulation
from simulator.foundation.errors import ScenarioError
from simulator.scenario.build import Parts, build
from simulator.testing import tiny

CHICAGO, DENVER, HOUSTON = (41.85, -87.65), (39.74, -104.98), (29.76, -95.36)


def haversine(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great circle [m], by another formula than the program's chord."""
    (p, x), (q, y) = ((math.radians(lat), math.radians(lon)) for lat, lon in (a, b))
    root = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin((y - x) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(root))


def graph(**links: float | None) -> nx.MultiGraph:
    """Three cities in a row; a link is written ``cd1=1e9`` (its ends, and a number where it has others beside it)."""
    made = nx.MultiGraph()
    for node, (label, (lat, lon)) in {
        "c": ("Chicago", CHICAGO), "d": ("Denver", DENVER), "h": ("Houston", HOUSTON)
    }.items():  # fmt: skip
        made.add_node(node, label=label, Latitude=lat, Longitude=lon)
    for ends, speed in links.items():
        made.add_edge(ends[0], ends[1], **({} if speed is None else {"LinkSpeedRaw": speed}))
    return made


ROW = {"cd": None, "dh": 2e9}


@pytest.fixture
def world(tmp_path):
    def make(drawn: nx.Graph, **said) -> Scenario:
        nx.write_graphml(drawn, tmp_path / "net.graphml")
        node = said.pop("node", {"kind": "server", "hardware": "rack"})
        link = {"bandwidth": "1 Gbit/s", "delay": "distance", **said.pop("link", {})}
        said = {"trace": "net.graphml", "node": node, "link": {k: v for k, v in link.items() if v is not None}} | said
        scenario = tiny({"until": "1 s", "variability": "none"})
        data = {**scenario.document.data, "topology": said}
        data["links"] = {
            **data["links"],
            "access": {"between": ["pi", "Chicago"], "bandwidth": "1 MB/s", "delay": "1 ms"},
        }
        return Scenario.from_dict(data, scenario.library, tmp_path)

    return make


def links(parts: Parts) -> dict[str, tuple[str, str, float, float]]:
    """Link → ends, bandwidth [bit/s], delay [s]."""
    return {
        c.link: (c.sender, c.receiver, c.bandwidth.at(0) * 8, c.delay) for c in parts.channels if c.name.endswith(".up")
    }


def refused(scenario: Scenario) -> str:
    with pytest.raises(ScenarioError) as error:
        build(scenario)
    return str(error.value)


def test_nodes_and_links_of_the_graph_stand_beside_those_written(world):
    parts = build(world(graph(**ROW)))
    assert list(parts.nodes) == ["pi", "edge", "Chicago", "Denver", "Houston"]
    found = links(parts)
    assert found["Chicago-Denver"][:3] == ("Chicago", "Denver", 1e9)  # the scenario's word
    assert found["Denver-Houston"][:3] == ("Denver", "Houston", 2e9)  # the graph's own
    assert found["Chicago-Denver"][3] == pytest.approx(haversine(CHICAGO, DENVER) / 2e8, rel=1e-9)
    assert found["Denver-Houston"][3] == pytest.approx(haversine(DENVER, HOUSTON) / 2e8, rel=1e-9)
    assert haversine(CHICAGO, DENVER) == pytest.approx(1.48e6, rel=0.01)  # about 920 miles
    assert parts.told == []


def test_a_message_takes_the_delays_of_the_way(world):
    """Pi to Houston: access, two links of the graph; nothing but propagation and bytes on the wire."""
    scenario = world(graph(**ROW), link={"connection": "none"}).with_(
        {"workload.arrivals": {"kind": "periodic", "every": "9 s"}}
    )
    row = play(scenario, ("@", 0, 1), ("Houston", 1, 3)).requests.iloc[0]
    there = 1e-3 + (haversine(CHICAGO, DENVER) + haversine(DENVER, HOUSTON)) / 2e8
    assert row["delay_s"] == pytest.approx(2 * there, rel=1e-9)


def test_what_happens_may_happen_to_the_graph(world):
    scenario = world(graph(**ROW)).with_({
        "dynamics": [
            {"kind": "failure", "node": "Denver", "at": {"time": "0.1 s"}, "repair_after": "0.2 s"},
            {"kind": "failure", "link": "Denver-Houston", "at": {"time": "0.2 s"}, "repair_after": "0.2 s"},
        ]
    })  # fmt: skip
    failures = Simulation(scenario).run().failures
    assert failures[["name", "kind"]].to_numpy().tolist() == [["Denver", "node"], ["Denver-Houston", "link"]]


def test_labels_that_repeat_are_told_apart_by_their_ids(world):
    twice = graph(cd=None, ch=None)
    twice.nodes["h"]["label"] = "Denver"
    parts = build(world(twice))
    assert list(parts.nodes)[2:] == ["Chicago", "Denver-d", "Denver-h"]
    assert {"Chicago-Denver-d", "Chicago-Denver-h"} < set(links(parts))


def test_one_delay_for_all_needs_no_places(world):
    nowhere = graph(**ROW)
    del nowhere.nodes["h"]["Latitude"]
    parts = build(world(nowhere, link={"delay": "7 ms"}))
    assert {link[3] for name, link in links(parts).items() if name[0] in "CD"} == {0.007}


def test_nodes_without_a_place_need_a_word(world):
    nowhere = graph(**ROW)
    del nowhere.nodes["h"]["Latitude"]
    text = refused(world(nowhere))
    assert "net.graphml does not say where these nodes are: Houston; add unknown_delay: 5 ms" in text
    parts = build(world(nowhere, unknown_delay="4 ms"))
    assert links(parts)["Denver-Houston"][3] == 0.004
    assert links(parts)["Chicago-Denver"][3] == pytest.approx(haversine(CHICAGO, DENVER) / 2e8)


def test_links_of_unknown_speed_need_a_word(world):
    text = refused(world(graph(**ROW), link={"bandwidth": None}))
    assert "net.graphml does not say how fast 1 of its 2 links are, such as Chicago-Denver" in text
    known = build(world(graph(cd=1e6, dh=2e9), link={"bandwidth": None}))
    assert links(known)["Chicago-Denver"][2] == 1e6


def test_two_speeds_where_the_scenario_says_two(world):
    parts = build(world(graph(**ROW), link={"bandwidth": None, "up": "1 Gbit/s", "down": "4 Gbit/s"}))
    speeds = {c.name: c.bandwidth.at(0) * 8 for c in parts.channels}
    assert (speeds["Chicago-Denver.up"], speeds["Chicago-Denver.down"]) == (1e9, 4e9)
    assert (speeds["Denver-Houston.up"], speeds["Denver-Houston.down"]) == (2e9, 2e9)


BESIDE = {"cd1": 3e9, "cd2": None, "dc3": 5e9, "dh": None}


def test_parallel_links_need_a_word(world):
    text = refused(world(graph(**BESIDE)))
    assert "net.graphml has 2 links beside another one, such as Chicago-Denver; add parallel: sum" in text


def test_parallel_links_summed(world):
    parts = build(world(graph(**BESIDE), parallel="sum"))
    found = links(parts)
    assert found["Chicago-Denver"][2] == 3e9 + 1e9 + 5e9
    assert len(found) == 4  # with the two written
    assert parts.told == ["net.graphml: 2 links beside another one summed with it"]


def test_parallel_links_kept_carry_nothing_but_one(world):
    scenario = world(graph(**BESIDE), parallel="keep", link={"connection": "none"})
    parts = build(scenario)
    assert {"Chicago-Denver", "Chicago-Denver-2", "Chicago-Denver-3"} < set(links(parts))
    once = scenario.with_({"workload.arrivals": {"kind": "periodic", "every": "9 s"}})
    used = play(once, ("@", 0, 1), ("Houston", 1, 3)).links.set_index("channel")["sent_bytes"]
    assert (used[["Chicago-Denver.up", "Chicago-Denver-2.up", "Chicago-Denver-3.up"]] > 0).sum() == 1


def test_what_changes_cannot_be_summed(world):
    text = refused(world(graph(**BESIDE), parallel="sum", link={"bandwidth": {"generate": "4g"}}))
    assert "parallel: sum adds bandwidths, such as those of Chicago-Denver, but that of link: changes over time" in text


def test_loops_are_left_out_and_told(world):
    parts = build(world(graph(**ROW, cc=1e9)))
    assert len(links(parts)) == 4
    assert parts.told == ["net.graphml: 1 link from a node to itself left out (Chicago)"]


def test_parts_that_do_not_meet_are_refused_or_left_out_and_told(world):
    text = refused(world(graph(cd=None)))
    assert "net.graphml is in 2 parts that no link joins (such as Houston); write disconnected: largest" in text
    parts = build(world(graph(cd=None), disconnected="largest"))
    assert "Houston" not in parts.nodes
    assert parts.told == ["net.graphml: 1 of 3 nodes left out, which no link joins to the largest part"]


def test_names_that_are_taken(world):
    scenario = world(graph(**ROW))
    assert 'net.graphml has a node "Denver", and so has nodes:' in refused(
        scenario.with_({"nodes.Denver": {"kind": "server", "hardware": "rack"}})
    )
    taken = {"between": ["pi", "edge"], "bandwidth": "1 MB/s", "delay": "1 ms"}
    assert 'makes a link "Chicago-Denver", and so does links:' in refused(
        scenario.with_({"links.Chicago-Denver": taken})
    )


def test_what_is_wrong_with_all_nodes_is_said_once_and_with_its_line(tmp_path):
    nx.write_graphml(graph(**ROW), tmp_path / "net.graphml")
    file = tmp_path / "s.yaml"
    file.write_text(
        "name: x\nuntil: 1 s\nmodel: vgg16\nnodes:\n  pi: {kind: device, hardware: raspberry-pi-4}\n"
        "topology:\n  trace: net.graphml\n  node:\n    kind: server\n    hardware: epic\n"
        "  link: {bandwidth: 1 Gbit/s, delay: distance}\n"
        "workload: {kind: inference, sources: [pi], arrivals: {kind: periodic, every: 1 s}}\n"
        "technique: {kind: device-only}\n"
    )
    text = refused(Scenario.load(file))
    assert text.count("epic") == 1
    assert text.startswith(f'{tmp_path.name}/s.yaml:8: topology.node: no hardware named "epic"')


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"link": {"between": ["a", "b"]}}, "topology: link: has between:, but a link of a graph joins"),
        ({"link": {"delay": "5"}}, "topology.link.delay: 5 has no unit"),
        ({"link": {"delay": None}}, "topology.link.delay: is missing"),
        ({"link": {"framing": 0.5}}, "topology.link.framing: 0.5 came; it must be 1"),
        ({"parallel": "add"}, "topology.parallel: 'add' is none of sum, keep"),
        ({"node": {"kind": "server"}}, "topology.node.hardware: is missing"),
    ],
)
def test_bad_entries(world, said, sentence):
    with pytest.raises(ScenarioError) as error:
        world(graph(**ROW), **said)
    assert sentence in str(error.value)


def test_bad_files(world, tmp_path):
    scenario = world(graph(**ROW))
    assert "is neither beside the scenario" in refused(scenario.with_({"topology.trace": "nett.graphml"}))
    (tmp_path / "net.graphml").write_text("t_s\n1\n")
    assert "topology.trace: " in refused(scenario)
    assert "a count:, but each node of a graph is one" in refused(
        world(graph(**ROW), node={"kind": "server", "hardware": "rack", "count": 2})
    )


# -- the Internet Topology Zoo -------------------------------------------------------------------------------------

EXPECTED = DATA / "EXPECTED.csv"
ZOO = [row for row in pd.read_csv(EXPECTED).to_numpy().tolist() if row[2] == "graphml"] if EXPECTED.is_file() else []


@pytest.mark.parametrize("row", ZOO or [None], ids=[row[0].split("/")[-1] for row in ZOO] or ["none"])
def test_graphs_of_the_zoo_become_as_many_nodes_and_links_as_they_have(row):
    recordings("topology")
    name, facts = row[0], json.loads(row[4])
    base = {"trace": name, "parallel": "keep", "unknown_delay": "5 ms", "disconnected": "largest"}
    base |= {"node": {"kind": "server", "hardware": "rack"}, "link": {"bandwidth": "1 Gbit/s", "delay": "distance"}}
    scenario = tiny()
    many, one = (
        build(Scenario.from_dict({**scenario.document.data, "topology": {**base, "parallel": how}}, scenario.library))
        for how in ("keep", "sum")
    )
    assert facts["components"] == 1
    assert len(many.nodes) - 2 == facts["nodes"]  # less pi and edge
    assert len(links(many)) - 1 == facts["edges"]
    assert len(links(one)) - 1 == facts["simple_edges"]
    assert sum(c.bandwidth.grade == "published" for c in many.channels) == 2 * facts["edges_with_speed"]
