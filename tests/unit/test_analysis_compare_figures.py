"""``map``, ``adaptation``, ``differences`` and ``regret``: the tables behind them, computed again in another way."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import Subject, compare, draw
from analysis.figures import differences, regret
from analysis.figures.map import MBIT, shades, tabulate
from analysis.subject import bandwidth_evidence
from analysis.terrain import Terrain
from simulator import Scenario, run
from simulator.testing import tiny

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
FADING = {"until": "120 s", "record": "spans"}


@pytest.fixture(scope="module")
def drive():
    """One run over a fading link, not under the scenario's own seed."""
    return run(Scenario.load("quick/adaptive_4g").with_(FADING), seed=7)


@pytest.fixture(scope="module")
def found():
    scenario = Scenario.load("quick/adaptive_4g").with_({"until": "60 s"})
    return compare(scenario, "fixed-split:split_point=32", "device-only", "oracle", seeds=range(3, 9), jobs=1)


def texts(picture):
    return " ".join(text.get_text() for text in picture.figure.texts)


# -- map -------------------------------------------------------------------------------------------------------------


def idle(share):
    """Write a background load that leaves *share* of a processor to who is served."""
    return {"nodes.edge.competitors": 1000, "nodes.edge.load": f"{100 * (1 - share) * 1001 / 1000:.15g} %"}


@pytest.mark.parametrize("connection", ["none", "slow-start"])
def test_the_map_is_what_a_technique_would_be_told_there(connection):
    rng = np.random.default_rng(5)
    ours = {"links.uplink.connection": connection, "links.uplink.bandwidth": "800 kB/s"}
    terrain = Terrain(Subject.of(tiny({**ours, **idle(0.1)})))
    for rate, speed in zip(10 ** rng.uniform(4, 8, 50), 10 ** rng.uniform(-1.9, 0.99, 50), strict=True):
        there = {**ours, **idle(0.1 * speed), "links.uplink.bandwidth": f"{rate:.15g} B/s"}
        view = Subject.of(tiny(there)).view
        told = {option: view.latency(option) for option in view.splits()}
        row = terrain.at([rate], [speed]).iloc[0]
        assert row["latency_s"] == pytest.approx(min(told.values()), rel=1e-9)
        assert told[next(o for o in told if str(o) == row["placement"])] == pytest.approx(min(told.values()), rel=1e-9)
        ends = [next(t for o, t in told.items() if o.nodes == (node,)) for node in ("pi", "edge")]
        assert [row["all_on_device_s"], row["all_on_server_s"]] == pytest.approx(ends, rel=1e-9)
        assert row["gain"] == pytest.approx(1 - min(told.values()) / min(ends), abs=1e-9)


@pytest.mark.parametrize(("rate", "speed"), [(0.5, 1.0), (4.0, 0.3), (12.0, 1.0), (40.0, 0.1), (700.0, 0.7)])
def test_a_real_network_on_the_map_is_as_fast_as_a_run_there(rate, speed):
    one = {"workload.arrivals": {"kind": "periodic", "every": "1 h"}, "variability": "none"}
    scenario = Scenario.load("quick/split_inference").with_(one)
    row = Terrain(Subject.of(scenario)).at([rate * MBIT], [speed]).iloc[0]
    there = scenario.with_({**idle(speed), "links.uplink.bandwidth": f"{rate} Mbit/s"})
    made = {}
    for split in {0, 15, 32, 58, 153, int(row["split_point"])}:
        technique = {"technique": {"kind": "fixed-split", "split_point": split}}
        first = run(there.with_(technique)).requests.iloc[0]
        made[split] = first["latency_s"] - _cold(there, split, speed)
    assert row["latency_s"] == pytest.approx(made[row["split_point"]], rel=1e-9)
    assert min(made.values()) == pytest.approx(row["latency_s"], rel=1e-9)
    assert row["all_on_device_s"] == pytest.approx(made[153], rel=1e-9)
    assert row["all_on_server_s"] == pytest.approx(made[0], rel=1e-9)


