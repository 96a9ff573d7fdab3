"""``Recording``: what a reader found in a file, before it is given a meaning."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.profiles.trace import End


@dataclass(frozen=True)
class Recording:
    """Segments or instants as recorded."""

    starts: list[float]
    """Start of each segment, or the instants [s]."""
    values: list[float]
    """Value in each segment, in ``unit``; empty for instants."""
    duration: float
    """End of the last segment [s]."""
    unit: str | None = None
    kind: str = ""
    """bandwidth, cpu, arrivals; empty where the file does not say."""
    end: End | None = None
