"""Arrivals from recordings: instants as they are, counts spread within their second; thinned, multiplied, repeated."""

from __future__ import annotations

import tracemalloc
from itertools import islice, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from support import play

from simulator import ScenarioError
from simulator.testing import tiny
from simulator.workloads.arrivals import merged
from simulator.workloads.replay import BLOCK, Counts, Replay


def chance(seed=0):
    return np.random.default_rng(seed)


def until(arrivals, end, seed=0):
    times = []
    for block in arrivals.times(chance(seed)):
        times += block
        if block and block[-1] >= end:
            break
    return [time for time in times if time < end]


def per_second(counts, **more):
    return Counts(np.arange(len(counts), dtype=float), np.array(counts, dtype=float), float(len(counts)), **more)


COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=40)


# -- counts per second ---------------------------------------------------------------------------------------------


@given(COUNTS, st.integers(0, 5))
def test_each_second_has_as_many_as_were_counted(counts, seed):
    times = until(per_second(counts), len(counts), seed)
    assert np.bincount(np.floor(times).astype(int), minlength=len(counts)).tolist() == counts
    assert times == sorted(times)


@given(COUNTS, st.integers(1, 3))
def test_a_recording_that_wraps_comes_again_with_other_instants(counts, turns):
    if not sum(counts):
        assert until(per_second(counts, wrap=True), 1e9) == []
        return
    end = turns * len(counts)
    times = until(per_second(counts, wrap=True), end)
    assert np.bincount(np.floor(times).astype(int), minlength=end)[:end].tolist() == counts * turns
    assert len(set(times)) == len(times)


@given(COUNTS, st.floats(0, 39), st.booleans(), st.floats(0.1, 100))
def test_expected_is_what_comes_on_average(counts, offset, wrap, end):
    offset = min(offset, len(counts) - 0.5)
    arrivals = per_second(counts, offset=offset, wrap=wrap)
    came = [len(until(arrivals, end, seed)) for seed in range(40)]
    spread = (max(counts) * 2) ** 0.5  # of the two seconds that are cut
    assert np.mean(came) == pytest.approx(arrivals.expected(end), abs=4 * spread / 40**0.5 + 1e-9)


def test_places_within_a_second_are_uniform_and_of_the_device_s_own():
    times = np.array(until(per_second([200] * 50), 50)) % 1
    assert stats.kstest(times, "uniform").pvalue > 0.01
    assert until(per_second([5]), 1, 1) != until(per_second([5]), 1, 2)
    assert until(per_second([5]), 1, 1) == until(per_second([5]), 1, 1)


@pytest.mark.parametrize("scale", [0.25, 1.0, 2.5])
def test_a_scale_keeps_the_mean_and_rounds_at_random(scale):
    counts = [3] * 4000
    times = until(per_second(counts, scale=scale), 4000)
    numbers = np.bincount(np.floor(times).astype(int), minlength=4000)
    mean = 3 * scale
    assert set(numbers) <= {int(np.floor(mean)), int(np.ceil(mean))}
    part = mean % 1
    assert numbers.mean() == pytest.approx(mean, abs=4 * (part * (1 - part) / 4000) ** 0.5 + 1e-12)
    assert per_second(counts, scale=scale).expected(4000) == pytest.approx(4000 * mean)


def test_a_rate_in_tenths_of_a_second_is_the_counts_it_came_from():
    counts = np.arange(1, 31)
    starts = np.arange(30) * 0.1
    times = until(Counts(starts, counts / 0.1, 3.0), 3)
    assert np.histogram(times, np.append(starts, 3.0))[0].tolist() == counts.tolist()


def test_one_long_segment_comes_in_pieces():
    day = Counts(np.array([0.0]), np.array([100.0]), 86_400.0)
    blocks = list(islice(day.times(chance()), 100))
    assert max(map(len, blocks)) < 2 * BLOCK
    times = np.concatenate(blocks)
    assert (np.diff(times) > 0).all()
    assert len(times) / times[-1] == pytest.approx(100, rel=0.02)
    assert sum(map(len, day.times(chance(1)))) == 8_640_000


def test_a_week_of_requests_costs_nothing_while_nobody_asks_for_it():
    """11 million requests, of which a run of ten seconds takes some hundred."""
    arrivals = per_second([64] * 172_800)
    arrivals.expected(10)  # what is computed once
    tracemalloc.start()
    blocks = merged([arrivals.times(chance(i)) for i in range(10)], 10.0, 10.0)
    times = [time for block, _ in blocks for time in block]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(times) == 6400
    assert peak < 5e6


def test_a_long_silence_is_passed_over():
    times = until(per_second([0] * 200_000 + [2]), 200_001)
    assert len(times) == 2
    assert min(times) >= 200_000


# -- instants ------------------------------------------------------------------------------------------------------

INSTANTS = st.lists(st.integers(0, 100), min_size=1, max_size=30).map(sorted)


@given(INSTANTS, st.integers(0, 100))
def test_instants_are_replayed_from_where_it_is_said(instants, offset):
    assert until(Replay(instants), 1e9) == instants
    assert until(Replay(instants, offset=offset), 1e9) == [time - offset for time in instants if time >= offset]
    assert Replay(instants).expected(50) == sum(time < 50 for time in instants)


