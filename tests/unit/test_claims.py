"""Claims and what is computed stay apart; the counts against formulas and torch; ``offing reproduce``."""

from __future__ import annotations

import ast
import csv
import importlib.metadata
import itertools
import json
import random
from pathlib import Path

import pytest
from support import refused

from analysis.claims import system as system_module
from analysis.claims import table as table_module
from analysis.claims.counting import crossing, features, learnable, macs, rescaled, stages
from analysis.claims.reproduce import reproduce, reproduce_all
from analysis.claims.system import System, installed, load
from analysis.claims.table import COLUMNS, TABLE, read_claims
from simulator.foundation.errors import RegistryError, ResultsError
from simulator.profiles.library import Library

ROOT = Path(__file__).parents[2]
COUNTED = ("fedadapt", "fedfly", "pipar", "mtl-split")


# -- the table changes no number --------------------------------------------------------------------------------------


def numbers(name):
    return {key: (q.simulated, q.low, q.high, q.unit, q.grades) for key, q in load(name).quantities().items()}


def scrambled(folder):
    """Write the table with other values, and without bands."""
    draw = random.Random(7)
    path = folder / "scrambled.csv"
    with TABLE.open(encoding="utf-8", newline="") as stream, path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        for row in csv.DictReader(stream):
            writer.writerow({**row, "value": repr(draw.uniform(1, 1e6)), "low": "", "high": ""})
    return path


@pytest.mark.parametrize("name", COUNTED)
def test_no_simulated_number_changes_when_the_claims_are_gone_or_others(name, tmp_path, monkeypatch):
    before = numbers(name)
    assert before
    monkeypatch.setattr(table_module, "TABLE", tmp_path / "gone.csv")
    with pytest.raises(ResultsError, match=r"gone\.csv: the table of claims cannot be read"):
        read_claims()
    assert numbers(name) == before
    other = reproduce(name, scrambled(tmp_path))
    assert {o.claim.id: o.quantity.simulated for o in other.outcomes if o.claim.id in before} == {
        key: found[0] for key, found in before.items()
    }
    assert {o.verdict for o in other.outcomes} != {"reproduced"}


def modules():
    """Return every module that must not know a claim: all but the comparison itself, its verb and its figure."""
    knowing = {"reproduce.py", "table.py", "verdicts.py"}
    files = [path for package in ("simulator", "calibration", "analysis") for path in (ROOT / package).rglob("*.py")]
    judges = {ROOT / "analysis" / "claims" / name for name in knowing}
    judges |= {ROOT / "analysis" / "commands" / "reproduce.py", ROOT / "analysis" / "figures" / "claims.py"}
    assert judges <= set(files)
    return sorted(set(files) - judges)


def test_nothing_but_the_comparison_reads_the_table():
    forbidden = ("analysis.claims.table", "analysis.claims.verdicts", "analysis.claims.reproduce")
    for path in modules():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        inside = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        inside |= {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        whole = {
            f"{node.module}.{a.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names
        }
        assert not (inside | whole) & set(forbidden), path
        strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        docs = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, (ast.Module, ast.ClassDef))}
        assert not any("table.csv" in text and text not in docs for text in strings), path


def test_no_system_file_holds_a_claimed_number():
    """A number of four digits or more that stands in the table stands in no file that answers it."""
    claimed = {
        c.value for c in read_claims() if len(c.written.replace(".", "").strip("0")) >= 4 and c.kind != "identity"
    }
    places = [*(ROOT / "analysis" / "claims" / "systems").glob("*.py"), ROOT / "analysis" / "claims" / "counting.py"]
    places += [Path(ROOT / (point.value.partition(":")[0].replace(".", "/") + ".py")) for point in installed().values()]
    for path in {place for place in places if place.is_file()}:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, (int, float))}
        assert not found & claimed, path


# -- what is counted --------------------------------------------------------------------------------------------------


def test_vgg5_is_counted_as_by_hand():
    """Three convolutions with normalisation and two dense layers, written out."""
    vgg5 = Library().model("vgg5", "32")
    widths, sides = (3, 32, 64, 64), (32, 16, 8)
    convolutions = [9 * a * b for a, b in itertools.pairwise(widths)]
    normed = sum(weights + b + 2 * b for weights, b in zip(convolutions, widths[1:], strict=True))
    dense = 64 * 8 * 8 * 128 + 128 + 128 * 10 + 10
    assert learnable(vgg5) == normed + dense
    work = sum(weights * side * side for weights, side in zip(convolutions, sides, strict=True))
    assert macs(vgg5) == work + 64 * 8 * 8 * 128 + 128 * 10
    shapes = (32 * 32 * 32, 32 * 16 * 16, 64 * 16 * 16, 64 * 8 * 8, 64 * 8 * 8, 128, 10)
    assert [crossing(vgg5, cut, 100) for cut in stages(vgg5)] == [400 * shape for shape in shapes]


