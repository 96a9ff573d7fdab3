"""The registry: techniques by name, from the entry points of every installed distribution.

Ours are registered in the same way as a third party's::

    [project.entry-points."simulator.techniques"]
    frugal-split = "my_lab.frugal:FrugalSplit"
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import yaml
from pydantic import ValidationError

from simulator.foundation.errors import RegistryError, did_you_mean
from simulator.techniques.technique import Technique

GROUP = "simulator.techniques"


def installed() -> dict[str, EntryPoint]:
    """Return the entry point of every technique installed, by name.

    Raises:
        RegistryError: if two distributions give one name, naming both.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(_registered(entry_points, tuple(sys.path)), key=lambda point: (point.name, point.value)):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise RegistryError(f'two techniques are named "{point.name}": {other.value} and {point.value}')
        found[point.name] = point
    return found


@lru_cache(maxsize=1)
def _registered(scan: Callable[..., Iterable[EntryPoint]], _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Read what is installed: 10 ms, most of a small run; so once for each state of the path it is found on."""
    return tuple(scan(group=GROUP))


def technique_class(name: str) -> type[Technique]:
    """Return the class of the technique called *name*.

    Raises:
        RegistryError: if there is none, or what is registered is not a technique.
    """
    known = installed()
    if name not in known:
        names = ", ".join(known) or "none (is the package installed?)"
        raise RegistryError(f'no technique named "{name}".{did_you_mean(name, known)} Installed: {names}')
    found = known[name].load()
    if not (isinstance(found, type) and issubclass(found, Technique)):
        raise RegistryError(f'"{name}" ({known[name].value}) is not a subclass of simulator.Technique')
    return found


def read_technique(text: str) -> Technique:
    """Read ``fixed-split:split_point=32,server=edge``.

    Raises:
        RegistryError: no such technique, or a parameter it does not have or cannot take.
    """
    name, _, rest = text.partition(":")
    kind = technique_class(name)
    parameters: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise RegistryError(f"{text}: {pair!r} is no parameter; write e.g. fixed-split:split_point=32,server=edge")
        if key not in kind.model_fields:
            known = ", ".join(kind.model_fields) or "none"
            near = did_you_mean(key, kind.model_fields)
            raise RegistryError(f'{text}: "{name}" has no parameter "{key}".{near} Its parameters: {known}')
        parameters[key] = yaml.safe_load(value)
    try:
        return kind.model_validate(parameters, context={"units": "written"})
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {_said(e)}" for e in error.errors())
        raise RegistryError(f"{text}: {found}") from None


def _said(error: Any) -> str:
    if error["type"] == "missing":
        return "is missing"
    return str((error.get("ctx") or {}).get("error", error["msg"]))


def name_of(technique: Technique) -> str:
    """Return the registered name of *technique*, else its class's name."""
    value = f"{type(technique).__module__}:{type(technique).__qualname__}"
    return next((name for name, point in installed().items() if point.value == value), type(technique).__name__)
