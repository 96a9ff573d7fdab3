"""Files of fitted parameters: what every one of them says, and errors that name the file and the key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.foundation.errors import TraceError, UnitError, did_you_mean
from simulator.foundation.units import BANDWIDTH, SHARE, Period
from simulator.traces.recording import Direction, Layer

Kind = Literal["bandwidth", "load"]
"""What a trace is of: bytes per second, or the share of a processor that is busy."""
Written = str | float
"""A quantity before its unit is read."""


class Part(BaseModel):
    """A mapping in a file of parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Head(Part):
    """What every file says of itself."""

    name: str
    title: str
    grade: Literal["measured", "transferred", "published", "guessed"]
    source: Annotated[str, Field(min_length=1)]
    """What it was fitted to, or why it was guessed."""


class TraceHead(Head):
    """What every file says that traces are drawn from."""

    kind: Kind
    direction: Direction
    """Which direction of a link was recorded; of a load none is known."""
    layer: Layer = "unknown"
    """What those bandwidths were measured of; ``goodput`` has headers and slow starts in it."""
    step: Period


M = TypeVar("M", bound=BaseModel)


def read_mapping(path: Path) -> Mapping[str, Any]:
    """Return what stands in a file.

    Raises:
        TraceError: if it cannot be read, or is no mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TraceError(f"{path.name}: cannot be read: {error}") from None
    if not isinstance(data, dict):
        raise TraceError(f"{path.name}: {type(data).__name__} came; a mapping (key: value) is expected")
    return data


def named(name: str, folder: Path, what: str) -> Path:
    """Return the file *name* of *folder*.

    Raises:
        TraceError: if there is none of *what* is called so, with the nearest name.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise TraceError(f'no {what} named "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')
    return folder / f"{name}.yaml"


def validated(model: type[M], data: Mapping[str, Any], path: Path) -> M:
    """Return *data* as *model*.

    Raises:
        TraceError: what is wrong first, with file and key.
    """
    try:
        return model.model_validate(dict(data), context={"units": "written"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise TraceError(f"{path.name}: {where}: {first['msg'].removeprefix('Value error, ')}") from None


def share(text: Written, path: Path, key: str) -> float:
    """Return a share as a number.

    Raises:
        TraceError: if it is none, with file and key.
    """
    try:
        return SHARE.parse(text)
    except UnitError as error:
        raise TraceError(f"{path.name}: {key}: {error}") from None


def level(text: Written, kind: Kind, path: Path, key: str) -> float:
    """Return a bandwidth [B/s] or a load as a number.

    Raises:
        TraceError: if it is none, or a load above 100 %, with file and key.
    """
    try:
        value = (BANDWIDTH if kind == "bandwidth" else SHARE).parse(text)
    except UnitError as error:
        raise TraceError(f"{path.name}: {key}: {error}") from None
    if kind == "load" and value > 1:
        raise TraceError(f"{path.name}: {key}: {text} came; a load is a share between 0 and 100 %")
    return value


def evidence(name: str, direction: Direction, source: str) -> str:
    """Return what stands in the records for a synthetic trace."""
    said = {"down": "downlink; ", "up": "uplink; ", "both": "both; ", "unknown": ""}[direction]
    return f"synthetic {name} ({said}{source})"