def test_a_part_and_the_rest_are_the_whole():
    for name, size in (("vgg8", "32"), ("resnet18", "224"), ("densenet121", "224")):
        profile = Library().model(name, size)
        for cut in (0, len(profile) // 3, len(profile)):
            assert learnable(profile, 0, cut) + learnable(profile, cut) == learnable(profile)
            assert macs(profile, 0, cut) + macs(profile, cut) == pytest.approx(macs(profile))
        assert stages(profile)[-1] == len(profile)


@pytest.mark.parametrize("batch", [2, 32])
def test_counts_are_those_of_one_input_whatever_the_batch(batch):
    one, many = Library().model("vgg5", "32"), Library().model("vgg5", "32", batch)
    assert macs(many) == macs(one)
    assert learnable(many) == learnable(one)
    assert [crossing(many, cut) for cut in stages(many)] == [crossing(one, cut) for cut in stages(one)]


@pytest.mark.parametrize(
    ("name", "size"), [("vgg5", "32"), ("vgg16", "224"), ("resnet50", "224"), ("densenet121", "224")]
)
def test_torch_counts_the_same_parameters(name, size):
    pytest.importorskip("torch")
    from calibration.zoo import resolve

    profile = Library().model(name, "32" if name == "vgg5" else "224")
    assert learnable(profile) == sum(p.numel() for p in resolve(name).build().parameters())


def test_torch_makes_the_carried_over_network_and_counts_the_same():
    """Other input, other head: built by torch at 32x32 with ten classes, its work counted from real shapes."""
    torch = pytest.importorskip("torch")
    from calibration.zoo import resolve

    model = resolve("resnet18").build()
    model.fc = torch.nn.Linear(512, 10)
    work = []

    def count(module, given, made):
        work.append(made.numel() * module.weight[0].numel())

    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, 32, 32))
    parameters, operations = rescaled(Library().model("resnet18", "224"), (32 / 224) ** 2, 10)
    assert parameters == sum(p.numel() for p in model.parameters())
    assert operations == pytest.approx(sum(work), abs=1e-6)


def test_features_are_those_before_the_pooling():
    assert features(Library().model("resnet18", "224")) == 512 * 7 * 7
    assert features(Library().model("mobilenet_v2", "224")) == 1280 * 7 * 7


def test_counts_come_out_as_published_but_where_the_papers_code_differs_from_itself():
    verdicts = {o.claim.id: o for name in COUNTED for o in reproduce(name).outcomes}
    assert all(verdicts[f"FA-M{i}"].verdict == "reproduced" for i in range(9))
    assert verdicts["PP-M-VGG8-m"].verdict == verdicts["PP-M-ResNet50-p"].verdict == "reproduced"
    assert verdicts["MTL-SPLIT-004"].verdict == "reproduced"
    assert verdicts["FF-D2"].verdict == "consistent"
    assert verdicts["FA-C13"].verdict == "not reproduced"  # a constant of half the model's size
    assert "+82.1%" in verdicts["FA-C13"].reason
    framing = verdicts["FF-M5b"]  # a small message is half framing, which no profile holds
    assert framing.verdict == "not reproduced"
    assert "serialiser" in framing.reason
    assert verdicts["FA-H1"].verdict == "not run"
    assert verdicts["FA-H5"].verdict == "outside the model"


# -- the table itself -------------------------------------------------------------------------------------------------


def test_the_shipped_table_is_whole_and_every_quantity_answers_a_claim_of_its_system():
    claims = {claim.id: claim for claim in read_claims()}
    assert len(claims) > 150
    for name in COUNTED:
        found = load(name).quantities()
        assert {claims[key].system for key in found} == {name}
        assert all(claims[key].unit == q.unit for key, q in found.items() if q.simulated is not None)


