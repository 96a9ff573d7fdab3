"""One inference request under way: who asked, when, and where its time has gone so far."""

from __future__ import annotations

from typing import NoReturn

from simulator.foundation.errors import KnowledgeError


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


class Undeclared(Request):
    """Stands for the request where a technique has not said that it looks at requests: reading it raises."""

    __slots__ = ()

    def __init__(self) -> None:
        """Hold nothing."""

    def __getattr__(self, name: str) -> NoReturn:
        """Raise :class:`KnowledgeError`, naming the line to add."""
        raise KnowledgeError(
            f"place() read request.{name}, but the technique is asked when its view changes, not per request; "
            'add to the class:  asks = "request"'
        )

    def __bool__(self) -> bool:
        """Be false, as None would be."""
        return False

    def __repr__(self) -> str:
        """Say what it is."""
        return "Undeclared()"
