"""The one rule that compares a claim with what was computed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.claims.kinds import HOLDS, HOLDS_NOWHERE, KINDS, MEASURED, NOT_REPRODUCED, NOT_RUN, OUTSIDE
from analysis.claims.system import Quantity
from analysis.claims.table import Claim
from simulator.foundation.errors import ResultsError

ROUNDING = 1e-9
"""Relative slack for sums of floats."""
NOT_BUILT = "its technique is not built yet"
NAMED = 6
"""So many points of a region are named; of more, the first and the last."""


@dataclass(frozen=True)
class Outcome:
    """A claim and what became of it."""

    claim: Claim
    quantity: Quantity
    verdict: str
    reason: str

    def row(self) -> dict[str, Any]:
        """Return it as one row of the JSON answer."""
        found = self.quantity
        return {
            "id": self.claim.id,
            "quantity": self.claim.quantity,
            "claimed": self.claim.value,
            "simulated": found.simulated,
            "low": found.low,
            "high": found.high,
            "unit": self.claim.unit,
            "kind": self.claim.kind,
            "verdict": self.verdict,
            "reason": self.reason,
            "grades": list(found.grades),
        }


def judge(claim: Claim, quantity: Quantity | None) -> Outcome:
    """Return the verdict on *claim*, given what was computed for it (None: nothing computes it).

    Raises:
        ResultsError: if the two have different units, or a conditional claim comes without its grid.
    """
    found = Quantity.absent(NOT_BUILT) if quantity is None else quantity
    if claim.kind == "quality":
        return Outcome(claim, found, OUTSIDE, "carried as data: nothing here trains or labels anything")
    if found.simulated is None:
        return Outcome(claim, found, NOT_RUN, found.reason)
    if found.unit != claim.unit:
        raise ResultsError(f"{claim.id}: computed in {found.unit!r} and claimed in {claim.unit!r}; use one unit")
    told = "; ".join(filter(None, (_spread(claim, found), found.reason)))
    if claim.kind == "own-measurement":
        return Outcome(claim, found, MEASURED, told)
    if claim.kind == "conditional":
        return _region(claim, found, told)
    if met(claim, found.simulated):
        doubt = _doubt(claim, found)
        return Outcome(claim, found, KINDS[claim.kind][1], "; ".join(filter(None, (doubt, told))))
    return Outcome(claim, found, NOT_REPRODUCED, "; ".join(filter(None, (_missed(claim, found.simulated), told))))


def met(claim: Claim, value: float) -> bool:
    """Return whether *value* meets the claim."""
    low, high, _ = claim.band()
    slack = ROUNDING * max(abs(low), abs(high))
    if claim.comparison == "ordering":
        return value > claim.value
    above = claim.comparison == "le" or value >= low - slack
    below = claim.comparison == "ge" or value <= high + slack
    return above and below


def _region(claim: Claim, found: Quantity, told: str) -> Outcome:
    """Judge a conditional claim point by point of the range that was run."""
    if not found.points:
        raise ResultsError(f"{claim.id}: a conditional claim needs the grid of inputs it was run over (points)")
    inside = [name for name, value in found.points.items() if met(claim, value)]
    if not inside:
        low, high, rule = claim.band()
        reason = f"at none of {len(found.points)} points inside {low:g} to {high:g} ({rule})"
        return Outcome(claim, found, HOLDS_NOWHERE, "; ".join(filter(None, (reason, told))))
    names = ", ".join(inside) if len(inside) <= NAMED else f"{inside[0]}, ..., {inside[-1]}"
    verdict = f"{HOLDS} {len(inside)} of {len(found.points)} points: {names}"
    return Outcome(claim, found, verdict, told)


def _missed(claim: Claim, value: float) -> str:
    """Say what was expected instead of *value*."""
    low, high, rule = claim.band()
    expected = {
        "ordering": f"more than {claim.value:g}",
        "le": f"at most {high:.9g} ({rule})",
        "ge": f"at least {low:.9g} ({rule})",
    }.get(claim.comparison, f"{low:.9g} to {high:.9g} ({rule})" if low < high else f"{low:.9g} ({rule})")
    apart = f", {value / claim.value - 1:+.1%}" if claim.value and claim.comparison != "ordering" else ""
    return f"expected {expected}{apart}"


def _doubt(claim: Claim, found: Quantity) -> str:
    """Say so where the interval over seeds reaches where the claim would not be met."""
    ends = [end for end in (found.low, found.high) if end is not None]
    return "" if all(met(claim, end) for end in ends) else "its interval reaches beyond the band"


def _spread(claim: Claim, found: Quantity) -> str:
    """Tell the whole distribution behind a greatest value."""
    if claim.comparison != "up-to" or not found.points:
        return ""
    ordered = sorted(found.points.items(), key=lambda item: item[1])
    middle = statistics.median(found.points.values())
    (least_at, least), (most_at, most) = ordered[0], ordered[-1]
    return f"over {len(ordered)} points: {least:.3g} ({least_at}), median {middle:.3g}, {most:.3g} ({most_at})"


def by_verdict(outcomes: list[Outcome]) -> Mapping[str, int]:
    """Return how many outcomes there are of each verdict, most first."""
    names = [HOLDS if o.verdict.startswith(HOLDS + " ") else o.verdict for o in outcomes]
    return dict(sorted(((name, names.count(name)) for name in set(names)), key=lambda item: (-item[1], item[0])))
