"""YAML with line numbers: the only module that reads YAML scenarios.

A document remembers the line of every key, so that an error can point at it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from simulator.foundation.errors import ScenarioError

Place = tuple[str | int, ...]
"""Keys and indices from the root to an entry."""


WORDS = {yaml.SequenceNode: "list", yaml.ScalarNode: "single value", yaml.MappingNode: "mapping"}
"""What people call YAML's kinds of nodes."""


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, less its habit of reading ``2026-01-01``, ``1:30`` or ``yes`` as something else."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789"))


@dataclass(frozen=True)
class Document:
    """A YAML mapping, where it came from, and the line of each of its keys."""

    data: dict[str, Any]
    path: Path | None = None
    lines: dict[Place, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What to call it in errors."""
        return _shown(self.path)

    @property
    def folder(self) -> Path:
        """Folder that relative paths start from."""
        return self.path.parent if self.path is not None else Path()

    def where(self, place: Place) -> str:
        """Return ``file:line: key.path`` of the entry at *place*, or of the nearest one above it."""
        above = place
        while above and above not in self.lines:
            above = above[:-1]
        line = f":{self.lines[above]}" if above and above in self.lines else ""  # what the file lacks has no line
        return f"{self.name}{line}: {dotted(place)}" if place else f"{self.name}{line}"


def _shown(path: Path | None) -> str:
    if path is None:
        return "scenario"
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name if len(path.parts) < 2 else str(Path(*path.parts[-2:]))


def dotted(place: Place) -> str:
    """Write ``dynamics[0].at.time``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ScenarioError: if it cannot be read, is not YAML, repeats a key, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ScenarioError(f"{_shown(path)}: cannot be read: {reason}") from None
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        what = ": ".join(part for part in (error.context, error.problem) if part)
        raise ScenarioError(f"{_shown(path)}{line}: not valid YAML: {what}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ScenarioError(f"{_shown(path)}: not valid YAML: {error}") from None
    except RecursionError:
        raise ScenarioError(f"{_shown(path)}: nested too deeply") from None
    lines: dict[Place, int] = {}
    problems: list[str] = []
    if not isinstance(root, yaml.MappingNode):
        came = "the file is empty" if root is None else f"a {WORDS[type(root)]} came"
        raise ScenarioError(f"{_shown(path)}: {came}; a scenario is a mapping of keys (name, until, model, nodes, ...)")
    loader = _Loader("")
    try:
        data = _value(loader, root, (), lines, problems, _shown(path))
    except RecursionError:
        raise ScenarioError(f"{_shown(path)}: nested too deeply") from None
    if problems:
        raise ScenarioError(*problems)
    return Document(data, path, lines)


def _value(
    loader: _Loader, node: yaml.Node, place: Place, lines: dict[Place, int], problems: list[str], name: str
) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                where = f"{name}:{line}: {dotted(place)}".removesuffix(": ")
                problems.append(f"{where}: a {WORDS[type(key_node)]} came as a key; a key is a plain word")
                continue
            key = str(key_node.value)
            if key in result:
                before = lines[(*place, key)]
                problems.append(
                    f'{name}:{line}: {dotted((*place, key))}: the key "{key}" stands twice (first on line {before}); '
                    "give the second another name"
                )
                continue
            lines[(*place, key)] = line
            result[key] = _value(loader, value_node, (*place, key), lines, problems, name)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*place, i), lines, problems, name) for i, item in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError):
        problems.append(f"{name}:{node.start_mark.line + 1}: {dotted(place)}: {node.value!r} cannot be read")
        return None


def write_yaml(data: dict[str, Any]) -> str:
    """Return *data* as YAML text, keys in their order."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)
