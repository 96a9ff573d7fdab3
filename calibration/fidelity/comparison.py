"""What a data set hands to the report: measured beside predicted times, row by row, and what was promised of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pandas as pd

from simulator.foundation.errors import ResultsError
from simulator.profiles.hardware import worst

SEGMENTS = ("device", "serialise", "uplink", "queue", "server", "downlink", "total")
"""Parts of a request, in the order a report prints them. Errors cancel in sums, so totals alone do not count."""
EVERY = "(all)"
"""In place of a model's name: all rows."""
COLUMNS = ("model", "condition", "split", "segment", "measured_s", "predicted_s")


@dataclass(frozen=True)
class Goal:
    """What was to be reached, and what was."""

    what: str
    reached: float
    limit: float
    """At most this."""
    unit: str = "%"
    least: float | None = None
    """At least this, where both sides matter (coverage)."""

    @property
    def verdict(self) -> str:
        """``met``, ``missed``, or ``not measured`` where there was nothing to compute it of (NaN)."""
        if math.isnan(self.reached):
            return "not measured"
        return "met" if self.reached <= self.limit and (self.least is None or self.reached >= self.least) else "missed"

    @property
    def met(self) -> bool:
        """Whether it was measured and reached."""
        return self.verdict == "met"


@dataclass(frozen=True)
class Comparison:
    """Measured against predicted."""

    dataset: str
    measured_on: str
    """Machines, threads, clock and who measured, in one line."""
    rows: pd.DataFrame
    """:data:`COLUMNS`; optionally ``low_s`` and ``high_s`` (90 % interval of the prediction), ``grade`` (of its inputs)
    and ``held_out`` (False for rows that something was fitted on, which are not judged)."""
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = ()
    """What was fitted on what, which rows were left out and why, what falls short."""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """More to print, by title."""

    def __post_init__(self) -> None:
        """Refuse rows that a report cannot judge.

        Raises:
            ResultsError: a column is missing, a segment unknown, a model's name is :data:`EVERY`, or there is no row.
        """
        missing = [column for column in COLUMNS if column not in self.rows.columns]
        if missing:
            raise ResultsError(f"fidelity {self.dataset}: rows lack the columns {', '.join(missing)}")
        strange = sorted(set(self.rows["segment"]) - set(SEGMENTS))
        if strange:
            raise ResultsError(f"fidelity {self.dataset}: unknown segments {', '.join(strange)}")
        if EVERY in set(self.rows["model"]):
            raise ResultsError(f'fidelity {self.dataset}: a model is named "{EVERY}", the word for all of them')
        if self.rows.empty or self.judged.empty:
            raise ResultsError(f"fidelity {self.dataset}: there is no row to compare")

    @property
    def grade(self) -> str | None:
        """The weakest evidence that went into the judged predictions, None where the data set does not say."""
        return worst(self.judged["grade"]) if "grade" in self.rows else None

    @property
    def evidence(self) -> str:
        """The grade as people read it."""
        return f"evidence of the inputs: {self.grade or 'not said'}"

    @property
    def judged(self) -> pd.DataFrame:
        """The rows that nothing was fitted on; all of them where the data set does not say."""
        return self.rows[self.rows["held_out"]] if "held_out" in self.rows else self.rows


class Dataset(Protocol):
    """A module of :mod:`calibration.fidelity.datasets`."""

    NAME: str
    TITLE: str

    def compare(self, fit: Path | None = None, check: Path | None = None) -> Comparison:
        """Fit on *fit* (else on what the set has for it), predict *check* (else what the set holds back)."""
