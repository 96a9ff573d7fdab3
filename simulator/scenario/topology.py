"""``topology:`` in a scenario: a recorded graph made into nodes and links like those that are written.

What the graph does not say (what machines its nodes are, how fast a link is whose speed nobody wrote down) the scenario
says; how long a link is follows from where its ends are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import networkx as nx

from simulator.foundation.errors import OffingError, ScenarioError
from simulator.physics.geometry import metres, on_sphere
from simulator.profiles.trace import Trace
from simulator.scenario.capacity import Capacity
from simulator.scenario.delay import Delay
from simulator.scenario.inputs import find_file
from simulator.scenario.scenario import Scenario
from simulator.scenario.schema import LinkEntry, NodeEntry, ScenarioEntry, TopologyEntry, TopologyLinkEntry
from simulator.traces.reader import read_topology
from simulator.traces.recording import Topology

FIBRE = 2.0e8
"""Speed of light in glass [m/s]: that in vacuum over a refractive index of 1.5 (ITU-T G.652 fibres have 1.47). The way
of a cable is longer than the great circle, which is why the delay is a lower bound."""
SHOWN = 5
"""Names in an error."""


@dataclass
class Unfolded:
    """A scenario's nodes and links with those of the graph."""

    nodes: dict[str, NodeEntry]
    links: dict[str, LinkEntry]
    told: list[str] = field(default_factory=list)
    """What of the graph was left out or merged."""


def with_topology(scenario: Scenario) -> tuple[Scenario, list[str]]:
    """Return *scenario* with the nodes and links of its graph as if they were written, and what that left out.

    Raises:
        ScenarioError: if the graph cannot be read, or its nodes and links cannot be made.
    """
    topology, library = scenario.entry.topology, scenario.library
    if topology is None:
        return scenario, []
    key = "trace"
    try:
        path = find_file(topology.trace, scenario.document.folder, library.folder)
        graph = read_topology(path, topology.request("topology"))
        key = "node"
        library.hardware(topology.node.hardware)  # said once here, and not for every node
        key = ""
        found = unfold(scenario.entry, topology, graph, path.name)
    except OffingError as error:
        where = scenario.where("topology", *([key] if key else []))
        texts = error.problems if isinstance(error, ScenarioError) else (str(error),)
        raise ScenarioError(*(f"{where}: {text}" for text in texts)) from None
    lines = dict(scenario.document.lines)
    for kind, made in (("nodes", found.nodes), ("links", found.links)):
        here = lines.get(("topology", kind[:-1]))
        if here is not None:  # what is wrong with a node of the graph stands in topology.node
            lines |= {(kind, name): here for name in made if (kind, name) not in lines}
    entry = scenario.entry.model_copy(update={"nodes": found.nodes, "links": found.links})
    return replace(scenario, entry=entry, document=replace(scenario.document, lines=lines)), found.told


@dataclass(frozen=True)
class _Edge:
    """A link of the graph, or several side by side that are summed."""

    a: str
    b: str
    known: tuple[float | None, ...]
    """Bandwidth of each [bit/s]."""


def unfold(entry: ScenarioEntry, topology: TopologyEntry, graph: Topology, file: str) -> Unfolded:
    """Return the nodes and links of *entry* with those of *graph*, which was read from *file*.

    Raises:
        ScenarioError: with what the graph lacks, or has too much of, and the scenario does not say what to do about.
    """
    found = Unfolded(dict(entry.nodes), dict(entry.links))
    if not len(graph.graph):
        raise ScenarioError(f"{file} has no node")
    whole: nx.MultiGraph[str] = nx.MultiGraph(graph.graph.to_undirected() if graph.graph.is_directed() else graph.graph)
    _drop_loops(whole, found, file)
    whole = _one_part(whole, topology, found, file)
    names = _names(whole)
    problems: list[str] = []
    if topology.node.count is not None:
        problems.append("node: has a count:, but each node of a graph is one; leave it out")
    for name in names.values():
        if name in found.nodes:
            problems.append(f'{file} has a node "{name}", and so has nodes:; rename that')
        found.nodes[name] = topology.node
    delays = _delays(whole, names, topology, file, problems)
    edges = _edges(whole, topology, names, found, file, problems)
    _check_speeds(edges, topology, file, problems)
    if problems:
        raise ScenarioError(*dict.fromkeys(problems))
    for name, edge in edges.items():
        if name in found.links:
            problems.append(f'{file} makes a link "{name}", and so does links:; rename that')
        ends = {"between": (names[edge.a], names[edge.b]), "delay": Delay(delays[edge.a, edge.b])}
        found.links[name] = topology.link.model_copy(update={**ends, **_speeds(edge, topology.link, file)})
    if problems:
        raise ScenarioError(*problems)
    return found


def _drop_loops(graph: nx.MultiGraph[str], found: Unfolded, file: str) -> None:
    loops = list(nx.selfloop_edges(graph, keys=True))
    for loop in loops:
        graph.remove_edge(*loop)
    if loops:
        places = ", ".join(sorted({str(_label(graph, loop[0])) for loop in loops})[:SHOWN])
        found.told.append(f"{file}: {_links(len(loops))} from a node to itself left out ({places})")


