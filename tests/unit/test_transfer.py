"""Machines that were not measured: known laws come back, symmetries hold, only anchors are read, intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.devices.contest import LEARNERS, Trial, drawn_anchors, spread_anchors, summary
from calibration.devices.public import PublicFacts
from calibration.devices.transfer import Transfer, predict
from calibration.measured.scission import BlockTable
from simulator.foundation.errors import ProfileError
from simulator.profiles.hardware import GRADES

MACHINES = {
    "slow": (2e-3, 5e9, 1e9),
    "middle": (5e-4, 4e10, 6e9),
    "fast": (1e-4, 3e11, 4e10),
    "new": (3e-4, 2e10, 2e10),
}
"""Launch [s], FLOP/s, B/s."""
ANCHORS = ("net0", "net3", "net6", "net9", "net11")


def table(seed: int = 0, noise: float = 0.0, networks: int = 12, machines=None) -> BlockTable:
    """Blocks whose times are launch, work and bytes at each machine's rates, with noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for n in range(networks):
        blocks = int(rng.integers(6, 20))
        layers = rng.integers(1, 12, blocks)
        flops = np.exp(rng.normal(19, 1, blocks)) * layers
        moved = np.exp(rng.normal(15, 1, blocks)) * layers
        starts = np.append(0, np.cumsum(layers)[:-1])
        for name, (launch, compute, memory) in (machines or MACHINES).items():
            off = np.exp(rng.normal(0, noise, blocks) + rng.normal(0, noise)) if noise else 1.0
            seconds = (launch * layers + flops / compute + moved / memory) * off
            for i in range(blocks):
                last = starts[i] + layers[i] - 1
                rows.append((name, f"net{n}", i, starts[i], last, seconds[i], int(moved[i])))
    columns = ["machine", "model", "block", "first_layer", "last_layer", "time_s", "output_npy_bytes"]
    return BlockTable("made", pd.DataFrame(rows, columns=columns))


def scaled(blocks: BlockTable, machine: str, factor: float, models: tuple[str, ...] = ()) -> BlockTable:
    """The table with the times of *machine* (of *models* alone, where given) times *factor*."""
    rows = blocks.rows.copy()
    mine = (rows["machine"] == machine) & (rows["model"].isin(models) if models else True)
    rows.loc[mine, "time_s"] *= factor
    return BlockTable("scaled", rows)


def test_a_machine_that_is_a_mix_of_others_is_found_exactly():
    """Its launch and its seconds per FLOP and byte are 0.05, 0.4 and 1 times the others': so is every block."""
    others = list(MACHINES.values())[:3]
    mix = [
        sum(w / rate for w, rate in zip((0.05, 0.4, 1.0), rates, strict=True)) for rates in zip(*others, strict=True)
    ]
    launch = sum(w * machine[0] for w, machine in zip((0.05, 0.4, 1.0), others, strict=True))
    blocks = table(machines={**MACHINES, "new": (launch, 1 / mix[1], 1 / mix[2])})
    for model in ("net1", "net5", "net10"):
        found = predict(blocks, "new", model, ANCHORS)
        assert found.seconds == pytest.approx(blocks.seconds("new", model), rel=1e-3)
        assert (found.grade, found.others) == ("transferred", ("slow", "middle", "fast"))


def test_a_machine_that_is_no_such_mix_is_found_nearly():
    blocks = table()
    for model in ("net1", "net5", "net10"):
        found, measured = predict(blocks, "new", model, ANCHORS), blocks.seconds("new", model)
        assert found.seconds.sum() == pytest.approx(measured.sum(), rel=0.08)
        assert np.median(np.abs(found.seconds / measured - 1)) < 0.15


def test_one_factor_is_not_enough_where_rates_differ():
    trial = Trial.of(table())
    errors = {
        name: trial._median(5, 3, 1, learner)
        for name, learner in LEARNERS.items()
        if name in ("one factor per machine", "weighted sum and process")
    }
    assert errors["weighted sum and process"] < 0.4 * errors["one factor per machine"]


@given(factor=st.floats(0.01, 100.0), model=st.sampled_from(["net1", "net7"]))
@settings(max_examples=15, deadline=None)
def test_a_machine_so_many_times_slower_is_predicted_so_many_times_slower(factor, model):
    blocks = table(noise=0.1)
    found = predict(blocks, "new", model, ANCHORS)
    again = predict(scaled(blocks, "new", factor), "new", model, ANCHORS)
    assert again.seconds == pytest.approx(factor * found.seconds, rel=1e-6)
    assert again.high == pytest.approx(factor * found.high, rel=1e-6)