def _cold(scenario, split, speed):
    """Return what the first activation of each node that takes part adds, work like any other [s]."""
    cold = {name: node.facts.hardware.cold.value for name, node in Subject.of(scenario).cluster.nodes.items()}
    return (cold["pi"] if split else 0.0) + (cold["edge"] / speed if split < 153 else 0.0)


def test_other_links_stay_and_both_directions_go_together():
    scenario = Scenario.load("quick/three_tiers")
    row = Terrain(Subject.of(scenario)).at([20 * MBIT], [1.0]).iloc[0]
    twice = scenario.with_({"links.access.up": "20 Mbit/s", "links.access.down": "100 Mbit/s"})
    view = Subject.of(twice).view
    assert row["latency_s"] == pytest.approx(view.latency(view.fastest(view.splits())), rel=1e-9)


def test_the_scenario_stands_at_its_mean_and_the_bar_is_nine_tenths_of_its_time(drive):
    terrain = Terrain(Subject.of(drive))
    (link,) = drive.links[drive.links["channel"] == "radio.up"].to_dict("records")
    assert terrain.rate == pytest.approx(link["capacity_bytes"] / drive.meta["end_s"], rel=0.01)
    trace = Subject.of(drive).cluster.network.wires["radio.up"].channel.bandwidth
    values = np.array([trace.at(t) for t in np.arange(0.005, 120, 0.01)])
    inside = (values >= terrain.span[0]) & (values <= terrain.span[1])
    assert inside[values > 0].mean() == pytest.approx(0.9, abs=0.02)
    assert terrain.speeds == (1.0, 1.0)


def test_the_speed_of_a_busy_server_is_marked_relative_to_its_mean():
    low, high = Terrain(Subject.of("quick/busy_server")).speeds
    assert low < 1 < high


def test_the_map_covers_the_scenario_and_the_default_decades():
    table = tabulate(Terrain(Subject.of(tiny({"links.uplink.bandwidth": "5 GB/s"}))))
    rates = table["bandwidth_bytes_per_s"] / MBIT
    assert (rates.min(), rates.max()) == pytest.approx((0.1, 100_000))
    assert (table["server_speed"].min(), table["server_speed"].max()) == pytest.approx((0.01, 10))
    assert np.allclose(np.diff(np.log10(rates.unique())), 1 / 40)


def test_a_faster_link_or_server_never_makes_the_best_slower():
    table = tabulate(Terrain(Subject.of("quick/split_inference")))
    latency = table.pivot_table(index="server_speed", columns="bandwidth_bytes_per_s", values="latency_s").to_numpy()
    assert (np.diff(latency, axis=0) <= 1e-12).all()
    assert (np.diff(latency, axis=1) <= 1e-12).all()
    assert (table["gain"] >= -1e-12).all()
    assert table.loc[table["split_point"].isin([0, 153]), "gain"].abs().max() < 1e-12


def test_where_memory_leaves_one_end_out_the_other_is_what_a_cut_has_to_beat():
    small = tiny({"nodes.edge.memory": "1 B"})
    row = Terrain(Subject.of(small)).at([1e6], [1.0]).iloc[0]
    assert [str(split) for split in Subject.of(small).view.splits()] == ["pi 0-3"]
    assert row["all_on_server_s"] == math.inf
    assert row["all_on_device_s"] == row["latency_s"] == pytest.approx(0.6)
    assert row["gain"] == 0


def test_the_device_is_darkest():
    colours = shades([32, 58], 153)
    light = [sum(colours[split][:3]) for split in (153, 58, 32, 0)]
    assert light == sorted(light)
    assert shades([153], 153)[153] == colours[153]


# -- adaptation ------------------------------------------------------------------------------------------------------


def series(picture, name):
    return picture.table[picture.table["series"] == name].reset_index(drop=True)


def test_the_bandwidth_is_that_of_the_run_and_not_of_the_scenarios_seed(drive):
    picture = draw("adaptation", drive)
    steps, end = series(picture, "bandwidth"), drive.meta["until_s"]
    carried = (steps["value"] * np.diff([*steps["time_s"], end])).sum()
    (link,) = drive.links[drive.links["channel"] == "radio.up"].to_dict("records")
    assert carried == pytest.approx(link["capacity_bytes"] * end / drive.meta["end_s"], rel=0.01)
    other = series(draw("adaptation", run(Scenario.load("quick/adaptive_4g").with_(FADING), seed=8)), "bandwidth")
    assert abs(other["value"].mean() - steps["value"].mean()) > 1e4


