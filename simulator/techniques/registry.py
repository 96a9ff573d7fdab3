"""The registry: techniques by name, from the entry points of every installed distribution.

Ours are registered in the same way as a third party's::

    [project.entry-points."simulator.techniques"]
    frugal-split = "my_lab.frugal:FrugalSplit"
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from simulator.foundation.errors import RegistryError, did_you_mean
from simulator.techniques.technique import Technique

GROUP = "simulator.techniques"


def installed() -> dict[str, EntryPoint]:
    """Return the entry point of every technique installed, by name.

    Raises:
        RegistryError: if two distributions give one name, naming both.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise RegistryError(f'two techniques are named "{point.name}": {other.value} and {point.value}')
        found[point.name] = point
    return found


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


def name_of(technique: Technique) -> str:
    """Return the registered name of *technique*, else its class's name."""
    value = f"{type(technique).__module__}:{type(technique).__qualname__}"
    return next((name for name, point in installed().items() if point.value == value), type(technique).__name__)
