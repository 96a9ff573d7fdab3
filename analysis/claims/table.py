"""The table of claims: who claimed what, under which condition, and how near is near enough.

Only the comparison reads it. No simulator, technique, scenario or system file may: tests take the table away and see
that no simulated number changes.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from analysis.claims.kinds import COMPARISONS, KINDS
from simulator.foundation.errors import ResultsError, did_you_mean

COLUMNS = ("id", "system", "quantity", "value", "unit", "comparison", "condition", "source", "kind", "low", "high")
TABLE = Path(__file__).with_name("table.csv")
RELATIVE = 0.10
"""Tolerance where neither the source nor the claim gives a band."""


@dataclass(frozen=True)
class Claim:
    """One number that somebody published."""

    id: str
    system: str
    """Name of the technique it is about."""
    quantity: str
    written: str
    """The value as the source writes it: its digits say how far it was rounded."""
    unit: str
    comparison: str
    condition: str
    source: str
    kind: str
    given: tuple[float, float] | None = None
    """Band that the source gives, in the claim's unit."""

    @property
    def value(self) -> float:
        """The claimed number."""
        return float(self.written)

    @property
    def half_unit(self) -> float:
        """Half a unit of the last digit that the source gives."""
        exponent = Decimal(self.written).as_tuple().exponent
        return 0.5 * 10.0 ** int(exponent)

    def band(self) -> tuple[float, float, str]:
        """Return the tolerance: from, to, and the rule that gives it."""
        value, half = self.value, self.half_unit
        if self.given is not None:
            return (*self.given, "the band that the source gives")
        if self.comparison == "eq" and half >= 0.5:
            return value, value, "a whole number, so exactly"
        if self.comparison == "eq" or self.kind == "count":
            return value - half, value + half, "as many digits as the source gives"
        reach = max(RELATIVE * abs(value), half)
        rule = f"± {RELATIVE:.0%}" if reach > half else "as many digits as the source gives"
        return value - reach, value + reach, rule


def read_claims(path: Path | None = None) -> list[Claim]:
    """Return the claims of a table, the shipped one unless *path* names another.

    Raises:
        ResultsError: if it cannot be read, or a row is wrong; with its line.
    """
    file = TABLE if path is None else path
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            found = reader.fieldnames or []
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"{file}: the table of claims cannot be read: {error}") from None
    missing = [column for column in COLUMNS if column not in found]
    if missing:
        raise ResultsError(f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(found) or 'none'}")
    claims: dict[str, Claim] = {}
    for line, row in rows:
        claim = _claim(f"{file}:{line}", row)
        if claim.id in claims:
            raise ResultsError(f"{file}:{line}: two claims are named {claim.id}")
        claims[claim.id] = claim
    return list(claims.values())


def _claim(where: str, row: Mapping[str, str | None]) -> Claim:
    text = {column: (row[column] or "").strip() for column in COLUMNS}
    for column in ("id", "system", "quantity", "value", "unit", "source"):
        if not text[column]:
            raise ResultsError(f"{where}: {column} is empty")
    value = _number(where, "value", text["value"])
    _one_of(where, "kind", text["kind"], tuple(KINDS))
    _one_of(where, "comparison", text["comparison"], tuple(COMPARISONS))
    given = None
    if text["low"] or text["high"]:
        given = _number(where, "low", text["low"]), _number(where, "high", text["high"])
        if not given[0] <= value <= given[1]:
            raise ResultsError(f"{where}: the band {given[0]:g} to {given[1]:g} does not hold the value {value:g}")
    written = text.pop("value")
    words = {name: text[name] for name in COLUMNS if name not in ("value", "low", "high")}
    return Claim(written=written, given=given, **words)


def _number(where: str, column: str, text: str) -> float:
    try:
        number = float(Decimal(text))
    except (InvalidOperation, ValueError):
        raise ResultsError(f"{where}: {column} is {text!r}, expected a number") from None
    if not math.isfinite(number):
        raise ResultsError(f"{where}: {column} is {text!r}, expected a finite number")
    return number


def _one_of(where: str, column: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ResultsError(f'{where}: {column} "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')