def test_a_probe_showed_a_mean_of_the_bandwidth_while_it_was_sent(drive):
    known = series(draw("adaptation", drive), "known")
    probes = drive.spans[(drive.spans["kind"] == "probe") & (drive.spans["resource"] == "radio.up")]
    assert len(known) == len(probes) == pytest.approx(120 / 5, abs=1)
    assert set(known["note"]) == {"probe"}
    trace = Subject.of(drive).cluster.network.wires["radio.up"].channel.bandwidth
    for (_, probe), shown in zip(probes.sort_values("finish_s").iterrows(), known["value"], strict=True):
        met = (trace.integral(probe["finish_s"]) - trace.integral(probe["start_s"])) / (
            probe["finish_s"] - probe["start_s"]
        )
        assert shown == pytest.approx(met, rel=1e-6)


def test_each_request_went_by_the_cut_that_stood_when_it_came(drive):
    picture = draw("adaptation", drive)
    chosen, asked = series(picture, "split"), series(picture, "latency")
    stood = pd.merge_asof(asked, chosen[["time_s", "split_point"]], on="time_s", suffixes=("", "_stood"))
    assert len(set(stood["split_point"])) > 1
    assert (stood["split_point"] == stood["split_point_stood"]).all()
    assert len(asked) == len(drive.requests)
    assert asked["value"].sum() == pytest.approx(drive.requests["latency_s"].sum())


def test_redeployments_and_their_downtime_are_in_the_table(drive):
    chosen = series(draw("adaptation", drive), "split")
    assert set(chosen["note"]) == {"place", "adapt"}
    assert chosen.loc[chosen["note"] == "adapt", "value"].unique() == pytest.approx([0.6])
    assert f"{(chosen['note'] == 'adapt').sum()} redeployments" in texts(draw("adaptation", drive))


@pytest.mark.parametrize(
    ("knowledge", "kind"), [("oracle", None), ("last-transfer", "transfer"), ({"ewma": 0.5}, "transfer")]
)
def test_what_was_known_is_shown_where_it_had_to_be_learnt(knowledge, kind):
    away = {"nodes.pi.hardware": "board", "technique": {"kind": "min-latency"}, "knowledge": {"bandwidth": knowledge}}
    known = series(draw("adaptation", tiny(away)), "known")
    assert set(known["note"]) == ({kind} if kind else set())
    assert known["value"].to_numpy() == pytest.approx(1e6)
    assert len(known) == (len(run(tiny(away)).requests) if kind else 0)
    assert not len(series(draw("adaptation", tiny({**away, "record": "requests"})), "known"))


def test_of_many_devices_one_is_shown():
    first, other = (draw("adaptation", "quick/shared_access_point", device) for device in (None, "camera-3"))
    assert "camera-0" in texts(first)
    assert "camera-3" in texts(other)
    assert len(series(first, "latency")) == pytest.approx(60, abs=1)
    assert not series(first, "latency")["time_s"].equals(series(other, "latency")["time_s"])


def test_what_was_never_answered_and_what_took_very_long_is_in_the_picture():
    dead = {"kind": "failure", "link": "uplink", "at": {"time": "5 s"}}
    picture = draw("adaptation", tiny({"technique": {"kind": "server-only"}, "dynamics": [dead], "until": "20 s"}))
    lost = series(picture, "latency")["value"].isna().sum()
    assert f"{lost} never answered" in texts(picture)
    assert lost > 0
    back = {**dead, "repair_after": "10 s"}
    picture = draw("adaptation", tiny({"technique": {"kind": "server-only"}, "dynamics": [back], "until": "60 s"}))
    assert picture.figure.axes[0].get_yscale() == "log"


# -- differences -----------------------------------------------------------------------------------------------------


