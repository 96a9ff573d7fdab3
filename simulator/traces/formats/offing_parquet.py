"""The project's own form as Parquet: the columns of the CSV, its facts as JSON in the metadata under ``offing``.

The report of the import stands there too; what was assumed or repaired then is told again by whoever reads the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.foundation.errors import TraceError
from simulator.traces.facts import OWN, check_fact, recording_of, seconds
from simulator.traces.format import Format, Request
from simulator.traces.parquet import MAGIC
from simulator.traces.recording import COLUMNS, UNITS, Recording, Report
from simulator.traces.source import Source
from simulator.traces.writing import METADATA


def fits(source: Source) -> bool:
    """Return whether the file is one of this format."""
    if not source.start.startswith(MAGIC):
        return False
    try:
        with source.open() as stream:
            return METADATA in (pq.read_schema(stream).metadata or {})
    except (pa.ArrowException, OSError, ValueError):
        return False


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file.

    Raises:
        TraceError: naming what is wrong.
    """
    if not source.start.startswith(MAGIC):
        raise TraceError(f"{source.name}: is no Parquet file")
    try:
        with source.open() as stream:
            table = pq.ParquetFile(stream).read(use_threads=False)
        header = table.column_names
    except TraceError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names that are no UTF-8
        raise TraceError(f"{source.name}: damaged or cut off: {str(error).splitlines()[0]}") from None
    facts, was = _facts(source, table)
    kind = facts.get("kind", "")
    if kind not in COLUMNS:
        raise TraceError(f'{source.name}: kind: "{kind}" is none of {", ".join(COLUMNS)}')
    names = tuple(map(str, table["name"].to_pylist())) if "name" in header else ()
    columns = {}
    for name in header:
        if name == "name":
            continue
        if not pa.types.is_float64(table.schema.field(name).type):
            raise TraceError(f"{source.name}: {name} is of {table.schema.field(name).type}; expected double")
        columns[name] = np.asarray(table[name].to_numpy())
    report = Report(rows=table.num_rows)
    for told, then in ((report.assumed, was.get("assumed")), (report.repaired, was.get("repaired"))):
        told += [f"when it was imported: {each}" for each in then] if isinstance(then, list) else []
    if kind in UNITS:
        report.units[UNITS[kind] or "1"] = table.num_rows
        if facts.get("unit") != (UNITS[kind] or "1"):
            raise TraceError(f'{source.name}: unit: {facts.get("unit")!r}; expected "{UNITS[kind] or "1"}" for {kind}')
    return {"": recording_of(facts, kind, columns, report, seconds(source, facts, "duration_s"), names)}


def _facts(source: Source, table: pa.Table) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the facts, and the report of the import."""
    try:
        found = json.loads((table.schema.metadata or {})[METADATA])
        was = found.pop("report", {})
        facts = {key: str(value) for key, value in found.items()}
    except (KeyError, ValueError, AttributeError, RecursionError):
        raise TraceError(
            f"{source.name}: there are no facts of ours in its metadata; expected JSON under offing"
        ) from None
    for key, value in facts.items():
        check_fact(source.name, key, value)
    return facts, was if isinstance(was, dict) else {}


FORMAT = Format("parquet", OWN, "the project's own form as Parquet, for any kind", fits, read)
