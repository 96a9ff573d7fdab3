"""One inference request under way: who asked, when, and where its time has gone so far."""

from __future__ import annotations


class Request:
    """A request. Techniques that ask per request may read it; the world keeps its accounts in it (all in s, B, J)."""

    __slots__ = (
        "arrival",
        "compute",
        "deadline",
        "delay",
        "device_energy",
        "draw",
        "energy",
        "hold",
        "number",
        "queue",
        "recovery",
        "sent",
        "software",
        "source",
        "transfer",
    )

    def __init__(self, source: str, number: int, arrival: float, deadline: float, draw: int) -> None:
        """Take the device that asks, its count there, when [s], by when it should be answered [s after], a number."""
        self.source = source
        self.number = number
        self.arrival = arrival
        self.deadline = deadline
        self.draw = draw
        """Random 31-bit number; each node derives from it which measured repeat this request meets."""
        self.queue = self.compute = self.transfer = self.delay = self.software = 0.0
        self.recovery = self.hold = self.sent = self.energy = self.device_energy = 0.0

    def __repr__(self) -> str:
        """Write ``Request(pi, 3, at 1.2 s)``."""
        return f"Request({self.source}, {self.number}, at {self.arrival:g} s)"
