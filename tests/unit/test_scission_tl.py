"""ScissionTL's tables: a transfer layer behind each cut, both backends, and its rule through the simulator."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from support import recordings

from calibration.fidelity.datasets import scission_tl as dataset
from calibration.measured.pipelines import PingLink, latencies, pipeline, read_links
from calibration.measured.scission_tl import read_transfer
from simulator import Simulation
from simulator.foundation.errors import ProfileError
from simulator.techniques.fixed_split import FixedSplit

HEADER = (
    "backend,tier,machine,model,block,first_layer,last_layer,time_s,output_npy_bytes,tl_output_npy_bytes,"
    "tl_downsample_s,tl_upsample_s,tl_dataconvert_s"
)
TENSORFLOW = [
    "tensorflow,device,tx,tiny,0,0,1,0.10,40000,10000,0.001,0.002,0.0003",
    "tensorflow,device,tx,tiny,1,2,2,0.20,20000,5000,0.0011,0.0021,0.0002",
    "tensorflow,device,tx,tiny,2,3,5,0.30,1128,0,-1,-1,-1",
    "tensorflow,edge,box,tiny,0,0,1,0.01,40000,10000,0.004,0.005,0.0006",
    "tensorflow,edge,box,tiny,1,2,2,0.02,20000,5000,0.0041,0.0051,0.0005",
    "tensorflow,edge,box,tiny,2,3,5,0.03,1128,0,-1,-1,-1",
]
TRITON = [
    *(line.replace("tensorflow", "triton") for line in TENSORFLOW[:3]),
    "triton,edge,box,tiny,0,2,5,0.06,1128,0,-1,-1,-1",
    "triton,edge,box,tiny,1,3,5,0.04,1128,0,-1,-1,-1",
]
LINK = {("tx", "box"): PingLink("tx", "box", 0.02, 1e6)}


def written(folder: Path, lines: list[str]) -> Path:
    path = folder / "blocks.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def at_cut(table, cut: int) -> float:
    scenario = pipeline(table.profile("tiny", "tx", "box", cut), ("tx", "box"), LINK)
    row = Simulation(scenario.with_technique(FixedSplit(split_point=cut + 2))).run().requests.iloc[0]
    return float(row["latency_s"])


def test_a_transfer_layer_stands_on_both_sides_of_the_cut(tmp_path):
    table = read_transfer(written(tmp_path, TENSORFLOW))["tensorflow"]
    assert (table.devices, table.edges, table.cuts("tx", "box", "tiny")) == (("tx",), ("box",), (0, 1))
    assert at_cut(table, 0) == pytest.approx(0.1 + 0.001 + 0.0003 + 0.02 + 0.01 + 0.005 + 0.0006 + 0.02 + 0.03)
    assert at_cut(table, 1) == pytest.approx(0.3 + 0.0011 + 0.0002 + 0.02 + 0.005 + 0.0051 + 0.0005 + 0.03)


def test_under_triton_the_edge_takes_the_rest_at_once(tmp_path):
    table = read_transfer(written(tmp_path, TRITON))["triton"]
    assert (table.edges, table.cuts("tx", "box", "tiny"), table.models("tx", "box")) == (("box",), (0, 1), ("tiny",))
    assert at_cut(table, 0) == pytest.approx(0.1 + 0.001 + 0.0003 + 0.02 + 0.01 + 0.06)
    assert at_cut(table, 1) == pytest.approx(0.3 + 0.0011 + 0.0002 + 0.02 + 0.005 + 0.04)


def test_a_cut_without_a_transfer_layer_is_refused(tmp_path):
    table = read_transfer(written(tmp_path, TENSORFLOW))["tensorflow"]
    for cut in (2, 5):
        with pytest.raises(ProfileError, match=f"no transfer layer was measured behind block {cut}"):
            table.profile("tiny", "tx", "box", cut)
    one_sided = [*TENSORFLOW[:4], TENSORFLOW[4].replace("0.0041,0.0051,0.0005", "-1,-1,-1"), TENSORFLOW[5]]
    table = read_transfer(written(tmp_path, one_sided))["tensorflow"]
    assert table.cuts("tx", "box", "tiny") == (0,)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (TENSORFLOW[:-1], '2 blocks on "box" and 3 on "tx"'),
        (TENSORFLOW[3:] + TRITON[3:], "backend triton has no device"),
        ([line.replace(",edge,", ",cloud,") for line in TENSORFLOW], "unknown tier cloud"),
        ([*TENSORFLOW[:-1], "tensorflow,edge,box,tiny,2,3"], "cut short"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(tmp_path, lines, words):
    with pytest.raises(ProfileError, match=words):
        read_transfer(written(tmp_path, lines))


def enumerated(edge: str) -> dict[tuple[str, int], float]:
    """ScissionTL's rule for every cut of every network, from the CSV files alone."""
    rows: dict[tuple[str, str], list[dict[str, str]]] = {}
    with recordings("scissiontl/block_profiles_tl.csv").open() as stream:
        for row in csv.DictReader(stream):
            if row["backend"] == "tensorflow":
                rows.setdefault((row["machine"], row["model"]), []).append(row)
    found = {}
    for (machine, model), here in rows.items():
        if machine == "tx2_gpu":
            there = rows[edge, model]
            for cut in range(len(here) - 1):
                mine, theirs = here[cut], there[cut]
                costs = [mine["tl_downsample_s"], mine["tl_dataconvert_s"], theirs["tl_upsample_s"]]
                costs += [theirs["tl_dataconvert_s"]]
                if min(map(float, costs)) >= 0:
                    seconds = sum(map(float, costs)) + 0.0274 + float(mine["tl_output_npy_bytes"]) / (58.8 * 125_000)
                    seconds += sum(float(row["time_s"]) for row in [*here[: cut + 1], *there[cut + 1 :]])
                    found[model, cut] = seconds
    return found


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("edge", ["ampere", "titan_cpu"])
def test_the_simulator_counts_every_cut_as_scissiontl_does(edge):
    expected = enumerated(edge)
    table = read_transfer(recordings("scissiontl/block_profiles_tl.csv"))["tensorflow"]
    joints = read_links(recordings("scissiontl/network_stats_tensorflow.csv"))
    found = {}
    for model in table.models("tx2_gpu", edge):
        for cut in table.cuts("tx2_gpu", edge, model):
            scenario = pipeline(table.profile(model, "tx2_gpu", edge, cut), ("tx2_gpu", edge), joints)
            found[model, cut] = min(latencies(scenario).values())
    assert found.keys() == expected.keys()
    assert len({model for model, _ in found}) == 13
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.data
def test_networks_never_seen_are_predicted(tmp_path):
    with recordings("scissiontl/block_profiles_tl.csv").open() as stream:
        head, *lines = stream.read().splitlines()
    checked = [line for line in lines if ",resnet152v2," in line]
    rest = [line for line in lines if line not in set(checked)]
    files = [tmp_path / "fit.csv", tmp_path / "check.csv"]
    for path, part in zip(files, (rest, checked), strict=True):
        path.write_text("\n".join([head, *part]) + "\n")
    found = dataset.compare(*files)
    assert set(found.rows["model"]) == {"resnet152v2"}
    assert found.goals[0].met
    assert found.rows.loc[found.rows["segment"] == "total", "split"].nunique() == len(checked) / 3 + 1


def test_a_file_of_another_backend_is_refused(tmp_path):
    with pytest.raises(ProfileError, match="no rows of the backend tensorflow, only of triton"):
        dataset.compare(written(tmp_path, TRITON))
