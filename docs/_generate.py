"""Reference pages out of the code: scenario fields, columns, commands, hooks. ``conf.py`` calls it at each build."""

import ast
import inspect
import warnings
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import typer

import simulator.results.record as record
import simulator.workloads.inference as inference
from simulator import Technique
from simulator.cli import GROUPS, ORDER
from simulator.profiles.hardware import worst
from simulator.profiles.library import Library
from simulator.run import simulation
from simulator.scenario.schema import ScenarioEntry
from simulator.traces.format import known_formats

UNITS = {"_s": "s", "_j": "J", "_bytes": "B"}


def reference(folder: Path) -> None:
    """Write every generated page to *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        "scenario": scenario, "frames": frames, "commands": commands, "hooks": hooks, "formats": formats,
        "hardware": hardware,
    }  # fmt: skip
    for name, make in pages.items():
        (folder / f"{name}.md").write_text(make(), encoding="utf-8")


def notebook(source: Path, target: Path) -> None:
    """Copy a notebook into the documentation; its links start from another folder there."""
    text = source.read_text(encoding="utf-8").replace("../docs/tutorial/", "").replace("../docs/", "../")
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


# -- scenario fields -----------------------------------------------------------------------------------------------


def scenario() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a default that JSON cannot write is left out of the schema, and of the table
        schema = ScenarioEntry.model_json_schema()
    parts = {"ScenarioEntry": schema, **schema["$defs"]}
    order = list(dict.fromkeys(_reached("ScenarioEntry", parts)))
    return "\n\n".join(_entry(name, parts[name]) for name in order) + "\n"


def _reached(name: str, parts: dict) -> list[str]:
    found = [name]
    for spec in parts[name].get("properties", {}).values():
        for ref in _refs(spec):
            found += _reached(ref, parts)
    return found


def _refs(spec: object) -> list[str]:
    if isinstance(spec, dict):
        own = [spec["$ref"].rsplit("/", 1)[1]] if "$ref" in spec else []
        return own + [ref for key, value in spec.items() if key != "discriminator" for ref in _refs(value)]
    return [ref for item in spec for ref in _refs(item)] if isinstance(spec, list) else []


def _entry(name: str, spec: dict) -> str:
    kind = spec.get("properties", {}).get("kind", {}).get("const")
    title = "The file" if name == "ScenarioEntry" else _title(name) + (f" (`kind: {kind}`)" if kind else "")
    required = set(spec.get("required", ()))
    rows = [
        (f"`{key}`", _type(field), "**needed**" if key in required else _default(field), _meaning(field))
        for key, field in spec.get("properties", {}).items()
    ]
    about = spec.get("description", "").replace("``", "`")
    return f"({_anchor(name)})=\n## {title}\n\n{about}\n\n" + table(("key", "value", "default", "meaning"), rows)


def _title(name: str) -> str:
    return name.removesuffix("Entry")


def _anchor(name: str) -> str:
    return f"scenario-{_title(name).lower()}"


def _type(field: dict) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{_title(name)}](#{_anchor(name)})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in field:
            return " or ".join(dict.fromkeys(_type(option) for option in field[key] if option.get("type") != "null"))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("examples"):
        return f"such as `{field['examples'][0]}`"
    kind = field.get("type", "anything")
    if kind == "array":
        items = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list of {_type(items)}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"name: {_type(field['additionalProperties'])}"
    if kind == "object":
        return "`{trace: FILE, ...}`" if "trace" in field.get("properties", {}) else "`{kind: NAME, ...}`"
    return {"string": "text", "boolean": "true, false", "number": "number", "integer": "whole number"}.get(kind, kind)


def _default(field: dict) -> str:
    value = field.get("default")
    if value in (None, {}, []):
        return ""
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`" if not isinstance(value, dict) else "see there"
    )


def _meaning(field: dict) -> str:
    text = field.get("description", "")
    bounds = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
    limits = [f"{word} {field[key]:g}" for key, word in bounds.items() if key in field and abs(field[key]) < 1e15]
    return (text + (f" ({', '.join(limits)})" if limits else "")).strip().replace("``", "`")


# -- columns -------------------------------------------------------------------------------------------------------


def frames() -> str:
    pages = []
    for name, row in record.TABLES.items():
        said = _attribute_docstrings(row)
        rows = [(f"`{column}`", _unit(column), said.get(column, "")) for column in row._fields]
        pages.append(f"## {name}\n\n{inspect.getdoc(row)}\n\n" + table(("column", "unit", "meaning"), rows))
    return "\n\n".join(pages) + "\n"


def _attribute_docstrings(kind: type) -> dict[str, str]:
    body = ast.parse(dedent(inspect.getsource(kind))).body[0].body
    return {
        before.target.id: after.value.value
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }


def _unit(column: str) -> str:
    return next((unit for ending, unit in UNITS.items() if column.endswith(ending)), "")


# -- commands ------------------------------------------------------------------------------------------------------


def commands() -> str:
    points = {point.name: point for point in entry_points(group="offing.commands")}
    pages, groups = [], set()
    for name in sorted(points, key=ORDER.index):
        group = name.rpartition(".")[0]
        if group and group not in groups:
            groups.add(group)
            pages.append(f"## offing {group.replace('.', ' ')}\n\n{GROUPS[group]}")
        pages.append(_command(name, points[name].load()))
    return "\n\n".join(pages) + "\n"


def _command(name: str, function: object) -> str:
    app = typer.Typer(add_completion=False)
    app.command(name=name.rpartition(".")[2])(function)
    command = typer.main.get_command(app)
    rows = []
    for parameter in command.params:
        given = ", ".join(parameter.opts) if parameter.opts[0].startswith("-") else parameter.name.upper()
        if given not in ("--help", "-h, --help"):
            rows.append((f"`{given}`", getattr(parameter, "help", "") or ""))
    about = (inspect.getdoc(function) or "").replace("``", "`")
    depth = "#" * (2 + name.count("."))
    return f"{depth} offing {name.replace('.', ' ')}\n\n{about}\n\n" + (table(("", "meaning"), rows) if rows else "")


# -- formats -------------------------------------------------------------------------------------------------------


def formats() -> str:
    rows = [
        (", ".join(f"`{name}`" for name in (form.name, *form.aliases)), ", ".join(form.kinds), form.title)
        for form in sorted(known_formats().values(), key=lambda form: (form.kinds, form.name))
    ]
    return table(("`--format`", "kinds", "what it is"), rows) + "\n"


# -- hardware ------------------------------------------------------------------------------------------------------


def hardware() -> str:
    library = Library()
    rows = []
    for name in library.hardware_names():
        machine = library.hardware(name)
        profiled = len({model for model, _, _, where in library.profiles() if where == name})
        rates = "" if machine.rates is None else machine.rates.grade_of(machine.rates.operators)
        grades = worst(fact.grade for fact, _ in machine.numbers().values())
        rows.append((f"`{name}`", machine.title, str(profiled), rates, grades))
    return table(("machine", "what it is", "networks profiled", "rates", "worst"), rows) + "\n"


# -- hooks ---------------------------------------------------------------------------------------------------------


def hooks() -> str:
    source = inspect.getsource(inference) + inspect.getsource(simulation)
    rows = []
    for name, function in vars(Technique).items():
        if inspect.isfunction(function) and not name.startswith(("_", "model_")):
            given = ", ".join(list(inspect.signature(function).parameters)[1:])
            asked = "yes" if f"technique.{name}(" in source else "not yet"
            rows.append(
                (f"`{name}({given})`", (inspect.getdoc(function) or "").splitlines()[0].replace("``", "`"), asked)
            )
    return table(("hook", "what it answers", "asked in this version"), rows) + "\n"
