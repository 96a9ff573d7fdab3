"""Pictures of recordings: the numbers behind them, and that each kind has one."""

from __future__ import annotations

import json
from itertools import pairwise

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.figures.recording import MOST, clock_of, columns, draw, transfers
from simulator.foundation.errors import ResultsError
from simulator.traces.recording import Measurements, Recording, Report, Topology, stretches


def steps(values, length=1.0, kind="bandwidth", **facts) -> Recording:
    starts = np.arange(len(values)) * length
    return Recording(
        kind, {"start_s": starts, "value": np.array(values, float)}, Report(), len(values) * length, **facts
    )


def part(table: pd.DataFrame, what: str) -> pd.DataFrame:
    rows = table[table["what"].str.startswith(what)]
    assert len(rows), table["what"].unique()
    return rows


# -- steps -----------------------------------------------------------------------------------------------------------


def test_a_drive_with_an_outage():
    """8 Mbit/s, but nothing from 10 s to 30 s and from 40 s to 45 s of 60 s."""
    values = [8e6] * 10 + [0] * 20 + [8e6] * 10 + [0] * 5 + [8e6] * 15
    picture = draw(steps(values), "a drive", "made up")
    over, share = part(picture.table, "over time"), part(picture.table, "share of time by")
    assert over["y"].tolist() == [value / 1e6 for value in values]
    assert share[share["x"] == 0]["y"].max() == pytest.approx(25 / 60)
    assert part(picture.table, "how long nothing")["x"].tolist() == [5.0, 20.0]
    took = part(picture.table, "1 MB takes").set_index("x")["y"]
    assert took[0.0] == pytest.approx(1.0)
    begun_inside = took[(took.index > 10) & (took.index < 30)]
    assert begun_inside.to_numpy() == pytest.approx(
        31.0 - begun_inside.index.to_numpy()
    )  # the rest of it, and a second
    said = " ".join(text.get_text() for text in picture.figure.texts)
    assert "nothing comes through for 25 s, 20 s at a stretch" in said


@given(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=40))
def test_outages_are_the_stretches_at_zero(values):
    starts = np.arange(len(values), dtype=float)
    bounds = stretches(np.array(values) == 0, np.append(starts, float(len(values))))
    flags = [any(begin <= second < end for begin, end in bounds.tolist()) for second in range(len(values))]
    assert flags == [value == 0 for value in values]
    assert all(a[1] < b[0] for a, b in pairwise(bounds.tolist()))  # neighbours are one


@given(
    st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 9)), min_size=1, max_size=60), st.integers(1, 40)
)  # fmt: skip
def test_columns_keep_the_volume_and_the_extremes(segments, count):
    lengths, values = (np.array(column) for column in zip(*segments, strict=True))
    starts, until = np.concatenate(([0.0], np.cumsum(lengths)[:-1])), float(lengths.sum())
    edges, means, least, most = columns(starts, values, until, count)
    assert float((means * np.diff(edges)).sum()) == pytest.approx(float((values * lengths).sum()), rel=1e-9, abs=1e-9)
    assert (least.min(), most.max()) == (values.min(), values.max())
    assert (least <= means + 1e-6).all()
    assert (means <= most + 1e-6).all()
    fine = (edges[:-1, None] + np.diff(edges)[:, None] * np.linspace(0.01, 0.99, 7)).ravel()  # values met on the way
    met = values[np.searchsorted(starts, fine, side="right") - 1].reshape(count, 7)
    assert (least <= met.min(axis=1)).all()
    assert (met.max(axis=1) <= most).all()


def test_a_long_recording_is_drawn_in_columns():
    values = np.random.default_rng(1).uniform(0, 1e7, 5 * MOST)
    picture = draw(steps(values), "long", "made up")
    over = part(picture.table, "over time")
    assert len(over) < MOST
    assert over["y"].mean() == pytest.approx(values.mean() / 1e6)
    assert (over["least"].min(), over["most"].max()) == pytest.approx((values.min() / 1e6, values.max() / 1e6))


def test_transfers_are_none_where_nothing_ever_comes_through():
    assert transfers(steps([0, 0]), 1e6) is None
    picture = draw(steps([0, 0]), "dead", "made up")
    assert "1 MB takes" not in set(picture.table["what"])


@pytest.mark.parametrize(
    ("kind", "unit"), [("cpu", "load [%]"), ("latency", "latency [ms]"), ("slowdown", "slowdown"), ("rate", "requests")]
)
def test_other_steps_have_their_own_axis_and_no_transfers(kind, unit):
    picture = draw(steps([0.5, 0.25, 0.75], kind=kind), "some", "made up")
    assert picture.figure.axes[0].get_ylabel().startswith(unit)
    assert not picture.table["what"].str.contains("takes").any()


