"""Networks as GraphML: the Internet Topology Zoo (Knight et al., JSAC 2011), as published and as drawn (yEd).

Nodes are told apart by their ids, since labels repeat. ``Latitude`` and ``Longitude`` are often missing; the ``x`` and
``y`` of yEd are places on a drawing, not on the Earth. The bandwidth of a link is ``LinkSpeedRaw`` [bit/s], else
``LinkSpeed`` in ``LinkSpeedUnits``; both are often missing, and zero is no bandwidth. Links drawn with an arrow (yEd
draws all so) go both ways; parallel links are kept.
"""

from __future__ import annotations

import math
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import networkx as nx

from simulator.foundation.errors import TraceError
from simulator.traces.format import Format, Request
from simulator.traces.recording import Report, Topology
from simulator.traces.source import Source

SPEED = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
"""Units of ``LinkSpeed``, by their first letter [bit/s]."""
LAT, LON = ("latitude", "lat"), ("longitude", "lon", "lng")


def fits(source: Source) -> bool:
    """Return whether a ``graphml`` element begins near the top."""
    return source.head.lstrip().startswith("<") and "<graphml" in source.head


def read(source: Source, options: Request) -> Mapping[str, Topology]:
    """Read the graph: nodes with ``label``, ``lat``, ``lon``; edges with ``label`` and ``bandwidth`` [bit/s].

    Raises:
        TraceError: if it is not GraphML, declares entities (which can grow without bound), or has no node.
    """
    text = source.text
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise TraceError(f"{source.name}: declares a document type or entities, which GraphML needs none of; refused")
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            graph = nx.parse_graphml(text)
    except (ET.ParseError, nx.NetworkXException, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise TraceError(f"{source.name}: not GraphML: {error}") from None
    if not len(graph):
        raise TraceError(f"{source.name}: a graph without a node")
    report = Report(rows=len(graph) + graph.number_of_edges())
    report.assumed += sorted({str(each.message) for each in told})[:5]
    if graph.is_directed():
        report.assumed.append(f"{graph.number_of_edges()} links with a direction go both ways")
    found: Any = nx.MultiGraph() if _has_parallels(graph) else nx.Graph()
    unknown = 0
    for node, facts in graph.nodes(data=True):
        found.add_node(node, **_node(source, str(node), facts))
    for a, b, facts in graph.edges(data=True):
        known = _edge(facts)
        unknown += "bandwidth" not in known
        found.add_edge(a, b, **known)
    _tell(found, unknown, report)
    return {"": Topology(found, report)}


def _has_parallels(graph: Any) -> bool:
    pairs = {frozenset((a, b)) for a, b in graph.edges()}
    return len(pairs) < int(graph.number_of_edges())


def _node(source: Source, node: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    plain = {str(name).lower(): value for name, value in facts.items()}
    label = str(plain.get("label", "")).strip()
    known: dict[str, Any] = {"label": label or node}
    lat, lon = (next((_number(plain[name]) for name in names if name in plain), None) for names in (LAT, LON))
    if lat is not None and lon is not None:
        if abs(lat) > 90 or abs(lon) > 180:
            raise TraceError(f"{source.name}: node {node} ({label}) lies at {lat:g}, {lon:g} degrees; that is nowhere")
        known |= {"lat": lat, "lon": lon}
    return known


def _edge(facts: Mapping[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    label = str(facts.get("LinkLabel") or facts.get("label") or facts.get("EdgeLabel") or "").strip()
    if label:
        known["label"] = label
    raw = _number(facts.get("LinkSpeedRaw"))
    if raw is None:
        unit = str(facts.get("LinkSpeedUnits", "")).strip().lower()[:1]
        number = _number(facts.get("LinkSpeed"))
        raw = number * SPEED[unit] if number is not None and unit in SPEED else None
    if raw:
        known["bandwidth"] = raw
    return known


def _number(value: Any) -> float | None:
    """Return a number that is finite, or None: speeds such as ``34/155`` say nothing certain."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _tell(graph: Any, unknown: int, report: Report) -> None:
    """Say in *report* what is missing in the graph, and what whoever uses it has to decide."""
    labels = [facts["label"] for _, facts in graph.nodes(data=True)]
    nowhere = sum("lat" not in facts for _, facts in graph.nodes(data=True))
    pieces, loops = nx.number_connected_components(graph), nx.number_of_selfloops(graph)
    parallel = graph.number_of_edges() - len({frozenset((a, b)) for a, b in graph.edges()})
    if unknown < graph.number_of_edges():
        report.units["bit/s"] = graph.number_of_edges() - unknown
    for count, what in (
        (len(labels) - len(set(labels)), "labels stand at a second node (nodes are told apart by id)"),
        (nowhere, "nodes without a place"), (unknown, "links without a bandwidth"),
        (parallel, "links beside another of the same two nodes"), (loops, "links from a node to itself"),
        (pieces if pieces > 1 else 0, "pieces that no link joins"),
    ):  # fmt: skip
        if count:
            report.assumed.append(f"{count} {what}")


FORMAT = Format("graphml", ("topology",), "networks, such as the Internet Topology Zoo's", fits, read)
