"""Parquet files: which columns they have, and their content; told by their first four bytes, read by pyarrow."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.foundation.errors import TraceError
from simulator.traces.source import LARGEST, Source

MAGIC = b"PAR1"


def columns(source: Source) -> tuple[str, ...]:
    """Return the names of the columns; empty where it is no Parquet file that can be read."""
    if not source.start.startswith(MAGIC):
        return ()
    try:
        return tuple(pq.read_schema(_bytes(source)).names)
    except (pa.ArrowException, OSError, ValueError, TraceError):
        return ()


def frame(source: Source, names: list[str] | None = None) -> pd.DataFrame:
    """Return the columns *names*, by default all.

    Raises:
        TraceError: if it is no Parquet file, is damaged, or has no such columns.
    """
    if not source.start.startswith(MAGIC):
        raise TraceError(f"{source.name}: is no Parquet file (those begin with PAR1)")
    try:
        found = pq.read_schema(_bytes(source)).names
        missing = [name for name in names or [] if name not in found]
        if missing:
            raise TraceError(
                f"{source.name}: no column {' and '.join(missing)}; it has {', '.join(found[:20]) or 'none'}; "
                f"expected {', '.join(names or [])}"
            )
        table: pd.DataFrame = pq.read_table(_bytes(source), columns=names).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, TraceError):
            raise
        raise TraceError(f"{source.name}: a damaged Parquet file: {error}") from None
    return table


def _bytes(source: Source) -> pa.BufferReader:
    with source.open() as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise TraceError(f"{source.name}: longer than {LARGEST // 2**20} MiB")
    return pa.BufferReader(data)
