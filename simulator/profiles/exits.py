"""``ExitTable``: at each early exit of a network and each threshold, how many samples are sure enough to leave.

Recorded for each exit *by itself*, with all samples brought to it. In a chain of exits fewer come to the later ones, so
the shares of a chain follow from a rule (Ebrahimi et al., PORTEND, ICPADS 2023): who is sure at one exit would be sure
at every later one, so exit k takes what it would take alone less what the exit before it would have taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from simulator.foundation.errors import ProfileError

Row = tuple[float, ...]


@dataclass(frozen=True)
class ExitTable:
    """The exits of one network, as recorded on one set of samples."""

    model: str
    dataset: str
    """What the samples are."""
    after: tuple[int, ...]
    """How many layers (blocks) of the network stand before each exit; the last is the network's own end."""
    thresholds: Row
    """A sample leaves where its uncertainty is below this."""
    shares: tuple[Row, ...]
    """Share of all samples that would leave at an exit by itself, shape (thresholds, exits)."""
    accuracies: tuple[Row, ...]
    """Share of right answers among those, shape (thresholds, exits); NaN where nobody leaves."""
    alone: Row
    """Share of right answers where all samples leave at that exit, shape (exits,)."""
    samples: int
    grade: str = "measured"
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a table that is not one.

        Raises:
            ProfileError: shapes that do not fit, exits or thresholds out of order, or a share outside 0 to 1.
        """
        where = f"exits of {self.model}"
        for name, row in (("after", self.after), ("thresholds", self.thresholds)):
            if not row or any(a >= b for a, b in pairwise(row)):
                raise ProfileError(f"{where}: {name} must rise from one to the next, got {row}")
        shape = (len(self.thresholds), len(self.after))
        for name, table in (("shares", self.shares), ("accuracies", self.accuracies), ("alone", (self.alone,))):
            rows = 1 if name == "alone" else shape[0]
            if len(table) != rows or any(len(row) != shape[1] for row in table):
                raise ProfileError(f"{where}: {name} must have the shape ({rows}, {shape[1]}): (thresholds, exits)")
            if any(not 0.0 <= value <= 1.0 for row in table for value in row if not math.isnan(value)):
                raise ProfileError(f"{where}: {name} must lie between 0 and 1")

    def leaving(self, threshold: float, exits: Sequence[int]) -> Row:
        """Return the share of samples that leaves at each of *exits* when those are what the network has.

        Args:
            threshold: one of those recorded.
            exits: layers before each exit, rising; the last takes all who are left.

        Raises:
            ProfileError: a threshold or an exit that was not recorded.
        """
        row = self.shares[self._at("threshold", threshold)]
        columns = self._exits(exits)
        reached = [0.0]
        for column in columns[:-1]:
            reached.append(max(reached[-1], row[column]))
        reached.append(1.0)
        return tuple(b - a for a, b in pairwise(reached))

    def accuracy(self, threshold: float, exits: Sequence[int]) -> float:
        """Return the share of right answers of a network with *exits*: each exit's share times its accuracy alone.

        That is the same paper's rule; it is too low at exits that only easy samples take.

        Raises:
            ProfileError: a threshold or an exit that was not recorded.
        """
        columns = self._exits(exits)
        shares = self.leaving(threshold, exits)
        return math.fsum(share * self.alone[column] for share, column in zip(shares, columns, strict=True))

    def _exits(self, exits: Sequence[int]) -> list[int]:
        if not exits or list(exits) != sorted(set(exits)):
            raise ProfileError(f"exits of {self.model}: name at least one, rising, got {list(exits)}")
        return [self._at("exit", place) for place in exits]

    def _at(self, what: str, value: float) -> int:
        known: Sequence[float] = self.thresholds if what == "threshold" else self.after
        if value not in known:
            listed = ", ".join(f"{one:g}" for one in known)
            raise ProfileError(f"exits of {self.model}: no {what} {value:g}; recorded: {listed}")
        return known.index(value)
