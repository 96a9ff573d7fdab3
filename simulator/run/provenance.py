"""Where the numbers of a run come from: version, profiles, hardware, recordings, each with its evidence grade."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from simulator.physics.network import Channel
from simulator.physics.node import NodeFacts
from simulator.scenario.build import Parts


def provenance(parts: Parts) -> dict[str, Any]:
    """Return where the numbers of a run come from: version, profiles and their grades, hardware."""
    return {
        "offing": version("offing"),
        "model": {"name": parts.model.name, "input": parts.model.resolution, "batch": parts.model.batch},
        "times": {
            name: {"grade": times.grade, "source": times.source, "sha256": _digest(times.seconds)}
            for name, times in parts.times.items()
        },
        "hardware": {
            name: {key: {"value": f.value, "grade": f.grade, "source": f.source} for key, f in machine.facts().items()}
            for name, machine in parts.machines.items()
        },
        "networks": _networks(parts.channels),
        "loads": _loads(parts.nodes),
        "inputs": [each.as_dict() for each in parts.scenario.inputs()],
        "told": parts.told,
    }


def _networks(channels: Sequence[Channel]) -> dict[str, dict[str, str]]:
    """Return where bandwidth and delay of each link come from, by direction; constants are the scenario's own word."""
    found = {}
    for channel in channels:
        direction = channel.name.removeprefix(channel.link).split("[")[0]
        name = channel.link.split("[")[0] + direction
        if channel.delays is not None:
            found[f"{name} delay"] = {"grade": channel.delays.grade, "source": channel.delays.source}
        if channel.bandwidth.source:
            found[name] = {"grade": channel.bandwidth.grade, "source": channel.bandwidth.source}
    return found


def _loads(nodes: Mapping[str, NodeFacts]) -> dict[str, dict[str, str]]:
    """Return where the background load of each node comes from, where it is no constant."""
    traces = {name: facts.capacity for name, facts in nodes.items() if facts.capacity.source}
    return {name: {"grade": trace.grade, "source": trace.source} for name, trace in traces.items()}


def _digest(seconds: tuple[float, ...]) -> str:
    return hashlib.sha256(json.dumps(seconds).encode()).hexdigest()[:16]
