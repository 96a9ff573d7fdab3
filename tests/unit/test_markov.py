"""The Markov form: a long draw against its own matrix, closed forms, and files that are refused."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import yaml
from scipy import stats

from simulator.foundation.errors import TraceError
from simulator.profiles.library import shipped
from simulator.scenario.build import build
from simulator.testing import tiny
from simulator.traces.generator import find_generator, generator_names, read_generator
from simulator.traces.markov import OUTAGE, Markov

FOLDER = shipped() / "networks"
NAMES = [name for name in generator_names(FOLDER) if name.endswith("-markov")]
THREE = Markov(
    "three", "", "guessed", "both", "a test", (OUTAGE, (1.0, 2.0, 9.0), (10.0, 30.0)),
    ((0.8, 0.2, 0.0), (0.1, 0.7, 0.2), (0.0, 0.4, 0.6)), 1.0, "bandwidth",
)  # fmt: skip
STATIONARY = np.array([2, 4, 2]) / 8
"""By hand: it is a birth-death chain, so that 0.2 p0 = 0.1 p1 and 0.2 p1 = 0.4 p2."""


def test_the_stationary_distribution_and_the_mean_by_hand():
    assert THREE.stationary == pytest.approx(STATIONARY)
    within = (0.0, (1.5 + 5.5) / 2, 20.0)
    assert THREE.mean == pytest.approx(STATIONARY @ within)
    assert THREE.peak == 30.0


def test_transitions_of_a_long_draw_are_those_of_the_matrix():
    """Pearson's chi-square over rows: with 100,000 steps a share that is off by 0.01 is far beyond the bound."""
    states = THREE.states(np.random.default_rng(4), 100_000)
    matrix = np.array(THREE.transitions)
    counts = np.zeros((3, 3))
    np.add.at(counts, (states[:-1], states[1:]), 1)
    assert counts[matrix == 0].sum() == 0
    expected = counts.sum(axis=1, keepdims=True) * matrix
    free = matrix > 0
    statistic = ((counts - expected)[free] ** 2 / expected[free]).sum()
    assert statistic < stats.chi2.ppf(0.999, free.sum() - 3)


def test_the_share_of_time_in_outages_is_the_stationary_one_from_the_first_second_on():
    traces = [THREE.generate(np.random.default_rng(seed), 20.0) for seed in range(4000)]
    for time in (0.5, 10.5, 19.5):
        out = np.mean([trace.at(time) == 0 for trace in traces])
        assert abs(out - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 4000), time
    means = np.array([trace.mean() for trace in traces])
    assert abs(means.mean() - THREE.mean) < 4 * means.std() / math.sqrt(len(means))


def test_outages_are_geometric_and_one_segment_each():
    trace = THREE.generate(np.random.default_rng(1), 50_000.0)
    edges = [*trace.starts, trace.duration]
    lengths = [edges[i + 1] - edges[i] for i, value in enumerate(trace.values) if value == 0.0]
    assert max(len(list(run)) for zero, run in groupby(value == 0.0 for value in trace.values) if zero) == 1
    assert np.mean(lengths) == pytest.approx(1 / (1 - 0.8), rel=0.05)
    assert np.mean(np.array(lengths) == 1.0) == pytest.approx(0.2, abs=0.02)


def test_levels_within_a_state_have_its_quantiles():
    values = np.array(THREE.generate(np.random.default_rng(2), 40_000.0).values)
    low, high = values[(values > 0) & (values < 9.5)], values[values > 9.5]
    assert np.quantile(low, (0.25, 0.5, 0.75)) == pytest.approx([1.5, 2.0, 5.5], rel=0.04)
    assert (low.min() >= 1.0, low.max() <= 9.0) == (True, True)
    assert stats.kstest(high, stats.uniform(10, 20).cdf).pvalue > 1e-3


def test_seeds_scale_and_step():
    one, two, other = (THREE.generate(np.random.default_rng(seed), 90.5) for seed in (1, 1, 2))
    assert (list(one.starts), list(one.values)) == (list(two.starts), list(two.values))
    assert list(one.values) != list(other.values)
    half = THREE.scaled(0.5).generate(np.random.default_rng(1), 90.5)
    assert list(half.values) == pytest.approx([value / 2 for value in one.values])
    assert half.source == "synthetic three x 0.5 (both; a test)"
    slow = replace(THREE, step=5.0).generate(np.random.default_rng(1), 100.0)
    assert all(start % 5 == 0 for start in slow.starts)
    assert THREE.scaled(1.0) is THREE


