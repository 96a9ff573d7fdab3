"""Names, inputs and parameter counts of the models that can be profiled."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from calibration import ZOO, resolve
from calibration.profiling.commands import parse_input, profile
from calibration.zoo import Recipe
from simulator.foundation.errors import ProfileError

PUBLISHED = {
    "vgg5": 582_346,  # the split learning papers' code, counted from its table of layers
    "vgg8": 1_337_898,
    "vgg16": 138_357_544,  # torchvision's documentation, as all below
    "resnet18": 11_689_512,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "alexnet": 61_100_840,
    "resnet50": 25_557_032,
    "densenet121": 7_978_856,
}


def test_each_network_has_its_published_number():
    assert PUBLISHED.keys() == ZOO.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_networks_have_the_published_number_of_parameters(name):
    pytest.importorskip("torch", reason="building a model needs PyTorch")
    model = ZOO[name].build()
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name] == ZOO[name].parameters


def test_two_builds_have_the_same_weights_and_leave_the_callers_generator_alone():
    torch = pytest.importorskip("torch", reason="building a model needs PyTorch")
    before = torch.random.get_rng_state()
    one, two = (ZOO["vgg5"].build().state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_misspelt_model_is_answered_with_the_nearest_name():
    with pytest.raises(ProfileError, match=r'no model named "resnet81"\. Did you mean "resnet18"\? Known: vgg5'):
        resolve("resnet81")


def test_inputs_in_file_names():
    assert resolve("resnet18").tag == "224"
    assert resolve("resnet18", size=64).tag == "64"
    assert resolve("a.b:net", shape=(1, 40, 101)).tag == "1x40x101"


@pytest.mark.parametrize(
    ("builder", "name"), [("nets.tiny:build", "tiny"), ("nets:tiny", "tiny"), ("nets:Tiny.net", "Tiny_net")]
)
def test_a_users_model_is_named_after_its_function_or_module(builder, name):
    assert resolve(builder, shape=(4,)).name == name


def test_a_users_model_needs_an_input():
    with pytest.raises(ProfileError, match="say what the model eats"):
        resolve("nets:tiny")


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        ("no_such_module_here:net", 'cannot import "no_such_module_here"'),
        ("math:sqroot", 'no function "sqroot".*Did you mean "sqrt"'),
        ("math:", "not of the form package.module:function"),
        ("math:sqrt", "failed to build: TypeError"),
        ("builtins:dict", "returned a dict; expected a torch.nn.Module"),
    ],
)
def test_a_builder_that_does_not_build(builder, message):
    pytest.importorskip("torch", reason="building a model needs PyTorch")
    with pytest.raises(ProfileError, match=message):
        Recipe("x", builder, (4,)).build()


@pytest.mark.parametrize("text", ["224", "1x", "1x3x-2", "ax3", "1x0x3", "1,3,224"])
def test_a_malformed_input_is_refused_with_an_example(text):
    with pytest.raises(ProfileError, match="write batch and sizes as 1x3x224x224"):
        parse_input(text)


def test_a_well_formed_input():
    assert parse_input("2x3x8X8") == (2, 3, 8, 8)
    assert parse_input(None) is None


def test_two_different_batches_are_refused():
    with pytest.raises(ProfileError, match="has batch 2, --batch says 3"):
        profile("vgg5", input_shape="2x3x32x32", batch=3)


def test_an_empty_image_is_refused():
    with pytest.raises(ProfileError, match="--size 0"):
        resolve("vgg5", size=0)


def test_without_torch_the_verb_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProfileError, match=r"profiling needs PyTorch: pip install offing\[calibrate\]"):
        profile("vgg5")


def test_importing_the_package_and_its_verbs_does_not_load_torch():
    code = "import sys, calibration, calibration.profiling.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
