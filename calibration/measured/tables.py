"""Where other people's tables are, and how one is read: by the columns it must have, with an error that says which."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.foundation.errors import ProfileError
from simulator.profiles.library import recordings_folder


def data_file(name: str, root: Path | None = None) -> Path:
    """Return the path of *name* below the folder of third-party data (``OFFING_DATA``, or *root*).

    Raises:
        ProfileError: if it is not there.
    """
    folder = root or recordings_folder()
    path = Path(name) if folder is None else folder / name
    if folder is None or not path.is_file():
        where = "no folder of third-party data is known" if folder is None else f"{path} is not there"
        raise ProfileError(f"{where}; set OFFING_DATA to the folder that holds {name}")
    return path


def read_table(path: Path, columns: Iterable[str], text: Iterable[str] = ()) -> pd.DataFrame:
    """Return a CSV file (gzip or plain, whatever its name says) as a frame.

    Args:
        path: the file.
        columns: those it must have; others are kept. All but *text* have to be finite numbers, and none may be empty.
        text: those of *columns* that hold names.

    Raises:
        ProfileError: if it cannot be read, lacks a column, or has no number where one is due; with the line.
    """
    columns, text = list(columns), set(text)
    try:
        table = pd.read_csv(
            io.BytesIO(_bytes(path)), dtype=dict.fromkeys(text, "str"), skipinitialspace=True, keep_default_na=False
        )
    except FileNotFoundError:
        raise ProfileError(f"{path} is not there") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as why:
        raise ProfileError(f"{path}: not a CSV table that can be read: {why}") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ProfileError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(map(str, table.columns))}"
        )
    if table.empty:
        raise ProfileError(f"{path} has a header and no rows")
    for column in columns:
        values = table[column] if column in text else pd.to_numeric(table[column], errors="coerce")
        wrong = values == "" if column in text else ~np.isfinite(values.astype(float))
        if wrong.any():
            line = int(np.asarray(wrong).argmax())
            came = repr(str(table[column].iloc[line])) if table[column].iloc[line] != "" else "empty"
            expected = "a name" if column in text else "a number"
            raise ProfileError(f"{path}:{line + 2}: {column} is {came}, expected {expected}; is the file cut short?")
        table[column] = values
    return table


def _bytes(path: Path) -> bytes:
    """Return what a file holds, unpacked if it begins as gzip does: names lie, and a pipe has none."""
    data = path.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
