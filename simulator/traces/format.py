"""``Format``: a reader and how to know its files. Each module of ``formats/`` defines one, and that is all it takes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from simulator.traces import formats
from simulator.traces.recording import Found, Kind
from simulator.traces.source import Progress, Source


@dataclass(frozen=True)
class Options:
    """What the user says of a file."""

    repair: bool = False
    """Mend what the format does not explain, and say so, instead of refusing it."""
    unit: str | None = None
    """Of the values, where the file does not say it."""
    step: float | None = None
    """Time from row to row [s], where the file does not say it."""
    kind: str | None = None
    """What it is wanted as, where the file does not say it."""
    time: str | None = None
    """Name of the column of times, in a table that is in no form known."""
    value: str | None = None
    """Name of the column of values."""
    progress: Progress | None = None
    """Told how far a large file has been read."""


@dataclass(frozen=True)
class Format:
    """A file format."""

    name: str
    kinds: tuple[Kind, ...]
    """What its files hold."""
    title: str
    fits: Callable[[Source], bool]
    """Whether a file looks like one of this format, told from its first lines; must not raise on any text."""
    read: Callable[[Source, Options], Mapping[str, Found]]
    """Read a file: its tables by name, ``""`` where there is one only. Raises ``TraceError`` naming the row."""
    aliases: tuple[str, ...] = ()
    """Other names of it: sets that are written alike."""
    holds: Callable[[Source], tuple[str, ...]] | None = None
    """Which of ``kinds`` a file that fits may hold, where its content tells; must not raise on any text."""
    last: bool = False
    """Whether it is thought of only where no other format fits."""


@cache
def known_formats() -> dict[str, Format]:
    """Return all formats by name: one for each module in ``formats/``."""
    names = sorted(module.name for module in pkgutil.iter_modules(formats.__path__))
    modules = (importlib.import_module(f"{formats.__name__}.{name}") for name in names)
    return {module.FORMAT.name: module.FORMAT for module in modules}


@cache
def format_names() -> dict[str, Format]:
    """Return all formats by every name they may be asked for with."""
    known = known_formats()
    return known | {alias: form for form in known.values() for alias in form.aliases}