def test_instants_come_again():
    arrivals = Replay([1.0, 4.0], period=10.0, offset=2.0)
    assert until(arrivals, 25) == [2, 9, 12, 19, 22]
    assert arrivals.expected(25) == 5
    assert Replay([1.0, 4.0], period=10.0, offset="random").expected(25) == 5


def test_many_instants_come_in_blocks():
    instants = np.arange(5000) / 7
    assert [len(block) for block in Replay(instants).times(chance())] == [1024] * 4 + [904]
    assert until(Replay(instants), 1e9) == instants.tolist()


@pytest.mark.parametrize("scale", [0.1, 0.5, 3.0, 2.5])
def test_thinned_and_multiplied(scale):
    instants = np.cumsum(chance(3).exponential(1, 5000))
    times = until(Replay(instants, scale), 1e9, 5)
    part = scale % 1
    assert len(times) == pytest.approx(5000 * scale, abs=4 * (5000 * part * (1 - part)) ** 0.5)
    assert times == sorted(times)
    if scale < 1:
        assert set(times) < set(instants)
    else:  # the recorded ones, and the rest between them and the next: no second thousand at one instant
        assert set(instants) <= set(times)
        assert len(set(times)) > 0.99 * len(times)
        shares = np.histogram(times, instants)[0][:-1]  # the last bin takes in both its ends
        assert set(shares) <= {int(np.floor(scale)), int(np.ceil(scale))}


# -- in a scenario -------------------------------------------------------------------------------------------------


@pytest.fixture
def replayed(tmp_path):
    def replayed(text, **entry):
        (tmp_path / "asked").write_text(text)
        arrivals = {"kind": "replay", "trace": str(tmp_path / "asked"), **entry}
        return tiny({"workload.arrivals": arrivals, "until": "10 s"})

    return replayed


def came(scenario):
    return play(scenario).requests["arrival_s"].tolist()


def test_counts_in_a_scenario(replayed):
    times = came(replayed("2 0 1 0 0 3 0 0 0 0 9 9 9"))
    assert [int(time) for time in times] == [0, 0, 2, 5, 5, 5]
    assert [int(time) for time in came(replayed("2 0 1 0 0 3", offset="2 s"))] == [0, 3, 3, 3]
    again = came(replayed("2 0 1", offset="1 s", end="wrap"))
    assert [int(time) for time in again] == [1, 2, 2, 4, 5, 5, 7, 8, 8]
    assert came(replayed("2 0 1", format="twitter")) == came(replayed("2 0 1", format="nasa-http"))
    assert [int(time / 2) for time in came(replayed("2 0 1", step="2 s"))] == [0, 0, 2]


def test_instants_in_a_scenario(replayed):
    assert came(replayed("t_s\n0.5\n0.5\n7\n11\n")) == [0.5, 0.5, 7.0]
    assert came(replayed("t_s\n1\n3\n", end="wrap")) == [1, 3, 6, 8]  # two seconds after the last, on average
    llm = "TIMESTAMP,ContextTokens,GeneratedTokens\n2031-01-01 00:00:00,5,5\n2031-01-01 00:00:02.5,5,5\n"
    assert came(replayed(llm)) == [0, 2.5]
    rates = "# kind: rate; unit: /min; duration_s: 4\nstart_s,value\n0,60\n2,0\n"
    assert [int(time) for time in came(replayed(rates))] in ([0, 0], [0, 1], [1, 1])


def test_random_offsets_are_each_device_s_own_and_from_the_seed(replayed):
    scenario = replayed("t_s\n1\n3\n", end="wrap", offset="random")
    first = came(scenario)
    assert first == came(scenario)
    assert first != came(scenario.with_({"seed": 99}))
    assert np.diff(first) == pytest.approx(([2, 3] * 9)[: len(first) - 1]) or np.diff(first) == pytest.approx(
        ([3, 2] * 9)[: len(first) - 1]
    )


@pytest.mark.parametrize(
    ("text", "entry", "sentence"),
    [
        ("2 0 1", {"offset": "random"}, "offset: random starts anywhere in the recording, which then has to go on"),
        ("2 0 1", {"offset": "3 s"}, "asked: offset: 3 s is not before its end at 3 s"),
        ("t_s\n1\n", {"end": "wrap"}, "asked: end: wrap needs two instants"),
        ("5\n7\n9\n", {"format": "planetlab"}, "asked is a trace of cpu, but arrivals (or a rate of them) is needed"),
        ("2 0 1", {"scale": 0}, "it must be above 0"),
        ("2 -1 1", {"format": "twitter"}, "value 2 is '-1'; expected a whole number"),
        ("2 0 1", {"format": "twiter"}, "twitter"),
        ("900000 900000", {"scale": 1e6, "format": "twitter"}, "requests would come; a run takes at most 1e+09: lower"),
        ("# kind: rate; unit: /s; end: hold\nstart_s,value\n0,5\n", {}, "how long does its last rate hold?"),
    ],
)
def test_what_cannot_be_replayed(replayed, text, entry, sentence):
    with pytest.raises(ScenarioError) as caught:
        play(replayed(text, **entry))
    assert sentence in str(caught.value)


def test_a_run_is_the_same_however_far_it_is_asked_for(replayed):
    text = " ".join(["40"] * 60)
    short, long = replayed(text).with_({"until": "5 s"}), replayed(text).with_({"until": "9 s"})
    both = came(short), list(takewhile(lambda time: time < 5, came(long)))
    assert both[0] == both[1]
