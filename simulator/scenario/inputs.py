"""The recordings a scenario names: where each lies, and what is used instead of one that is nowhere.

A file is looked for beside the scenario, among the shipped ones, and in the folder of recordings, which holds what
others have recorded and is not ours to copy: such a file is hashed and named, and never kept in a saved run.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.profiles.library import recordings_folder
from simulator.scenario.document import Document, Place, dotted

Origin = Literal["beside", "shipped", "recorded", "nowhere"]
SHOWN = 80
"""Characters of a name in an error."""
FILES = ("trace", "from")
"""Keys whose value is the name of a recording."""


@dataclass(frozen=True)
class Input:
    """A recording that a scenario names."""

    place: Place
    """Where it does."""
    said: str
    """How it names it."""
    origin: Origin
    path: Path | None
    instead: str = ""
    """What is used where the file is nowhere."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file, or ``nowhere``."""
        if self.path is None:
            return "nowhere"
        facts = self.path.stat()
        return _digest(self.path, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size)

    @property
    def line(self) -> str:
        """One line for a table."""
        where = dotted(self.place)
        if self.path is None:
            return f"{where}: {self.instead or 'nothing'}, since {self.said} was not found"
        how = {"beside": "beside the scenario", "shipped": "shipped", "recorded": "recorded"}[self.origin]
        return f"{where}: {self.said} ({how})"

    def as_dict(self) -> dict[str, str]:
        """Return it for the provenance of a run; a file of others is named and hashed there, and not copied."""
        facts = {"where": dotted(self.place), "trace": self.said, "origin": self.origin, "sha256": self.digest}
        return {**facts, "instead": self.instead} if self.path is None else facts


def lookup(name: str, folder: Path, shelf: Path | None) -> tuple[Origin, Path | None]:
    """Return where the file *name* lies: beside the scenario, among the shipped traces, among others' recordings.

    Raises:
        TraceError: if it cannot be looked for, or is there and no file: then it is wrong, and not nowhere.
    """
    others = recordings_folder()
    places: list[tuple[Origin, Path]] = [("beside", folder)]
    if shelf is not None:
        places += [("shipped", shelf / "traces"), ("shipped", shelf)]
    if others is not None:
        places.append(("recorded", others))
    other = ""
    for origin, place in places:
        if origin == "recorded" and _mode(place, name) and not stat.S_ISDIR(_mode(place, name)):
            raise TraceError(f"OFFING_DATA: {place} is no folder; it names the folder of recordings")
        mode = _mode(place / name, name)
        if stat.S_ISREG(mode):
            return origin, place / name
        if mode:
            other = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
    if other:
        raise TraceError(f'"{name}" is {other}, not a file')
    return "nowhere", None


def _mode(path: Path, name: str) -> int:
    """Return what lies at *path*, 0 where nothing does.

    Raises:
        TraceError: if that cannot be known.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no path at all, such as one with a zero
        return 0
    except OSError as error:
        said = name if len(name) <= SHOWN else f"{name[:SHOWN]}..."
        raise TraceError(f'"{said}" cannot be looked for: {error.strerror}') from None


def find_file(name: str, folder: Path, shelf: Path | None) -> Path:
    """Return the file *name* as :func:`lookup` finds it.

    Raises:
        TraceError: if it is nowhere, with the nearest name.
    """
    path = lookup(name, folder, shelf)[1]
    if path is not None:
        return path
    shipped = [] if shelf is None else sorted(path.name for path in (shelf / "traces").glob("*") if path.is_file())
    beside = [path.name for path in (folder / name).parent.glob("*") if path.is_file()]
    near = did_you_mean(
        Path(name).name, [*shipped, *(file for file in beside if Path(file).suffix == Path(name).suffix)]
    )
    came = "is neither beside the scenario nor among the shipped"
    raise TraceError(f'"{name}" {came} ({", ".join(shipped)}).{near}{_elsewhere()}')


def _elsewhere() -> str:
    """Say what else could have been looked into."""
    others = recordings_folder()
    if others is None:
        return " Set OFFING_DATA to a folder of recordings to look there too"
    return f" Nor is it in the folder of recordings, {others}"


def inputs(document: Document, shelf: Path | None) -> list[Input]:
    """Return what a scenario reads: the files that it names, less those that others are used instead of."""
    return list(_inputs(document.data, (), document.folder, shelf))


def _inputs(data: Any, place: Place, folder: Path, shelf: Path | None) -> Iterator[Input]:
    if isinstance(data, list):
        for index, value in enumerate(data):
            yield from _inputs(value, (*place, index), folder, shelf)
    if not isinstance(data, dict):
        return
    fallback = False
    for key in FILES:
        said = data.get(key)
        if isinstance(said, str):
            origin, path = lookup(said, folder, shelf)
            fallback = fallback or path is None
            yield Input(place, said, origin, path, describe(data.get("otherwise")) if path is None else "")
    for key, value in data.items():
        if key != "otherwise" or fallback:
            yield from _inputs(value, (*place, key), folder, shelf)


def describe(otherwise: Any) -> str:
    """Say what is used instead of a recording, in a few words."""
    if isinstance(otherwise, Mapping):
        for key, word in (("generate", "synthetic "), ("trace", "")):
            if key in otherwise:
                return f"{word}{otherwise[key]}"
        return ", ".join(f"{key}: {_flat(value)}" for key, value in otherwise.items())
    if isinstance(otherwise, list):
        return f"{len(otherwise)} places written"
    return "" if otherwise is None else str(otherwise)


def _flat(value: Any) -> str:
    return str(value).replace("'", "")


@lru_cache(maxsize=64)
def _digest(path: Path, *changed: int) -> str:
    """Return the SHA-256 of a file as it was when it was last *changed* (its times and its size)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
