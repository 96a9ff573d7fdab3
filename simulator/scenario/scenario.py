"""``Scenario``: a validated scenario as a value: load it, change it, hash it, write it.

What the file says and what the program runs are one: a scenario keeps its document, and a change (``with_``) is a
change of the document, validated again.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simulator.foundation.errors import RegistryError, ScenarioError, did_you_mean
from simulator.profiles.library import Library
from simulator.scenario.document import Document, Place, read_document, write_yaml
from simulator.scenario.problems import sentences
from simulator.scenario.schema import ScenarioEntry
from simulator.techniques.registry import name_of, technique_class
from simulator.techniques.technique import Technique


@dataclass(frozen=True)
class Scenario:
    """A scenario, valid as far as it can be told without building it."""

    entry: ScenarioEntry
    technique: Technique
    document: Document
    library: Library = field(default_factory=Library)

    @classmethod
    def load(cls, source: str | Path, library: Library | None = None) -> Scenario:
        """Read a scenario from a file, or by the name of a shipped one (``quick/split_inference``).

        Raises:
            ScenarioError: with every problem found, each with file, line and key.
        """
        library = library or Library()
        return cls.of(read_document(locate(source, library)), library)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], library: Library | None = None) -> Scenario:
        """Make a scenario from the mapping a file would hold (units as text, as there).

        Raises:
            ScenarioError: with every problem found.
        """
        return cls.of(Document(copy.deepcopy(dict(data))), library or Library())

    @classmethod
    def of(cls, document: Document, library: Library) -> Scenario:
        """Validate *document*."""
        problems: list[str] = []
        technique = _technique(document, problems)
        context = {"units": "written", "folder": document.folder, "shelf": library.folder}
        try:
            entry = ScenarioEntry.model_validate(document.data, context=context)
        except ValidationError as error:
            problems = sentences(error, document, ScenarioEntry) + problems
        if problems or technique is None:
            raise ScenarioError(*problems)
        return cls(entry, technique, document, library)

    def with_(self, changes: Mapping[str, Any]) -> Scenario:
        """Return this scenario with values changed by dotted path: ``{"links.uplink.up": "5 Mbit/s"}``.

        Raises:
            ScenarioError: if a path leads nowhere or a value does not fit.
        """
        data = copy.deepcopy(self.document.data)
        for path, value in changes.items():
            _set(data, path, value, self.document)
        return Scenario.of(replace(self.document, data=data), self.library)

    def with_technique(self, technique: Technique) -> Scenario:
        """Return this scenario under another technique, registered or not."""
        written = {"kind": name_of(technique)} | technique.model_dump(mode="json", exclude_defaults=True)
        data = {**self.document.data, "technique": written}
        return replace(self, technique=technique, document=replace(self.document, data=data))

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.entry.name

    def text(self) -> str:
        """Return the scenario as YAML: what was written, with every default that was left out."""
        resolved = {**self.document.data}
        for key, info in ScenarioEntry.model_fields.items():
            if key not in resolved and key in ("seed", "drain", "variability", "record"):
                resolved[key] = info.default
        knowledge = self.entry.knowledge.model_dump(mode="json")
        resolved["knowledge"] = {**knowledge, **(resolved.get("knowledge") or {})}
        return write_yaml(resolved)

    def hash(self) -> str:
        """Return 12 hexadecimal digits that change when anything the scenario says changes (its seed left out)."""
        said = {key: value for key, value in self.document.data.items() if key != "seed"}
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def where(self, *place: str | int) -> str:
        """Return ``file:line: key.path`` for an error about *place*."""
        return self.document.where(tuple(place))


def locate(source: str | Path, library: Library) -> Path:
    """Return the file of a scenario given by path or by the name of a shipped one.

    Raises:
        ScenarioError: if there is none, with the nearest name.
    """
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        raise ScenarioError(f"{source}: is a folder; a scenario is a YAML file")
    inside = library.folder / path if path.suffix else library.folder / f"{source}.yaml"
    if inside.is_file():
        return inside
    apart = {"profiles", "hardware", "traces"}
    shelf = [file.relative_to(library.folder) for file in library.folder.glob("*/*.yaml")]
    names = sorted(str(file.with_suffix("")) for file in shelf if file.parts[0] not in apart)
    near = did_you_mean(str(path.with_suffix("")).removeprefix("scenarios/"), names)
    raise ScenarioError(f"{source}: no such scenario file.{near} Shipped: {', '.join(names)}")


def _technique(document: Document, problems: list[str]) -> Technique | None:
    data = document.data.get("technique")
    if data is None:
        return None  # the schema says that it is missing
    place: Place = ("technique",)
    if not isinstance(data, dict):
        return None  # the schema says so
    if not isinstance(data.get("kind"), str):
        problems.append(f"{document.where(place)}: has no kind; write e.g. technique: {{kind: min-latency}}")
        return None
    try:
        kind = technique_class(data["kind"])
    except RegistryError as error:
        problems.append(f"{document.where((*place, 'kind'))}: {error}")
        return None
    parameters = {key: value for key, value in data.items() if key != "kind"}
    try:
        return kind.model_validate(parameters, context={"units": "written"})
    except ValidationError as error:
        problems += sentences(error, document, kind, place)
        return None


def _set(data: dict[str, Any], path: str, value: Any, document: Document) -> None:
    *parents, last = path.split(".")
    here: Any = data
    for depth, key in enumerate(parents):
        if isinstance(here, list) and key.isdigit() and int(key) < len(here):
            here = here[int(key)]
            continue
        if not isinstance(here, dict):
            raise ScenarioError(f"{document.name}: {path}: {'.'.join(parents[:depth])} has no parts to set")
        if key not in here:
            if depth == 0 and key in ScenarioEntry.model_fields:
                here[key] = {}
            else:
                known = ", ".join(map(str, here))
                raise ScenarioError(
                    f"{document.name}: {path}: no {key!r} there.{did_you_mean(key, here)} Known: {known}"
                )
        elif isinstance(here[key], str) and key == "model":
            here[key] = {"name": here[key]}
        here = here[key]
    if isinstance(here, list) and last.isdigit() and int(last) < len(here):
        here[int(last)] = value
    elif isinstance(here, dict):
        here[last] = value
    else:
        raise ScenarioError(f"{document.name}: {path}: {'.'.join(parents)} has no parts to set")
