"""Access links: which of its links to a group of access points each device has from when on.

Where devices are follows from the scenario and the seed alone, so that all handovers are known before the run, and only
links to access points that a device ever comes nearest to are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from simulator.foundation.randomness import Streams
from simulator.physics.geometry import on_sphere
from simulator.physics.network import Channel
from simulator.physics.node import NodeFacts
from simulator.scenario.schema import NodeEntry, ScenarioEntry
from simulator.workloads.mobility import Roaming

Problem = Callable[[tuple[str | int, ...], str], None]


class Access:
    """The links of a scenario that devices on the move have one of at a time."""

    def __init__(self, entry: ScenarioEntry, streams: Streams) -> None:
        """Take the scenario and its chance."""
        self._entry = entry
        self._streams = streams
        self.roaming: list[Roaming] = []
        """Each device's turns, as far as resolved."""
        self._unused: list[tuple[str, list[str], list[str], bool]] = []

    def turns(
        self,
        name: str,
        ends: Sequence[Sequence[str]],
        groups: Mapping[str, Sequence[str]],
        nodes: Mapping[str, NodeFacts],
        problem: Problem,
    ) -> dict[str, dict[str, str]]:
        """Return, by device and site, the name of each link of the entry *name* that is ever used.

        Args:
            name: of the link's entry, which has ``attach``.
            ends: members at either end.
            groups: members of all nodes by the name they are written under.
            nodes: all members.
            problem: told of what cannot work, with its place.
        """
        link = self._entry.links[name]
        attach = link.attach
        assert attach is not None
        place = ("links", name)
        if any(member not in nodes for end in ends for member in end):
            return {}  # its hardware is a problem already
        kinds = [{nodes[member].kind for member in end} for end in ends]
        if kinds not in ([{"device"}, {"server"}], [{"server"}, {"device"}]):
            came = " and ".join(f"{kind}s" for kind in sorted(kinds[0] | kinds[1]))
            text = f"attach: links devices to access points, which are servers (they pass messages on); {came} came"
            problem((*place, "between"), text)
            return {}
        side = 0 if kinds[0] == {"device"} else 1
        devices, sites = ends[side], ends[1 - side]
        group = link.between[1 - side]
        if group not in self._entry.nodes or self._entry.nodes[group].count is None:
            text = f'attach: chooses among a group of access points, and "{group}" is one node; give it a count: and '
            problem((*place, "between", 1 - side), f"{text}a position: each, or leave attach: out")
            return {}
        if link.shared and link.sharing == "fifo":
            text = "devices that come and go share a cell fairly: add sharing: max-min, or sharing: airtime"
            problem((*place, "shared"), text)
            return {}
        if not self._placed(name, (link.between[side], group), groups, problem):
            return {}
        many = len(devices) > 1 or self._of(devices[0], groups)[1].count is not None
        lat, lon = zip(*self._entry.nodes[group].position.places, strict=True)  # type: ignore[union-attr]
        points = on_sphere(lat, lon)
        found: dict[str, dict[str, str]] = {}
        for device in devices:
            member, entry = self._of(device, groups)
            assert entry.position is not None
            draw = self._streams["offset", "position", device].random() if entry.position.random_offset else 0.0
            near = entry.position.course(member, draw).nearest(points, self._entry.until)
            called = {sites[site]: called_of(name, device, sites[site], many) for _, site in near}
            found[device] = called
            turns = tuple((time, called[sites[site]]) for time, site in near)
            self.roaming.append(Roaming(device, turns, attach.interruption))
        self._unused.append((name, list(devices), list(sites), many))
        return found

    def _placed(self, name: str, ends: tuple[str, str], groups: Mapping[str, Sequence[str]], problem: Problem) -> bool:
        """Return whether device and sites are where they can be attached; tell *problem* where not."""
        device, group = ends
        fine = True
        for end in ends:
            owner = end if end in groups else self._owner(end, groups)
            entry = self._entry.nodes[owner]
            place = ("nodes", owner, "position")
            if entry.position is None:
                moves = ", or a path: {trace: FILE}" if end == device else " for each"
                example = 'position: "-37.815, 144.974"' if end == device else 'position: ["-37.815, 144.974", ...]'
                why = f'"{name}" attaches "{device}" to the nearest of "{group}"'
                problem(place, f"is missing; {why}: {example}{moves}")
                fine = False
            elif end == group and entry.position.path is not None:
                problem(place, f'a path came, but access points ("{name}" attaches to the nearest) stand still')
                fine = False
            elif entry.position.mismatch(owner, len(groups[owner]), entry.count is not None):
                fine = False  # said already
        return fine

    def _owner(self, member: str, groups: Mapping[str, Sequence[str]]) -> str:
        return next(name for name, members in groups.items() if member in members)

    def _of(self, member: str, groups: Mapping[str, Sequence[str]]) -> tuple[int, NodeEntry]:
        """Return which member of its group a node is, and the entry it is written under."""
        owner = self._owner(member, groups)
        return list(groups[owner]).index(member), self._entry.nodes[owner]

    def unused(self) -> Iterator[str]:
        """Yield the names of links that exist on paper, but that no device ever has."""
        used = {link for roaming in self.roaming for _, link in roaming.turns}
        for name, devices, sites, many in self._unused:
            for device in devices:
                yield from (c for site in sites if (c := called_of(name, device, site, many)) not in used)

    def parallel(self, channels: Sequence[Channel]) -> Iterator[tuple[str, str]]:
        """Yield (name of a link's entry, sentence) where an access link runs beside another link."""
        pairs: dict[tuple[str, str], Channel] = {}
        for channel in channels:
            ends = (channel.sender, channel.receiver)
            other = pairs.setdefault(ends, channel)
            if other is not channel and (other.roams or channel.roams) and ends[0] < ends[1]:
                both = f'"{other.link}" and "{channel.link}" both join "{ends[0]}" and "{ends[1]}"'
                yield channel.link.split("[")[0], f"{both}; leave one of them out"


def called_of(name: str, device: str, site: str, many: bool) -> str:
    """Return what the link of *device* to *site* is called: with *many* devices, after both."""
    return f"{name}[{device},{site}]" if many else f"{name}[{site}]"
