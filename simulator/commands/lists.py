"""``offing techniques``, ``models``, ``hardware`` and ``schema``: what there is to choose from."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from pydantic_core import PydanticUndefined
from rich.markup import escape
from rich.table import Table

from simulator.commands.options import JsonOption
from simulator.commands.tables import wide_console
from simulator.foundation.units import Dimension
from simulator.profiles.hardware import Hardware, worst
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


def hardware(
    name: Annotated[str | None, typer.Argument(help="One machine; all where none is named.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the machines; of one, every number with its evidence.

    The worst grade is that of all its numbers, of which a result may use only some.
    """
    library = Library()
    if name is not None:
        _one_machine(library.hardware(name), as_json)
        return
    rows: list[dict[str, Any]] = []
    for known in library.hardware_names():
        machine = library.hardware(known)
        profiled = {row[0] for row in library.profiles() if row[3] == known}
        rows.append(
            {
                "name": known,
                "machine": machine.title,
                "memory_gib": round(machine.memory.value / 2**30, 2),
                "profiled": len(profiled),
                "rates": "no" if machine.rates is None else machine.rates.grade_of(machine.rates.operators),
                "worst": worst(fact.grade for fact, _ in machine.numbers().values()),
            }
        )
    _print_rows("hardware", rows, as_json)


def _one_machine(machine: Hardware, as_json: bool) -> None:
    """Print every number of a machine with unit, grade and source."""
    numbers = machine.numbers()
    if as_json:
        rows = {
            key: {"value": fact.value, "unit": dimension.symbol, "grade": fact.grade, "source": fact.source.strip()}
            for key, (fact, dimension) in numbers.items()
        }
        profiles = [
            {"model": model, "input": size, "batch": batch}
            for model, size, batch, where in Library().profiles()
            if where == machine.name
        ]
        _print_json({"name": machine.name, "machine": machine.title, "numbers": rows, "profiles": profiles})
        return
    table = Table(title=f"{machine.name}: {machine.title}", title_justify="left", box=None)
    table.add_column("number", style="cyan", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("grade", no_wrap=True)
    table.add_column("source")
    told = ""
    for key, (fact, dimension) in numbers.items():
        source = " ".join(fact.source.split())
        table.add_row(
            key, _readable(fact.value, dimension), fact.grade, "the same" if source == told else escape(source)
        )
        told = source
    wide_console().print(table)


def _readable(value: float, dimension: Dimension) -> str:
    """Write a number in the unit that hardware files use for its kind."""
    unit = {"size": "GiB", "duration": "ms", "time per byte": "ms/MB", "compute rate": "GFLOP/s", "bandwidth": "GB/s"}
    chosen = unit.get(dimension.name, dimension.symbol)
    return f"{value / dimension.units[chosen]:.4g} {chosen}"


def schema() -> None:
    """Print the JSON Schema of scenario files, for completion in editors."""
    _print_json(ScenarioEntry.model_json_schema())


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
