"""``offing techniques``, ``models``, ``hardware`` and ``schema``: what there is to choose from."""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic_core import PydanticUndefined
from rich.table import Table

from simulator.commands.options import JsonOption
from simulator.commands.tables import wide_console
from simulator.profiles.library import Library
from simulator.scenario.schema import ScenarioEntry
from simulator.techniques.registry import installed, technique_class


def techniques(as_json: JsonOption = False) -> None:
    """List the installed techniques and their parameters."""
    rows = []
    for name, point in installed().items():
        kind = technique_class(name)
        parameters = {
            field: None if info.default is PydanticUndefined else info.default
            for field, info in kind.model_fields.items()
        }
        required = [field for field, info in kind.model_fields.items() if info.is_required()]
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        rows.append(
            {"name": name, "what": summary, "parameters": parameters, "required": required, "from": point.value}
        )
    if as_json:
        _print_json({"techniques": rows})
        return
    table = Table(box=None)
    for column in ("technique", "parameters", "what it does"):
        table.add_column(column, style="cyan" if column == "technique" else None)
    for row in rows:
        given = ", ".join(
            f"{key} (required)" if key in row["required"] else f"{key}={value}"
            for key, value in row["parameters"].items()  # type: ignore[attr-defined]
        )
        table.add_row(str(row["name"]), given, str(row["what"]))
    wide_console().print(table)


def models(as_json: JsonOption = False) -> None:
    """List the profiled models: layers, cuts, parameters, and where they were measured."""
    library = Library()
    rows: list[dict[str, Any]] = []
    for name, size, batch, hardware in library.profiles():
        profile = library.model(name, size, batch)
        times = profile.measured[hardware]
        rows.append(
            {
                "model": name,
                "input": size,
                "batch": batch,
                "layers": len(profile),
                "cuts": len(profile.cuts()),
                "gflop": round(sum(layer.flops for layer in profile.layers) / 1e9, 4),
                "parameters_mb": round(profile.parameters(0, len(profile)) / 1e6, 3),
                "hardware": hardware,
                "time_s": round(sum(times.seconds), 6),
                "grade": times.grade,
            }
        )
    _print_rows("models", rows, as_json)


def hardware(as_json: JsonOption = False) -> None:
    """List the machines, with the evidence for their numbers."""
    library = Library()
    rows: list[dict[str, Any]] = []
    for name in library.hardware_names():
        machine = library.hardware(name)
        measured = sorted({row[0] for row in library.profiles() if row[3] == name})
        rows.append(
            {
                "name": name,
                "machine": machine.title,
                "memory_gib": round(machine.memory.value / 2**30, 2),
                "idle_w": machine.idle.value,
                "busy_w": machine.busy.value,
                "layer times": "measured: " + ", ".join(measured) if measured else f"{_grade(machine.rates)} rates",
            }
        )
    _print_rows("hardware", rows, as_json)


def schema() -> None:
    """Print the JSON Schema of scenario files, for completion in editors."""
    _print_json(ScenarioEntry.model_json_schema())


def _grade(rates: Any) -> str:
    return "no" if rates is None else str(rates.grade)


def _print_rows(name: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        _print_json({name: rows})
        return
    table = Table(box=None)
    for index, column in enumerate(rows[0] if rows else []):
        numeric = not isinstance(rows[0][column], str)
        table.add_column(column, justify="right" if numeric else "left", style="cyan" if index == 0 else None)
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    wide_console().print(table)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
