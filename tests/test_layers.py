"""The architecture as a failing test: floors import lower floors only, and what may import what.

The floors are those of ``docs/decisions`` and of each folder's own docstring ("Floor 3: ...").
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("simulator", "calibration", "analysis")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FLOORS = {
    "foundation": 0, "profiles": 1, "traces": 2, "results": 2, "physics": 3, "world": 4, "techniques": 5,
    "workloads": 6, "scenario": 7, "run": 8, "testing": 9, "commands": 10, "cli": 10, "__main__": 11, "__init__": 9,
}  # fmt: skip
LONGEST = 450
EXTRAS = ("torch", "sklearn", "gymnasium", "hypothesis", "dask", "distributed")


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(path: Path) -> list[tuple[str, bool]]:
    """Return (module, whether inside a function) of every import in *path*."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            known = {name_of(file) for file in FILES}
            found += [(module if module in known else node.module, id(node) in inside) for module in modules]
    return found


def floor_of(module: str) -> int | None:
    parts = module.split(".")
    if parts[0] != "simulator":
        return None
    return FLOORS[parts[1] if len(parts) > 1 else "__init__"]


def ours(path: Path) -> list[str]:
    return [module for module, _ in imports(path) if module.split(".")[0] in PACKAGES]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_floor_imports_only_lower_floors(path):
    here = floor_of(name_of(path))
    for module in ours(path):
        there = floor_of(module)
        if here is not None and there is not None:
            same = name_of(path).split(".")[1:2] == module.split(".")[1:2]
            assert there < here or same, f"{name_of(path)} (floor {here}) imports {module} (floor {there})"


def test_the_packages_point_one_way():
    allowed = {"simulator": {"simulator"}, "analysis": {"simulator", "analysis"}, "calibration": set(PACKAGES)}
    for path in FILES:
        package = name_of(path).split(".")[0]
        assert {module.split(".")[0] for module in ours(path)} <= allowed[package], name_of(path)


def test_torch_is_imported_by_calibration_alone():
    for path in FILES:
        if name_of(path).split(".")[0] != "calibration":
            assert not [m for m, _ in imports(path) if m.split(".")[0] in ("torch", "sklearn")], name_of(path)


def test_techniques_see_the_view_and_plain_data_only():
    allowed = re.compile(
        r"simulator\.(foundation|profiles)\.|simulator\.world\.(view|request)$|simulator\.techniques\.technique$"
    )
    for path in (ROOT / "simulator" / "techniques").glob("*.py"):
        if path.stem in ("__init__", "technique", "registry"):
            continue
        assert all(allowed.match(module) for module in ours(path)), (path.stem, ours(path))


def test_nothing_of_ours_is_imported_inside_a_function_and_only_extras_are():
    for path in FILES:
        late = [module for module, inside in imports(path) if inside]
        strange = [module for module in late if module.split(".")[0] not in (*EXTRAS, "calibration")]
        own = [module for module in late if module.startswith("calibration") and "calibration" not in str(path)]
        assert not strange, (name_of(path), strange)
        assert not own, (name_of(path), own)


def test_there_is_no_import_cycle():
    graph = nx.DiGraph()
    for path in FILES:
        graph.add_edges_from((name_of(path), module) for module, inside in imports(path) if not inside)
    cycles = [knot for knot in nx.strongly_connected_components(graph) if len(knot) > 1]
    assert not cycles


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_is_short_and_says_why_it_is_there(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(text)), "a file opens with its reason"


def test_every_folder_says_its_floor():
    for folder in (ROOT / "simulator").iterdir():
        init = folder / "__init__.py"
        if init.is_file() and folder.name in FLOORS:
            said = re.match(r'"""Floor (\d+)', init.read_text(encoding="utf-8"))
            assert said, folder.name
            assert int(said[1]) == FLOORS[folder.name]
