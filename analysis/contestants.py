"""Who takes part in a comparison: scenarios, techniques applied to one, saved runs; all of them in the same world."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from simulator import Results, Scenario
from simulator.foundation.errors import ResultsError, ScenarioError, did_you_mean
from simulator.results.replications import check_replications
from simulator.scenario.knowledge import resolve_knowledge
from simulator.techniques.registry import installed, name_of, read_technique
from simulator.techniques.technique import Technique

Given = str | Path | Scenario | Technique | Results | Sequence[Results]
"""A scenario (object, file, shipped name), a technique (object, name with parameters), a run (object, folder)."""

APART = ("technique", "knowledge", "name", "seed", "record", "replications")
"""What may differ between contestants: how they decide, and what does not touch the world."""


@dataclass(frozen=True)
class Contestant:
    """One side of a comparison."""

    label: str
    scenario: Scenario | None
    """What to run; None for saved runs."""
    runs: tuple[Results, ...] = ()
    """What was run already."""
    clairvoyant: bool = False
    """Whether it knows what nobody can: a bound to measure by."""

    @property
    def knowledge(self) -> str:
        """What it may know, in words."""
        if self.scenario is None:
            return str(self.runs[0].meta["knowledge"])
        return str(resolve_knowledge(self.scenario.entry.knowledge, self.scenario.technique))

    @property
    def world(self) -> dict[str, Any]:
        """What all contestants have in common, as the scenario's text has it."""
        text = self.scenario.text() if self.scenario is not None else self.runs[0].scenario_text
        return {key: value for key, value in yaml.safe_load(text).items() if key not in APART}


_PARTS = re.compile(r", (?=load |profile |queues )")


def contestants(given: Sequence[Given]) -> list[Contestant]:
    """Return who takes part, each under a name of its own.

    Raises:
        ScenarioError: fewer than two, techniques without one scenario, something unknown, or different worlds.
        ResultsError: if a folder is not a saved run.
    """
    if len(given) < 2:
        raise ScenarioError("a comparison needs at least two: offing compare quick/adaptive_4g min-latency oracle")
    read = [_read(item) for item in given]
    scenarios = [item for item in read if isinstance(item, Scenario)]
    techniques = [item for item in read if isinstance(item, Technique)]
    if techniques and len(scenarios) != 1:
        came = "none came" if not scenarios else f"{len(scenarios)} came"
        raise ScenarioError(
            f'"{label_of(techniques[0])}" is a technique, to be applied to one scenario, but {came}; name exactly one: '
            "offing compare quick/adaptive_4g min-latency oracle"
        )
    sides = []
    for item in read:
        if isinstance(item, Technique):
            item = scenarios[0].with_technique(item)
        if isinstance(item, Scenario):
            sides.append(Contestant(label_of(item.technique), item, (), item.technique.clairvoyant))
        else:
            kind = yaml.safe_load(item[0].scenario_text).get("technique", {})
            check_replications(item)
            sides.append(Contestant(_written(kind), None, item, bool(item[0].meta["clairvoyant"])))
    for side in sides[1:]:
        _same_world(sides[0], side)
    return _named(sides)


def label_of(technique: Technique) -> str:
    """Write a technique as it may be given: ``fixed-split:split_point=32``, parameters left at default left out."""
    changed = technique.model_dump(mode="json", exclude_defaults=True)
    return _written({"kind": name_of(technique), **changed})


def _written(technique: Mapping[str, Any]) -> str:
    parameters = ",".join(f"{key}={value}" for key, value in technique.items() if key != "kind")
    return str(technique.get("kind", "?")) + (f":{parameters}" if parameters else "")


def _read(item: Given) -> Scenario | Technique | tuple[Results, ...]:
    if isinstance(item, Results):
        return (item,)
    if isinstance(item, (Scenario, Technique)):
        return item
    if isinstance(item, (list, tuple)):
        if not item or not all(isinstance(run, Results) for run in item):
            raise ResultsError(f"{item!r} is not a list of runs")
        return tuple(item)
    if Path(str(item)).is_dir():
        return tuple(Results.load_all(Path(str(item))))
    text = str(item)
    if isinstance(item, Path) or Path(text).is_file() or Path(text).suffix in (".yaml", ".yml"):
        return Scenario.load(item)  # type: ignore[arg-type]
    name = text.partition(":")[0]
    if name in installed():
        return read_technique(text)
    try:
        return Scenario.load(text)
    except ScenarioError as error:
        if "/" in name:
            raise
        raise ScenarioError(
            f'"{text}" is no technique, scenario or saved run.{did_you_mean(name, installed())} '
            f"Techniques: {', '.join(installed())}; scenarios: {str(error).rpartition('Shipped: ')[2]}"
        ) from None


def _same_world(first: Contestant, other: Contestant) -> None:
    here, there = dict(_flat(first.world)), dict(_flat(other.world))
    different = [key for key in [*here, *there] if here.get(key) != there.get(key)]
    if different:
        key = different[0]
        more = f" (and {len(set(different)) - 1} more)" if len(set(different)) > 1 else ""
        raise ScenarioError(
            f"{first.label} and {other.label} belong to different scenarios, so they cannot be paired: {key} is "
            f"{here.get(key, 'not given')} in one and {there.get(key, 'not given')} in the other{more}. "
            f"Only {', '.join(APART[:3])} may differ"
        )


def _flat(data: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, (dict, list)) and data:
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _flat(value, f"{place}.{key}" if place else str(key))
    else:
        yield place, data


def _named(sides: list[Contestant]) -> list[Contestant]:
    """Tell apart those of one label: by what they know where that differs, else by number."""
    named = []
    for side in sides:
        known = [_PARTS.split(other.knowledge) for other in sides if other.label == side.label]
        different = [
            part for part, *all_ in zip(_PARTS.split(side.knowledge), *known, strict=False) if len({*all_}) > 1
        ]
        named.append(f"{side.label} ({', '.join(different)})" if different else side.label)
    final: list[Contestant] = []
    for index, (side, label) in enumerate(zip(sides, named, strict=True)):
        again = named[:index].count(label)
        final.append(replace(side, label=f"{label} ({again + 1})" if again else label))
    return final
