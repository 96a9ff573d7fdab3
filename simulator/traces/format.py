"""``Format``: a reader and how to know its files. Each module of ``formats/`` defines one, and that is all it takes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from simulator.profiles.trace import End
from simulator.traces import formats
from simulator.traces.recording import Found, Kind
from simulator.traces.source import Progress, Source


@dataclass(frozen=True)
class Request:
    """What is wanted of a file, and what the file itself does not say."""

    kind: str | None = None
    """bandwidth, cpu, latency, arrivals, failures, mobility, sites, topology; None: whatever it is."""
    format: str | None = None
    unit: str | None = None
    """Of the values, where the file does not say it."""
    end: End | None = None
    """What follows the last segment, instead of what the file says (wrap where neither does)."""
    member: str | None = None
    """Which file of an archive."""
    series: str | None = None
    """Which of several tables: an operator, a run, a machine."""
    step: float | None = None
    """Time from row to row [s], where the file does not say it."""
    repair: bool = False
    """Mend what the format does not explain, and say so, instead of refusing it."""
    time: str | None = None
    """Name of the column of times, in a table that is in no form known."""
    value: str | None = None
    """Name of the column of values there."""
    progress: Progress | None = None
    """Called now and then with the bytes of a large file read so far, and of how many."""


@dataclass(frozen=True)
class Format:
    """A file format."""

    name: str
    kinds: tuple[Kind, ...]
    """What its files hold."""
    title: str
    fits: Callable[[Source], bool]
    """Whether a file looks like one of this format, told from its first lines; must not raise on any text."""
    read: Callable[[Source, Request], Mapping[str, Found]]
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
