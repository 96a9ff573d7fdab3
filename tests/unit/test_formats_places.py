"""Places, outages, networks and tables that nobody has seen: made-up files with every mess those families have."""

from __future__ import annotations

import gzip
import json

import networkx as nx
import pandas as pd
import pytest
from samples import GRAPH, PATH, REPAIR, SITES, only, refused

from simulator.foundation.errors import TraceError
from simulator.traces.reader import Request, read_arrivals, read_file

# -- places ----------------------------------------------------------------------------------------------------------


def test_sites(write):
    found = only(write(SITES))
    assert (found.kind, found.names) == ("sites", ("A", "B"))
    assert found.columns["lon"].tolist() == [144.5, 144.75]
    assert found.report.assumed == ["1 cells of other columns are empty"]
    users = "IP,Latitude,Longitude,PostCode,City\n1.2.3.1,-30.5,151.5,,X\n"
    assert (only(write(users)).kind, only(write(users)).names) == ("sites", ())
    assert ":3: latitude is not within 90 degrees" in refused(write(SITES.replace("-37.25", "-137.25")))
    assert only(write(SITES.replace("-37.25", "")), REPAIR).names == ("A",)
    assert "formats that fit: none" in refused(write("Timestamp,Latitude,Longitude\n1,2,3\n"), Request("sites"))


def test_a_path_has_a_time_only_if_somebody_says_how_long_a_step_takes(write):
    found = only(write(PATH), Request("mobility"))
    assert set(found.columns) == {"lat", "lon"}
    assert "no time from row to row is in the file (step: says it)" in found.report.assumed
    timed = only(write(PATH), Request("mobility", step=2.5))
    assert (timed.columns["t_s"].tolist(), timed.duration) == ([0, 2.5, 5], 5)
    assert only(write(PATH), Request("sites")).kind == "sites"


def test_edge_nodes(write):
    text = "ID,Latitude,Longitude,Block,Level,Parent,State,Details\n0,1,2,0,0,-1,S,Cloud, at home\n1,1,2,1,1,0,S,B\n"
    found = only(write(text.replace("Cloud, at home", '"Cloud, at home"')))
    assert found.names == ("Cloud, at home", "B")
    assert (found.columns["level"].tolist(), found.columns["parent"].tolist()) == ([0, 1], [-1, 0])


# -- outages ---------------------------------------------------------------------------------------------------------


def outages(tmp_path, **columns):
    given = {"failure_interval": [0, 2000], "failure_duration": [1000, 500], "failure_intensity": [1.0, 0.25]} | columns
    pd.DataFrame(given).to_parquet(tmp_path / "outages")
    return tmp_path / "outages"


def test_the_gap_is_from_the_end_of_the_outage_before(tmp_path):
    found = only(outages(tmp_path))
    assert found.columns["down_s"].tolist() == [0, 3]
    assert found.columns["up_s"].tolist() == [1, 3.5]
    assert (found.columns["share"].tolist(), found.duration) == ([1, 0.25], 3.5)
    packed = gzip.compress((tmp_path / "outages").read_bytes())
    (tmp_path / "packed").write_bytes(packed)
    assert only(tmp_path / "packed").facts() == found.facts()


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"failure_duration": [1000, -1]}, "outages:2: failure_duration is not above zero (repair: drops the row)"),
        ({"failure_interval": [0, None]}, "outages:2: failure_interval is no number"),
        ({"failure_intensity": [1.5, 1.0]}, "outages:1: failure_intensity is no share above 0 and up to 1"),
        ({"failure_intensity": ["a", "b"]}, "columns of numbers expected; came failure_interval: int64"),
    ],
)
def test_outages_that_cannot_be(tmp_path, columns, sentence):
    assert sentence in refused(outages(tmp_path, **columns))


