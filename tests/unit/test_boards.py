"""The fitted machines of the catalogue: their files are the fits, and say how far off they are."""

from __future__ import annotations

import pytest
import yaml
from support import recordings

from calibration.devices.boards import BOARDS, PI_5_STEPS, STEP, layers_of, whole
from calibration.devices.fit import (
    Sample,
    as_yaml_rates,
    errors,
    errors_by_model,
    fit_rates,
    joined,
    leave_one_out,
    samples_of_profile,
)
from calibration.devices.keras import KerasLayer
from calibration.devices.untimed import untimed
from calibration.zoo import ZOO
from simulator.foundation.errors import ProfileError
from simulator.profiles.library import Library, shipped

PUBLISHED = ("raspberry-pi-4-torch", "jetson-nano", "jetson-agx-xavier")
RECORDED = sorted(set(BOARDS) - set(PUBLISHED))


def file_of(name):
    return yaml.safe_load((shipped() / "hardware" / f"{name}.yaml").read_text(encoding="utf-8"))["rates"]


def is_the_fit(name):
    fit, said = BOARDS[name].fit()
    rates, wanted = file_of(name), as_yaml_rates(fit)
    own = {key: rate for key, rate in rates["operators"].items() if "grade" not in rate}
    assert (rates["launch"], own) == (wanted["launch"], wanted["operators"])
    assert said in " ".join(rates["source"].split())
    assert rates["grade"] == "transferred"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_board_with_published_latencies_is_the_fit_to_them(name):
    pytest.importorskip("torch")
    is_the_fit(name)


@pytest.mark.data
@pytest.mark.parametrize("name", RECORDED)
def test_a_machine_with_recorded_blocks_is_the_fit_to_them(name):
    recordings("scission")
    is_the_fit(name)


def test_the_raspberry_pi_5_is_twice_a_pi_4_and_predicts_what_was_published_for_it():
    pytest.importorskip("torch")
    four, five = (Library().hardware(f"raspberry-pi-{n}-torch").rates for n in (4, 5))
    assert five.launch == pytest.approx(four.launch / 2, rel=0.01)
    for name, rate in four.operators.items():
        for kind in ("compute", "memory"):
            here, there = getattr(rate, kind), getattr(five.operators[name], kind)
            assert there == (None if here is None else pytest.approx(2 * here, rel=0.01))
    found = []
    for sample in whole(PI_5_STEPS, 16, STEP):
        layers = [la for la in sample.layers if la.operator not in ("input", "reshape")]
        step = sum(five.seconds(la.operator, la.flops, la.moved, "") for la in layers)
        found.append(step / sample.seconds - 1)
    assert f"{min(found):+.1%} to {max(found):+.1%}".replace("%", " %") in file_of("raspberry-pi-5-torch")["source"]
    assert max(map(abs, found)) < 0.15


def test_a_back_solved_machine_is_called_so_and_is_a_guess():
    rates = file_of("raspberry-pi-3-backsolved")
    assert rates["grade"] == "guessed"
    assert rates["source"].startswith("back-solved, not measured")


@pytest.mark.parametrize(
    ("name", "billions"),
    [("resnet34", 3.66), ("resnet101", 7.80), ("resnet152", 11.51), ("vgg11", 7.61), ("vgg13", 11.31)],
)
def test_networks_beside_the_zoo_do_the_work_that_is_published_for_them(name, billions):
    pytest.importorskip("torch")
    products = sum(layer.flops for layer in layers_of(name)) / 2  # multiply-adds, torchvision's documentation
    assert products / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "vgg5"])
def test_an_untimed_graph_is_that_of_the_profile(name):
    pytest.importorskip("torch")
    graph, profile = untimed(ZOO[name]), Library().model(name, ZOO[name].tag)
    assert graph.layers == profile.layers
    assert (graph.input_bytes, graph.batch, graph.resolution) == (profile.input_bytes, 1, profile.resolution)
    assert not graph.measured


def test_a_batch_multiplies_work_but_not_weights():
    pytest.importorskip("torch")
    one, many = layers_of("resnet18"), layers_of("resnet18", 16)
    assert sum(la.flops for la in many) == 16 * sum(la.flops for la in one)
    assert sum(la.param_bytes for la in many) == sum(la.param_bytes for la in one)


CONV = KerasLayer("conv", 10**9, 10**6, 10**6, 10**5)
NORM = KerasLayer("norm", 0, 10**6, 10**6, 10**3)


def test_tied_classes_share_a_rate_and_untied_ones_do_not():
    dense = KerasLayer("linear", 10**9, 10**4, 10**4, 10**4)
    samples = [Sample("a", (CONV,), 0.1), Sample("b", (dense,), 0.3), Sample("c", (NORM,), 1e-3)]
    tied = fit_rates(samples, {("compute", "linear"): "conv", ("memory", "linear"): "conv"})
    free = fit_rates(samples, {})
    assert tied.rates["linear"].compute == tied.rates["conv"].compute
    assert errors(free, samples).mape < 1e-6 < errors(tied, samples).mape
    assert tied.rates["norm"].compute is None


def test_a_tie_to_a_class_that_is_not_there_is_none():
    fit = fit_rates([Sample("a", (CONV,), 0.1)], {("compute", "conv"): "pointwise"})
    assert fit.seconds([CONV]) == pytest.approx(0.1)


def test_a_block_without_time_is_refused_and_joining_helps():
    samples = [Sample("a", (CONV,), seconds) for seconds in (0.0, 2e-3, 0.0, 0.0, 2e-3, 0.0)]
    with pytest.raises(ProfileError, match=r"a block of a took 0 s.*join blocks"):
        fit_rates(samples)
    blocks = joined([*samples, Sample("b", (CONV,), 1e-4)], 1e-3)
    assert [(block.model, len(block.layers), block.seconds) for block in blocks] == [
        ("a", 2, 2e-3), ("a", 4, 2e-3), ("b", 1, 1e-4),
    ]  # fmt: skip


def test_joining_keeps_all_layers_and_all_time():
    samples = samples_of_profile(Library().model("resnet18", batch=1), "epyc-zen5-1t")[:-1]
    blocks = joined(samples, 2e-3)
    assert [layer for block in blocks for layer in block.layers] == [la for sample in samples for la in sample.layers]
    assert sum(block.seconds for block in blocks) == pytest.approx(sum(sample.seconds for sample in samples))
    assert min(block.seconds for block in blocks) >= 2e-3


def test_a_network_alone_with_a_class_is_not_left_out_and_families_leave_together():
    depthwise = KerasLayer("depthwise", 10**7, 10**6, 10**6, 10**4)
    samples = [
        Sample("vgg11", (CONV,), 0.1), Sample("vgg16", (CONV, CONV), 0.2), Sample("net", (CONV, NORM), 0.3),
        Sample("plain", (CONV, NORM, NORM), 0.4), Sample("mobile", (depthwise,), 0.1),
    ]  # fmt: skip
    found = leave_one_out(samples)
    assert found["mobile"] is None
    assert abs(found["vgg16"].total) < 0.03  # its sibling has the same layer at the same pace
    together = leave_one_out(samples, family=lambda name: name.rstrip("0123456789"))
    assert abs(together["vgg16"].total) > 0.1
    assert errors_by_model(fit_rates(samples), samples)["mobile"].total == pytest.approx(0.0, abs=1e-6)
