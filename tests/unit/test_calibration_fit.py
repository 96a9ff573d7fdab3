"""Fitting device rates: known rates come back, and the shipped Raspberry Pi is what the data say."""

from __future__ import annotations

import random

import pytest
import yaml
from support import recordings

from calibration.devices.fit import (
    Fit,
    Rate,
    Sample,
    as_yaml_rates,
    errors,
    errors_by_model,
    errors_by_operator,
    fit_rates,
    samples_of,
)
from calibration.devices.keras import ARCHITECTURES, KerasLayer
from calibration.measured.scission import Block, read_scission
from simulator.foundation.errors import ProfileError
from simulator.profiles.library import shipped

TRAINED, HELD_OUT = ("vgg16", "mobilenet", "densenet121"), ("resnet50",)

KNOWN = Fit(
    launch=0.3e-3,
    rates={
        "conv": Rate(9.5e9, 2e9),
        "depthwise": Rate(1.1e9, 2.5e9),
        "pointwise": Rate(7e9, 1.5e9),
        "linear": Rate(7e9, 1.8e9),
        "norm": Rate(None, 1.5e9),
        "activation": Rate(None, 3e9),
        "pool": Rate(None, 2e9),
        "elementwise": Rate(None, 1e9),
    },
    samples=0,
)


def blocks_of(names, fit=KNOWN):
    """Return what *fit* would measure: each layer of these networks by itself."""
    return [Sample(name, (layer,), fit.seconds([layer])) for name in names for layer in ARCHITECTURES[name]()]


def test_known_rates_come_back_from_their_own_predictions():
    samples = [sample for sample in blocks_of(ARCHITECTURES) if sample.seconds > 0]
    found = fit_rates(samples)
    assert found.launch == pytest.approx(KNOWN.launch, rel=1e-6)
    for name, rate in KNOWN.rates.items():
        assert found.rates[name].compute == (None if rate.compute is None else pytest.approx(rate.compute, rel=1e-4))
        assert found.rates[name].memory == pytest.approx(rate.memory, rel=1e-4)
    assert errors(found, samples).mape < 1e-6


def test_multi_layer_blocks_fit_as_sums():
    layers = [layer for layer in ARCHITECTURES["resnet50"]() if layer.operator != "input"]
    samples = [Sample("resnet50", tuple(layers[i : i + 5]), KNOWN.seconds(layers[i : i + 5])) for i in range(0, 170, 5)]
    samples += [sample for sample in blocks_of(["mobilenet"]) if sample.seconds > 0]
    found = fit_rates(samples)
    assert found.launch == pytest.approx(KNOWN.launch, rel=1e-3)
    assert found.rates["elementwise"].memory == pytest.approx(1e9, rel=1e-2)


def test_noise_of_ten_percent_moves_big_rates_little():
    rng = random.Random(4)
    samples = [
        Sample(sample.model, sample.layers, sample.seconds * rng.uniform(0.9, 1.1))
        for sample in blocks_of(ARCHITECTURES)
        if sample.seconds > 0
    ]
    found = fit_rates(samples)
    assert found.launch == pytest.approx(KNOWN.launch, rel=0.1)
    assert found.rates["pointwise"].compute == pytest.approx(7e9, rel=0.1)


def test_a_class_that_was_not_seen_is_refused():
    with pytest.raises(ProfileError, match='no rate for operator "recurrent"; fitted: conv'):
        KNOWN.seconds([KerasLayer("recurrent", 1, 1, 1, 1)])


def test_nothing_to_fit():
    with pytest.raises(ProfileError, match="no blocks to fit"):
        fit_rates([])


def test_rates_are_written_with_units():
    text = as_yaml_rates(KNOWN)
    assert text["launch"] == "0.3 ms"
    assert text["operators"]["conv"] == {"compute": "9.5 GFLOP/s", "memory": "2 GB/s"}
    assert text["operators"]["norm"] == {"memory": "1.5 GB/s"}


@pytest.mark.parametrize(
    ("name", "layers", "parameters"),
    [
        ("vgg16", 23, 138_357_544),
        ("mobilenet", 93, 4_253_864),
        ("densenet121", 429, 8_062_504),
        ("resnet50", 177, 25_636_712),
    ],
)
def test_keras_networks_have_the_documented_layers_and_parameters(name, layers, parameters):
    network = ARCHITECTURES[name]()
    assert len(network) == layers
    assert sum(layer.param_bytes for layer in network) == 4 * parameters


