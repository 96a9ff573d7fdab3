"""What a system file gives: one computed quantity per claim, by the claim's id and without its value.

A package of yours adds a system as ours are added, with its claims in a table of your own (``--table``)::

    [project.entry-points."offing.claims"]
    frugal-split = "my_lab.claims:FrugalSplit"
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from analysis.picture import Picture
from simulator.foundation.errors import RegistryError
from simulator.results.statistics import t_interval

GROUP = "offing.claims"


@dataclass(frozen=True)
class Quantity:
    """A number that the project computed; ``simulated`` is None where it could not, and ``reason`` says why."""

    simulated: float | None
    unit: str = ""
    low: float | None = None
    """Lower end of the 95 % interval over seeds; the number itself where nothing is random."""
    high: float | None = None
    grades: tuple[str, ...] = ()
    """Evidence grades of the inputs."""
    reason: str = ""
    """What a reader has to know of it: what is in the number and what is not."""
    points: Mapping[str, float] = field(default_factory=dict)
    """The values over a grid, by the name of the point, where there is one."""

    @classmethod
    def exact(cls, value: float, unit: str, grades: Sequence[str], reason: str = "") -> Quantity:
        """Return a number with nothing random in it."""
        return cls(value, unit, value, value, tuple(grades), reason)

    @classmethod
    def sampled(cls, values: Sequence[float], unit: str, grades: Sequence[str], reason: str = "") -> Quantity:
        """Return the mean of one value per seed, with its 95 % interval."""
        found = t_interval(list(values), 0.95)
        return cls(found.mean, unit, found.low, found.high, tuple(grades), reason)

    @classmethod
    def over(cls, points: Mapping[str, float], unit: str, grades: Sequence[str], reason: str = "") -> Quantity:
        """Return the greatest value over a grid, and the whole grid with it."""
        most = max(points.values())
        return cls(most, unit, most, most, tuple(grades), reason, dict(points))

    @classmethod
    def absent(cls, reason: str) -> Quantity:
        """Return what is there where a quantity could not be computed: why, and what to do."""
        return cls(None, reason=reason)


class System:
    """A system that papers make claims about; made anew for each reproduction, so that it may keep what it ran."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Return what was computed, by the id of the claim it answers."""
        raise NotImplementedError

    def pictures(self) -> Sequence[Picture]:
        """Return the system's own figures; none unless it has some."""
        return ()


def installed() -> dict[str, EntryPoint]:
    """Return the entry point of every system, by name.

    Raises:
        RegistryError: if two distributions give one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise RegistryError(f'two systems are named "{point.name}": {other.value} and {point.value}')
        found[point.name] = point
    return found


def load(name: str) -> System:
    """Return a new object of the installed system *name*.

    Raises:
        RegistryError: if what is registered is not a system.
    """
    point = installed()[name]
    found = point.load()
    if not (isinstance(found, type) and issubclass(found, System)):
        raise RegistryError(f'"{name}" ({point.value}) is not a subclass of analysis.claims.system.System')
    return found()
