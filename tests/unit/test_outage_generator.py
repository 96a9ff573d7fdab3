"""Outages of nodes: an alternating renewal process against its theory, the shipped file, and files that are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import yaml
from scipy import stats

from simulator.foundation.errors import TraceError
from simulator.profiles.library import shipped
from simulator.traces.outages import Exponential, LogNormal, OutageGenerator, Weibull, find_outages, read_outages

FOLDER = shipped() / "outages"
KINDS = {
    "exponential": (Exponential(kind="exponential", mean=30.0), stats.expon(scale=30.0)),
    "weibull": (Weibull(kind="weibull", scale=20.0, shape=0.7), stats.weibull_min(0.7, scale=20.0)),
    "log-normal": (LogNormal(kind="log-normal", median=20.0, spread=0.9), stats.lognorm(0.9, scale=20.0)),
}
PLAIN = OutageGenerator(
    "plain", "", "guessed", "a test", KINDS["weibull"][0], KINDS["log-normal"][0], ((0.5, 0.25), (1.0, 0.75))
)


def near(samples, expected: float) -> bool:
    values = np.array(samples, dtype=float)
    return abs(values.mean() - expected) < 4 * values.std(ddof=1) / math.sqrt(len(values))


@pytest.mark.parametrize("kind", KINDS)
def test_distributions_are_scipy_s(kind):
    ours, theirs = KINDS[kind]
    rng = np.random.default_rng(5)
    assert ours.mean == pytest.approx(theirs.mean())
    assert stats.kstest([ours.draw(rng) for _ in range(4000)], theirs.cdf).pvalue > 1e-3
    # met in proportion to its length: E[L^2] / E[L] in the mean, E[L^3] / E[L] in the mean square
    met = np.array([ours.met(rng) for _ in range(20_000)])
    assert near(met, theirs.moment(2) / theirs.mean())
    assert near(met**0.5, theirs.expect(lambda x: x**1.5) / theirs.mean())


def test_it_is_under_way_when_it_begins():
    histories = [PLAIN.draw(np.random.default_rng(seed), 100.0) for seed in range(6000)]
    for time in (0.0, 50.0, 99.0):
        out = [any(down <= time < up for down, up, _ in history) for history in histories]
        assert near(out, PLAIN.down), time
    left = [history[0][1] for history in histories if history and history[0][0] == 0.0]
    assert near(left, KINDS["log-normal"][1].moment(2) / 2 / PLAIN.length.mean)  # the mean residual life
    cycle = PLAIN.length.mean + PLAIN.between.mean
    assert near([sum(down > 0 for down, _, _ in history) for history in histories], 100.0 / cycle)


def test_a_history_is_in_order_and_repeatable():
    one, two, other = (PLAIN.draw(np.random.default_rng(seed), 5000.0) for seed in (1, 1, 2))
    assert one == two != other
    flat = [time for down, up, _ in one for time in (down, up)]
    assert flat == sorted(flat)
    assert one[-1][0] < 5000.0
    parts = [part for seed in range(30) for _, _, part in PLAIN.draw(np.random.default_rng(seed), 5000.0)]
    assert set(parts) == {0.5, 1.0}
    assert near([part == 1.0 for part in parts], 0.75)


def test_what_we_ship():
    found = find_outages("web-service", FOLDER)
    assert found.grade == "transferred"
    assert found.evidence.startswith("synthetic web-service (fitted to 7455 outages: Cloud Uptime Archive")
    assert (found.between.kind, found.length.kind) == ("log-normal", "log-normal")
    assert 0.25 < found.down < 0.33
    assert sum(often for _, often in found.hit) == pytest.approx(1.0)
    with pytest.raises(TraceError, match=r'no outages named "web-servce". Did you mean "web-service"\?'):
        find_outages("web-servce", FOLDER)


GOOD = {
    "name": "w", "title": "w", "grade": "guessed", "source": "a test",
    "between": {"kind": "exponential", "mean": "1 h"},
    "length": {"kind": "weibull", "scale": "5 min", "shape": 0.8}, "hit": {"50 %": "20 %", "100 %": "80 %"},
}  # fmt: skip


def test_a_file_by_hand(tmp_path):
    (tmp_path / "w.yaml").write_text(yaml.safe_dump(GOOD, sort_keys=False), encoding="utf-8")
    found = read_outages(tmp_path / "w.yaml")
    assert (found.between.mean, found.length.scale, found.hit) == (3600.0, 300.0, ((0.5, 0.2), (1.0, 0.8)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"between": {"kind": "gamma", "mean": "1 h"}}, "w.yaml: between: Input tag 'gamma' found using 'kind'"),
        ({"between": {"kind": "exponential", "mean": "1"}}, "w.yaml: between.exponential.mean: 1 has no unit"),
        ({"length": {"kind": "weibull", "scale": "5 min"}}, "w.yaml: length.weibull.shape: Field required"),
        ({"length": {"kind": "log-normal", "median": "1 s", "spread": -1}}, "length.log-normal.spread: Input should"),
        ({"hit": {"50 %": "20 %", "100 %": "70 %"}}, "w.yaml: hit: the shares of outages sum to 90.000%"),
        ({"hit": {"100 %": "20 %", "50 %": "80 %"}}, "w.yaml: hit: the parts of the hosts that are out must rise"),
        ({"hit": {"150 %": "100 %"}}, "w.yaml: hit: the parts of the hosts that are out must rise, above 0 and up"),
        ({"hit": {"50 %": "often"}}, "w.yaml: hit.50 %: 'often' is not a share"),
        ({"mean": "1 h"}, "w.yaml: mean: Extra inputs are not permitted"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, changes, sentence):
    (tmp_path / "w.yaml").write_text(yaml.safe_dump(GOOD | changes, sort_keys=False), encoding="utf-8")
    with pytest.raises(TraceError) as caught:
        read_outages(tmp_path / "w.yaml")
    assert sentence in str(caught.value)
