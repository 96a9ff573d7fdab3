"""What several test files need: a technique that does as it is told, and the folder of third-party recordings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simulator import Placement, Results, Scenario, Segment, Simulation, Technique

DATA = Path(os.environ.get("OFFING_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
"""Recordings of others, not ours to ship; a checkout beside ``shared/data`` finds them."""


def recordings(name: str) -> Path:
    """Return a file or folder of :data:`DATA`, or skip (fail where ``OFFING_REQUIRE_DATA=1`` says that it is there)."""
    path = DATA / name
    if not path.exists():
        reason = f"{path} is not here; set OFFING_DATA to the folder of third-party recordings"
        if os.environ.get("OFFING_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class Fixed(Technique):
    """Every request of every device by one placement; ``@`` stands for the device itself."""

    segments: tuple[tuple[str, int, int], ...]

    @classmethod
    def at(cls, *segments: tuple[str, int, int]) -> Fixed:
        return cls(segments=segments)

    @classmethod
    def as_in(cls, placement: Placement) -> Fixed:
        return cls(segments=tuple((s.node, s.start, s.stop) for s in placement.segments))

    def place(self, view, request=None):
        return Placement(tuple(Segment(view.source if n == "@" else n, a, b) for n, a, b in self.segments))


def play(scenario: Scenario, *segments: tuple[str, int, int]) -> Results:
    """Run *scenario* with all requests placed by *segments*."""
    return Simulation(scenario.with_technique(Fixed.at(*segments)) if segments else scenario).run()


def refused(answer: tuple[int, str, str], *words: str) -> None:
    """Check that a bad call of ``offing`` ended with code 2, in a sentence with *words*, without a traceback."""
    code, out, err = answer
    assert (code, out) == (2, ""), answer
    text = " ".join(err.replace("│", " ").split())
    assert "Traceback" not in text
    for word in words:
        assert word in text
