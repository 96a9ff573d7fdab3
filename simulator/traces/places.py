"""Rows of places: latitude and longitude checked, the cells beside them counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator.traces.format import Request
from simulator.traces.mending import Rows, parse, refuse
from simulator.traces.recording import Array, Report
from simulator.traces.source import Source
from simulator.traces.tables import below_titles

PLACE = ("latitude", "longitude")


@dataclass(frozen=True)
class Places:
    """Places [degrees], and the fields of their rows by column."""

    lat: Array
    lon: Array
    rows: Rows
    fields: Sequence[Sequence[str]]
    columns: Mapping[str, int]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the column *name* as it stands in the file; empty where there is none."""
        index = self.columns.get(name)
        if index is None:
            return ()
        return tuple(fields[index].strip() if index < len(fields) else "" for fields in self.fields)


def read_places(
    source: Source, options: Request, report: Report, numbers: Sequence[str] = (), wanted: Sequence[str] = PLACE
) -> Places:
    """Read a CSV with ``Latitude`` and ``Longitude`` in its header; *numbers* become columns of the rows as well.

    Raises:
        TraceError: naming the line that is wrong.
    """
    columns, lines = below_titles(source, wanted)
    taken = dict(lines)
    take = {name: columns[name] for name in (*PLACE, *numbers)}
    rows = parse(source, taken.items(), take, options, report)
    for index, most in ((0, 90), (1, 180)):
        wrong = abs(rows.columns[index]) > most
        rows = refuse(source, rows, wrong, f"{PLACE[index]} is not within {most} degrees", options, report)
    report.units["degrees"] = len(rows)
    fields = [taken[line] for line in rows.lines.tolist()]
    empty = sum(not cell.strip() for row in fields for cell in row)
    if empty:
        report.assumed.append(f"{empty} cells of other columns are empty")
    return Places(rows.columns[0], rows.columns[1], rows, fields, columns)
