"""The sets of measurements that the simulator is held against: one module each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from calibration.fidelity.comparison import Dataset
from simulator.foundation.errors import RegistryError, did_you_mean


def names() -> list[str]:
    """Return the names of all data sets."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Dataset:
    """Return the data set *name*.

    Raises:
        RegistryError: if there is none of that name.
    """
    if name not in names():
        raise RegistryError(f'no data set named "{name}".{did_you_mean(name, names())} Known: {", ".join(names())}')
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    return cast("Dataset", module)
