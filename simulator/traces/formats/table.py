"""Any table of measurements: CSV with names on top, a JSON list or mapping, Parquet; such as latencies of many devices.

It is thought of only where no other format fits. Zeros are kept: some tables write 0 for what was not measured (MLPerf
Tiny's power, some scores of FLASH's phones), others mean it, and only their authors know, so the report counts them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from simulator.foundation.errors import TraceError
from simulator.traces import parquet
from simulator.traces.format import Format, Request
from simulator.traces.mending import is_number
from simulator.traces.recording import Measurements, Report
from simulator.traces.source import Source
from simulator.traces.tables import records, separator_of


def fits(source: Source) -> bool:
    """Return whether it is Parquet or JSON, or has names on its first line and as many cells in the next ones."""
    if parquet.columns(source):
        return True
    head = source.head.lstrip()
    if head[:1] in ("{", "["):
        try:
            return isinstance(_decoded(source), (dict, list))
        except TraceError:
            return False
    try:
        rows = [fields for _, fields in records(source, separator_of(source))]
    except TraceError:
        return False
    named = bool(rows) and len(rows[0]) > 1 and not any(is_number(name) or not name.strip() for name in rows[0])
    return named and len(rows) > 1 and all(len(fields) == len(rows[0]) for fields in rows[1:])


def read(source: Source, options: Request) -> Mapping[str, Measurements]:
    """Read the file; columns whose cells are all numbers (or empty) become numbers.

    Raises:
        TraceError: naming the row with too many cells or too few.
    """
    report = Report()
    if source.start.startswith(parquet.MAGIC):
        frame = parquet.frame(source)
        report.rows = len(frame)
    elif source.head.lstrip()[:1] in ("{", "["):
        frame = _of_json(source, report)
    else:
        frame = _of_csv(source, options, report)
    zeros = {name: int((frame[name] == 0).sum()) for name in frame if pd.api.types.is_numeric_dtype(frame[name])
             and not pd.api.types.is_bool_dtype(frame[name])}  # fmt: skip
    some = [f"{name} ({count})" for name, count in zeros.items() if 0 < count < len(frame)]
    if some:
        report.assumed.append(f"zeros may mean that nothing was measured, and were kept: {', '.join(some)}")
    return {"": Measurements(frame, report)}


def _of_csv(source: Source, options: Request, report: Report) -> pd.DataFrame:
    rows = list(records(source, separator_of(source)))
    if len(rows) < 2:
        raise TraceError(f"{source.name}: expected a line of names and at least one row")
    width = len(rows[0][1])
    wrong = [(line, len(fields)) for line, fields in rows if len(fields) != width]
    if wrong and not options.repair:
        line, came = wrong[0]
        raise TraceError(f"{source.name}:{line}: {came} cells, expected {width} (repair: drops the row)")
    if wrong:
        report.dropped = len(wrong)
        report.repaired.append(f"dropped {len(wrong)} rows with too many cells or too few, first at line {wrong[0][0]}")
    report.rows = len(rows) - 1
    names = [name.strip() for name in rows[0][1]]
    good = [[cell.strip() for cell in fields] for _, fields in rows[1:] if len(fields) == width]
    buffer = io.StringIO()
    pd.DataFrame(good, columns=pd.RangeIndex(width)).to_csv(buffer, index=False)
    frame = pd.read_csv(io.StringIO(buffer.getvalue()), index_col=False)
    frame.columns = pd.Index(names)
    return frame


def _of_json(source: Source, report: Report) -> pd.DataFrame:
    data = _decoded(source)
    if isinstance(data, dict):
        inner = all(isinstance(value, dict) for value in data.values())
        rows = [{"name": name, **(value if inner else {"value": value})} for name, value in data.items()]
    else:
        rows = [row if isinstance(row, dict) else {"value": row} for row in data]
    if not rows:
        raise TraceError(f"{source.name}: nothing in it")
    report.rows = len(rows)
    frame = pd.DataFrame(rows)
    texts = []
    for name in frame:
        if frame[name].map(lambda cell: isinstance(cell, str) or cell is None).all():
            numbers = pd.to_numeric(frame[name], errors="coerce")
            if numbers.notna().sum() == frame[name].notna().sum() > 0:
                frame[name] = numbers
                texts.append(str(name))
    if texts:
        report.assumed.append(f"numbers written as text were read as numbers: {', '.join(texts)}")
    return frame


def _decoded(source: Source) -> Any:
    text = source.text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, or a number of thousands of digits
        raise TraceError(f"{source.name}: not JSON: {error}") from None


FORMAT = Format(
    "table", ("table",), "any table of measurements (CSV with names on top, JSON, Parquet)", fits, read, last=True
)
