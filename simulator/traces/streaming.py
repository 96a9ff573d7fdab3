"""Tables of numbers as large as they come: read in pieces, so that ten million rows take no more memory than they are.

Each piece goes through the CSV reader of Apache Arrow. One that it does not take (a word among the numbers, a blank
line, a row too short) is read again line by line, which is slow, and says which line it is or mends it. Both read the
same numbers to the last bit.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from simulator.foundation.errors import TraceError
from simulator.traces.format import Request
from simulator.traces.mending import Rows, dropped, parse_row
from simulator.traces.recording import Array, Report
from simulator.traces.source import Source

EMPTY_TRACE = "%s: the trace is empty"
EMPTY = ("", "nan", "NaN", "NA", "null", "-")
"""What stands in a cell that says nothing; allowed in the columns that a recording may have, not in those it must."""


@dataclass(frozen=True)
class Wanted:
    """Which columns of a file are read, and as what."""

    header: tuple[str, ...]
    """All that the file has, in its order."""
    needed: tuple[str, ...]
    """Numbers in every row."""
    further: tuple[str, ...] = ()
    """Numbers, or cells that say nothing (read as NaN)."""
    text: str | None = None
    """A column of words."""


@dataclass(frozen=True)
class Table:
    """What was read."""

    rows: Rows
    words: list[str]
    """Those of the column of text, row by row."""
    wrong: list[int]
    """Lines that were left out."""


@dataclass
class _Parts:
    lines: list[npt.NDArray[np.int64]] = field(default_factory=list)
    columns: list[list[Array]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)


def read_table(
    source: Source, pieces: Iterable[tuple[int, bytes]], wanted: Wanted, options: Request, report: Report
) -> Table:
    """Return the columns that are *wanted*, needed ones first.

    Args:
        source: for its name.
        pieces: number of the first line, and whole lines (:meth:`Source.blocks`), below the header.
        wanted: the columns.
        options: whether to drop rows that are wrong.
        report: where rows read and dropped are counted.

    Raises:
        TraceError: naming the row that is wrong, or if there is none.
    """
    parts = _Parts(columns=[[] for _ in wanted.needed + wanted.further])
    for line, piece in pieces:
        if not _at_once(piece, line, wanted, parts):
            _by_line(source, piece, line, wanted, options, parts)
    report.rows += sum(map(len, parts.lines)) + len(parts.wrong)
    dropped(parts.wrong, report)
    if not any(map(len, parts.lines)):
        raise TraceError(f"{source.name}: no row with numbers in it" if parts.wrong else EMPTY_TRACE % source.name)
    columns = []
    while parts.columns:  # one after the other, so that never all are there twice
        columns.append(np.concatenate(parts.columns.pop(0)))
    return Table(Rows(np.concatenate(parts.lines), tuple(columns)), parts.words, parts.wrong)


def _at_once(piece: bytes, line: int, wanted: Wanted, parts: _Parts) -> bool:
    """Read a piece in which nothing is out of the ordinary; return whether it was such a one."""
    piece = piece.rstrip(b"\n")
    if not piece:
        return True
    count = piece.count(b"\n") + 1
    numbers = wanted.needed + wanted.further
    types = dict.fromkeys(numbers, pa.float64()) | ({wanted.text: pa.string()} if wanted.text else {})
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(piece),
            arrow_csv.ReadOptions(use_threads=False, column_names=list(wanted.header), block_size=len(piece) + 1),
            arrow_csv.ParseOptions(ignore_empty_lines=True),
            arrow_csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=list(EMPTY), strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )  # fmt: skip
    except pa.ArrowException:
        return False
    columns = [table[name].to_numpy() for name in numbers]
    if table.num_rows != count or not all(np.isfinite(column).all() for column in columns[: len(wanted.needed)]):
        return False
    if any(np.isinf(column).any() for column in columns[len(wanted.needed) :]):
        return False
    parts.lines.append(np.arange(line, line + count, dtype=np.int64))
    for found, column in zip(parts.columns, columns, strict=True):
        found.append(column)
    if wanted.text:
        parts.words += table[wanted.text].to_pylist()
    return True


def _by_line(source: Source, piece: bytes, line: int, wanted: Wanted, options: Request, parts: _Parts) -> None:
    needed = {name: wanted.header.index(name) for name in wanted.needed}
    further = [wanted.header.index(name) for name in wanted.further]
    text = wanted.header.index(wanted.text) if wanted.text else None
    lines: list[int] = []
    table: list[list[float]] = []
    for number, content in _lines(piece, line):
        try:
            fields = split(source, number, content)
            row = parse_row(source, number, fields, needed, len(wanted.header))
            row += [_further(source, number, fields, wanted.header, index) for index in further]
        except TraceError:
            if not options.repair:
                raise
            parts.wrong.append(number)
            continue
        lines.append(number)
        table.append(row)
        if text is not None:
            parts.words.append(fields[text])
    parts.lines.append(np.array(lines, dtype=np.int64))
    if table:
        for found, column in zip(parts.columns, np.array(table, dtype=np.float64).T, strict=True):
            found.append(np.ascontiguousarray(column))


def _lines(piece: bytes, first: int) -> Iterator[tuple[int, str]]:
    for number, content in enumerate(piece.split(b"\n"), start=first):
        if content.strip():
            yield number, content.decode()


def split(source: Source, line: int, content: str) -> list[str]:
    """Return the cells of one line.

    Raises:
        TraceError: if it cannot be split.
    """
    try:
        return next(csv.reader([content]), [])
    except csv.Error as error:
        raise TraceError(f"{source.name}:{line}: {error}") from None


def _further(source: Source, line: int, fields: Sequence[str], header: tuple[str, ...], index: int) -> float:
    if fields[index].strip() in EMPTY:
        return math.nan
    return parse_row(source, line, fields, {header[index]: index})[0]
