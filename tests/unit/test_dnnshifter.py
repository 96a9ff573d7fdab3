"""DNNShifter: ratios against the table of claims, which others made of the same notebook."""

from __future__ import annotations

import csv
import math

import pytest
from support import DATA, recordings

from calibration.measured import dnnshifter
from simulator.foundation.errors import ProfileError

HEADER = (
    "cell,method,model,dataset,compression_ratio,nonzero_params,params,top1_pct,cpu_ms,gpu_ms,pruning_ms,"
    "spatial_compression_x,cpu_speedup_x,gpu_speedup_x\n"
)
DENSE = "2,dnnshifter,Tiny,Made,baseline(no BN fusion),1000,1000,50,8.0,2.0,,,,\n"
PRUNED = "2,dnnshifter,Tiny,Made,4,250,500,49,4.0,1.0,100,,,\n"


def write(path, *rows):
    path.write_text(HEADER + "".join(rows))
    return path


def test_a_variant_is_relative_to_the_dense_network_of_its_cell(tmp_path):
    slow = PRUNED.replace("2,", "3,", 1)
    (one, other) = dnnshifter.read_variants(
        write(tmp_path / "t.csv", DENSE, DENSE.replace("2,", "3,", 1).replace("8.0", "1.0"), PRUNED, slow)
    )
    assert (one.cpu, one.gpu, one.smaller, one.accuracy, one.prune) == (0.5, 0.5, 2.0, 0.49, 0.1)
    assert (other.cell, other.cpu) == (3, 4.0)


@pytest.mark.data
def test_ratios_are_those_of_the_claims():
    recordings("dnnshifter")
    path = DATA.parent / "papers" / "claims-inference.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with path.open(encoding="utf-8") as stream:
        claims = {
            (row["quantity"], *map(str.strip, row["conditions"].split(";"))): float(row["value"])
            for row in csv.DictReader(stream)
            if row["system"] == "dnnshifter" and "notebook cell" in row["conditions"]
        }
    quantities = {
        "non-zero parameters": lambda one: one.nonzero,
        "parameters after pruning": lambda one: one.parameters,
        "Top-1 accuracy": lambda one: 100 * one.accuracy,
        "pruning time": lambda one: 1e3 * one.prune,
        "parameter ratio dense/pruned": lambda one: one.smaller,
        "CPU speed-up vs dense unfused": lambda one: 1 / one.cpu,
        "GPU speed-up vs dense unfused": lambda one: 1 / one.gpu,
    }
    checked = dict.fromkeys(quantities, 0)
    for one in dnnshifter.read_variants():
        where = (one.method, f"{one.model}/{one.dataset}", f"ratio {one.compression:g}", f"notebook cell {one.cell}")
        for quantity, of in quantities.items():
            if (quantity, *where) in claims:
                assert of(one) == pytest.approx(claims[quantity, *where], rel=1e-6, abs=0.00051), (quantity, where)
                checked[quantity] += 1
    assert min(checked.values()) >= 9
    assert checked["CPU speed-up vs dense unfused"] > 20


@pytest.mark.data
def test_the_headline_size_ratio():
    """The abstract's 5.14x is the parameters of VGG-16, dense over pruned at a compression of 256."""
    recordings("dnnshifter")
    made = [one for one in dnnshifter.read_variants() if (one.model, one.method) == ("VGG16", "dnnshifter")]
    assert max(one.smaller for one in made) == pytest.approx(5.14, abs=0.005)
    assert [one.compression for one in made] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert all(math.isnan(one.accuracy) for one in made)  # the notebook holds none


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((DENSE, "2,dnnshifter,Tiny,Made,4,250\n"), ":3: params is empty"),
        ((DENSE, PRUNED.replace("4.0", "fast")), ":3: cpu_ms is 'fast', expected a number"),
        ((DENSE, PRUNED.replace("Made,4", "Made,most")), ":3: compression_ratio is 'most'"),
        ((PRUNED,), ':2: cell 2 has no row "baseline(no BN fusion)" of Tiny'),
    ],
)
def test_a_table_that_does_not_hold_what_is_due(tmp_path, rows, words):
    path = write(tmp_path / "bad.csv", *rows)
    with pytest.raises(ProfileError) as caught:
        dnnshifter.read_variants(path)
    assert f"{path}{words}" in str(caught.value)


def test_a_column_that_is_not_there(tmp_path):
    path = tmp_path / "less.csv"
    path.write_text((HEADER + DENSE).replace("top1_pct", "top5"))
    with pytest.raises(ProfileError, match="lacks the column top1_pct"):
        dnnshifter.read_variants(path)
