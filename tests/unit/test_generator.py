"""Synthetic traces, the copula form: the process against its own theory, the files, and what a scenario makes of it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from simulator import Simulation, Trace
from simulator.foundation.errors import TraceError
from simulator.profiles.library import shipped
from simulator.scenario.build import build
from simulator.testing import tiny
from simulator.traces.copula import Copula, Outages
from simulator.traces.generator import find_generator, generator_names, read_generator

FOLDER = shipped() / "networks"
NAMES = generator_names(FOLDER)
COPULAS = [name for name in NAMES if not name.endswith("-markov")]
LOADS = shipped() / "loads"
LINEAR = tuple((float(norm.cdf(z)), 100.0 + 20.0 * z) for z in np.linspace(-4, 4, 9))
"""Levels on a straight line over the score, so that the bandwidth is itself normal: mean 100, deviation 20."""
PLAIN = Copula(
    "plain", "", "guessed", "both", "a test", LINEAR, 0.4, 2.0, 40.0, Outages(0.0, 1.0, 0.0), 1.0, "bandwidth"
)  # fmt: skip
BROKEN = replace(PLAIN, outages=Outages(0.25, 8.0, 0.8))


def drawn(generator, count: int, duration: float = 200.0) -> list[Trace]:
    return [generator.generate(np.random.default_rng(seed), duration) for seed in range(count)]


def near(samples, expected: float) -> bool:
    """Return whether the mean of independent *samples* is *expected*, within four standard errors."""
    values = np.array(samples, dtype=float)
    return abs(values.mean() - expected) < 4 * values.std(ddof=1) / math.sqrt(len(values))


def time_at_zero(trace: Trace, begin: float, end: float) -> float:
    edges = [*trace.starts, trace.duration]
    return sum(
        max(0.0, min(b, end) - max(a, begin)) for (a, b), v in zip(pairwise(edges), trace.values, strict=True) if v == 0
    )


# -- the process -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_trace_and_another_another():
    one, two, other = (BROKEN.generate(np.random.default_rng(seed), 90.5) for seed in (1, 1, 2))
    assert (one.starts, one.values) == (two.starts, two.values)
    assert one.values != other.values
    assert (one.duration, one.end, one.grade) == (90.5, "wrap", "guessed")
    assert one.source == "synthetic plain (both; a test)"
    assert one.starts[-1] < 90.5


def test_without_outages_the_level_changes_every_second():
    trace = PLAIN.generate(np.random.default_rng(0), 60.0)
    assert list(trace.starts) == [float(second) for second in range(60)]
    assert min(trace.values) > 0


def test_the_correlation_is_the_sum_of_two_exponentials():
    traces = np.array([trace.values for trace in drawn(PLAIN, 600)]) - 100.0
    for lag in (1, 5, 20, 60):
        products = (traces[:, :-lag] * traces[:, lag:]).mean(axis=1)  # one number per seed
        assert near(products, 400 * (0.4 * math.exp(-lag / 2) + 0.6 * math.exp(-lag / 40))), lag


def test_the_share_of_time_below_a_level_is_that_of_the_table():
    levels = ((0.1, 1.0), (0.5, 10.0), (0.9, 500.0), (0.99, 501.0))
    traces = drawn(replace(PLAIN, levels=levels), 600)
    for share, level in levels[1:]:
        assert near([np.mean(np.array(trace.values) < level) for trace in traces], share)
    assert near([np.mean(np.array(trace.values) <= 1.0) for trace in traces], 0.1)  # the table's end is a floor


@pytest.mark.parametrize("name", COPULAS)
def test_the_mean_is_the_integral_of_the_quantiles(name):
    generator = find_generator(name, FOLDER)
    points = [score for share, _ in generator.levels for score in [float(norm.ppf(share))]]
    total = sum(
        quad(lambda z: norm.pdf(z) * float(generator.level(np.array(z))), a, b)[0]
        for a, b in pairwise([-9.0, *points, 9.0])
    )
    assert generator.mean == pytest.approx(total * (1 - generator.outages.share), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_traces_have_the_mean_the_generator_says(name):
    generator = find_generator(name, FOLDER)
    assert near([trace.mean() for trace in drawn(generator, 300)], generator.mean)


def test_no_second_is_unlike_another():
    """Stationary: halves agree seed by seed, and the first instant is as likely an outage as any."""
    traces = drawn(BROKEN, 1500, 40.0)
    assert near([trace.integral(20) - (trace.integral(40) - trace.integral(20)) for trace in traces], 0.0)
    halves = [(time_at_zero(trace, 0, 20), time_at_zero(trace, 20, 40)) for trace in traces]
    assert near([first - second for first, second in halves], 0.0)
    assert near([(first + second) / 40 for first, second in halves], 0.25)
    assert near([trace.at(0.0) == 0 for trace in traces], 0.25)
    assert near([trace.at(1.0) == 0 for trace in traces], 0.25)


def test_outages_have_log_normal_lengths_of_the_mean_and_spread():
    edges = [BROKEN.outages.edges(np.random.default_rng(seed), 400.0) for seed in range(400)]
    lengths = np.concatenate([np.diff(each)[::2][each[0] == 0.0 :] for each in edges if each])  # whole ones
    assert near(lengths, 8.0)
    assert near(np.log(lengths), math.log(8.0) - 0.8**2 / 2)
    assert np.log(lengths).std() == pytest.approx(0.8, abs=0.03)
    gaps = np.concatenate([np.diff(each)[1::2] for each in edges if each])
    assert gaps.mean() == pytest.approx(24.0, rel=0.1)  # long ones are cut by the end more often than short ones


def test_what_is_left_of_an_outage_under_way():
    """The mean residual life of a renewal process is E[L^2] / 2 E[L]."""
    left = [each[1] for seed in range(8000) if (each := BROKEN.outages.edges(np.random.default_rng(seed), 1.0))
            and each[0] == 0.0]  # fmt: skip
    assert near(left, 8.0 * math.exp(0.8**2) / 2)


def test_a_trace_of_nothing_is_drawn_anew():
    mostly_out = replace(PLAIN, outages=Outages(0.99, 1000.0, 0.1))
    for trace in drawn(mostly_out, 20, 5.0):
        assert trace.mean() > 0


def test_scaled():
    half, whole = (g.generate(np.random.default_rng(3), 60.0) for g in (BROKEN.scaled(0.5), BROKEN))
    assert half.starts == whole.starts
    assert half.values == pytest.approx([value / 2 for value in whole.values])
    assert half.source == "synthetic plain x 0.5 (both; a test)"
    assert BROKEN.scaled(1.0) is BROKEN


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_we_ship_says_that_it_is_synthetic_and_whence(name):
    generator = find_generator(name, FOLDER)
    assert generator.name == name
    assert generator.title.endswith("(synthetic)")
    assert generator.grade == ("guessed" if name == "wifi" else "transferred")
    assert generator.source.startswith(
        "nobody measured it" if name == "wifi" else "counted in" if name.endswith("-markov") else "fitted to"
    )
    assert generator.kind == "bandwidth"
    assert generator.direction == ("both" if name == "wifi" else "down")


def test_there_is_one_for_each_technology():
    fitted = ["3g", "4g", "5g-driving", "5g-walking"]
    assert sorted([*fitted, *(f"{name}-markov" for name in fitted), "wifi"]) == NAMES
    assert generator_names(LOADS) == ["server-day"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("grade: transferred", "grade: fitted", "4g.yaml: grade: Input should be 'measured'"),
        ("name: 4g", "called: 4g", "4g.yaml: name: Field required"),
        ("share: 1.58 %", "share: 100 %", "outages.share: 100% of the time; it must be below 100 %"),
        ("share: 1.58 %", "share: often", "'often' is not a share"),
        ("mean: 1.53 s", "mean: 1.53", "outages.mean: 1.53 has no unit"),
        ("slow: ", "sloow: 1 s, slow: ", "memory.sloow: Extra inputs are not permitted"),
        ("memory: {share: ", "memory: {share: 1", "it must be at most 100 %"),
        ("  50 %: ", "  99.9 %: ", "both shares and levels must rise"),
        ("  50 %: ", "  50 %: 1000", "both shares and levels must rise"),
        ("  50 %: ", "  50 %: -", "levels.50 %: -20.9 Mbit/s is out of range: a bandwidth is above zero"),
        (
            "form: copula",
            "form: copulla",
            "4g.yaml: form: 'copulla' came; Did you mean \"copula\"? known: copula, markov",
        ),
        ("form: copula", "fom: copula", "4g.yaml: form: is missing; known: copula, markov"),
        ("kind: bandwidth", "kind: load", "is not a unit of share"),
        ("step: 1 s", "step: 0 s", "4g.yaml: step: 0 s is out of range: a period is above zero"),
        ("levels:", "levels: [", "4g.yaml: cannot be read: "),
    ],
)
def test_a_malformed_file_is_refused(tmp_path, old, new, sentence):
    text = (FOLDER / "4g.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = tmp_path / "4g.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TraceError) as caught:
        read_generator(path)
    assert sentence in str(caught.value)
    assert "4g.yaml" in str(caught.value)


# -- in a scenario ---------------------------------------------------------------------------------------------------


def bandwidths(changes: dict) -> dict[str, Trace]:
    return {channel.name: channel.bandwidth for channel in build(tiny(changes)).channels}


def test_one_bandwidth_is_one_draw_and_up_and_down_are_two():
    both = bandwidths({"links.uplink.bandwidth": {"generate": "4g"}})
    assert both["uplink.up"] is both["uplink.down"]
    scenario = tiny()
    link = {key: value for key, value in scenario.document.data["links"]["uplink"].items() if key != "bandwidth"}
    each = bandwidths({"links.uplink": {**link, "up": {"generate": "4g"}, "down": {"generate": "4g"}}})
    assert each["uplink.up"].values != each["uplink.down"].values


def test_a_link_s_trace_depends_on_the_seed_and_its_own_name_alone():
    changes = {"links.uplink.bandwidth": {"generate": "3g", "period": "5 min", "scale": 2.0}}
    first = bandwidths(changes)["uplink.up"]
    assert first.duration == 300
    link = tiny().document.data["links"]["uplink"]
    idle = {"nodes.cloud": tiny().document.data["nodes"]["edge"],
            "links.backhaul": {**link, "between": ["edge", "cloud"], "bandwidth": {"generate": "3g"}}}  # fmt: skip
    more = bandwidths({**changes, **idle})
    assert (more["uplink.up"].starts, more["uplink.up"].values) == (first.starts, first.values)
    assert more["backhaul.up"].values != first.values
    other = bandwidths({**changes, "technique": {"kind": "server-only"}})["uplink.up"]
    assert other.values == first.values
    assert bandwidths({**changes, "seed": 5})["uplink.up"].values != first.values


def test_members_of_a_group_draw_their_own_unless_they_share_one_link():
    device = next(iter(tiny().document.data["nodes"]))
    changes = {f"nodes.{device}.count": 2, "links.uplink.bandwidth": {"generate": "wifi"}}
    own = bandwidths(changes)
    assert own[f"uplink[{device}-0].up"].values != own[f"uplink[{device}-1].up"].values
    shared = bandwidths({**changes, "links.uplink.shared": True})
    assert len({id(trace) for trace in shared.values()}) == 1


def test_the_records_say_that_it_is_synthetic():
    results = Simulation(tiny({"links.uplink.bandwidth": {"generate": "wifi"}})).run()
    found = results.provenance["networks"]
    assert set(found) == {"uplink.up", "uplink.down"}
    assert found["uplink.up"]["grade"] == "guessed"
    assert found["uplink.up"]["source"].startswith("synthetic wifi (both; nobody measured it")
    assert "networks" in Simulation(tiny()).run().provenance
    assert Simulation(tiny()).run().provenance["networks"] == {}