def test_vgg16_is_the_same_network_in_keras_and_in_our_profile():
    from simulator.profiles.library import Library

    ours = sum(layer.flops for layer in Library().model("vgg16").layers)
    assert ours == sum(layer.flops for layer in ARCHITECTURES["vgg16"]())


def test_densenet121_is_the_same_network_in_keras_and_in_our_profile():
    from simulator.profiles.library import Library

    ours = Library().model("densenet121").layers
    keras = ARCHITECTURES["densenet121"]()
    for operator in ("conv", "pointwise", "linear"):
        assert sum(la.flops for la in ours if la.operator == operator) == sum(
            la.flops for la in keras if la.operator == operator
        )


def test_an_unknown_network_and_a_wrong_block_are_refused():
    with pytest.raises(ProfileError, match='layers of "xception" are not known'):
        samples_of([Block("xception", 0, 1, 1.0, 4)])
    with pytest.raises(ProfileError, match="vgg16 layers 0-1: output is not 4 B"):
        samples_of([Block("vgg16", 0, 1, 1.0, 4)])


def test_absent_data_say_where_they_were_expected(tmp_path):
    with pytest.raises(ProfileError, match="set OFFING_DATA"):
        read_scission("raspi4", ("vgg16",), tmp_path)


def table(tmp_path, text):
    (tmp_path / "scission").mkdir()
    (tmp_path / "scission" / "block_profiles.csv").write_text(text)
    return tmp_path


def test_a_table_without_its_columns_is_refused(tmp_path):
    with pytest.raises(ProfileError, match="lacks the columns block, first_layer"):
        read_scission("raspi4", ("vgg16",), table(tmp_path, "machine,model\nraspi4,vgg16\n"))


def test_a_table_cut_short_names_its_line(tmp_path):
    whole = "machine,model,block,first_layer,last_layer,time_s,output_npy_bytes\nraspi4,vgg16,0,0,1,0.07,12845184\n"
    with pytest.raises(
        ProfileError, match=r"block_profiles.csv:3: time_s is empty, expected a number; is the file cut"
    ):
        read_scission("raspi4", ("vgg16",), table(tmp_path, whole + "raspi4,vgg16,1,2,2"))


def test_an_unknown_machine_is_answered_with_the_nearest(tmp_path):
    root = table(
        tmp_path,
        "tier,machine,model,block,first_layer,last_layer,time_s,output_npy_bytes\ndevice,raspi4,vgg16,0,0,1,0.07,12845184\n",
    )
    with pytest.raises(ProfileError, match='no machine "raspi"\\. Did you mean "raspi4"'):
        read_scission("raspi", ("vgg16",), root)
    assert read_scission("raspi4", ("vgg16",), root) == [Block("vgg16", 0, 1, 0.07, 12845056)]


@pytest.mark.data
def test_layer_numbers_agree_with_every_measured_block():
    recordings("scission")
    for name in ARCHITECTURES:
        samples_of(read_scission("raspi4", (name,)))  # raises where an output size differs


@pytest.mark.data
def test_the_shipped_raspberry_pi_is_the_fit_and_holds_out_of_sample():
    recordings("scission")
    trained = samples_of(read_scission("raspi4", TRAINED))
    fit = fit_rates(trained)
    file = yaml.safe_load((shipped() / "hardware" / "raspberry-pi-4.yaml").read_text(encoding="utf-8"))
    assert {key: file["rates"][key] for key in ("launch", "operators")} == as_yaml_rates(fit)
    inside, outside = errors(fit, trained), errors(fit, samples_of(read_scission("raspi4", HELD_OUT)))
    totals = [error.total for error in errors_by_model(fit, trained).values()]
    source = file["rates"]["source"]
    assert f"{inside.blocks} blocks" in source
    assert f"block MAPE {inside.mape:.1%}".replace("%", " %") in source
    assert f"{min(totals):+.1%} to {max(totals):+.1%}".replace("% to", " to").replace("%", " %") in source
    assert f"block MAPE {outside.mape:.1%}, end to end {outside.total:+.1%}".replace("%", " %") in source
    assert max(error.mape for error in errors_by_operator(fit, trained).values()) < 0.25
    assert "recurrent" not in fit.rates
