"""Fits of the Markov form, of loads and of outages: known parameters found again, what we ship against reality."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support import recordings as third_party

from analysis.figures import synthetic as figure
from calibration.worlds.bandwidth import SETS, as_yaml, recordings
from calibration.worlds.loads import fit_load, load_comparison, load_statistics, read_loads
from calibration.worlds.markov import choose, fit_markov, likelihood, markov_yaml
from calibration.worlds.outages import (
    GRID,
    distance,
    fit_durations,
    fit_outages,
    fit_table,
    outages_yaml,
    read_failures,
)
from calibration.worlds.synthetic import LAGS, curves, markdown, measures, side_by_side
from simulator import Trace
from simulator.foundation.errors import TraceError
from simulator.profiles.library import shipped
from simulator.traces.generator import find_generator
from simulator.traces.markov import OUTAGE, Markov
from simulator.traces.outages import LogNormal, read_outages

BY_NAME = {real.name: real for real in SETS}
KNOWN = Markov(
    "known", "", "guessed", "both", "a test", (OUTAGE, (1e5, 2e5), (2e5, 9e5), (9e5, 1e6)),
    ((0.7, 0.3, 0.0, 0.0), (0.1, 0.7, 0.2, 0.0), (0.0, 0.2, 0.6, 0.2), (0.0, 0.0, 0.2, 0.8)), 1.0, "bandwidth",
)  # fmt: skip
"""A tenth of the time is in the outage, three tenths in each band (it is a birth-death chain)."""


def test_counting_finds_a_known_chain_again():
    traces = [KNOWN.generate(np.random.default_rng(seed), 2000.0) for seed in range(60)]
    found = fit_markov(SETS[1], traces, bands=3)
    assert found.levels[0] == OUTAGE
    assert np.array(found.transitions) == pytest.approx(np.array(KNOWN.transitions), abs=0.02)
    assert [each[0] for each in found.levels[1:]] == pytest.approx([1e5, 2e5, 9e5], rel=0.03)
    assert found.mean == pytest.approx(np.mean([trace.mean() for trace in traces]), rel=0.01)
    assert (found.name, found.direction, found.step) == ("4g-markov", "down", 1.0)


def test_the_share_of_time_in_each_state_is_exactly_the_recorded_one():
    values = [3, 3, 0, 0, 0, 1, 2, 9, 8, 1, 0, 2]
    traces = [Trace(list(range(12)), values, 12.0, "wrap"), Trace([0, 2], [7, 0], 3.0, "wrap")]
    found = fit_markov(SETS[0], traces, bands=2)
    assert found.stationary[0] == pytest.approx(5 / 15)
    assert found.transitions[0][0] == pytest.approx(2 / 5)  # in one recording two, across the seam none


def test_without_an_outage_there_is_no_such_state():
    found = fit_markov(SETS[0], [Trace(list(range(8)), [1, 2, 3, 4, 4, 3, 2, 1], 8.0, "wrap")], bands=2)
    assert OUTAGE not in found.levels
    assert len(found.transitions) == len(found.levels) == 2


def test_bands_are_as_many_as_predict_best():
    """Independent seconds: no number of bands predicts anything; a chain: more than two, and not the most."""
    rng = np.random.default_rng(0)
    noise = [rng.exponential(1.0, 500) for _ in range(4)]
    assert all(likelihood(noise, bands) < 0.01 for bands in (2, 8, 24))
    assert choose(noise) <= 3
    walks = [np.exp(np.array(stats.norm.rvs(size=600, random_state=seed)).cumsum() / 10) for seed in range(4)]
    assert 3 < choose(walks) < 24
    assert likelihood(walks, choose(walks)) > 1.0


def test_loads_of_known_machines_are_found_again():
    """Machines that differ for good, and steps within one that do not remember: the fast part is that of the steps."""
    rng = np.random.default_rng(1)
    scores = np.sqrt(0.7) * rng.standard_normal((400, 1)) + np.sqrt(0.3) * rng.standard_normal((400, 288))
    found = fit_load(list(stats.norm.cdf(scores)))
    within = 1 - scores.mean(axis=1).var() / scores.var()  # of these 400, not of all there could be
    assert found.share == pytest.approx(within, abs=0.03)
    assert found.fast <= 300.0
    assert found.slow > 86_400 * 3
    assert found.mean == pytest.approx(stats.norm.cdf(scores).mean(), abs=0.01)


def test_load_statistics_by_hand():
    found = load_statistics([np.array([0.0, 0.2] * 50), np.array([0.5, 0.5] * 50)])
    assert found["mean (%)"] == pytest.approx(30.0)
    assert found["mean of a machine: deviation (%)"] == pytest.approx(20.0)
    assert found["within a machine: deviation, median (%)"] == pytest.approx(5.0)
    assert found["within a machine: deviation, 90 % (%)"] == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("exponential", stats.expon(scale=3 * GRID)),
        ("weibull", stats.weibull_min(0.6, scale=3 * GRID)),
        ("log-normal", stats.lognorm(1.4, scale=GRID)),
    ],
)
def test_a_known_distribution_is_found_again_through_the_grid(kind, known):
    durations = np.ceil(known.rvs(size=4000, random_state=3) / GRID) * GRID
    best = fit_durations(durations)
    assert best[0].kind == kind or (best[1].aic - best[0].aic < 2.5 and best[1].kind == kind)
    found = next(fitted for fitted in best if fitted.kind == kind)
    assert found.frozen.mean() == pytest.approx(known.mean(), rel=0.06)
    assert found.distance < 0.03
    assert best[-1].aic >= best[0].aic


def test_the_distance_by_hand():
    assert distance(np.array([1.0, 1.0, 2.0, 4.0]), stats.uniform(0, 4)) == pytest.approx(0.25)


def test_the_measures_of_a_simple_trace():
    square = Trace([0.0, 2.0], [1e6, 0.0], 4.0, "wrap")
    found = measures([square], [square], (1e6,))
    assert found["time at zero (%)"] == pytest.approx(50.0)
    assert found["outage, median (s)"] == 2.0
    assert found["distance (KS)"] == 0.0
    assert found["1 MB, median (s)"] == pytest.approx(2.25, abs=0.8)
    table = markdown(pd.DataFrame({"a": {"x": 1.23456, "y": 2.0}}), "what")
    assert table.splitlines()[2:] == ["| x | 1.23 |", "| y | 2 |"]


def test_the_figure_has_a_row_for_each_set():
    real = BY_NAME["4g"]
    drive = find_generator("4g", shipped() / "networks").generate(np.random.default_rng(0), 900.0)
    table = curves(real, [drive, drive])
    assert set(table["form"]) == {"recorded", "copula", "markov", "bootstrap"}
    assert (table[table["panel"] == "lag [s]"].groupby("form").size() == len(LAGS)).all()
    picture = figure.draw(table)
    assert len(picture.figure.axes) == 4
    assert picture.table is table


def test_no_recordings_is_an_error(tmp_path):
    with pytest.raises(TraceError, match="no recordings in cpu/planetlab-2011"):
        read_loads(tmp_path)
    with pytest.raises(TraceError, match=r"no Facebook_user_reported\.parquet in failures"):
        read_failures(tmp_path)


# -- against the recordings ------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize("real", SETS, ids=lambda real: real.name)
def test_what_we_ship_is_what_counting_gives(real):
    traces = recordings(real, third_party("bandwidth").parent)
    shelf = shipped() / "networks"
    assert (shelf / f"{real.name}-markov.yaml").read_text(encoding="utf-8") == markov_yaml(fit_markov(real, traces))


@pytest.mark.data
def test_what_we_ship_for_loads_and_outages_is_what_the_fits_give():
    data = third_party("cpu").parent
    assert (shipped() / "loads" / "server-day.yaml").read_text(encoding="utf-8") == as_yaml(fit_load(read_loads(data)))
    path = shipped() / "outages" / "web-service.yaml"
    assert path.read_text(encoding="utf-8") == outages_yaml(fit_outages(read_failures(data)))
    assert isinstance(read_outages(path).between, LogNormal)


@pytest.mark.data
def test_what_the_page_says_of_the_forms():
    """On 3G: all have the distribution and the share of outages, only the copula has what slow transfers take."""
    real = BY_NAME["3g"]
    table = side_by_side(real, recordings(real, third_party("bandwidth").parent))
    forms = ["copula", "markov", "bootstrap"]
    assert (table.loc["distance (KS)", forms] < 0.03).all()
    assert (abs(table.loc["time at zero (%)", forms] - table.loc["time at zero (%)", "recorded"]) < 1.2).all()
    slow = table.loc["1 MB, 95 % (s)"] / table.loc["1 MB, 95 % (s)", "recorded"]
    assert 0.7 < slow["copula"] < 1.3
    assert slow["markov"] < 0.5
    assert slow["bootstrap"] < 0.5
    memory = table.loc["autocorrelation, 30 s"]
    assert memory["markov"] < memory["bootstrap"] < 0.5 < memory["copula"]


@pytest.mark.data
def test_generated_loads_behave_as_the_recorded_ones():
    samples = read_loads(third_party("cpu").parent)
    table = load_comparison(samples, find_generator("server-day", shipped() / "loads"))
    assert table.generated["mean (%)"] == pytest.approx(table.recorded["mean (%)"], rel=0.1)
    for figure_ in ("autocorrelation, 5 min", "autocorrelation, 1 h", "autocorrelation, 6 h"):
        assert table.generated[figure_] == pytest.approx(table.recorded[figure_], abs=0.05)
    deviation = "mean of a machine: deviation (%)"
    assert table.generated[deviation] == pytest.approx(table.recorded[deviation], rel=0.1)


@pytest.mark.data
def test_what_the_page_says_of_outages():
    table = fit_table(read_failures(third_party("failures").parent)).set_index(["service", "of", "kind"])
    best = table[table["AIC"] == 0]
    assert set(best.index.get_level_values("kind")) == {"log-normal"}
    assert (best.loc[(slice(None), "length"), "KS"] < 0.01).all()
    assert (
        best.loc[(slice(None), "between"), "p99_h"] < 0.7 * best.loc[(slice(None), "between"), "recorded_p99_h"]
    ).all()
    drawn = read_outages(shipped() / "outages" / "web-service.yaml").draw(np.random.default_rng(2), 3e7)
    lengths = np.array([up - down for down, up, _ in drawn])
    known = best.loc[("both", "length", "log-normal")]
    assert lengths.mean() / 3600 == pytest.approx(known["mean_h"], rel=0.06)
    assert np.quantile(lengths, 0.95) / 3600 == pytest.approx(known["p95_h"], rel=0.08)
