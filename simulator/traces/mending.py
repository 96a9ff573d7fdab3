"""From rows of text to segments: numbers, order, duplicates, holes.

What a format documents is its reader's business and is counted in the report. What no format explains (text where a
number belongs, a value below zero, time that goes back) is refused with the row it stands in, or mended where
``repair`` was asked for: rows that say nothing are dropped, so that the value before holds; rows out of order are
sorted; rows of one instant are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.foundation.errors import TraceError
from simulator.traces.format import Request
from simulator.traces.recording import Array, Report
from simulator.traces.source import Source


@dataclass(frozen=True)
class Rows:
    """Columns of numbers, and the line each row stands on."""

    lines: npt.NDArray[np.int64]
    columns: tuple[Array, ...]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.lines)

    def where(self, flags: npt.NDArray[np.bool_]) -> Rows:
        """Return the rows that are flagged."""
        return Rows(self.lines[flags], tuple(column[flags] for column in self.columns))

    def taken(self, order: npt.NDArray[np.intp]) -> Rows:
        """Return the rows in another order."""
        return Rows(self.lines[order], tuple(column[order] for column in self.columns))


def cells(
    source: Source, separator: str | None = None, lines: Iterable[tuple[int, str]] | None = None
) -> Iterable[tuple[int, list[str]]]:
    """Yield line number and fields of each row (of *lines*, by default the whole file); None splits at blanks."""
    return ((number, line.split(separator)) for number, line in (source.lines() if lines is None else lines))


def parse(
    source: Source,
    rows: Iterable[tuple[int, Sequence[str]]],
    take: Mapping[str, int],
    options: Request,
    report: Report,
    width: int | None = None,
) -> Rows:
    """Return the columns *take* (name → index) of *rows* as numbers; all must be finite.

    Args:
        source: for its name.
        rows: line number and fields.
        take: which columns, by the names that errors use.
        options: whether to drop rows that are wrong.
        report: where rows read and dropped are counted.
        width: how many fields each row must have.

    Raises:
        TraceError: naming the row that is wrong, or if there is none.
    """
    numbers: list[int] = []
    found: list[list[float]] = []
    wrong: list[int] = []
    for number, fields in rows:
        report.rows += 1
        try:
            found.append(parse_row(source, number, fields, take, width))
            numbers.append(number)
        except TraceError:
            if not options.repair:
                raise
            wrong.append(number)
    dropped(wrong, report)
    if not found:
        raise TraceError(f"{source.name}: no row with numbers in it")
    table = np.array(found, dtype=np.float64)
    return Rows(np.array(numbers), tuple(np.ascontiguousarray(column) for column in table.T))


def parse_row(
    source: Source, line: int, fields: Sequence[str], take: Mapping[str, int], width: int | None = None
) -> list[float]:
    """Return the fields *take* (name → index) of one row as numbers.

    Raises:
        TraceError: naming the line, if one is no finite number, or there are not *width* fields.
    """
    if width is not None and len(fields) != width:
        raise TraceError(f"{source.name}:{line}: {len(fields)} columns, expected {width}")
    return [_number(source, line, fields, name, index) for name, index in take.items()]


def dropped(lines: Sequence[int], report: Report) -> None:
    """Say in the *report* that the rows on *lines* were left out for want of numbers."""
    if lines:
        report.dropped += len(lines)
        report.repaired.append(f"dropped {_rows(lines)} without a number where one belongs")


def not_negative(source: Source, rows: Rows, column: int, what: str, options: Request, report: Report) -> Rows:
    """Refuse values below zero in *column* (or, with repair, drop their rows)."""
    return refuse(source, rows, rows.columns[column] < 0, f"{what} is below zero", options, report)


def refuse(
    source: Source, rows: Rows, wrong: npt.NDArray[np.bool_], why: str, options: Request, report: Report
) -> Rows:
    """Refuse the rows flagged *wrong* (or, with repair, drop them).

    Raises:
        TraceError: naming the first, or if nothing is left.
    """
    if not wrong.any():
        return rows
    if not options.repair:
        raise TraceError(f"{source.name}:{rows.lines[int(np.argmax(wrong))]}: {why} (repair: drops the row)")
    report.dropped += int(wrong.sum())
    report.repaired.append(f"dropped {_rows(rows.lines[wrong].tolist())}: {why}")
    if wrong.all():
        raise TraceError(f"{source.name}: {why} in every row")
    return rows.where(~wrong)


def in_order(source: Source, rows: Rows, options: Request, report: Report, documented: bool = False) -> Rows:
    """Return *rows* in order of their first column, time; *documented* where the format is known to be out of order.

    Raises:
        TraceError: naming the first row that goes back, without repair.
    """
    times = rows.columns[0]
    back = np.flatnonzero(np.diff(times) < 0)
    if not len(back):
        return rows
    first = int(back[0]) + 1
    if not (options.repair or documented):
        raise TraceError(
            f"{source.name}:{rows.lines[first]}: time goes back to {times[first]:g} s, after {times[first - 1]:g} s "
            "(repair: sorts the rows)"
        )
    report.reordered += len(back)
    if not documented:
        report.repaired.append(f"sorted: time went back {len(back)} times, first at line {rows.lines[first]}")
    return rows.taken(np.argsort(times, kind="stable"))


def averaged(source: Source, rows: Rows, options: Request, report: Report, documented: bool = False) -> Rows:
    """Return *rows* (in order) with those of one instant averaged; *documented* where the format is known for it.

    Raises:
        TraceError: naming the first row that repeats an instant, without repair.
    """
    times = rows.columns[0]
    again = np.flatnonzero(np.diff(times) == 0)
    if not len(again):
        return rows
    first = int(again[0]) + 1
    if not (options.repair or documented):
        raise TraceError(
            f"{source.name}:{rows.lines[first]}: a second row for {times[first]:g} s (repair: averages them)"
        )
    report.merged += len(again)
    if not documented:
        report.repaired.append(f"averaged: {len(again)} rows repeated an instant, first at line {rows.lines[first]}")
    begin = np.flatnonzero(np.diff(times, prepend=-np.inf) > 0)
    counts = np.diff(np.append(begin, len(times)))
    means = tuple(np.add.reduceat(column, begin) / counts for column in rows.columns[1:])
    return Rows(rows.lines[begin], (times[begin], *means))


def held(times: Array, report: Report, single: float = 1.0, step: float | None = None) -> tuple[Array, float]:
    """Return the starts of segments and their end, for stamps at which a value was seen (time zero is the first).

    A value holds until the next stamp, through holes too, which are counted; the last one for the *step* of the format,
    where it has one, else for the median step, and one that stands alone for *single* seconds.
    """
    starts = times - times[0]
    steps = np.diff(starts)
    usual = step if step is not None else float(np.median(steps)) if len(steps) else single
    if not len(steps) and step is None:
        report.assumed.append(f"a single row lasts {single:g} s")
    holes = steps > 1.5 * usual
    report.holes += int(holes.sum())
    report.hole_s += float((steps[holes] - usual).sum())
    return starts, float(starts[-1]) + usual


def is_number(text: str) -> bool:
    """Return whether *text* is a number, be it finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(source: Source, line: int, fields: Sequence[str], name: str, index: int) -> float:
    if index >= len(fields):
        raise TraceError(f"{source.name}:{line}: no {name}: {len(fields)} columns, expected at least {index + 1}")
    text = fields[index].strip()
    try:
        value = float(text if "_" not in text else "1_000 is a number in Python alone")
    except ValueError:
        raise TraceError(f"{source.name}:{line}: {name} is {_short(text)}; expected a number") from None
    if not math.isfinite(value):
        raise TraceError(f"{source.name}:{line}: {name} is {text}; expected a finite number")
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _rows(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:5])) + (" ..." if len(lines) > 5 else "")
    return f"{len(lines)} row{'s' if len(lines) != 1 else ''} (line {shown})"