def test_a_trace_of_nothing_is_drawn_anew():
    mostly_out = replace(THREE, transitions=((0.999, 0.001, 0.0), (0.9, 0.1, 0.0), (0.5, 0.0, 0.5)))
    assert all(mostly_out.generate(np.random.default_rng(seed), 5.0).mean() > 0 for seed in range(20))


@pytest.mark.parametrize("name", NAMES)
def test_what_we_ship_is_a_chain_whose_traces_have_its_mean(name):
    found = find_generator(name, FOLDER)
    assert isinstance(found, Markov)
    matrix = np.array(found.transitions)
    assert matrix.sum(axis=1) == pytest.approx(np.ones(len(matrix)), abs=1e-12)
    assert found.stationary @ matrix == pytest.approx(found.stationary, abs=1e-9)
    assert np.linalg.matrix_power(matrix, 4096)[0] == pytest.approx(found.stationary, abs=1e-6)
    assert found.levels[0] == OUTAGE
    means = np.array([found.generate(np.random.default_rng(seed), 600.0).mean() for seed in range(300)])
    assert abs(means.mean() - found.mean) < 4 * means.std() / math.sqrt(len(means))


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_of_a_network_agree_on_what_both_keep(name):
    markov, copula = find_generator(name, FOLDER), find_generator(name.removesuffix("-markov"), FOLDER)
    assert markov.mean == pytest.approx(copula.mean, rel=0.02)
    assert markov.stationary[0] == pytest.approx(copula.outages.share, abs=0.002)


# -- files -----------------------------------------------------------------------------------------------------------

GOOD = {
    "form": "markov", "kind": "bandwidth", "name": "two", "title": "two", "grade": "guessed", "direction": "both",
    "source": "a test", "step": "1 s", "states": ["outage", ["1 Mbit/s", "2 Mbit/s"]],
    "transitions": [[0.5, 0.5], [0.25, 0.75]],
}  # fmt: skip


def test_a_file_by_hand(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    found = read_generator(path)
    assert isinstance(found, Markov)
    assert found.levels == (OUTAGE, (125e3, 250e3))
    assert found.mean == pytest.approx(2 / 3 * 187.5e3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"transitions": [[0.5, 0.5]]}, "two.yaml: transitions: 1 rows for 2 states"),
        ({"transitions": [[0.5, 0.5], [1.0]]}, "two.yaml: transitions.1: 1 shares for 2 states"),
        ({"transitions": [[0.5, 0.4], [0.5, 0.5]]}, "two.yaml: transitions.0: sums to 0.9; a row must sum to one"),
        ({"transitions": [[1.5, -0.5], [0.5, 0.5]]}, "two.yaml: transitions.0.0: Input should be less than or equal"),
        ({"transitions": [[1.0, 0.0], [0.5, 0.5]]}, "two.yaml: transitions: no way leads from state 0 to state 1"),
        ({"states": ["outage", ["2 Mbit/s", "1 Mbit/s"]]}, "two.yaml: states.1: the levels of a state must rise"),
        ({"states": ["outage", ["2 Mbit", "3 Mbit"]]}, "two.yaml: states.1: "),
        ({"states": ["outage", [1, 2]]}, "two.yaml: states.1: 1.0 has no unit"),
        ({"states": ["outage", "outage"]}, "two.yaml: states: 2 outages; there is one way to have nothing"),
        ({"states": ["outage"], "transitions": [[1.0]]}, "two.yaml: states: all are zero"),
        ({"kind": "load", "states": [["0 %", "5 %"], ["6 %", "120 %"]]}, "states.1: 120 % came; a load is a share"),
        ({"step": "1"}, "two.yaml: step: 1 has no unit"),
        ({"memory": {}}, "two.yaml: memory: Extra inputs are not permitted"),
        ({"source": ""}, "two.yaml: source: String should have at least 1 character"),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused(tmp_path, changes, sentence):
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(GOOD | changes), encoding="utf-8")
    with pytest.raises(TraceError) as caught:
        read_generator(path)
    assert sentence in str(caught.value)


def test_a_file_that_is_no_mapping_is_refused(tmp_path):
    (tmp_path / "two.yaml").write_text("- form: markov\n", encoding="utf-8")
    with pytest.raises(TraceError, match=r"two.yaml: list came; a mapping \(key: value\) is expected"):
        read_generator(tmp_path / "two.yaml")


# -- in a scenario ---------------------------------------------------------------------------------------------------


def test_a_link_draws_from_it():
    found = {c.name: c.bandwidth for c in build(tiny({"links.uplink.bandwidth": {"generate": "4g-markov"}})).channels}
    trace = found["uplink.up"]
    assert trace is found["uplink.down"]
    assert (trace.duration, trace.grade) == (600.0, "transferred")
    assert trace.source.startswith("synthetic 4g-markov (downlink; counted in 6 recordings")