def test_one_that_never_ends_can_be_drawn():
    found = Recording("bandwidth", {"start_s": np.array([0.0]), "value": np.array([8e6])}, Report(), end="hold")
    assert part(draw(found, "constant", "made up").table, "1 MB takes")["y"].to_numpy() == pytest.approx(1.0)


@pytest.mark.parametrize(("until", "name"), [(10, "s"), (299, "s"), (300, "min"), (4 * 3600, "h"), (4 * 86400, "days")])
def test_the_clock_suits_the_length(until, name):
    assert clock_of(until)[1] == name


# -- events and places -----------------------------------------------------------------------------------------------


def test_arrivals_are_counted():
    times = np.sort(np.random.default_rng(2).uniform(0, 100, 500))
    table = draw(Recording("arrivals", {"t_s": times}, Report(), times[-1]), "asked", "made up").table
    assert part(table, "requests from")["y"].sum() == 500
    with pytest.raises(ResultsError, match="at one instant"):
        draw(Recording("arrivals", {"t_s": np.array([3.0])}, Report(), 3.0), "asked once", "made up")


def test_failures_are_bars():
    rows = {"down_s": np.array([0.0, 50.0]), "up_s": np.array([10.0, 90.0]), "share": np.array([1.0, 0.5])}
    table = draw(Recording("failures", rows, Report(), 90.0), "down", "made up").table
    assert part(table, "outages")["y"].tolist() == [10.0, 40.0]
    assert part(table, "time between")["x"].tolist() == [40.0]


def test_a_path_is_as_long_on_the_map_as_on_earth():
    """A degree of latitude is 111.19 km on a sphere of 6371 km."""
    found = Recording("mobility", {"lat": np.array([0.0, 1.0, 1.0]), "lon": np.array([5.0, 5.0, np.nan])}, Report())
    said = " ".join(text.get_text() for text in draw(found, "walk", "made up").figure.texts)
    assert "2 places, 111 km on the way; 1 rows without a place are left out" in said
    nowhere = Recording("sites", {"lat": np.array([np.nan]), "lon": np.array([np.nan])}, Report())
    with pytest.raises(ResultsError, match="no row has a place"):
        draw(nowhere, "nowhere", "made up")


@pytest.mark.parametrize("placed", [True, False])
def test_networks_are_drawn_with_and_without_places(placed):
    graph = nx.MultiGraph()
    for index, name in enumerate("abc"):
        graph.add_node(name, **({"lat": 50.0 + index, "lon": 8.0 + index} if placed and name != "c" else {}))
    graph.add_edge("a", "b", bandwidth=1e9)
    graph.add_edge("b", "c")
    picture = draw(Topology(graph, Report()), "net", "made up")
    said = " ".join(text.get_text() for text in picture.figure.texts)
    assert "3 nodes, 2 edges, 1 with a bandwidth" in said
    assert ("1 nodes have no place" in said) == placed
    assert ("laid out by springs" in said) != placed
    assert len(picture.table) == 2


def test_a_table_has_no_picture():
    with pytest.raises(ResultsError, match="is a table of measurements"):
        draw(Measurements(pd.DataFrame({"a": [1]}), Report()), "boards", "made up")


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def drive(tmp_path):
    rows = [{"duration_ms": 1000, "bandwidth_kbps": rate, "latency_ms": 20} for rate in (8000, 0, 4000)]
    (tmp_path / "my drive.json").write_text(json.dumps(rows))
    return "my drive.json"


def test_plot_writes_a_picture_with_its_table(offing, tmp_path, drive):
    code, out, err = offing("traces", "plot", drive, "--out", "figs", "--svg", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"figures": {"my_drive": [f"figs/my_drive.{kind}" for kind in ("png", "svg", "csv")]}}
    assert (tmp_path / "figs" / "my_drive.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(tmp_path / "figs" / "my_drive.csv")
    assert part(table, "over time")["y"].tolist() == [8, 0, 4]
    assert offing("traces", "plot", drive, "--out", "figs")[1] == "figs/my_drive.png  figs/my_drive.csv\n"


def test_the_size_of_the_transfers_can_be_chosen(offing, tmp_path, drive):
    assert offing("traces", "plot", drive, "--out", "figs", "--bytes", "500 kB")[0] == 0
    assert part(pd.read_csv(tmp_path / "figs" / "my_drive.csv"), "500 kB takes")["y"].iloc[0] == pytest.approx(0.5)
    for size in ("0", "-1", "big"):
        code, out, err = offing("traces", "plot", drive, "--bytes", size)
        assert (code, out) == (2, "")
        assert "--bytes" in err
