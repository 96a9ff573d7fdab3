"""Intervals hold the truth as often as they say, where the truth is known; the rest against SciPy and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.signal import lfilter

from simulator import Library, Scenario, Simulation
from simulator.foundation.errors import ResultsError
from simulator.results import statistics
from simulator.results.statistics import Interval, batch_means, mser5, p_value, paired, rounded, t_interval
from simulator.testing import chain, machine

RUNS = 400


def expect_share(hits: int, runs: int, level: float) -> None:
    """Demand that *hits* of *runs* is what independent trials of probability *level* give, in 99.9 % of all cases."""
    low, high = stats.binom.interval(0.999, runs, level)
    assert low <= hits <= high, f"{hits} of {runs}, level {level}: outside {low:g} to {high:g}"


def ar1(seed: int, count: int, correlation: float) -> np.ndarray:
    """Return a stationary autoregressive series of mean 5."""
    noise = np.random.default_rng([seed, 1]).standard_normal(count)
    noise[0] /= math.sqrt(1 - correlation**2)
    return 5 + lfilter([1], [1, -correlation], noise)


def waits(seed: int, count: int, load: float) -> np.ndarray:
    """Return waiting times of M/M/1 (mean service 1) from its steady state: Lindley as a cumulative minimum."""
    rng = np.random.default_rng([seed, 2])
    first = rng.exponential(1 / (1 - load)) if rng.random() < load else 0.0
    steps = rng.exponential(1.0, count) - rng.exponential(1 / load, count)
    walk = first + np.concatenate(([0.0], np.cumsum(steps[:-1])))
    return walk - np.minimum(0.0, np.minimum.accumulate(walk))


def holds(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


# -- independent values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("count", [2, 5, 30])
def test_students_interval_holds_the_mean_as_often_as_it_says(count, level):
    samples = np.random.default_rng([count, 3]).normal(5.0, 2.0, (2000, count))
    expect_share(sum(holds(t_interval(row, level), 5.0) for row in samples), 2000, level)


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40).filter(lambda x: np.std(x) > 1e-3), st.floats(0.1, 0.99))
def test_it_is_scipys(values, level):
    low, high = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
    interval = t_interval(values, level)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9)
    assert interval.half == pytest.approx((high - low) / 2, rel=1e-9, abs=1e-9)


def test_more_certainty_is_a_wider_interval_and_more_values_a_narrower_one():
    values = [1.0, 2.0, 4.0]
    assert t_interval(values, 0.9).half < t_interval(values, 0.95).half < t_interval(values, 0.99).half
    assert t_interval(values * 2).half < t_interval(values).half


def test_what_gives_no_interval_is_told():
    with pytest.raises(ResultsError, match=r"an interval needs at least two independent values .*; 1 came"):
        t_interval([1.0])
    with pytest.raises(ResultsError, match=r"level 95 came; expected a probability between 0 and 1, such as 0\.95"):
        t_interval([1.0, 2.0], 95)
    lost = t_interval([1.0, math.nan, 3.0])
    assert math.isnan(lost.low)
    assert (lost.reliable, lost.problem) == (False, "1 of 3 are not numbers")


def test_an_interval_is_written_to_two_digits_of_its_half_width():
    assert str(Interval(0.17142, 0.1632, 0.1796, 20, 0.95)) == "0.1714 ± 0.0082 (95 %, n = 20)"
    assert rounded(1234.5, 23.4) == "1234 ± 23"
    assert rounded(1234.5, 234) == "1234 ± 234"
    assert rounded(3.0, 0.0) == "3 ± 0"
    assert rounded(1.5e-9, 2.5e-10) == "1.5e-09 ± 2.5e-10"
    assert str(Interval(2.0, math.nan, math.nan, 1, 0.95, "too short")) == "2 (too short)"


# -- one series ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("correlation", "count"), [(0.0, 1000), (0.5, 3000), (0.9, 20_000)])
def test_batch_means_hold_the_mean_of_an_autoregressive_series(correlation, count):
    intervals = [batch_means(ar1(seed, count, correlation)) for seed in range(RUNS)]
    assert all(interval.reliable for interval in intervals)
    expect_share(sum(holds(interval, 5.0) for interval in intervals), RUNS, 0.95)


def test_they_hold_the_mean_wait_of_m_m_1_and_the_textbook_interval_does_not():
    load = 0.5
    series = [waits(seed, 40_000, load) for seed in range(RUNS)]
    truth = load / (1 - load)
    intervals = [batch_means(x) for x in series]
    given = [interval for interval in intervals if interval.reliable]
    assert len(given) > 0.98 * RUNS
    expect_share(sum(holds(interval, truth) for interval in given), len(given), 0.95)
    naive = sum(holds(t_interval(x), truth) for x in series)
    assert naive < 0.7 * RUNS  # requests as if independent: this is what batches are for


def test_our_own_simulator_is_held_too():
    """M/M/1 by a scenario: service by the quantiles of an exponential law, theory of Pollaczek and Khinchine."""
    repeats = -0.1 * np.log1p(-(np.arange(500) + 0.5) / 500)
    rate, mean = 5.0, float(repeats.mean())
    model = chain((0.0, 0.0), {"board": (mean,)}, repeats={"board": [(s,) for s in repeats.tolist()]})
    scenario = Scenario.from_dict(
        {
            "name": "queue", "until": "1000 s", "warmup": "20 s", "record": "requests", "model": "tiny",
            "nodes": {"pi": {"kind": "device", "hardware": "board"}},
            "workload": {"kind": "inference", "sources": ["pi"], "arrivals": {"kind": "poisson", "rate": f"{rate} /s"}},
            "technique": {"kind": "device-only"},
        },
        Library(models=[model], machines=[machine("board")]),
    )  # fmt: skip
    truth = mean + rate * float((repeats**2).mean()) / (2 * (1 - rate * mean))
    found = [Simulation(scenario, seed).run().summary() for seed in range(60)]
    given = [s for s in found if s["latency_mean_low_s"] is not None]
    assert len(given) >= 57
    assert all(s["latency_mean_low_s"] < s["latency_mean_s"] < s["latency_mean_high_s"] for s in given)
    expect_share(sum(s["latency_mean_low_s"] <= truth <= s["latency_mean_high_s"] for s in given), len(given), 0.95)


def test_a_series_that_is_too_short_for_its_memory_gives_none():
    assert not any(batch_means(ar1(seed, 1000, 0.99)).reliable for seed in range(50))
    assert not any(batch_means(waits(seed, 1000, 0.9)).reliable for seed in range(50))
    assert not batch_means(np.arange(5000.0)).reliable
    interval = batch_means(np.arange(5000.0))
    assert interval.problem == "the run is too short: batches of it still depend on each other"
    assert interval.mean == 2499.5


@pytest.mark.parametrize(("count", "correlation"), [(100, 0.5), (300, 0.5), (3000, 0.9), (10_000, 0.99)])
def test_an_interval_is_seldom_given_and_wrong(count, correlation):
    """Given only where it looks independent, it may be wrong more often than it says; but not both often."""
    wrong = 0
    for seed in range(RUNS):
        interval = batch_means(ar1(seed, count, correlation))
        wrong += interval.reliable and not holds(interval, 5.0)
    assert wrong <= stats.binom.ppf(0.999, RUNS, 0.05)


def test_the_correlation_of_few_values_is_jackknifed_because_the_plain_one_is_too_low():
    series = [ar1(seed, 100, 0.5) for seed in range(2000)]
    plain = np.mean([statistics._lag_1(x) for x in series])
    assert plain < 0.48
    assert np.mean([statistics._correlation(x) for x in series]) == pytest.approx(0.5, abs=0.01)


def test_batches_are_as_many_as_fit():
    values = np.random.default_rng(4).random(100_000)
    assert batch_means(values).count == 20
    assert batch_means(values, batches=30).count == 30
    assert batch_means(values[:137]).count == 13
    assert batch_means(values[:99]).problem == "99 values are too few for batch means, 100 are needed"
    assert batch_means([]).problem == "0 values are too few for batch means, 100 are needed"
    assert batch_means([math.nan] * 200).problem == "some values are not numbers"
    with pytest.raises(ResultsError, match="9 batches came; 10 to 30 are sensible"):
        batch_means(values, batches=9)


def test_they_are_the_interval_of_the_means_of_batches():
    values = np.random.default_rng(5).random(2000)
    by_hand = stats.t.interval(0.9, 19, values.mean(), stats.sem(values.reshape(20, 100).mean(axis=1)))
    interval = batch_means(values, 0.9)
    assert (interval.low, interval.high) == pytest.approx(by_hand, rel=1e-12)


def test_a_constant_series_has_an_interval_of_no_width():
    interval = batch_means([0.1] * 300)
    assert (interval.low, interval.mean, interval.high, interval.reliable) == (0.1, 0.1, 0.1, True)


# -- warm-up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time", [20, 60, 150])
def test_a_transient_is_removed(time):
    """5 exp(-i / time) on noise of 1: the bias of what is kept is far below that of the whole."""
    transient = 5 * np.exp(-np.arange(4000) / time)
    for seed in range(20):
        found = mser5(transient + np.random.default_rng(seed).standard_normal(4000))
        assert found.steady
        assert 1.0 * time < found.first < 8 * time
        assert transient[found.first :].mean() < 0.3 * transient.mean()


def test_little_is_removed_where_there_is_none():
    cut = [mser5(ar1(seed, 4000, 0.5)) for seed in range(100)]
    assert np.mean([found.first for found in cut]) < 0.06 * 4000
    assert np.median([found.first for found in cut]) < 0.02 * 4000
    assert sum(found.steady for found in cut) >= 97


def test_it_is_the_cut_of_least_standard_error():
    """Said the slow way: every cut in the first half tried."""
    for seed in range(10):
        values = ar1(seed, 500, 0.8) + 4 * np.exp(-np.arange(500) / 30)
        fives = values.reshape(100, 5).mean(axis=1)
        errors = [fives[d:].var() / (100 - d) for d in range(51)]
        assert mser5(values).first == 5 * int(np.argmin(errors))


def test_a_series_that_never_settles_is_not_steady():
    ramp = np.arange(1000.0) + np.random.default_rng(6).standard_normal(1000)
    assert not mser5(ramp).steady
    assert not mser5([1.0] * 49).steady  # nothing can be told


def test_a_constant_needs_no_warm_up_and_rounding_is_no_transient():
    assert mser5([0.3] * 200) == mser5(0.3 + 1e-16 * np.arange(200.0)[::-1])
    assert mser5([0.3] * 200).first == 0
    assert mser5([9.0] * 20 + [1.0] * 180).first == 20
    assert mser5([9.0] * 20 + [1.0] * 183).first == 20


# -- pairs ---------------------------------------------------------------------------------------------------------

pairs = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=3, max_size=30).filter(
    lambda rows: np.std([a - b for a, b in rows]) > 1e-3
)


@given(pairs)
def test_pairs_are_scipys(rows):
    a, b = (np.array(side) for side in zip(*rows, strict=True))
    theirs = stats.ttest_rel(a, b)
    assert p_value(a, b) == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)
    low, high = theirs.confidence_interval(0.95)
    interval = paired(a, b)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-7, abs=1e-7)


@given(pairs, st.integers(1, 20))
def test_bonferroni_is_a_higher_level_and_wider(rows, comparisons):
    a, b = (np.array(side) for side in zip(*rows, strict=True))
    several = paired(a, b, 0.95, comparisons)
    assert several.half == pytest.approx(paired(a, b, 1 - 0.05 / comparisons).half, rel=1e-12)
    assert several.level == 0.95
    assert several.half >= paired(a, b).half


def test_several_differences_hold_at_once():
    """Six differences that are all zero in truth: Bonferroni's hold together in 95 % of all cases at least."""
    rng = np.random.default_rng(7)
    together = 0
    for _ in range(1000):
        a, b = rng.standard_normal((2, 6, 8))
        together += all(holds(paired(a[i], b[i], 0.95, 6), 0.0) for i in range(6))
    assert together >= stats.binom.ppf(0.001, 1000, 0.95)
    assert together <= stats.binom.ppf(0.999, 1000, 1 - 0.7 * 0.05)  # and are not wide without need


def test_what_is_the_same_differs_by_exactly_nothing():
    values = [0.1, 0.7, 0.3]
    interval = paired(values, values, comparisons=3)
    assert (interval.low, interval.mean, interval.high) == (0.0, 0.0, 0.0)
    assert p_value(values, values) == 1.0
    assert p_value([2.0, 3.0, 4.0], [1.0, 2.0, 3.0]) == 0.0


def test_pairs_that_are_none_are_told():
    with pytest.raises(ResultsError, match="3 values are to be paired with 2; give one of each per seed"):
        paired([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ResultsError, match=r"an interval needs at least two pairs .*; 1 came"):
        paired([1.0], [2.0])
    with pytest.raises(ResultsError, match=r"a t test needs at least two pairs .*; 1 came"):
        p_value([1.0], [2.0])
    with pytest.raises(ResultsError, match="0 comparisons came"):
        paired([1.0, 2.0], [2.0, 4.0], comparisons=0)
    assert math.isnan(p_value([1.0, math.nan], [1.0, 2.0]))
