"""The ``knowledge:`` block: what a technique may know, as written, as resolved, and whether links can carry it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, model_validator

from simulator.foundation.errors import did_you_mean
from simulator.foundation.units import SHARE, Bytes, Period
from simulator.physics.network import Channel
from simulator.profiles.trace import Trace
from simulator.scenario.entry import Entry, Number, Or
from simulator.techniques.technique import Technique
from simulator.world.sensing import Knowledge, Messages, Method


class EwmaEntry(Entry):
    """Exponentially weighted mean of what transfers showed."""

    ewma: Number = Field(gt=0, le=1)
    """Weight of the newest."""


class ProbeEntry(Entry):
    """Messages that measure the bandwidth, in each direction of each link on the way to a server."""

    probe: Period
    """Time from one to the next."""
    bytes: Bytes = Field(gt=0)
    """Size of one; it crosses the link like any message."""


class ReportEntry(Entry):
    """Messages in which each server tells each device how it is."""

    reported: Period
    """Time from one to the next."""
    bytes: Bytes = Field(gt=0)
    """Size of one; it crosses the links like any message."""


class ErrorEntry(Entry):
    """Layer times are believed with an error."""

    error: Annotated[float, Or("string")] = Field(ge=0, le=5)

    @model_validator(mode="before")
    @classmethod
    def _share(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("error"), str):
            return {**value, "error": SHARE.parse(value["error"])}
        return value


def _kind_of(*entries: type[BaseModel]) -> Any:
    """Return a validator that tells mappings apart by their first key, so that an error is about one entry only."""
    kinds = {next(iter(entry.model_fields)): entry for entry in entries}

    def read(value: object, info: ValidationInfo) -> object:
        if not isinstance(value, Mapping):
            return value
        for key, entry in kinds.items():
            if key in value:
                return entry.model_validate(dict(value), context=info.context)
        near = next((did_you_mean(str(key), kinds) for key in value if did_you_mean(str(key), kinds)), "")
        known = ", ".join("{" + ": ..., ".join(entry.model_fields) + ": ...}" for entry in kinds.values())
        raise ValueError(f"{dict(value)} is not known here.{near} Known as a mapping: {known}")

    return BeforeValidator(read)


class KnowledgeEntry(Entry):
    """What techniques may know."""

    bandwidth: Annotated[
        Literal["oracle", "last-transfer"] | EwmaEntry | ProbeEntry | None, _kind_of(EwmaEntry, ProbeEntry)
    ] = None
    """Of each direction of each link; where it is not said, what the technique senses by itself (mostly oracle)."""
    load: Annotated[Literal["oracle", "none"] | ReportEntry, _kind_of(ReportEntry)] = "oracle"
    """Background load of processors; ``none`` takes them for idle."""
    profile: Annotated[Literal["measured", "predicted"] | ErrorEntry, _kind_of(ErrorEntry)] = "measured"
    """Layer times: those of the world, as predicted from the hardware's rates, or with a random error per layer."""
    queues: Annotated[Literal["none", "oracle"] | ReportEntry, _kind_of(ReportEntry)] = "none"
    """How many requests wait at a node."""


def resolve_knowledge(entry: KnowledgeEntry, technique: Technique) -> Knowledge:
    """Return what *technique* may know: what the scenario says, else what it senses by itself; a clairvoyant all."""
    if technique.clairvoyant:
        return Knowledge(queues="oracle", foresight=True)
    method: Method = "last-transfer" if technique.senses == "last-transfer" else "oracle"
    weight, probe = 1.0, None
    if isinstance(entry.bandwidth, EwmaEntry):
        method, weight = "ewma", entry.bandwidth.ewma
    elif isinstance(entry.bandwidth, ProbeEntry):
        method, probe = "probe", Messages(entry.bandwidth.probe, entry.bandwidth.bytes)
    elif entry.bandwidth is not None:
        method = entry.bandwidth
    profile: Literal["measured", "predicted", "error"] = "error"
    error = 0.0
    if isinstance(entry.profile, str):
        profile = entry.profile
    else:
        error = entry.profile.error
    return Knowledge(
        bandwidth=method,
        weight=weight,
        probe=probe,
        load=entry.load if isinstance(entry.load, str) else "reported",
        queues=entry.queues if isinstance(entry.queues, str) else "reported",
        load_report=_messages(entry.load),
        queue_report=_messages(entry.queues),
        profile=profile,
        profile_error=error,
        unused=technique.senses == "nothing",
    )


def _messages(entry: str | ReportEntry) -> Messages | None:
    return None if isinstance(entry, str) else Messages(entry.reported, entry.bytes)


def unaffordable(
    knowledge: Knowledge, channels: Sequence[Channel], capacities: Mapping[str, Trace]
) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) where a link could not carry the probes or reports of a period in it: they would pile up.

    Args:
        knowledge: what is sent, and how often.
        channels: what it is sent on; those of one station share it.
        capacities: what each channel carries on average, by name, whatever the seed draws.
    """
    kinds = [
        ("bandwidth", "probe", knowledge.probe),
        ("load", "report", knowledge.load_report),
        ("queues", "report", knowledge.queue_report),
    ]
    for key, name, messages in kinds:
        if messages is None or knowledge.unused:
            continue
        taken: dict[str, float] = {}
        for channel in channels:
            if channel.roams:
                continue  # who shares it, changes
            trace = capacities[channel.name]
            length = trace.duration if trace.constant is None else 1.0
            mean = trace.integral(length) / length
            station = channel.station or channel.name
            framed = messages.size * channel.framing
            taken[station] = taken.get(station, 0.0) + (framed / (mean * messages.every) if mean else math.inf)
            if taken[station] > 1.0:
                yield (
                    key,
                    f"{name}s of {messages.size:g} B every {messages.every:g} s are more than {channel.name} can carry "
                    f"({mean * 8e-6:.3g} Mbit/s on average, for all who share it); send fewer bytes, or less often",
                )
                break
