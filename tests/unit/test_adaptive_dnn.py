"""AdaptiveDNN: the reader, the fit on tables whose truth is known, and the replay in the simulator."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from adaptive_tables import SET, noisy
from support import recordings

from calibration.measured.adaptive_dnn import factor_table, factors_changed, known_sizes, read_adaptive_dnn
from calibration.measured.adaptive_dnn_fit import LEVELS, censored_median, fit_network
from calibration.measured.adaptive_dnn_link import SHAPER, Shaper, fit_shaper
from calibration.measured.adaptive_dnn_replay import Condition, replay, scenario, simulate
from simulator import Library, Scenario, Simulation
from simulator.foundation.errors import ProfileError
from simulator.techniques.fixed_split import FixedSplit
from simulator.testing import chain, machine

HEADER = "model,net_mbps,cloud_cpu,edge_mem,cloud_mem,edge_cpu,cut,total_s,edge_s,cloud_s\n"
LINE = "toy,50,0,0,0,0,1,0.5,0.2,0.2\n"

# A world of known numbers: heads and tails grow by these at each cut, on an edge and a faster cloud.
SIZES = {1: 602_112.0, 2: 1_200_000.0, 3: 300_000.0, 4: 150_000.0}
EDGE = (0.010, 0.200, 0.300, 0.400, 0.1)
CLOUD = (0.004, 0.080, 0.120, 0.160, 0.04)
TRUTH = Shaper(burst=60_000.0, message=4.0e-3, byte=8.0e-9, framing=SHAPER.framing)


def simulated(mbps: int, edge_cpu: int, cloud_cpu: int) -> list[dict[str, float]]:
    """Return one row per cut, from plain scenarios of the simulator: nothing of the fit or the replay is in it."""
    costs = {"message": TRUTH.message / 4, "byte": TRUTH.byte / 2}
    model = chain((602_112.0, *SIZES.values(), 0.0), {"board": EDGE, "rack": CLOUD}, name="toy")
    library = Library(models=[model], machines=[machine("board", **costs), machine("rack", **costs)])
    link = {"between": ["pi", "hall"], "bandwidth": f"{mbps} Mbit/s", "delay": "0 s", "burst": f"{TRUTH.burst} B",
            "framing": TRUTH.framing}  # fmt: skip
    data = {
        "name": "toy", "until": "1 s", "model": "toy", "links": {"wire": link},
        "nodes": {
            "pi": {"kind": "device", "hardware": "board", "load": f"{edge_cpu} %"},
            "hall": {"kind": "server", "hardware": "rack", "load": f"{cloud_cpu} %"},
        },
        "workload": {"kind": "inference", "sources": ["pi"], "arrivals": {"kind": "periodic", "every": "10 s"}},
        "technique": {"kind": "fixed-split", "split_point": 1},
    }  # fmt: skip
    world = Scenario.from_dict(data, library)
    rows = []
    for cut in SIZES:
        results = Simulation(world.with_technique(FixedSplit(split_point=cut))).run()
        work = results.spans[results.spans["kind"] == "compute"]
        took = (work["finish_s"] - work["start_s"]).groupby(work["resource"]).sum()
        rows.append({
            "model": "toy", "net_mbps": mbps, "cloud_cpu": cloud_cpu, "edge_mem": 0, "cloud_mem": 0,
            "edge_cpu": edge_cpu, "cut": cut, "total_s": float(results.requests["latency_s"].iloc[0]),
            "edge_s": took["pi"], "cloud_s": took["hall"],
        })  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A simulated table of twelve conditions."""
    levels = product((50, 25, 10), (0, 100), (0, 50))
    return pd.DataFrame([row for condition in levels for row in simulated(*condition)])