ROW = dict(zip(COLUMNS, ("A-1", "a", "speed", "2.0", "x", "about", "", "a paper", "replay", "", ""), strict=True))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "cont"}, r'kind "cont"\. Did you mean "count"\? Known: count, prediction'),
        ({"comparison": "approx"}, r'comparison "approx"\. .*Known: eq, about'),
        ({"value": "two"}, "value is 'two', expected a number"),
        ({"value": "nan"}, "value is 'nan', expected a finite number"),
        ({"value": "1e400"}, "value is '1e400', expected a finite number"),
        ({"unit": ""}, "unit is empty"),
        ({"source": " "}, "source is empty"),
        ({"low": "1"}, "high is '', expected a number"),
        ({"low": "1", "high": "1.5"}, "the band 1 to 1.5 does not hold the value 2"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(tmp_path, change, sentence):
    path = written(tmp_path, ROW, {**ROW, "id": "A-2", **change})
    with pytest.raises(ResultsError, match=r"claims\.csv:3: " + sentence):
        read_claims(path)


def test_a_table_saved_with_a_byte_order_mark_is_read(tmp_path):
    path = written(tmp_path, ROW)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [claim.id for claim in read_claims(path)] == [ROW["id"]]


def test_a_name_twice_and_a_missing_column_are_refused(tmp_path):
    with pytest.raises(ResultsError, match=r"claims\.csv:3: two claims are named A-1"):
        read_claims(written(tmp_path, ROW, ROW))
    path = tmp_path / "short.csv"
    path.write_text("id,system\nA-1,a\n", encoding="utf-8")
    with pytest.raises(ResultsError, match=r"short\.csv lacks the columns quantity, value"):
        read_claims(path)


def written(folder, *rows):
    path = folder / "claims.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


# -- the command ------------------------------------------------------------------------------------------------------


def test_reproduce_prints_one_object(offing):
    code, out, err = offing("reproduce", "fedadapt", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert list(found) == ["claims"]
    by_id = {row["id"]: row for row in found["claims"]}
    assert by_id["FA-M0"]["simulated"] == by_id["FA-M0"]["claimed"] == 13107200
    assert by_id["FA-H1"]["simulated"] is None
    assert all(set(row) == set(by_id["FA-M0"]) for row in found["claims"])


def test_reproduce_prints_a_table_the_reasons_and_a_summary(offing):
    code, out, err = offing("reproduce", "fedfly")
    assert (code, err) == (0, "")
    for text in ("claimed", "simulated", "95 % interval", "verdict", "inputs", "FF-M0b", "consistent", "[1]"):
        assert text in out
    assert "18 claims" in out
    assert "its technique is not built yet" in out


def test_a_claim_that_is_missed_is_a_result_unless_strict(offing):
    assert offing("reproduce", "fedadapt", "--json")[0] == 0
    assert offing("reproduce", "fedadapt", "--json", "--strict")[0] == 1
    assert offing("reproduce", "pipar", "--strict")[0] == 0


def test_figures_are_drawn_where_asked_and_nowhere_else(offing, tmp_path):
    offing("reproduce", "fedadapt", "--json")
    assert not list(tmp_path.iterdir())
    code, out, _ = offing("reproduce", "fedadapt", "--out", "figures", "--json")
    assert (code, list(json.loads(out))) == (0, ["claims"])
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"claims-fedadapt.png", "claims-fedadapt.csv"}


def test_an_unknown_system_gets_the_nearest_and_one_not_built_is_said(offing):
    refused(offing("reproduce", "fedadapd"), 'no system named "fedadapd"', 'Did you mean "fedadapt"?', "pipar")
    refused(offing("reproduce", "continuer"), '"continuer" has claims in the table', "not built yet")
    refused(offing("reproduce"), "say what to reproduce: a system, or --all")
    refused(offing("reproduce", "fedadapt", "--all"), "say what to reproduce")
    refused(offing("reproduce", "fedadapt", "--table", "none.csv"), "none.csv: the table of claims cannot be read")


def test_all_lists_the_systems_to_come_as_not_run(monkeypatch):
    monkeypatch.setattr("analysis.claims.reproduce.installed", lambda: {k: installed()[k] for k in COUNTED})
    found = {each.name: each for each in reproduce_all()}
    assert set(COUNTED) < set(found)
    for outcome in found["continuer"].outcomes:
        expected = "outside the model" if outcome.claim.kind == "quality" else "not run"
        assert outcome.verdict == expected
    assert found["continuer"].system is None


class Strangers(System):
    """A system of somebody else."""

    def quantities(self):
        return {"A-1": system_module.Quantity.exact(2.1, "x", ["guessed"])}


def test_a_package_of_yours_brings_its_system_and_its_table(offing, tmp_path, monkeypatch):
    point = importlib.metadata.EntryPoint("a", f"{__name__}:Strangers", "offing.claims")
    monkeypatch.setattr(system_module, "entry_points", lambda group: [point])
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: Strangers)
    found = reproduce("a", written(tmp_path, ROW))
    assert [(o.verdict, o.quantity.simulated) for o in found.outcomes] == [("consistent", 2.1)]
    with pytest.raises(ResultsError, match='no claim about "a" in the table'):
        reproduce("a")
    with pytest.raises(ResultsError, match='"a" computes A-1, which the table does not claim of it'):
        reproduce("a", written(tmp_path, {**ROW, "id": "A-9"}))


def test_two_systems_of_one_name_and_what_is_no_system_are_refused(monkeypatch):
    points = [importlib.metadata.EntryPoint("a", f"{module}:S", "offing.claims") for module in ("one", "two")]
    monkeypatch.setattr(system_module, "entry_points", lambda group: points)
    with pytest.raises(RegistryError, match='two systems are named "a": one:S and two:S'):
        installed()
    monkeypatch.setattr(system_module, "entry_points", lambda group: points[:1])
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: dict)
    with pytest.raises(RegistryError, match=r'"a" \(one:S\) is not a subclass'):
        load("a")
