"""What every replay of a table shares: blocks in a row, machines of which little is known, requests one by one.

Those who measured asked once, waited for the answer and asked again, so a replay's requests come so far apart that
each finds everything idle. What a table does not tell is no cost here; power is not a number, and so no joule of such
a run is either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from simulator.profiles.hardware import Fact, Hardware
from simulator.profiles.library import Library
from simulator.profiles.model import Layer, LayerTimes, ModelProfile
from simulator.profiles.placement import Placement
from simulator.scenario.document import Document
from simulator.scenario.scenario import Scenario
from simulator.techniques.min_latency import MinLatency
from simulator.techniques.technique import Technique
from simulator.world.request import Request
from simulator.world.view import View


def in_a_row(
    model: str, blocks: Sequence[str], sizes: Sequence[float], times: Iterable[LayerTimes], resolution: str = ""
) -> ModelProfile:
    """Return a network of one layer per block, each fed by the one before it.

    Args:
        model: its name.
        blocks: their names.
        sizes: bytes of the input and of what each block sends on, shape (blocks + 1,).
        times: of the blocks, by machine.
        resolution: stands for the input's size.
    """
    layers = tuple(
        Layer(name, "Block", "block", (blocks[i - 1] if i else "input",), 0.0, sizes[i], sizes[i + 1], 0.0)
        for i, name in enumerate(blocks)
    )
    return ModelProfile(
        model, "input", sizes[0], layers, resolution=resolution, measured={t.hardware: t for t in times}
    )


def machine(name: str, title: str, known: Mapping[str, Fact]) -> Hardware:
    """Return a machine of which nothing is known but *known* (by field of ``Hardware``) and a network's times."""
    power = Fact(math.nan, "guessed", "nobody measured it")
    none = Fact(0.0, "guessed", "not in the table")
    facts = {
        "memory": Fact(math.inf, "guessed", "not known"),
        **dict.fromkeys(("idle", "busy", "transmit", "receive"), power),
        **dict.fromkeys(("cold", "rest", "message", "byte"), none),
        **known,
    }
    return Hardware(name, title, **facts)  # type: ignore[arg-type]  # all of them are facts


class InTurn(Technique):
    """Request k by the k-th of *placements*."""

    asks: ClassVar[Literal["view", "request"]] = "request"
    placements: tuple[Placement, ...]

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Return the request's own placement."""
        return self.placements[request.number % len(self.placements) if request else 0]


def one_by_one(
    profile: ModelProfile,
    nodes: Mapping[str, Hardware],
    links: Mapping[str, Mapping[str, object]],
    apart: float,
    technique: InTurn | None = None,
    loads: Mapping[str, Mapping[str, object]] | None = None,
) -> Scenario:
    """Return the scenario in which the first of *nodes* asks, every *apart* seconds, in layers' median times.

    Args:
        profile: the network, with times on each node's hardware.
        nodes: name → hardware; the first is the device, the others are servers.
        links: as a scenario file writes them.
        apart: more than twice what a request takes [s].
        technique: places one request after the other; without it, one request comes and goes where it is fastest.
        loads: node → its background load, as a scenario file writes it.
    """
    device = next(iter(nodes))
    requests = len(technique.placements) if technique else 1
    kinds = {name: "device" if name == device else "server" for name in nodes}
    data: dict[str, Any] = {
        "name": f"{profile.name} on {', '.join(nodes)}",
        "until": f"{(requests - 0.5) * apart!r} s",
        "variability": "none",
        "model": {"name": profile.name, "input": profile.resolution},
        "nodes": {
            name: {"kind": kinds[name], "hardware": hardware.name, **(loads or {}).get(name, {})}
            for name, hardware in nodes.items()
        },
        "links": {name: dict(entry) for name, entry in links.items()},
        "workload": {
            "kind": "inference", "sources": [device], "arrivals": {"kind": "periodic", "every": f"{apart!r} s"},
        },
        "technique": {"kind": "min-latency"},
    }  # fmt: skip
    machines = list({hardware.name: hardware for hardware in nodes.values()}.values())
    return Scenario.of(Document(data), Library(models=[profile], machines=machines), technique or MinLatency())
