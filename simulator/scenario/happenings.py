"""``dynamics:`` in a scenario: failures at written times, outages recorded or drawn, and devices that come and go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from simulator.foundation.errors import OffingError, TraceError, did_you_mean
from simulator.foundation.randomness import Streams
from simulator.foundation.units import Period, Seconds
from simulator.scenario.entry import Entry
from simulator.scenario.lengths import LengthsEntry
from simulator.scenario.reading import ReadingEntry
from simulator.traces.outages import OutageGenerator
from simulator.traces.reader import read_recording
from simulator.workloads.dynamics import Away, Outage, merged_outages

MOST = 1_000_000
"""Outages of one node that a run may have."""
Spans = list[tuple[float, float]]
"""Begin and end [s]."""


class InstantEntry(Entry):
    """When something happens."""

    time: Seconds


class FailureEntry(Entry):
    """A node or link goes down."""

    kind: Literal["failure"]
    node: str | None = None
    link: str | None = None
    at: InstantEntry
    """When it goes down."""
    repair_after: Period | None = None
    """How long it is down; for ever where it is not said."""

    @model_validator(mode="after")
    def _one(self) -> FailureEntry:
        if (self.node is None) == (self.link is None):
            raise ValueError("a failure names either a node: or a link:")
        return self


class DrawnEntry(Entry):
    """Outages that are drawn from the seed: a shipped generator's, or up and down by turns."""

    generate: str | None = None
    """Kind of outages, among those shipped: web-service."""
    up: LengthsEntry | None = None
    """How long it is up between two outages."""
    down: LengthsEntry | None = None
    """How long an outage lasts."""

    @model_validator(mode="after")
    def _way(self) -> DrawnEntry:
        ways = (self.generate is not None) + (self.up is not None or self.down is not None)
        if ways != 1 or (self.up is None) != (self.down is None):
            raise ValueError("say how outages are drawn: either generate: web-service, or both up: and down:")
        return self


class RecordedEntry(ReadingEntry):
    """Fields of what happens as it was recorded."""

    trace: str | None = None
    """File of outages (``down_s``, ``up_s``, and ``share`` of the machines that each strikes)."""
    offset: Literal["random"] | Seconds = 0.0
    """Where in the recording the run begins; ``random``: anywhere, from the seed: the same for all of a group that
    fails, another for each device that comes and goes."""
    end: Literal["hold", "wrap"] = "hold"
    """What follows the end of the recording: nothing happens any more, or it starts again."""

    def spans(self, path: Path, rng: np.random.Generator, until: float) -> list[tuple[float, float, float]]:
        """Return begin, end [s] and share of each outage before *until*.

        Raises:
            TraceError: if the file cannot be read, or does not last as long as an offset needs.
        """
        recording = read_recording(path, self.request("failures"))
        down, up, share = (np.asarray(recording.columns[name]) for name in ("down_s", "up_s", "share"))
        duration = float(up.max(initial=0.0))
        offset = 0.0
        if self.offset == "random":
            room = duration if self.end == "wrap" else duration - until
            if room <= 0:
                raise TraceError(
                    f"{path.name} lasts {duration:g} s, and the run {until:g} s, so that it cannot begin anywhere in "
                    "it; add end: wrap, or leave offset: random out"
                )
            offset = float(rng.random()) * room
        elif self.offset and self.offset >= duration:
            raise TraceError(f"{path.name} ends at {duration:g} s, before offset: {self.offset:g} s; choose a smaller")
        else:
            offset = self.offset
        if self.end == "wrap" and not duration:
            raise TraceError(f"{path.name} lasts 0 s, so that it cannot start again; leave end: wrap out")
        laps = math.ceil((offset + until) / duration) if self.end == "wrap" else 1
        if laps * len(down) > MOST:
            raise TraceError(f"{path.name}: some {laps * len(down):.0e} outages would come; at most {MOST:.0e} can")
        found = []
        for lap in range(laps):
            begins, ends = down + lap * duration - offset, up + lap * duration - offset
            kept = (ends > 0) & (begins < until)
            rows = zip(begins[kept].tolist(), ends[kept].tolist(), share[kept].tolist(), strict=True)
            found += [(max(0.0, begin), end, part) for begin, end, part in rows]
        return found


