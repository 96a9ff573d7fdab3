"""The recorded requests: one CSV line each, with the setting they ran under and who may fit on them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from calibration.testbed.setting import FRAMING, MODES
from simulator.foundation.errors import ProfileError

HARDWARE = "testbed"
"""Name under which the profiles of a recording lie beside its rows."""
SETTING = (
    "profile", "model", "input", "batch", "place", "cut", "layers", "payload_bytes", "answer_bytes",
    "link", "mode", "congestion", "rate_mbit_s", "delay_ms", "burst_bytes",
    "quota_device", "quota_server", "awake", "use",
)  # fmt: skip
"""What a group of repeats has in common."""
TIMES = (
    "device_s", "serialise_s", "uplink_s", "server_s", "downlink_s", "total_s", "connect_s",
    "device_cpu_s", "server_cpu_s", "head_alone_s", "tail_alone_s",
)  # fmt: skip
COLUMNS = (*SETTING, "round", "repeat", *TIMES)
"""Columns of a rows file. ``repeat`` -1 is the warm-up of a round; times in seconds on one wall clock."""
SPREAD = 0.10
"""Groups whose total varies by more than this (standard deviation over mean) are marked."""
_TEXT = {"profile", "model", "input", "link", "mode", "congestion", "use"}
_WORDS: dict[str, tuple[str, ...]] = {"link": tuple(FRAMING), "mode": MODES, "use": ("fit", "held-out")}


def append(
    path: Path, rows: Iterable[dict[str, object]], columns: Sequence[str] = COLUMNS, times: Sequence[str] = TIMES
) -> None:
    """Add *rows* to the file in one write, with the header where it is new; *times* to a tenth of a microsecond."""
    lines = [] if path.exists() else [",".join(columns)]
    for row in rows:
        lines.append(",".join(f"{row[name]:.7f}" if name in times else str(row[name]) for name in columns))
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")


def read_rows(path: Path) -> pd.DataFrame:
    """Return the recorded requests at *path*, with the column ``marked`` for groups that spread too much.

    Raises:
        ProfileError: if a column is missing, a number is none, or a row is cut short; with its line.
    """
    records: list[dict[str, object]] = []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ProfileError(f"{path}: no column {', '.join(missing)}; record it with: offing testbed --out DIR")
            for row in reader:
                records.append(_record(path, reader.line_num, row))
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read: {error}") from None
    if not any(record["repeat"] != -1 for record in records):
        raise ProfileError(f"{path}: holds no rows but warm-ups; record some with: offing testbed --out DIR")
    frame = pd.DataFrame(records, columns=list(COLUMNS))
    timed = frame[frame["repeat"] >= 0].groupby(list(SETTING), sort=False)["total_s"].agg(["std", "mean"])
    spread = (timed["std"] / timed["mean"]).rename("spread")
    frame = frame.join(spread, on=list(SETTING))
    frame["marked"] = frame["spread"] > SPREAD
    return frame


def _record(path: Path, line: int, row: dict[str, str | None]) -> dict[str, object]:
    record: dict[str, object] = {}
    for name in COLUMNS:
        text = row[name]
        try:
            if text is None:
                raise ValueError("the line is cut short")
            if name in _WORDS and text not in _WORDS[name]:
                raise ValueError(f"{text!r} is none of {', '.join(_WORDS[name])}")
            record[name] = text if name in _TEXT else _number(text)
        except ValueError as error:
            raise ProfileError(f"{path}:{line}: {name}: {error}; delete the line or record it again") from None
    return record


def _number(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf") and value != -1.0:
        raise ValueError(f"{text} is no count, size or time")
    return value
