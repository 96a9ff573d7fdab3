"""Files with a line of names on top, and what their rows have in common whatever they hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.traces.format import Request
from simulator.traces.recording import Report
from simulator.traces.source import Source

Records = Iterator[tuple[int, list[str]]]


def separator_of(source: Source) -> str:
    """Return what separates the names on the first line."""
    line = next(iter(source.first_lines(1)), "")
    return max(",", ";", "\t", key=line.count)


def names(source: Source, separator: str | None = None) -> tuple[str, ...]:
    """Return the names on the first line that is not blank; empty where there is no such line."""
    lines = source.first_lines(1)
    return tuple(_bare(name) for name in lines[0].split(separator or separator_of(source))) if lines else ()


def titles(source: Source, separator: str = ",") -> tuple[str, ...]:
    """Return :func:`names` in lower case."""
    return tuple(name.lower() for name in names(source, separator))


def records(source: Source, separator: str = ",") -> Records:
    """Yield line number and fields of each row that is not blank; a field may stand in quotes, and hold line ends.

    Raises:
        TraceError: naming the line that is no CSV.
    """
    rows = csv.reader(io.StringIO(source.text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        for fields in rows:
            if len(fields) > 1 or (fields and fields[0].strip()):
                yield rows.line_num, fields
    except csv.Error as error:
        raise TraceError(f"{source.name}:{rows.line_num}: not CSV: {error}") from None


def table(source: Source) -> tuple[list[str], Records]:
    """Return the names of the columns as they stand, and the rows below them.

    Raises:
        TraceError: if two columns have one name.
    """
    rows = records(source, separator_of(source))
    line, first = next(rows, (1, []))
    header = list(map(_bare, first))
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise TraceError(f'{source.name}:{line}: two columns are named "{twice}"')
    return header, ((number, [field.strip() for field in fields]) for number, fields in rows)


def below_titles(source: Source, wanted: Sequence[str], separator: str = ",") -> tuple[dict[str, int], Records]:
    """Return where each column stands (by its name in lower case), and the rows below the line of names.

    Raises:
        TraceError: if a column that is *wanted* is missing, with the nearest name.
    """
    rows = records(source, separator)
    line, header = next(rows, (1, []))
    columns: dict[str, int] = {}
    for index, name in enumerate(header):
        columns.setdefault(_bare(name).lower(), index)
    for name in wanted:
        if name not in columns:
            raise TraceError(
                f'{source.name}:{line}: no column "{name}" among {", ".join(columns) or "none"}.'
                f"{did_you_mean(name, columns)} Expected: {', '.join(wanted)}"
            )
    return columns, rows


def step_of(options: Request, usual: float, report: Report) -> float:
    """Return the time from row to row [s] where the file has none: as asked, else *usual*, which the report says."""
    if options.step is None:
        report.assumed.append(f"{usual:g} s from row to row (step: says otherwise)")
        return usual
    return options.step


def dated(
    source: Source, rows: Iterable[tuple[int, list[str]]], index: int, name: str, options: Request
) -> tuple[list[tuple[int, list[str]]], str]:
    """Return *rows* with the date in column *index* as seconds since the earliest, and that as ISO 8601.

    Dates may have up to nine decimals and a zone. With repair, what is no date is left for the parser to drop.

    Raises:
        TraceError: naming the first row without a date, or if there is none at all.
    """
    taken = list(rows)
    texts = [fields[index].strip() if index < len(fields) else "" for _, fields in taken]
    times = pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", utc=True, errors="coerce")
    missing = times.isna().to_numpy()
    if missing.all():
        raise TraceError(f"{source.name}: no row with a date in {name}; expected such as 2023-11-16 18:17:03.97")
    if missing.any() and not options.repair:
        worst = int(missing.argmax())
        raise TraceError(
            f"{source.name}:{taken[worst][0]}: {name} is {texts[worst][:40]!r}; expected a date such as "
            "2023-11-16 18:17:03.97"
        )
    try:
        nanoseconds = times.dt.as_unit("ns")
    except pd.errors.OutOfBoundsDatetime:
        raise TraceError(f"{source.name}: {name}: a date outside the years 1678 to 2261") from None
    first = nanoseconds.min()
    seconds = ((nanoseconds - first) / pd.Timedelta(1, "s")).to_numpy()
    zone = texts[int(nanoseconds.argmin())][10:]
    epoch = first if "Z" in zone.upper() or "+" in zone or "-" in zone else first.tz_localize(None)
    return [
        (line, [*fields[:index], "no date" if gone else repr(float(second)), *fields[index + 1 :]])
        for (line, fields), second, gone in zip(taken, seconds, missing, strict=True)
    ], epoch.isoformat()


def counted(values: Iterable[str], usual: str = "") -> Mapping[str, int]:
    """Return how often each of *values* occurs, but for the *usual* one; most often first."""
    counts = pd.Series(list(values), dtype=object).value_counts()
    return {str(value): int(count) for value, count in counts.items() if value != usual}


def name_of_run(keys: Sequence[tuple[str, ...]]) -> list[str]:
    """Return names for tables told apart by *keys*: what differs between them, ``""`` for one alone."""
    differs = [len(set(column)) > 1 for column in zip(*keys, strict=True)]
    return ["/".join(part for part, kept in zip(key, differs, strict=True) if kept) for key in keys]


def _bare(name: str) -> str:
    return name.strip().strip('"').strip()