class OutagesEntry(RecordedEntry, DrawnEntry):
    """A node, a link, or each member of a group, goes down now and then: as recorded, or drawn from the seed.

    Of a recorded outage with a ``share``, each member is struck with that probability; drawn ones each draw their own.
    """

    kind: Literal["outages"]
    node: str | None = None
    """A node, or a group of nodes."""
    link: str | None = None
    """A link, or all links written as one."""
    otherwise: DrawnEntry | None = None
    """What to do where the file of ``trace`` is nowhere."""

    @model_validator(mode="after")
    def _way(self) -> OutagesEntry:
        if (self.node is None) == (self.link is None):
            raise ValueError("outages name either a node: or a link:")
        _one_way(self, "outages", "either trace: FILE, or generate: web-service, or both up: and down:")
        return self


class PresenceEntry(Entry):
    """Presence that is drawn from the seed."""

    present: LengthsEntry
    """How long a device stays."""
    absent: LengthsEntry
    """How long it is gone."""


class ChurnEntry(RecordedEntry):
    """Devices that come and go: one that is absent asks nothing, and what it had under way waits for its return."""

    kind: Literal["churn"]
    device: str
    """A device, or a group of them; each comes and goes by itself."""
    present: LengthsEntry | None = None
    """How long it stays."""
    absent: LengthsEntry | None = None
    """How long it is gone."""
    otherwise: PresenceEntry | None = None
    """What to do where the file of ``trace`` is nowhere."""

    @model_validator(mode="after")
    def _way(self) -> ChurnEntry:
        _one_way(self, "churn", "either trace: FILE, or both present: and absent:")
        return self


def _one_way(entry: Any, what: str, ways: str) -> None:
    """Refuse an entry that says nothing of when, or too much.

    Raises:
        ValueError: saying what to write.
    """
    pair = ("up", "down") if what == "outages" else ("present", "absent")
    drawn = [getattr(entry, name) is not None for name in pair]
    said = (entry.trace is not None) + (getattr(entry, "generate", None) is not None) + any(drawn)
    if said != 1 or any(drawn) != all(drawn):
        raise ValueError(f"when? Write {ways}")
    if entry.otherwise is not None and entry.trace is None:
        raise ValueError("otherwise: goes with trace:, whose file may be nowhere")
    for name in ("format", "member", "series", "repair", "offset", "end"):
        if entry.trace is None and name in entry.model_fields_set:
            raise ValueError(f"{name}: goes with trace:")


HappeningEntry = Annotated[FailureEntry | OutagesEntry | ChurnEntry, Field(discriminator="kind")]


@dataclass
class Happenings:
    """What will happen in a run."""

    outages: dict[str, list[Outage]] = field(default_factory=dict)
    """By node or link, in order, without overlap."""
    away: dict[str, Away] = field(default_factory=dict)
    """By device that comes and goes."""
    told: list[str] = field(default_factory=list)
    """What was merged."""


@dataclass
class World:
    """What resolving needs to know of the rest of a scenario."""

    groups: Mapping[str, Sequence[str]]
    """Members of each node as it is written."""
    devices: set[str]
    links: Iterable[str]
    streams: Streams
    until: float
    find: Callable[[str, bool], Path | None]
    """Where a recording lies; it raises where it is nowhere, or returns None where something is said instead."""
    generator: Callable[[str], OutageGenerator]
    """Find outages of a shipped kind; it raises where there are none of that name."""
    problem: Callable[[tuple[str | int, ...], str], None]
    quiet: bool = False
    """Not to speak of names that are unknown, perhaps because of what was found before."""


