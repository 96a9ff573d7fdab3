"""Recordings written in the project's own form: CSV to read and to diff, Parquet where that is too slow.

Numbers are written so that they are read back to the last bit. A file appears whole or not at all: it is written under
a temporary name and renamed. ``formats/csv.py`` and ``formats/offing_parquet.py`` read them.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from simulator.foundation.errors import TraceError
from simulator.traces.facts import facts_of
from simulator.traces.recording import COLUMNS, Found, Recording

METADATA = b"offing"
"""Key of the facts in the metadata of a Parquet file."""
ROW_GROUP = 2**20


def write_csv(recording: Found, path: Path) -> None:
    """Write *recording* as CSV, packed with gzip where *path* ends in ``.gz``.

    Raises:
        TraceError: if it is no recording over time or of places, or cannot be written.
    """
    recording = _recording(recording, path)
    table = _table(recording)
    top = io.StringIO("# " + "; ".join(f"{key}: {value}" for key, value in facts_of(recording).items()) + "\n")
    top.seek(0, io.SEEK_END)
    csv.writer(top, lineterminator="\n").writerow(table.column_names)

    def write(stream: IO[bytes]) -> None:
        stream.write(top.getvalue().encode())
        arrow_csv.write_csv(table, stream, arrow_csv.WriteOptions(include_header=False, quoting_style="needed"))

    def pack(stream: IO[bytes]) -> None:
        with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:  # the same bytes whenever it is written
            write(cast("IO[bytes]", packed))

    _write_whole(path, pack if path.suffix == ".gz" else write)


def write_parquet(recording: Found, path: Path) -> None:
    """Write *recording* as Parquet, its facts and the report of how it was read in the metadata.

    Raises:
        TraceError: if it is no recording over time or of places, or cannot be written.
    """
    recording = _recording(recording, path)
    facts = {**facts_of(recording), "report": recording.report.as_dict()}
    table = _table(recording).replace_schema_metadata({METADATA: json.dumps(facts).encode()})
    _write_whole(path, lambda stream: parquet.write_table(table, stream, row_group_size=ROW_GROUP))


def _recording(found: Found, path: Path) -> Recording:
    if not isinstance(found, Recording):
        raise TraceError(f"{path.name}: a {found.kind} is no recording over time; only those have a form of our own")
    if missing := [name for name in COLUMNS[found.kind] if name not in found.columns]:
        raise TraceError(f"{path.name}: the {found.kind} has no {missing[0]}; say the time from row to row (step)")
    return found


def _table(recording: Recording) -> pa.Table:
    """Return the columns, those of its kind first, and the names; NaN, of a cell that says nothing, as null."""
    order = [name for name in COLUMNS[recording.kind] if name in recording.columns]
    order += [name for name in recording.columns if name not in order]
    columns = {name: pa.array(recording.columns[name], pa.float64(), from_pandas=True) for name in order}
    if recording.names:
        columns["name"] = pa.array(recording.names, pa.string())
    return pa.table(columns)


def _write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    with _draft(path) as draft:
        with draft.open("wb") as stream:
            write(stream)
        draft.chmod(0o644)
        os.replace(draft, path)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Give the name of a file beside *path*; what is left of it when the block ends is removed."""
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
        os.close(handle)
        draft = Path(name)
        yield draft
    except (OSError, pa.ArrowException) as error:
        raise TraceError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)
