"""``Scenario``: a validated scenario as a value: load it, change it, hash it, write it.

What the file says and what the program runs are one: a scenario keeps its document, and a change (``with_``) is a
change of the document, validated again.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simulator.foundation.errors import RegistryError, ScenarioError, did_you_mean
from simulator.profiles.library import Library
from simulator.scenario.document import Document, Place, read_document, write_yaml
from simulator.scenario.inputs import FILES, Input, find_file, inputs, lookup
from simulator.scenario.problems import sentences
from simulator.scenario.schema import ScenarioEntry
from simulator.techniques.registry import name_of, technique_class
from simulator.techniques.technique import Technique


@dataclass(frozen=True, repr=False)
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
    def from_dict(
        cls, data: Mapping[str, Any], library: Library | None = None, folder: str | Path | None = None
    ) -> Scenario:
        """Make a scenario from the mapping a file would hold (units as text, as there).

        Args:
            data: what the file would hold.
            library: where models and hardware are found, instead of the shipped ones.
            folder: where the recordings it names lie (default: the current one).

        Raises:
            ScenarioError: with every problem found.
        """
        path = Path(folder) / "scenario" if folder is not None else None
        return cls.of(Document(copy.deepcopy(dict(data)), path), library or Library())

    @classmethod
    def of(cls, document: Document, library: Library, technique: Technique | None = None) -> Scenario:
        """Validate *document*; its technique is read from it unless one is given (which may be unregistered)."""
        problems: list[str] = []
        technique = technique or _technique(document, problems)
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
        kept = None if any(path.split(".")[0] == "technique" for path in changes) else self.technique
        return Scenario.of(replace(self.document, data=data), self.library, kept)

    def with_technique(self, technique: Technique) -> Scenario:
        """Return this scenario under another technique, registered or not."""
        if not isinstance(technique, Technique):
            raise ScenarioError(
                f"technique: {technique!r} came; expected a technique, e.g. MinLatency() or "
                '{"technique": {"kind": "min-latency"}} with with_()'
            )
        written = {"kind": name_of(technique)} | technique.model_dump(mode="json", exclude_defaults=True)
        data = {**self.document.data, "technique": written}
        return replace(self, technique=technique, document=replace(self.document, data=data))

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.entry.name

    def text(self) -> str:
        """Return the scenario as YAML: what was written, with the defaults that were left out.

        Recordings that lie beside it are named as :meth:`recordings` names them, where a saved run keeps them.
        """
        return write_yaml(self._resolved({said: kept for kept, (said, _) in self.recordings().items()}))

    def _resolved(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Return what the scenario says, defaults filled in and the files it names renamed."""
        resolved: dict[str, Any] = _renamed(self.document.data, names)
        for key in ("seed", "replications", "drain", "variability", "record"):
            resolved.setdefault(key, ScenarioEntry.model_fields[key].default)
        knowledge = self.entry.knowledge.model_dump(mode="json")
        known = self.technique.senses
        knowledge["bandwidth"] = knowledge["bandwidth"] or ("oracle" if known == "nothing" else known)
        resolved["knowledge"] = {**knowledge, **(resolved.get("knowledge") or {})}
        return resolved

    def recordings(self) -> dict[str, tuple[str, bytes]]:
        """Return the recordings beside the scenario: name in a saved run → (name in the scenario, content).

        Those in the folder of recordings are others' and are not copied: :meth:`inputs` names and hashes them.
        """
        found: dict[str, tuple[str, bytes]] = {}
        for said in _traces(self.document.data):
            path = self.document.folder / said
            if path.is_file():
                content = path.read_bytes()
                found[f"traces/{hashlib.sha256(content).hexdigest()[:8]}-{path.name}"] = (said, content)
        return found

    def inputs(self) -> list[Input]:
        """Return the recordings it names: where each lies, or what is used instead of one that is nowhere."""
        return inputs(self.document, self.library.folder)

    def find(self, name: str, optional: bool = False) -> Path | None:
        """Return the file of a recording; None where it is nowhere and that is *optional*.

        Raises:
            TraceError: if it is nowhere, with the nearest name.
        """
        found = lookup(name, self.document.folder, self.library.folder)[1]
        return found if found or optional else find_file(name, self.document.folder, self.library.folder)

    def hash(self) -> str:
        """Return 12 hexadecimal digits that change when anything the scenario says or reads changes (but its seeds).

        What a recording is replaced by counts where it is nowhere.
        """
        names = {each.said: each.digest for each in self.inputs() if each.origin != "shipped"}
        seeds = ("seed", "replications")
        said = {key: value for key, value in self._resolved(names).items() if key not in seeds}
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        """Write the name and the digest (``text()`` has the whole)."""
        return f"Scenario({self.name!r}, {self.hash()})"

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
    apart = {"profiles", "hardware", "traces", "networks", "loads", "outages"}
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


def _traces(data: Any) -> Iterator[str]:
    """Yield the files that *data* names under a key ``trace`` or ``from``."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        if key in FILES and isinstance(value, str):
            yield value
        else:
            yield from _traces(value)


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    """Return *data* with the files it names renamed."""
    if isinstance(data, dict):
        return {
            key: names.get(value, value) if key in FILES and isinstance(value, str) else _renamed(value, names)
            for key, value in data.items()
        }
    return [_renamed(item, names) for item in data] if isinstance(data, list) else data


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