def test_dots_and_bars_are_those_of_scipy(found):
    table = differences.tabulate(found)
    wide = found.runs.pivot_table(index="seed", columns="label", values="latency_mean_s")
    pairs = table.drop_duplicates(["a", "b"])
    assert len(pairs) == 6
    for pair in pairs.itertuples():
        gaps = wide[pair.a] - wide[pair.b]
        mine = table[(table["a"] == pair.a) & (table["b"] == pair.b)].set_index("seed")["difference"]
        assert mine.to_dict() == pytest.approx(gaps.to_dict())
        interval = stats.ttest_1samp(gaps, 0.0).confidence_interval(1 - 0.05 / 6)
        assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high))
        assert gaps.mean() <= 0
        assert (pair.verdict == "clear") == (interval.high < 0)


def test_pairs_are_drawn_with_the_better_first_and_named_on_the_axis(found):
    picture = differences.draw(found)
    (axes,) = picture.figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"{a}\n− {b}" for a, b in zip(found.differences["a"], found.differences["b"], strict=True)]
    assert "left of the line the first is better" in axes.get_xlabel()
    assert f"{(found.differences['verdict'] == 'clear').sum()} of 6 pairs" in texts(picture)
    better = dataclasses.replace(found, metric="goodput_per_s")
    label = differences.draw(better).figure.axes[0].get_xlabel()
    assert "[1/s]" in label
    assert "right of the line the first is better" in label


def test_pairs_far_further_apart_than_others_bend_the_axis(found):
    runs = found.runs.copy()
    runs.loc[runs["label"] == "device-only", "latency_mean_s"] *= 300
    assert differences.draw(found).figure.axes[0].get_xscale() == "linear"
    assert differences.draw(dataclasses.replace(found, runs=runs)).figure.axes[0].get_xscale() == "symlog"


# -- regret ----------------------------------------------------------------------------------------------------------


def test_regret_over_time_is_what_the_runs_lost(found):
    scenario = Scenario.load("quick/adaptive_4g").with_({"until": "60 s"})
    table = regret.tabulate(found)
    lost = []
    for seed in found.seeds:
        frames = {
            kind: run(scenario.with_({"technique": {"kind": kind}}), seed=seed).requests
            for kind in ("device-only", "oracle")
        }
        both = frames["device-only"].merge(frames["oracle"], on=["source", "request"])
        assert (both["arrival_s_x"] == both["arrival_s_y"]).all()
        gap = both["latency_s_x"] - both["latency_s_y"]
        lost.append([gap[both["arrival_s_x"] < time].sum() for time in (0, 20, 41, 60)])
    mine = table[(table["label"] == "device-only") & (table["to_s"].round(6).isin([0, 20, 41, 60]))]
    assert mine["regret_s"].to_numpy() == pytest.approx(np.mean(lost, axis=0), rel=1e-9, abs=1e-12)
    interval = stats.ttest_1samp(np.array(lost)[:, -1], 0.0).confidence_interval(0.95)
    assert mine[["low_s", "high_s"]].iloc[-1].to_list() == pytest.approx([interval.low, interval.high])


def test_regret_of_a_request_is_that_of_the_comparison(found):
    assert regret.reference(found) == "oracle" == found.labels[0]
    for row in found.regret.to_dict("records"):
        assert regret.per_request(found, row["label"]) == pytest.approx(row["regret"], abs=1e-12)


def test_without_an_oracle_the_best_is_the_measure(found):
    without = dataclasses.replace(found, runs=found.runs[found.runs["label"] != "oracle"], bounds=())
    assert regret.reference(without) == without.labels[0] != "oracle"
    assert "the best of them" in texts(regret.draw(without))


def test_where_not_all_were_answered_the_mean_of_the_others_counts(found):
    over = found.over_time.copy()
    mine = over["label"] == "device-only"
    over.loc[mine, "requests"] //= 2
    over.loc[mine, "latency_sum_s"] = over.loc[mine, "requests"] * 2.0
    halved = regret.tabulate(dataclasses.replace(found, over_time=over)).set_index("label").loc["device-only"]
    both = found.over_time[found.over_time["label"] == "oracle"].merge(over[mine], on=["seed", "to_s"])
    both = both[both["requests_y"] > 0]  # 2 s each, instead of what they took under the oracle
    lost = (2.0 * both["requests_x"] - both["latency_sum_s_x"]).sum() / len(found.seeds)
    assert halved["regret_s"].iloc[-1] == pytest.approx(lost)