def resolve_happenings(entries: Sequence[Any], world: World) -> Happenings:
    """Return what *entries* make happen; what cannot be goes to ``world.problem``."""
    links: dict[str, list[str]] = {}
    for link in dict.fromkeys(world.links):
        links.setdefault(link, []).append(link)
        if "[" in link:
            links.setdefault(link.split("[")[0], []).append(link)
    nodes = {member: [member] for members in world.groups.values() for member in members} | {
        name: list(members) for name, members in world.groups.items()
    }
    found = Happenings()
    every: dict[str, list[Outage]] = {}
    written: dict[str, list[Outage]] = {}
    for index, entry in enumerate(entries):
        place = ("dynamics", index)
        if isinstance(entry, ChurnEntry):
            kind, name, known = "device", entry.device, nodes
        else:
            kind = "node" if entry.node is not None else "link"
            name, known = str(entry.node or entry.link), nodes if kind == "node" else links
        if name not in known:
            if not world.quiet:
                hint = did_you_mean(name, known)
                world.problem((*place, kind), f'no {kind} named "{name}".{hint} Known: {", ".join([*known][:20])}')
        elif isinstance(entry, FailureEntry):
            if known[name] != [name]:
                text = f'"{name}" is a group; name one of it, such as {known[name][0]}, or write {{kind: outages, ...}}'
                world.problem((*place, kind), text)
                continue
            new = Outage(name, entry.at.time, math.inf if entry.repair_after is None else entry.repair_after)
            _apart(new, written.setdefault(name, []), place, world)
            written[name].append(new)
            every.setdefault(name, []).append(new)
        elif isinstance(entry, ChurnEntry) and not world.devices.issuperset(known[name]):
            text = f'"{name}" is a server, and only devices come and go; write {{kind: outages, node: {name}, ...}}'
            world.problem((*place, kind), text)
        else:
            try:
                _strike(entry, known[name], index, every, world)
            except OffingError as error:
                key = next((key for key in ("trace", "generate") if getattr(entry, key, None) is not None), None)
                world.problem(place if key is None else (*place, key), str(error))
    for name, outages in every.items():
        found.outages[name] = merged_outages(outages)
        gone = len(outages) - len(found.outages[name])
        if gone:
            found.told.append(f"{name}: {gone} of {len(outages)} outages met others, and were merged with them")
        absent = merged_outages(outage for outage in outages if outage.absent)
        if absent:
            found.away[name] = [(outage.start, outage.end) for outage in absent]
    return found


def _apart(new: Outage, others: Sequence[Outage], place: tuple[str | int, ...], world: World) -> None:
    """Refuse failures at written times that overlap: that is a mistake."""
    for other in others:
        first, second = sorted((other, new), key=lambda outage: outage.start)
        if first.end >= second.start:
            up = "never comes back" if math.isinf(first.length) else f"is down until {first.end:g} s"
            world.problem(
                place,
                f'two failures of "{new.name}" overlap: it {up} when it fails again at {second.start:g} s; '
                "move one of them, or shorten repair_after:",
            )


def _strike(
    entry: OutagesEntry | ChurnEntry, members: Sequence[str], index: int, every: dict[str, list[Outage]], world: World
) -> None:
    """Add what befalls each of *members*.

    Raises:
        OffingError: if a recording or a generator is no use.
    """
    path = None if entry.trace is None else world.find(entry.trace, entry.otherwise is not None)
    churn = isinstance(entry, ChurnEntry)
    what = "churn" if churn else "outages"
    recorded: list[tuple[float, float, float]] | None = None
    for member in members:
        rng = world.streams[what, str(index), member]
        if path is not None:
            if recorded is None or (churn and entry.offset == "random"):  # members fail together, but leave each alone
                begin = world.streams[what, "offset", str(index), *([member] if churn else [])]
                recorded = entry.spans(path, begin, world.until)
            spans = _struck(recorded, rng)
        else:
            spans = _drawn(entry if entry.trace is None else entry.otherwise, rng, world)
        every.setdefault(member, []).extend(Outage(member, begin, end - begin, churn) for begin, end in spans)


def _struck(outages: Sequence[tuple[float, float, float]], rng: np.random.Generator) -> Spans:
    """Return those of *outages* that strike one machine, each with the probability of its share."""
    draws = rng.random(len(outages)).tolist()
    return [(begin, end) for (begin, end, share), draw in zip(outages, draws, strict=True) if draw < share]


def _drawn(entry: Any, rng: np.random.Generator, world: World) -> Spans:
    """Return when the owner of *rng* is down.

    Raises:
        TraceError: no such generator, or more outages than a run can have.
    """
    if getattr(entry, "generate", None) is not None:
        made = world.generator(entry.generate)
    else:
        up, down = (entry.up, entry.down) if hasattr(entry, "up") else (entry.present, entry.absent)
        made = OutageGenerator("", "", "", "", up.lengths, down.lengths, ((1.0, 1.0),))
    expected = world.until / (made.between.mean + made.length.mean)
    if expected > MOST:
        raise TraceError(f"some {expected:.0e} outages would come; at most {MOST:.0e} can: make them longer")
    return _struck(made.draw(rng, world.until), rng)