def test_parquet_of_something_else(tmp_path):
    pd.DataFrame({"device": ["a"], "ms": [1.0]}).to_parquet(tmp_path / "p")
    assert "no column failure_interval and failure_duration and failure_intensity; it has device, ms" in refused(
        tmp_path / "p", Request(format="cloud-uptime")
    )
    assert read_file(tmp_path / "p").format == "table"
    (tmp_path / "cut").write_bytes((tmp_path / "p").read_bytes()[:200])
    assert "a damaged Parquet file" in refused(tmp_path / "cut", Request(format="cloud-uptime"))


# -- networks --------------------------------------------------------------------------------------------------------


def test_a_network(write):
    found = only(write(GRAPH.replace("{directed}", "undirected")))
    nodes = dict(found.graph.nodes(data=True))
    assert nodes["x1"] == {"label": "Here", "lat": 1.5, "lon": 2.5}
    assert (nodes["x2"], nodes["x3"]) == ({"label": "Here"}, {"label": "x3"})
    assert isinstance(found.graph, nx.MultiGraph)
    assert sorted(facts.get("bandwidth", 0) for *_, facts in found.graph.edges(data=True)) == [0, 0, 34e6, 2.5e9]
    assert found.report.assumed == [
        "1 labels stand at a second node (nodes are told apart by id)", "3 nodes without a place",
        "2 links without a bandwidth", "1 links beside another of the same two nodes",
        "1 links from a node to itself", "2 pieces that no link joins",
    ]  # fmt: skip


def test_links_with_arrows_go_both_ways_and_none_is_lost(write):
    found = only(write(GRAPH.replace("{directed}", "directed")))
    assert not found.graph.is_directed()
    assert found.graph.number_of_edges() == 4
    assert found.report.assumed[0] == "4 links with a direction go both ways"


BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><graphml><graph>&b;</graph></graphml>'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (BOMB, "declares a document type or entities"),
        ("<graphml", "not GraphML"),
        (
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected"/></graphml>',
            "without a node",
        ),
        (
            GRAPH.replace('<data key="b">1.5</data><data key="c">', '<data key="b">91</data><data key="c">'),
            "that is nowhere",
        ),
    ],
)
def test_networks_that_are_refused(write, text, sentence):
    assert sentence in refused(write(text.replace("{directed}", "undirected")))


# -- tables ----------------------------------------------------------------------------------------------------------


def test_tables(write):
    frame = only(write('a;b;c\n1;"x;y";\n2;z;0\n')).frame
    assert frame["b"].tolist() == ["x;y", "z"]
    assert frame.isna().sum().sum() == 1
    assert ":3: 2 cells, expected 3" in refused(write("a,b,c\n1,2,3\n4,5\n"), Request(format="table"))
    assert only(write("a,b,c\n1,2,3\n4,5\n"), Request(format="table", repair=True)).report.dropped == 1


def test_json_tables(write):
    phones = [{"Model": "A", "Score": "76", "RAM": "8GB"}, {"Model": "B", "Score": "0", "RAM": "4GB"}]
    found = only(write(json.dumps(phones)))
    assert found.frame["Score"].tolist() == [76, 0]
    assert found.report.assumed == [
        "numbers written as text were read as numbers: Score",
        "zeros may mean that nothing was measured, and were kept: Score (1)",
    ]
    assert only(write('{"A": 5, "B": 6}')).frame["value"].tolist() == [5, 6]
    assert only(write('{"A": {"up": 5}, "B": {"up": 6}}')).frame.columns.tolist() == ["name", "up"]
    assert "nothing in it" in refused(write("[]"), Request(format="table"))


def test_a_table_is_never_taken_for_what_was_wanted(write):
    path = write("time,rate\n0,8\n1,9\n")
    assert read_file(path).format == "table"
    for kind in ("bandwidth", "cpu", "arrivals", "sites"):
        assert "formats that fit: none" in refused(path, Request(kind))
    with pytest.raises(TraceError, match=r"is a trace of table, but arrivals \(or a rate of them\) is needed here"):
        read_arrivals(path, Request())