# -- the reader ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER.replace("edge_s,", "") + "toy,50,0,0,0,0,1,0.5,0.2\n", ["lacks the columns edge_s"]),
        (HEADER + LINE + "toy,50,0,0,0,0,2,0.5\n", [":3", "edge_s is empty", "cut short"]),
        (HEADER + LINE + "toy,50,0,0,0,0,2,0.5,0,0.2\n", [":3", "a time above zero", "edge_s 0"]),
        (HEADER + "toy,50,0,0,0,0,1,0.3,0.2,0.2\n", [":2", "a total of at least edge and cloud"]),
        (HEADER + "toy,50,0,0,0,150,1,0.5,0.2,0.2\n", [":2", "stress levels", "edge_cpu 150"]),
        (HEADER + "toy,50,0,0,0,0,1.5,0.5,0.2,0.2\n", [":2", "whole cuts"]),
        (HEADER, ["a header and no rows"]),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, text, words):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ProfileError) as caught:
        read_adaptive_dnn(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_gzip_and_plain_are_one_and_what_came_twice_is_averaged(tmp_path):
    rows = pd.DataFrame([{**dict.fromkeys(LEVELS, 0), "model": "toy", "net_mbps": 50, "cut": 1, "total_s": total,
                          "edge_s": 0.1, "cloud_s": 0.2} for total in (0.4, 0.6)])  # fmt: skip
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.to_csv(tmp_path / "a.csv.gz", index=False)
    plain, packed = read_adaptive_dnn(tmp_path / "a.csv"), read_adaptive_dnn(tmp_path / "a.csv.gz")
    pd.testing.assert_frame_equal(plain, packed)
    assert plain["total_s"].tolist() == [pytest.approx(0.5)]


# -- the fit -------------------------------------------------------------------------------------------------------


def test_the_fit_finds_the_numbers_a_simulated_table_was_made_with(table):
    fit = fit_network(table, TRUTH)
    assert fit.cuts == (1, 2, 3, 4)
    assert [fit.sizes[cut] for cut in fit.cuts] == pytest.approx(list(SIZES.values()), rel=1e-6)
    assert fit.edge.seconds(fit.cuts, 0, 0) == pytest.approx(np.cumsum(EDGE)[:4])
    assert fit.cloud.seconds(fit.cuts, 0, 0) == pytest.approx(np.cumsum(CLOUD[::-1])[::-1][1:])
    assert fit.edge.seconds(fit.cuts, 100, 0) == pytest.approx(2.0 * np.cumsum(EDGE)[:4])
    assert fit.cloud.slowdown(50) == pytest.approx(4 / 3)
    assert max(fit.late.values()) == pytest.approx(0.0, abs=1e-6)
    assert max(fit.ready.cells.values(), default=0.0) == 0.0


def test_a_condition_that_was_not_fitted_is_replayed_as_the_simulator_made_it(table):
    asked = (table["net_mbps"] == 10) & (table["edge_cpu"] == 100) & (table["cloud_cpu"] == 50)
    found = replay({"toy": fit_network(table[~asked], TRUTH)}, table[asked])
    for name in ("edge_s", "cloud_s", "total_s"):
        assert found[f"predicted_{name}"].to_numpy() == pytest.approx(table.loc[asked, name].to_numpy(), rel=1e-6)


def test_the_shaper_is_found_in_noise_that_has_outliers():
    rng = np.random.default_rng(3)
    sizes, rates = np.repeat(np.geomspace(2e4, 3e6, 22), 3), np.tile([50.0, 25.0, 10.0], 22)
    seconds = TRUTH.seconds(sizes, rates) * rng.normal(1.0, 0.005, 66)
    seconds[::13] *= 3.0
    found = fit_shaper(sizes, rates, seconds)
    assert found.burst == pytest.approx(TRUTH.burst, rel=0.06)
    assert found.framing == pytest.approx(TRUTH.framing, rel=0.01)
    assert found.message == pytest.approx(TRUTH.message, rel=0.1)
    assert TRUTH.size(TRUTH.seconds(sizes, rates), rates) == pytest.approx(sizes)


def test_readiness_is_found_where_most_rows_hide_it():
    rng = np.random.default_rng(5)
    floor = rng.uniform(0.2, 1.4, 400)  # a third lies above: there readiness cannot be seen
    seen = np.maximum(floor, 0.9 * rng.lognormal(0.0, 0.05, 400))
    seen[:40] += 2.0
    assert censored_median(floor, seen) == pytest.approx(0.9, rel=0.02)
    assert censored_median(floor, floor) == 0.0


def by_hand(fit, condition: Condition) -> np.ndarray:
    """Return the totals by the closed formula that the fit assumes, without a simulator."""
    head = fit.edge.seconds(fit.cuts, condition.edge_cpu, condition.edge_mem)
    tail = fit.cloud.seconds(fit.cuts, condition.cloud_cpu, condition.cloud_mem)
    totals = []
    for e, c, cut in zip(head, tail, fit.cuts, strict=True):
        wire = max(0.0, fit.shaper.framing * fit.sizes[cut] - fit.shaper.burst) / (condition.net_mbps * 125e3)
        transfer = fit.shaper.message + fit.shaper.byte * fit.sizes[cut] + wire + fit.beyond(cut, condition.net_mbps)
        totals.append(max(e + transfer, fit.ready.at(cut, condition.net_mbps, condition.cloud_cpu)) + c)
    return np.array(totals)


@pytest.mark.parametrize("seed", range(4))
def test_simulation_and_closed_formula_agree(seed):
    fit = fit_network(noisy(seed))
    assert max(fit.ready.levels.values()) > 0.1  # a server that is waited for
    for condition in (Condition(50, 0, 0, 0, 0), Condition(10, 100, 100, 50, 50), Condition(25, 50, 0, 50, 100)):
        found = simulate(fit, condition)
        assert found["total_s"].to_numpy() == pytest.approx(by_hand(fit, condition), rel=1e-9)
        parts = found.drop(columns="total_s").sum(axis=1)
        assert parts.to_numpy() == pytest.approx(found["total_s"].to_numpy(), rel=1e-9)


def test_the_profile_has_no_layer_that_takes_less_than_nothing():
    rows = noisy(11)
    jumps = (rows["cut"] == 3) & (rows["edge_cpu"] == 100)  # there a head takes longer than that of the cut behind it
    rows.loc[jumps, "edge_s"] *= 2.5
    rows.loc[jumps, "total_s"] += rows.loc[jumps, "edge_s"]
    fit, condition = fit_network(rows), Condition(25, 50, 0, 50, 100)
    assert np.diff(fit.edge.seconds(fit.cuts, 100, 0)).min() < 0.0
    model = scenario(fit, condition).library.models[0]
    assert len(model) == len(fit.cuts) + 1
    for times in model.measured.values():
        assert min(times.seconds) >= 0.0
    assert simulate(fit, condition)["edge_s"].to_numpy() == pytest.approx(fit.edge.seconds(fit.cuts, 100, 0))
    assert {cut.index: cut.bytes for cut in model.cuts()}[2] == fit.sizes[fit.cuts[1]]


def test_one_late_transfer_is_not_a_rule_and_many_are():
    rows = pd.DataFrame(
        [
            (mbps, 0, em, 0, 0, 1, 0.3 + 0.1 * em, 0.1)
            for mbps, count in ((50, 9), (25, 1), (10, 9))
            for em in range(count)
        ],
        columns=[*LEVELS, "cut", "edge_s", "cloud_s"],
    )
    rest = TRUTH.seconds(5e5, rows["net_mbps"]) + np.select(
        [rows["net_mbps"] == 25, rows["net_mbps"] == 50], [0.2, 0.02]
    )
    rows = rows.assign(model="toy", total_s=rows["edge_s"] + rows["cloud_s"] + rest)
    fit = fit_network(rows, TRUTH)
    assert fit.sizes[1] == pytest.approx(5e5, rel=1e-6)
    assert fit.beyond(1, 50) == pytest.approx(0.02, rel=1e-3)
    assert fit.beyond(1, 10) == pytest.approx(0.0, abs=1e-6)
    assert fit.beyond(1, 25) <= 0.021


def test_a_rate_and_levels_never_seen_are_predicted_by_the_law():
    rows = noisy(2)
    calm = rows[(rows[["cloud_cpu", "edge_cpu"]] == 0).all(axis=1)]
    fit = fit_network(calm)
    asked = simulate(fit, Condition(40, 100, 0, 0, 100))["edge_s"]
    assert asked.to_numpy() == pytest.approx(2.0 * simulate(fit, Condition(50, 0, 0, 0, 0))["edge_s"].to_numpy())


def test_what_was_not_fitted_is_refused():
    rows = noisy(1)
    fits = {"noisy 1": fit_network(rows[rows["cut"] < 6])}
    with pytest.raises(ProfileError, match="no row to fit has the cuts 6"):
        replay(fits, rows[:12])
    with pytest.raises(ProfileError, match='no fit of network "other"; fitted: noisy 1'):
        replay(fits, rows.assign(model="other"))


# -- on what was recorded ------------------------------------------------------------------------------------------


@pytest.mark.data
def test_the_shaper_used_is_what_vgg16_says():
    rows = read_adaptive_dnn(recordings(SET)).query("model == 'vgg16'")
    sizes = known_sizes("vgg16", recordings("adaptivednn").parent)
    cells = (rows["total_s"] - rows["edge_s"] - rows["cloud_s"]).groupby([rows["cut"], rows["net_mbps"]]).median()
    payload = np.array([float(sizes[cut]) for cut, _ in cells.index])
    rates = cells.index.get_level_values(1).to_numpy(dtype=float)
    found = fit_shaper(payload, rates, cells.to_numpy())
    for name, tolerance in (("burst", 1e-3), ("message", 2e-3), ("byte", 6e-3), ("framing", 1e-3)):
        assert getattr(SHAPER, name) == pytest.approx(getattr(found, name), rel=tolerance), name
    assert np.mean(np.abs(SHAPER.seconds(payload, rates) / cells - 1)) < 0.015


@pytest.mark.data
@pytest.mark.parametrize("model", ["vgg16", "resnet50"])
def test_sizes_told_from_times_alone_are_those_of_the_layers(model):
    rows = read_adaptive_dnn(recordings(SET)).query("model == @model")
    known = known_sizes(model, recordings("adaptivednn").parent)
    fit = fit_network(rows)
    for cut, size in known.items():
        if size * SHAPER.framing > SHAPER.burst:  # below, the bucket hides it
            assert fit.sizes[cut] == pytest.approx(size, rel=0.035), cut


@pytest.mark.data
def test_the_factor_table_is_the_one_worked_out_by_other_hands():
    table = factor_table(read_adaptive_dnn(recordings(SET)))
    card = {
        "alexnet": (3, 56, 19.3, 60.7), "lenet": (3, 11, 0.0, 0.7), "mobilenet": (88, 63, 5.5, 27.7),
        "resnet50": (14, 67, 8.4, 30.5), "resnet50v2": (9, 93, 6.4, 24.6), "vgg16": (1, 56, 19.4, 60.4),
    }  # fmt: skip
    for model, (cut, changed, mean, most) in card.items():
        row = table.loc[model]
        assert (row["best_cut"], row["changed_pct"]) == (cut, pytest.approx(changed, abs=0.6)), model
        assert (row["mean_gain_pct"], row["max_gain_pct"]) == (
            pytest.approx(mean, abs=0.06),
            pytest.approx(most, abs=0.06),
        )
    assert table.loc["vgg16", "cloud CPU 100 %"] == pytest.approx(2.0, rel=0.02)


def test_simulated_factors_are_those_that_were_put_in(table):
    fits = {"toy": fit_network(table, TRUTH)}
    played = replay(fits, table)
    for name in ("total_s", "edge_s", "cloud_s"):
        played[name] = played[f"predicted_{name}"]
    found = factor_table(played).loc["toy"]
    assert found["edge CPU 100 %"] == pytest.approx(2.0)
    assert found["cloud CPU 50 %"] == pytest.approx(4 / 3)
    assert np.isnan(found["edge CPU 50 %"])
    pd.testing.assert_series_equal(found, factor_table(table).loc["toy"], rtol=1e-5)


def test_factors_changed_counts_from_the_fastest_rate(table):
    counts = factors_changed(table)
    assert counts[table["net_mbps"].eq(50) & table["edge_cpu"].eq(0) & table["cloud_cpu"].eq(0)].eq(0).all()
    assert counts.max() == 3