def test_a_curve_that_would_hide_the_others_leaves_through_the_top(found):
    over = found.over_time.copy()
    over.loc[over["label"] == "device-only", "latency_sum_s"] += 1e4
    runs = found.runs.copy()
    runs.loc[runs["label"] == "device-only", "latency_mean_s"] += 1e4
    (axes,) = regret.draw(dataclasses.replace(found, over_time=over, runs=runs)).figure.axes
    named = [text.get_text() for text in axes.texts]
    assert [name.endswith("↑") for name in named] == [name.startswith("device-only") for name in named]
    others = regret.tabulate(found)
    tallest = others[others["label"] == "fixed-split:split_point=32"]["regret_s"].max()
    assert axes.get_ylim()[1] < 20 * tallest


# -- all -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("figure", [differences, regret], ids=lambda figure: figure.__name__.split(".")[-1])
def test_figures_of_a_comparison_are_saved_and_say_where_they_come_from(figure, found, tmp_path):
    picture = figure.draw(found)
    files = picture.save(tmp_path, svg=True)
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert len(pd.read_csv(files[-1])) == len(picture.table)
    again = figure.draw(found).save(tmp_path / "again", svg=True)
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]
    said = texts(picture)
    for part in ("fading 4G", "seeds 3 to 8", "offing ", "evidence: ", "synthetic 4g x 0.5 (transferred)"):
        assert part in said


@pytest.mark.parametrize("figure", [differences, regret], ids=lambda figure: figure.__name__.split(".")[-1])
def test_long_names_and_many_pairs_stay_on_the_paper(figure, found):
    long = {label: f"{label}:a_long_parameter=12345" for label in found.labels}
    renamed = dataclasses.replace(
        found, runs=found.runs.replace({"label": long}), over_time=found.over_time.replace({"label": long}), bounds=()
    )
    drawn = figure.draw(renamed).figure
    drawn.draw_without_rendering()
    pieces = [*drawn.texts, *drawn.axes[0].texts, *drawn.axes[0].get_yticklabels()]
    for piece in pieces:
        box = piece.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= drawn.bbox.x1


@pytest.mark.parametrize("name", ["map", "adaptation"])
def test_figures_of_a_run_name_its_seed_and_that_the_bandwidth_is_synthetic(name, drive):
    said = texts(draw(name, drive))
    for part in ("adaptive", "seed 7", "offing ", "evidence: ", "bandwidth: synthetic 4g x 0.5 (transferred)"):
        assert part in said


def test_evidence_of_bandwidths_in_a_caption():
    drawn = {"grade": "transferred", "source": "synthetic 4g (downlink; fitted (somehow))"}
    guessed = {"grade": "guessed", "source": "synthetic wifi (both; a guess)"}
    recorded = {"grade": "measured", "source": "tram.csv"}
    assert bandwidth_evidence({}) == ""
    assert bandwidth_evidence({"a.up": drawn, "a.down": drawn}) == "bandwidth: synthetic 4g (transferred)"
    assert bandwidth_evidence({"a": drawn, "b": guessed}) == "bandwidth: synthetic 4g and synthetic wifi (guessed)"
    assert bandwidth_evidence({"a": recorded}) == "bandwidth: recorded (measured)"
    assert bandwidth_evidence({"a": recorded, "b": drawn}) == "bandwidth: synthetic 4g and recorded (transferred)"


@pytest.mark.slow
def test_the_pictures_in_the_how_to_are_of_today():
    others = ("fixed-split:split_point=32", "min-latency", "oracle")
    today = compare("quick/adaptive_4g", *others, seeds=20, jobs=1)
    for figure in (differences, regret):
        picture = figure.draw(today)
        shown = pd.read_csv(IMAGES / f"{picture.name}.csv")
        pd.testing.assert_frame_equal(shown, picture.table, check_dtype=False, rtol=1e-6)