@given(factor=st.floats(0.01, 100.0))
@settings(max_examples=10, deadline=None)
def test_the_pace_of_another_machine_does_not_matter(factor):
    blocks = table(noise=0.1)
    found = predict(blocks, "new", "net1", ANCHORS)
    assert predict(scaled(blocks, "slow", factor), "new", "net1", ANCHORS).seconds == pytest.approx(found.seconds)


@given(order=st.permutations(list(MACHINES)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_machines_does_not_matter(order):
    blocks = table(noise=0.1)
    mixed = BlockTable("mixed", pd.concat([blocks.rows[blocks.rows["machine"] == name] for name in order]))
    for anchors in (ANCHORS, ()):
        a, b = (predict(t, "new", "net1", anchors, FACTS) for t in (blocks, mixed))
        assert b.seconds == pytest.approx(a.seconds, rel=1e-6)
        assert b.width == pytest.approx(a.width, rel=1e-6)


@pytest.mark.parametrize("anchors", [ANCHORS, ANCHORS[:3], ()])
def test_of_the_machine_nothing_but_its_anchors_is_read(anchors):
    blocks = table(noise=0.1)
    rest = tuple(name for name in blocks.models if name not in anchors)
    wrong = scaled(blocks, "new", 7.0, rest)
    a, b = (predict(t, "new", "net1", anchors, FACTS) for t in (blocks, wrong))
    assert (a.seconds.tolist(), a.width) == (b.seconds.tolist(), b.width)


FACTS = {
    name: PublicFacts("cpu", 1.0 / launch, compute, "published", "made")
    for name, (launch, compute, _) in MACHINES.items()
}


def test_without_anchors_the_public_facts_count():
    """Where launches go by cores and all other work by peaks, the law is exact but for its guess of a launch."""
    lawful = {name: (launch, compute, compute / 10) for name, (launch, compute, _) in MACHINES.items()}
    blocks = table(machines=lawful)
    found = predict(blocks, "new", "net4", (), FACTS)
    assert found.seconds.sum() == pytest.approx(blocks.seconds("new", "net4").sum(), rel=0.15)
    assert found.low.sum() < found.seconds.sum() < found.high.sum()
    guessed = {**FACTS, "new": PublicFacts("cpu", 1 / 3e-4, 2e10, "guessed", "made")}
    assert (found.grade, predict(blocks, "new", "net4", (), guessed).grade) == ("transferred", "guessed")
    twice = {**FACTS, "new": PublicFacts("cpu", 2 / 3e-4, 4e10, "published", "made")}
    assert predict(blocks, "new", "net4", (), twice).seconds == pytest.approx(found.seconds / 2, rel=1e-9)


def test_intervals_hold_the_network_and_its_blocks_as_often_as_they_say():
    covered, blocks_in = [], []
    for seed in range(12):
        found = Trial.of(table(seed, noise=0.15)).errors(4, times=2, seed=seed)
        covered += found["covered"].tolist()
        blocks_in += found["block_covered"].tolist()
    assert 0.84 <= np.mean(covered) <= 0.96
    assert 0.80 <= np.mean(blocks_in) <= 0.97


def test_more_noise_makes_wider_intervals_and_parts_are_less_certain():
    quiet, loud = (predict(table(3, noise), "new", "net1", ANCHORS) for noise in (0.03, 0.3))
    assert 3 < loud.width / quiet.width < 30
    whole, low, high = loud.between(0, len(loud.seconds))
    assert (low, high) == pytest.approx((whole * math.exp(-loud.width), whole * math.exp(loud.width)))
    assert ((loud.low < loud.seconds) & (loud.seconds < loud.high)).all()
    assert (loud.high / loud.seconds).min() >= high / whole - 1e-12
    assert loud.between(2, 2) == (0.0, 0.0, 0.0)


def test_a_machine_whose_anchors_disagree_gets_a_wider_interval():
    odd = blocks = table(noise=0.05)
    for name, factor in zip(ANCHORS, (0.5, 2.0, 0.6, 1.8, 1.0), strict=True):
        odd = scaled(odd, "new", factor, (name,))
    assert predict(odd, "new", "net1", ANCHORS).width > 2 * predict(blocks, "new", "net1", ANCHORS).width


def test_a_clock_that_shows_zero_is_no_trouble():
    """Blocks are shorter than the steps of the clock, which is right on average."""
    blocks = table(noise=0.1)
    rows, ticks = blocks.rows.copy(), np.random.default_rng(1)
    step = 2.0 * float(np.median(blocks.seconds("middle", "net1")))
    for name in ("middle", "new"):
        mine = rows["machine"] == name
        rows.loc[mine, "time_s"] = np.floor(rows.loc[mine, "time_s"] / step + ticks.random(mine.sum())) * step
    coarse = BlockTable("coarse", rows)
    assert (coarse.seconds("middle", "net1") == 0).any()
    found = predict(coarse, "new", "net1", ANCHORS)
    fine = predict(blocks, "new", "net1", ANCHORS)
    assert found.seconds.sum() == pytest.approx(fine.seconds.sum(), rel=0.3)
    assert (found.seconds > 0).all()
    assert np.isfinite(found.high).all()


def test_times_for_a_profile_say_where_they_come_from():
    times = predict(table(), "new", "net1", ANCHORS[:2]).times()
    assert (times.hardware, times.grade) == ("new", "transferred")
    assert times.grade in GRADES
    assert times.source == "from slow, middle, fast; anchors net0, net3"


def test_a_single_other_machine_gives_a_prediction_and_no_interval():
    two = BlockTable("two", table().rows[lambda rows: rows["machine"].isin(["fast", "new"])])
    found = predict(two, "new", "net1", ANCHORS)
    assert found.width == math.inf
    assert found.seconds.sum() == pytest.approx(two.seconds("new", "net1").sum(), rel=0.5)


def test_a_network_that_fewer_machines_ran_is_predicted_from_those():
    blocks = table()
    rows = blocks.rows[~((blocks.rows["machine"] == "slow") & (blocks.rows["model"] == "net1"))]
    transfer = Transfer(BlockTable("fewer", rows), "new", ANCHORS)
    assert transfer.predict("net1").others == ("middle", "fast")
    assert transfer.predict("net2").others == ("slow", "middle", "fast")


@pytest.mark.parametrize(
    ("machine", "model", "anchors", "words"),
    [
        ("newer", "net1", (), 'nothing is known of the machine "newer". Did you mean "new"'),
        ("newer", "net1", ANCHORS, 'no machine "newer"'),
        ("new", "net99", ANCHORS, 'no machine ran "net99"'),
        ("new", "net1", ("net99",), 'no model "net99"'),
        ("new", "net0", ANCHORS, "is an anchor"),
        ("new", "alone", ANCHORS, "needs rates"),
    ],
)
def test_what_cannot_be_predicted_is_refused(machine, model, anchors, words):
    blocks = table()
    alone = blocks.rows[(blocks.rows["machine"] == "new") & (blocks.rows["model"] == "net1")].assign(model="alone")
    both = BlockTable("made", pd.concat([blocks.rows, alone]))
    with pytest.raises(ProfileError) as error:
        predict(both, machine, model, anchors, FACTS)
    assert words in str(error.value)


def test_anchors_are_chosen_by_rules_that_do_not_look_at_the_machine():
    blocks = table()
    names = spread_anchors(blocks, blocks.models, 3)
    sizes = [blocks.layers(name).sum() for name in blocks.models]
    assert [blocks.layers(name).sum() for name in (names[0], names[-1])] == [min(sizes), max(sizes)]
    assert spread_anchors(scaled(blocks, "new", 9.0, ("net1",)), blocks.models, 3) == names
    assert sorted(spread_anchors(blocks, ("net1", "net2"), 5)) == ["net1", "net2"]
    draws = drawn_anchors(blocks.models, 3, 8, seed=4)
    assert draws == drawn_anchors(blocks.models, 3, 8, seed=4) != drawn_anchors(blocks.models, 3, 8, seed=5)
    assert {len(set(draw)) for draw in draws} == {3}
    assert drawn_anchors(blocks.models, 0, 8, seed=4) == [()]


def test_a_trial_never_judges_an_anchor():
    trial = Trial.of(table(networks=6))
    found = trial.errors(2, times=3)
    assert len(found) == len(MACHINES) * 3 * (6 - 2)
    assert set(summary(found)) >= {"median error %", "inside 90 % interval %", "regret %"}
    contest = trial.contest(3, times=2)
    assert contest.loc["peers choose"].isin(list(LEARNERS)).all()
