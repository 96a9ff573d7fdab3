"""Recordings of loads, requests, places, outages, networks and devices hold what ``EXPECTED.csv`` says they hold.

The figures there were computed by others, straight from the files; ``READINGS`` says which of ours each one is.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from support import DATA, recordings

from simulator.foundation.errors import TraceError
from simulator.traces.reader import Request, read_file, read_trace
from simulator.traces.recording import Measurements, Reading, Recording, Topology

FOLDERS = ("cpu/", "requests/", "mobility/", "failures/", "topology/", "devices/")
HOUR, DAY = 3600.0, 86400.0


def only(reading: Reading) -> Any:
    (found,) = reading.series.values()
    return found


def fact(name: str, factor: float = 1.0) -> Callable[[Reading], float]:
    return lambda reading: only(reading).facts()[name] * factor


def together(column: str) -> Callable[[Reading], np.ndarray]:
    return lambda reading: np.concatenate([found.columns[column] for found in reading.series.values()])


def gaps(reading: Reading) -> np.ndarray:
    """Gaps before each outage as the file has them: the first has nothing before it, and is zero."""
    columns = only(reading).columns
    return columns["down_s"] - np.concatenate(([0.0], columns["up_s"][:-1]))


def mean_of_workers(reading: Reading) -> list[float]:
    return [float(found.columns["value"].mean()) for found in reading.series.values()]


def rows(reading: Reading) -> int:
    return sum(found.report.rows for found in reading.series.values())


def empty_cells(reading: Reading) -> int:
    said = [text for text in only(reading).report.assumed if text.endswith("cells of other columns are empty")]
    return int(said[0].split()[0]) if said else 0


def repeated(reading: Reading) -> int:
    labels = list(nx.get_node_attributes(only(reading).graph, "label").values())
    return len(labels) - len(set(labels))


STEPS = {
    "n_segments": fact("segments"), "duration_s": fact("duration_s"), "tw_mean": fact("mean", 100),
    "min": fact("min", 100), "max": fact("max", 100), "zero_time_s": fact("zero_s"),
    "longest_zero_s": fact("longest_zero_s"), "volume": fact("volume", 100),
}  # fmt: skip
TABLE = {
    "rows": fact("rows"), "cols": lambda reading: len(only(reading).facts()["columns"]), "nan": fact("empty_cells"),
    "n": fact("rows"),
}  # fmt: skip
READINGS: dict[str, dict[str, Callable[[Reading], float]]] = {
    "planetlab": STEPS,
    "gwa-t12": STEPS,
    "pai-csv": {
        "rows": rows, "workers": lambda reading: len(reading.series),
        "slowest_over_median": lambda reading: max(mean_of_workers(reading)) / np.median(mean_of_workers(reading)),
        "p99_over_p50": lambda reading: float(np.quantile(together("value")(reading), 0.99)),  # the median is 1
    },
    "azure-csv": {
        "rows": rows,  # columns: the machine is the name of a series
        "cols": lambda reading: max(
            len(found.frame.columns) if isinstance(found, Measurements) else 1 + len(found.columns)
            for found in reading.series.values()
        ),
    },
    "azure-noise-csv": {
        "rows": fact("rows"), "vms": lambda reading: only(reading).frame["vm"].nunique(),
        "mean": lambda reading: only(reading).frame["value"].mean(),
        "cv": lambda reading: only(reading).frame["value"].std() / only(reading).frame["value"].mean(),
    },
    "azure-llm-csv": {
        "rows": fact("rows"), "duration_s": fact("duration_s"), "rate": fact("rate"), "max_gap_s": fact("max_gap_s"),
        "prompt_mean": fact("mean_prompt_tokens"), "gen_mean": fact("mean_output_tokens"),
    },
    "counts-1s": {
        "n": fact("segments"), "total": fact("volume"), "mean": fact("mean"), "max": fact("max"),
        "longest_zero_s": fact("longest_zero_s"),
    },
    "tar.gz csv": {"rows": fact("rows")},
    "latlon-csv": {
        "rows": fact("rows"), "nan": empty_cells,
        **{f"{axis}_{end}": fact(f"{axis}_{end}") for axis in ("lat", "lon") for end in ("min", "max")},
    },
    "opendc-failure": {
        "rows": fact("rows"), "mean_interval_h": lambda reading: gaps(reading).mean() / HOUR,
        "mean_duration_h": fact("mean_length_s", 1 / HOUR), "span_days": fact("span_s", 1 / DAY),
        "mean_intensity": fact("mean_share"), "zero_interval": lambda reading: int((gaps(reading) == 0).sum()),
    },
    "graphml": {
        "nodes": fact("nodes"), "edges": fact("edges"), "simple_edges": fact("simple_edges"),
        "components": fact("components"), "no_latlon": fact("nodes_without_place"),
        "edges_with_speed": fact("edges_with_bandwidth"), "dup_labels": repeated,
    },
    "csv": TABLE,
    "json": TABLE,
}  # fmt: skip
OURS = {
    "planetlab": "planetlab", "gwa-t12": "bitbrains", "pai-csv": "alibaba-pai", "azure-csv": "azure",
    "azure-noise-csv": "azure", "azure-llm-csv": "azure-llm", "counts-1s": "counts-per-second", "tar.gz csv": "gentd26",
    "opendc-failure": "cloud-uptime", "graphml": "graphml", "csv": "table", "json": "table",
}  # fmt: skip
"""Our name for each format there; places are asked for by kind, below."""


def expected() -> list[dict[str, str]]:
    path = DATA / "EXPECTED.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["file"].startswith(FOLDERS)]


EXPECTED = expected()


def kind_of(row: dict[str, str]) -> str | None:
    """Return the kind to ask for: two columns of places are a set to one study and a path to another."""
    if row["format"] != "latlon-csv":
        return None
    return "mobility" if "usersLocation" in row["file"] else "sites"


@pytest.mark.data
def test_the_recordings_are_here():
    recordings("EXPECTED.csv")
    assert len(EXPECTED) >= 50


@pytest.mark.data
@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: row["file"].split("/", 1)[1])
def test_a_file_holds_what_it_should(row):
    reading = read_file(DATA / row["file"], Request(kind_of(row)))
    if row["format"] in OURS:
        assert reading.format == OURS[row["format"]]
    for name, value in json.loads(row["expected"]).items():
        found = READINGS[row["format"]][name](reading)
        exact = isinstance(value, int) or name.startswith(("lat", "lon"))
        digits = len(str(value).partition(".")[2])
        assert found == (pytest.approx(value, rel=1e-12) if exact else pytest.approx(value, abs=0.51 * 10**-digits)), (
            name
        )


@pytest.mark.data
@pytest.mark.parametrize("row", [row for row in EXPECTED if kind_of(row)], ids=lambda row: row["file"].split("/")[-1])
def test_places_alone_are_a_set_or_a_path_and_nobody_guesses_which(row):
    path, kind = DATA / row["file"], kind_of(row)
    if row["note"] != "['Latitude', 'Longitude']":
        assert read_file(path).format == read_file(path, Request(kind)).format
        return
    with pytest.raises(TraceError, match="formats that fit: eua and ifogsim2; say which with format:"):
        read_file(path)
    assert only(read_file(path, Request(kind))).kind == kind
    assert {name: only(read_file(path, Request(format=name))).kind for name in ("eua", "ifogsim2")} == {
        "eua": "sites", "ifogsim2": "mobility",
    }  # fmt: skip


@pytest.mark.data
def test_the_report_tells_what_is_odd_in_a_file():
    """Each of these stands in the README of the recordings, as counted by somebody else."""

    def report(name: str, **asked: Any) -> Any:
        return next(iter(read_file(recordings(name), Request(**asked)).series.values())).report

    images = report("requests/alibaba-gentd26/lora_request_trace.tar.gz").assumed
    assert "6215 rows without negative_prompt_length: not a number there" in images
    assert "requests that did not succeed came all the same: 398 FAILED, 30 PENDING, 3 PROCESSING" in images
    assert "876 requests came in the same second as the one before" in images
    assert report("cpu/azure-vm-noise-2024/sysbench_cpu__long__westus2__D8s_v5.csv.gz").reordered == 4515
    assert report("cpu/azure-vm-noise-2024/sysbench_cpu__short__eastus__B8ms.csv.gz").reordered == 2284
    assert any("seconds since 1970" in text for text in report("cpu/bitbrains-gwa-t12/bitbrains.csv").assumed)
    workers = read_file(recordings("cpu/alibaba-pai-minibatch/job_2_norm.csv")).series.values()
    assert sum(found.report.merged for found in workers) == 1
    assert "zeros may mean that nothing was measured, and were kept: Power (51)" in (
        report("devices/mlperf-tiny-v1.2/summary.csv").assumed
    )
    assert "14 links beside another of the same two nodes" in report("topology/topology-zoo/Garr201201.graphml").assumed


@pytest.mark.data
def test_bandwidths_of_a_network_are_its_own():
    """By the words on the links: "10 Gbps" is 1e10 bit/s."""
    found = only(read_file(recordings("topology/topology-zoo/Uninett2010.graphml")))
    assert isinstance(found, Topology)
    said = {"10 Gbit/s": 1e10, "2.5 Gbit/s": 2.5e9, "1 Gbit/s": 1e9}
    read = [(facts["label"], facts["bandwidth"]) for *_, facts in found.graph.edges(data=True) if "bandwidth" in facts]
    named = [(said[label], bandwidth) for label, bandwidth in read if label in said]
    assert len(named) > 50
    assert all(by_label == bandwidth for by_label, bandwidth in named)


@pytest.mark.data
def test_a_load_becomes_a_trace():
    name = "cpu/planetlab-2011/20110303__aladdin_planetlab_extranet_uni-passau_de_ rnp_dcc_ufjf"
    trace = read_trace(recordings(name), Request("cpu"))
    assert trace.mean() == pytest.approx(0.7442014, abs=1e-6)
    assert trace.end == "wrap"
    job = recordings("cpu/alibaba-pai-minibatch/job_1_norm.csv")
    assert read_trace(job, Request("slowdown", series="worker 3")).starts[0] == 0
    with pytest.raises(TraceError, match="holds 10 series; say which with series:"):
        read_trace(job, Request("slowdown"))


@pytest.mark.data
def test_outages_do_not_overlap():
    for name in ("Facebook", "Netflix"):
        found = only(read_file(recordings(f"failures/cloud-uptime-archive/{name}_user_reported.parquet")))
        assert isinstance(found, Recording)
        down, up = found.columns["down_s"], found.columns["up_s"]
        assert (up > down).all()
        assert (down[1:] >= up[:-1]).all()
        assert np.all(down % 1200 == 0)  # of users' reports, in steps of 20 minutes