def _one_part(graph: nx.MultiGraph[str], topology: TopologyEntry, found: Unfolded, file: str) -> nx.MultiGraph[str]:
    parts = sorted(nx.connected_components(graph), key=len, reverse=True)
    if len(parts) < 2:
        return graph
    if topology.disconnected == "refuse":
        small = ", ".join(sorted(str(_label(graph, node)) for node in parts[1])[:SHOWN])
        raise ScenarioError(
            f"{file} is in {len(parts)} parts that no link joins (such as {small}); write disconnected: largest to "
            f"take the largest, of {len(parts[0])} of its {len(graph)} nodes, or join them in the file"
        )
    rest = len(graph) - len(parts[0])
    found.told.append(f"{file}: {rest} of {len(graph)} nodes left out, which no link joins to the largest part")
    return nx.MultiGraph(graph.subgraph([node for node in graph if node in parts[0]]))


def _links(count: int) -> str:
    return f"{count} link{'s' if count > 1 else ''}"


def _label(graph: nx.MultiGraph[str], node: str) -> str:
    said = graph.nodes[node].get("label")
    return str(node if said is None or not str(said).strip() else said).strip()


def _names(graph: nx.MultiGraph[str]) -> dict[str, str]:
    """Return what each node is called: its label, where no other has it, else label and identifier."""
    times = Counter(_label(graph, node) for node in graph)
    return {node: label if times[label := _label(graph, node)] == 1 else f"{label}-{node}" for node in graph}


def _delays(
    graph: nx.MultiGraph[str], names: Mapping[str, str], topology: TopologyEntry, file: str, problems: list[str]
) -> dict[tuple[str, str], float]:
    """Return the propagation delay [s] by the ends of a link, either way round."""
    if isinstance(topology.link.delay, Delay):
        return {pair: topology.link.delay.mean for a, b, _ in graph.edges for pair in ((a, b), (b, a))}
    placed = {node: facts for node, facts in graph.nodes(data=True) if "lat" in facts and "lon" in facts}
    unit = {node: on_sphere(float(facts["lat"]), float(facts["lon"])) for node, facts in placed.items()}
    found: dict[tuple[str, str], float] = {}
    lost: dict[str, None] = {}
    for a, b, _ in graph.edges:
        if a in unit and b in unit:
            delay = float(metres(unit[a], unit[b])[0]) / FIBRE
        else:
            delay = topology.unknown_delay or 0.0
            lost |= dict.fromkeys(names[node] for node in (a, b) if node not in unit)
        found[a, b] = found[b, a] = delay
    if lost and topology.unknown_delay is None:
        listed = ", ".join([*lost][:SHOWN]) + (f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else "")
        problems.append(f"{file} does not say where these nodes are: {listed}; add unknown_delay: 5 ms for their links")
    return found


def _edges(
    graph: nx.MultiGraph[str],
    topology: TopologyEntry,
    names: Mapping[str, str],
    found: Unfolded,
    file: str,
    problems: list[str],
) -> dict[str, _Edge]:
    """Return the links of the graph by name."""
    beside: dict[frozenset[str], list[_Edge]] = {}
    for a, b, facts in graph.edges(data=True):
        speed = facts.get("bandwidth")
        edge = _Edge(a, b, (None if speed is None else float(speed),))
        beside.setdefault(frozenset((a, b)), []).append(edge)
    more = sum(len(edges) - 1 for edges in beside.values())
    if more and topology.parallel is None:
        several = next(edges[0] for edges in beside.values() if len(edges) > 1)
        problems.append(
            f"{file} has {_links(more)} beside another one, such as {names[several.a]}-{names[several.b]}; add "
            "parallel: sum (one link of all their bandwidth) or parallel: keep (the one of least delay is used)"
        )
    if more and topology.parallel == "sum":
        found.told.append(f"{file}: {_links(more)} beside another one summed with it")
    if more and topology.parallel == "keep":
        found.told.append(f"{file}: {_links(more)} beside another one kept; the network uses that of least delay")
    made: dict[str, _Edge] = {}
    for edges in beside.values():
        name = f"{names[edges[0].a]}-{names[edges[0].b]}"
        if topology.parallel == "keep":
            made |= {name if not i else f"{name}-{i + 1}": edge for i, edge in enumerate(edges)}
        else:
            made[name] = _Edge(edges[0].a, edges[0].b, tuple(edge.known[0] for edge in edges))
    return made


def _check_speeds(edges: Mapping[str, _Edge], topology: TopologyEntry, file: str, problems: list[str]) -> None:
    """Refuse links of unknown bandwidth where the scenario says none, or none that could be added."""
    defaults = [speed for speed in (topology.link.bandwidth, topology.link.up, topology.link.down) if speed is not None]
    unknown = [name for name, edge in edges.items() if None in edge.known]
    if unknown and not defaults:
        problems.append(
            f"{file} does not say how fast {len(unknown)} of its {len(edges)} links are, such as {unknown[0]}; add "
            'link: {bandwidth: "10 Gbit/s"} for those'
        )
    varies = any(speed.generator is not None or speed.trace.constant is None for speed in defaults)
    summed = [name for name in unknown if len(edges[name].known) > 1]
    if summed and varies:
        problems.append(
            f"parallel: sum adds bandwidths, such as those of {summed[0]}, but that of link: changes over time; write "
            "a constant one, or parallel: keep"
        )


def _speeds(edge: _Edge, link: TopologyLinkEntry, file: str) -> dict[str, Capacity]:
    """Return what changes of the bandwidth of *link* for *edge*, whose own counts where it is known."""
    if edge.known == (None,):
        return {}
    names = ["bandwidth"] if link.up is None else ["up", "down"]
    return {name: _sum(edge, getattr(link, name), file) for name in names}


def _sum(edge: _Edge, default: Capacity | None, file: str) -> Capacity:
    slow = 0.0 if default is None else default.trace.mean()
    return Capacity(Trace.of(sum(slow if known is None else known / 8 for known in edge.known), file, "published"))
