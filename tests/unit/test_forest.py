"""Predicting networks that were not timed: on machines whose law is known, on shipped profiles, on recorded ones."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from calibration.devices import commands
from calibration.devices.forest import family, interval, leave_one_out, timed_on, train
from simulator.foundation.errors import ProfileError
from simulator.profiles.library import Library
from simulator.profiles.model import Layer, LayerTimes, ModelProfile

pytest.importorskip("sklearn")

CLASSES = {"conv": ("Conv2d", 50e9), "linear": ("Linear", 20e9), "norm": ("BatchNorm2d", math.inf)}


def network(name, seed, classes=("conv", "norm", "linear"), speed=1.0, noise=0.0):
    """Return a chain of layers of random sizes, timed on a machine of two rates and 5 us a layer."""
    dice = random.Random(seed)
    layers, seconds, before = [], [], "x"
    for i in range(30):
        operator = classes[i % len(classes)]
        kind, rate = CLASSES[operator]
        flops = 0.0 if operator == "norm" else 10 ** dice.uniform(6, 8.5)
        sizes = [10 ** dice.uniform(4, 6) for _ in range(3)]
        layers.append(Layer(f"l{i}", kind, operator, (before,), flops, *sizes))
        seconds.append(speed * (5e-6 + flops / rate + sum(sizes) / 10e9) * math.exp(dice.gauss(0, noise)))
        before = f"l{i}"
    return ModelProfile(name, "x", 4e4, tuple(layers), 1, "8", {"toy": LayerTimes("toy", tuple(seconds))})


@pytest.fixture(autouse=True)
def few_trees(request, monkeypatch):
    """Grow few trees, which toys do not need more of; the shipped profiles get them all."""
    if "shipped" not in request.node.name:
        monkeypatch.setattr("calibration.devices.forest.TREES", 12)


TOYS = [network(f"net{seed}x", seed, noise=0.05) for seed in range(24)]


def test_a_machine_that_obeys_the_lines_is_predicted_within_its_noise():
    unseen = network("new", 99)
    found = train(TOYS, "toy").predict(unseen)
    assert found.seconds == pytest.approx(math.fsum(unseen.measured["toy"].seconds), rel=0.03)
    assert (found.times.grade, found.times.hardware) == ("transferred", "toy")
    assert len(found.times.seconds) == len(unseen)


def test_far_outside_of_what_was_seen_the_lines_still_have_the_right_slope():
    unseen = network("new", 99)
    large = replace(unseen, layers=tuple(replace(layer, flops=100 * layer.flops) for layer in unseen.layers))
    truth = sum(
        5e-6 + layer.flops / CLASSES[layer.operator][1] + (layer.in_bytes + layer.out_bytes + layer.param_bytes) / 10e9
        for layer in large.layers
    )
    assert train(TOYS, "toy").predict(large).seconds == pytest.approx(truth, rel=0.1)


def test_a_machine_twice_as_slow_is_predicted_twice_as_slow():
    unseen = network("new", 99)
    slow = [network(f"net{seed}x", seed, speed=2.0, noise=0.05) for seed in range(24)]
    ratio = train(slow, "toy").predict(unseen).seconds / train(TOYS, "toy").predict(unseen).seconds
    assert ratio == pytest.approx(2.0, rel=1e-3)


def test_nothing_but_the_graph_of_the_network_asked_for_is_looked_at():
    unseen = network("new", 99)
    untimed = replace(unseen, measured={})
    wrong = replace(unseen, measured={"toy": LayerTimes("toy", tuple(9.0 for _ in unseen.layers))})
    forest = train(TOYS, "toy", (0.8, 1.3))
    found = forest.predict(untimed)
    assert found == forest.predict(unseen) == forest.predict(wrong)
    assert (found.low, found.high) == pytest.approx((0.8 * found.seconds, 1.3 * found.seconds))


def test_a_class_never_seen_is_refused_by_name():
    forest = train([network(f"n{seed}", seed, ("conv", "norm")) for seed in range(4)], "toy")
    with pytest.raises(
        ProfileError, match='l2 of "new" is of operator class "linear", which no network timed on "toy"'
    ):
        forest.predict(network("new", 99))


def test_too_little_to_learn_from_is_refused():
    with pytest.raises(ProfileError, match='fewer than two networks were timed on "raspberry-pi-4"'):
        timed_on("raspberry-pi-4")
    with pytest.raises(ProfileError, match="no profiles to learn from"):
        train([], "toy")
    with pytest.raises(ProfileError, match='"net0x" was not measured on "moon"'):
        train(TOYS, "moon")


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("calibration.devices.forest.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ProfileError, match=r"pip install \"offing\[calibrate\]\""):
        train(TOYS, "toy")


def test_what_is_left_out_has_no_part_in_its_own_prediction():
    poisoned = [replace(p, measured={"toy": LayerTimes("toy", (1.0,) * len(p))}) if p is TOYS[3] else p for p in TOYS]
    clean, _ = leave_one_out(TOYS[:8], "toy")
    dirty, _ = leave_one_out(poisoned[:8], "toy")
    mine = clean["model"] == "net3x"
    assert dirty.loc[mine, "predicted_s"].item() == clean.loc[mine, "predicted_s"].item()
    assert (dirty.loc[~mine, "predicted_s"] > 2 * clean.loc[~mine, "predicted_s"]).any()


def test_siblings_leave_together():
    assert [family(name) for name in ("resnet18", "resnet110", "vgg5", "mobilenet_v3_large", "gru_kws")] == [
        "resnet", "resnet", "vgg", "mobilenet", "gru_kws",
    ]  # fmt: skip
    twins = [replace(TOYS[0], name="vgg5"), replace(TOYS[0], name="vgg8"), *TOYS[1:6]]
    alone, _ = leave_one_out(twins, "toy")
    together, _ = leave_one_out(twins, "toy", family)

    def error(table):
        row = table[table["model"] == "vgg5"].iloc[0]
        return abs(row["predicted_s"] / row["measured_s"] - 1)

    assert error(alone) < error(together)


def test_an_interval_is_what_conformal_prediction_says():
    ratios = np.arange(1, 40) / 20  # 39 of them: the second from either end leaves a twentieth out
    table = pd.DataFrame({"measured_s": ratios, "predicted_s": 1.0})
    assert interval(table) == (ratios[1], ratios[-2])
    assert all(map(math.isnan, interval(table[:18])))


def test_intervals_cover_what_they_say_on_a_noisy_machine():
    nets = [network(f"a{seed}", seed, speed=math.exp(random.Random(seed).gauss(0, 0.2))) for seed in range(30)]
    table, _ = leave_one_out(nets, "toy")
    inside = (table["low_s"] <= table["measured_s"]) & (table["measured_s"] <= table["high_s"])
    assert 0.8 <= inside.mean() <= 0.98


def test_the_shipped_profiles_predict_each_other_within_the_goal():
    profiles = timed_on("epyc-zen5-1t")
    assert len({profile.name for profile in profiles}) == len({row[0] for row in Library().profiles()})
    table, _ = leave_one_out(profiles, "epyc-zen5-1t")
    found = commands.errors(table)
    assert found["mape_pct"] <= 15
    assert found["median_ape_pct"] <= 8
    assert found["n"] >= 19


def test_the_command_prints_errors_and_goals(monkeypatch):
    monkeypatch.setattr(commands, "timed_on", lambda hardware: TOYS[:6])
    app = typer.Typer()
    app.command()(commands.predict)
    said = CliRunner().invoke(app, ["toy"])
    assert said.exit_code == 0
    assert "each network left out: MAPE" in said.stdout
    assert "goal mape pct at most 15" in said.stdout
    found = json.loads(CliRunner().invoke(app, ["toy", "--json"]).stdout)
    table, _ = leave_one_out(TOYS[:6], "toy")
    assert found["each network left out"]["errors"]["mape_pct"] == pytest.approx(commands.errors(table)["mape_pct"])
