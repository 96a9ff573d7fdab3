"""Reproduce a system: compute its quantities first, open the table of claims only then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from analysis.claims.system import System, installed, load
from analysis.claims.table import Claim, read_claims
from analysis.claims.verdicts import NOT_BUILT, Outcome, judge
from simulator.foundation.errors import RegistryError, ResultsError, did_you_mean


@dataclass(frozen=True)
class Reproduction:
    """A system and the verdicts on what is claimed of it."""

    name: str
    system: System | None
    """None where the table has claims of it and nothing computes them yet."""
    outcomes: list[Outcome]


def reproduce(name: str, table: Path | None = None) -> Reproduction:
    """Return the verdicts on the claims about the system *name*.

    Raises:
        RegistryError: if there is no such system.
        ResultsError: if the table cannot be read, has no claim of it, or lacks one that the system answers.
    """
    known = installed()
    if name not in known:
        if any(claim.system == name for claim in read_claims(table)):
            raise RegistryError(f'"{name}" has claims in the table, but {NOT_BUILT}. Built: {", ".join(known)}')
        names = ", ".join(known) or "none (is the package installed?)"
        raise RegistryError(f'no system named "{name}".{did_you_mean(name, known)} Known: {names}')
    system = load(name)
    found = system.quantities()
    claims = [claim for claim in read_claims(table) if claim.system == name]
    if not claims:
        raise ResultsError(f'no claim about "{name}" in the table; give the file that has some with --table')
    unknown = sorted(set(found) - {claim.id for claim in claims})
    if unknown:
        raise ResultsError(f'"{name}" computes {", ".join(unknown)}, which the table does not claim of it')
    return Reproduction(name, system, [judge(claim, found.get(claim.id)) for claim in claims])


def reproduce_all(table: Path | None = None) -> list[Reproduction]:
    """Return the verdicts on all systems of the table; claims of systems not built yet are not run."""
    claims: dict[str, list[Claim]] = {}
    for claim in read_claims(table):
        claims.setdefault(claim.system, []).append(claim)
    known = installed()
    return [
        reproduce(name, table) if name in known else Reproduction(name, None, [judge(claim, None) for claim in rows])
        for name, rows in claims.items()
    ]
