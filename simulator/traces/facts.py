"""What a trace in the project's own form says of itself: ``# kind: bandwidth; unit: Mbit/s; duration_s: 600``.

The same facts stand in the metadata of the Parquet form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import cast, get_args

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.foundation.units import BANDWIDTH, DURATION, RATE, SHARE, Dimension
from simulator.profiles.hardware import GRADES
from simulator.profiles.trace import End
from simulator.traces.format import Request
from simulator.traces.recording import COLUMNS, UNITS, Array, Direction, Kind, Layer, Recording, Report
from simulator.traces.source import Source

FACTS = (
    "kind", "unit", "duration_s", "end", "grade", "source", "layer", "direction", "epoch", "step_s", "round_trip",
    "original",
)  # fmt: skip
DIMENSIONS: dict[str, Dimension] = {
    "bandwidth": BANDWIDTH, "latency": DURATION, "cpu": SHARE, "slowdown": SHARE, "rate": RATE,
}  # fmt: skip
OWN: tuple[Kind, ...] = cast("tuple[Kind, ...]", tuple(COLUMNS))
"""Kinds that have a form of ours."""
CHOICES: dict[str, tuple[str, ...]] = {
    "end": get_args(End), "layer": get_args(Layer), "direction": get_args(Direction), "grade": GRADES,
    "round_trip": ("yes", "no"),
}  # fmt: skip
SAID = re.compile(rf"^#.*\b({'|'.join(FACTS)})")
"""How a line of facts begins, be they well written or not."""


def facts_of(recording: Recording) -> dict[str, str]:
    """Return the facts of *recording*, as they are written; :func:`parse_facts` reads them."""
    facts = {"kind": str(recording.kind)}
    if recording.kind in UNITS:
        facts["unit"] = UNITS[recording.kind] or "1"
    if math.isfinite(recording.duration):
        facts["duration_s"] = repr(float(recording.duration))
    more = {
        "end": recording.end or ("hold" if recording.kind in UNITS and math.isinf(recording.duration) else ""),
        "grade": recording.grade, "layer": recording.layer, "direction": recording.direction,
        "epoch": recording.epoch, "round_trip": "yes" if recording.round_trip else "",
        "source": recording.source, "original": recording.original,
    }  # fmt: skip
    return facts | {key: _in_a_line(value) for key, value in more.items() if value and value != "unknown"}


def recording_of(
    facts: Mapping[str, str], kind: str, columns: Mapping[str, Array], report: Report, duration: float | None,
    names: tuple[str, ...],
) -> Recording:  # fmt: skip
    """Return the recording of which *facts* (checked ones) tell."""
    return Recording(
        cast("Kind", kind), columns, report, math.inf if duration is None else duration,
        cast("End | None", facts.get("end")), cast("Layer", facts.get("layer", "unknown")),
        cast("Direction", facts.get("direction", "unknown")), facts.get("grade", "measured"), facts.get("epoch", ""),
        names, facts.get("round_trip") == "yes", facts.get("source", ""), facts.get("original", ""),
    )  # fmt: skip


def parse_facts(source: Source, line: int, text: str) -> dict[str, str]:
    """Return the facts in a *line* that begins with ``#``.

    Raises:
        TraceError: if one is not known, or says what it cannot.
    """
    facts: dict[str, str] = {}
    for part in text.lstrip("# ").split(";"):
        key, colon, value = (each.strip() for each in part.partition(":"))
        if not part.strip():
            continue
        if not colon or key not in FACTS:
            hint = did_you_mean(key, FACTS)
            raise TraceError(
                f'{source.name}:{line}: "{short(part.strip())}" is not "name: value".{hint} Known: {", ".join(FACTS)}'
            )
        check_fact(f"{source.name}:{line}", key, value)
        facts[key] = value
    return facts


def check_fact(where: str, key: str, value: str) -> None:
    """Check one fact that is a choice.

    Raises:
        TraceError: if it is none of those there are.
    """
    if key in CHOICES and value not in CHOICES[key]:
        hint = did_you_mean(value, CHOICES[key])
        raise TraceError(f"{where}: {key}: {short(value)!r} is none of {', '.join(CHOICES[key])}.{hint}")


def seconds(source: Source, facts: Mapping[str, str], key: str) -> float | None:
    """Return the fact *key*, a number, or None where it is not given.

    Raises:
        TraceError: if it is no finite number.
    """
    if key not in facts:
        return None
    try:
        value = float(facts[key])
    except ValueError:
        raise TraceError(f"{source.name}:1: {key}: {short(facts[key])!r} is not a number") from None
    if not math.isfinite(value):
        raise TraceError(f"{source.name}:1: {key}: {facts[key]} is not finite")
    return value


def kind_of_unit(source: Source, unit: str | None) -> str:
    """Return the kind whose values have *unit*.

    Raises:
        TraceError: if there is none, or more than one.
    """
    kinds = [kind for kind, dimension in DIMENSIONS.items() if unit is not None and unit in _units(dimension)]
    if unit is not None and not kinds:
        known = [each for dimension in DIMENSIONS.values() for each in dimension.units if each]
        hint = did_you_mean(unit.replace("bps", "bit/s"), known)
        raise TraceError(f'{source.name}: "{short(unit)}" is no unit of {", ".join(DIMENSIONS)}.{hint}')
    if len(kinds) != 1:
        which = " or ".join(kinds or DIMENSIONS)
        raise TraceError(
            f'{source.name} does not say its kind ({which}); add it to the first line ("# kind: ...; unit: ...")'
        )
    return kinds[0]


def unit_factor(
    source: Source, kind: str, facts: Mapping[str, str], options: Request, report: Report, rows: int
) -> float:
    """Return what a value times makes the unit of its *kind* in a recording, and count the *rows* in the *report*.

    Raises:
        TraceError: if no unit is said, or none of that kind, or the scenario says another.
    """
    dimension = DIMENSIONS[kind]
    unit = facts.get("unit", options.unit)
    if unit is None:
        raise TraceError(
            f"{source.name} does not say its unit; add it to the first line "
            f'("# unit: {dimension.example.split()[-1]}") or to the scenario (unit: ...)'
        )
    if "unit" in facts and options.unit and facts["unit"] != options.unit:
        raise TraceError(f"{source.name} says its unit is {short(facts['unit'])}, the scenario says {options.unit}")
    units = _units(dimension)
    if unit not in units:
        known = ", ".join(name for name in units if name)
        raise TraceError(f'{source.name}: "{short(unit)}" is not a unit of {dimension.name}; known: {known}')
    report.units[unit] = rows
    return units[unit] * (8 if kind == "bandwidth" else 1)


def refuse_units(source: Source, kind: str, facts: Mapping[str, str], options: Request) -> None:
    """Refuse a unit or a step for a *kind* of recording that has none.

    Raises:
        TraceError: if one is said.
    """
    for what, said, asked in (("unit", "unit", options.unit), ("step", "step_s", options.step)):
        given = facts.get(said, asked)
        if given not in (None, "s"):
            raise TraceError(f"{source.name}: {what}: {given} says nothing of {kind}, whose columns name their units")


def short(text: str, most: int = 40) -> str:
    """Return *text* for a message, cut where it is long."""
    return text if len(text) <= most else text[: most - 3] + "..."


def _units(dimension: Dimension) -> dict[str, float]:
    return {**dimension.units, "1": 1.0} if "" in dimension.units else dict(dimension.units)


def _in_a_line(text: str) -> str:
    """Return *text* without what would end a fact, or the line."""
    return " ".join(str(text).replace(";", ",").split())
