"""Names, inputs and parameter counts of the models that can be profiled."""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from itertools import pairwise
from typing import Any

import pytest

from calibration import ZOO, resolve, zoo
from calibration.profiling.commands import parse_batches, parse_input, profile
from calibration.zoo import ZOOS, Recipe, cells
from simulator.foundation.errors import ProfileError


def dense(*widths: int) -> int:
    """Weights and biases of dense layers in a row."""
    return sum(before * after + after for before, after in pairwise(widths))


def cifar_resnet(n: int) -> int:
    """6n + 2 layers (He et al., section 4.2): 3x3 convolutions without bias, two numbers a channel for each norm."""
    convolutions = 3 * 16 + sum((2 * n - 1) * c * c + c * max(c // 2, 16) for c in (16, 32, 64))
    return 9 * convolutions + 2 * (16 + 2 * n * (16 + 32 + 64)) + dense(64, 10)


def transformer(width: int, blocks: int) -> int:
    """Blocks of attention and a dense pair four times as wide, two norms each."""
    return blocks * (12 * width * width + 13 * width)


def unet(base: int, depth: int) -> int:
    """Pairs of 3x3 convolutions down and up, 2x2 transposed ones between them, 1x1 at the end."""
    widths = [3, *(base * 2**level for level in range(depth + 1))]
    down = sum(9 * (a * b + b * b) + 4 * b for a, b in pairwise(widths))
    up = sum(4 * 2 * c * c + c + 9 * (2 * c * c + c * c) + 4 * c for c in widths[1:-1])
    return down + up + base + 1


def wav2vec(channels: int, width: int, blocks: int, characters: int) -> int:
    """Seven convolutions without bias, group norm after the first, position by a kernel of 128 in 16 groups."""
    convolutions = channels * 10 + channels * channels * (4 * 3 + 2 * 2) + 2 * channels
    entry = 2 * channels + dense(channels, width) + width * (width // 16) * 128 + width
    return convolutions + entry + transformer(width, blocks) + 2 * width + dense(width, characters)


def gru(inputs: int, width: int) -> int:
    """Three gates, each with two matrices and two biases."""
    return 3 * width * (inputs + width + 2)


PUBLISHED = {
    "vgg5": 582_346,  # the split learning papers' code, counted from its table of layers
    "vgg8": 1_337_898,
    "vgg11": 9_231_114,  # kuangliu/pytorch-cifar, whose form with batch normalisation everybody uses
    "resnet20": 269_722,  # He et al., table 6: 0.27M, 0.46M, 1.7M
    "resnet32": 464_154,
    "resnet110": 1_727_962,
    "lenet": 61_706,  # LeCun et al. say 60,000; their second convolution has 1,516 where all maps read all have 2,416
    "vgg16": 138_357_544,  # torchvision's documentation, as all below unless said otherwise
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "alexnet": 61_100_840,
    "mobilenet_v1": 4_231_976,  # Keras' trainable ones; the paper says 4.2 million
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "densenet121": 7_978_856,
    "efficientnet_b0": 5_288_548,
    "squeezenet1_1": 1_235_496,
    "vit_tiny": 5_717_416,  # timm's deit_tiny_patch16_224; the paper says 5 million
    "inception_v3": 27_161_264 - 3_326_696,  # less the auxiliary head
    "unet": unet(16, 4),
    "wav2vec_small": wav2vec(128, 192, 6, 32),
    "gru_kws": gru(40, 128) + gru(128, 128) + dense(128, 12),
}
SMALL = {"224": 64, "299": 128}
"""Sides at which networks for photographs are tried, so that the last maps have more than one pixel."""


def of_zoo(name: str, batch: int) -> tuple[Any, Any]:
    """A network of the zoo and an input at which it is cheap to run."""
    torch = pytest.importorskip("torch", reason="building a model needs PyTorch")
    recipe = ZOO[name]
    recipe = resolve(name, SMALL.get(recipe.tag))
    example = torch.randn((batch, *recipe.shape), generator=torch.Generator().manual_seed(3))
    return recipe.build(), example


def test_each_network_has_its_published_number():
    assert PUBLISHED.keys() == ZOO.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_networks_have_the_published_number_of_parameters(name):
    pytest.importorskip("torch", reason="building a model needs PyTorch")
    model = ZOO[name].build()
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name] == ZOO[name].parameters


def test_the_numbers_of_the_literature_follow_from_the_tables_of_layers():
    assert [cifar_resnet(n) for n in (3, 5, 18)] == [PUBLISHED[f"resnet{6 * n + 2}"] for n in (3, 5, 18)]
    patches = 16 * 16 * 3 * 192 + 192 + 192 + 197 * 192
    assert patches + transformer(192, 12) + 2 * 192 + dense(192, 1000) == PUBLISHED["vit_tiny"]
    assert 26 * 6 + 151 * 16 + dense(400, 120, 84, 10) == PUBLISHED["lenet"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_can_be_traced_and_every_layer_has_a_class(name):
    model, example = of_zoo(name, 1)
    graph = importlib.import_module("calibration.profiling.graph")
    rows = graph.inspect(graph.trace(model, example), example)
    assert {row.kind for row in rows if row.operator == "other"} == set()
    assert sum(row.params for row in rows) == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_can_be_trained_and_every_parameter_gets_a_gradient(name):
    model, example = of_zoo(name, 2)
    output = model.train()(example)
    assert output.isfinite().all()
    output.square().mean().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize(
    ("name", "shape"),
    [("unet", (2, 1, 64, 64)), ("wav2vec_small", (2, 49, 32)), ("gru_kws", (2, 12)), ("resnet110", (2, 10))],
)
def test_what_comes_out(name, shape):
    model, example = of_zoo(name, 2)
    assert tuple(model.eval()(example).shape) == shape


def test_the_shortcuts_of_the_cifar_networks_have_no_parameters_and_skip_every_second_pixel():
    torch = pytest.importorskip("torch", reason="building a model needs PyTorch")
    shortcut = importlib.import_module("calibration.networks.resnet").PaddedShortcut(2)
    assert list(shortcut.parameters()) == []
    x = torch.arange(2.0 * 16).reshape(1, 2, 4, 4)
    y = shortcut(x)
    assert y.shape == (1, 4, 2, 2)
    assert torch.equal(y[0, 1], torch.tensor([[0.0, 2.0], [8.0, 10.0]]))
    assert not y[0, (0, 3)].any()


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
        profile("vgg5", input_shape="2x3x32x32", batch="3")


@pytest.mark.parametrize("text", ["", "0", "1,,2", "1;2", "-1", "eight", "1.5", "1x2"])
def test_malformed_batches_are_refused_with_an_example(text):
    with pytest.raises(ProfileError, match=r"write e\.g\. --batch 8 or --batch 1,2,4,8"):
        parse_batches(text)


def test_well_formed_batches_come_once_each_and_in_order():
    assert parse_batches("8, 1,2,8") == (1, 2, 8)
    assert parse_batches(None) is None


def test_neither_a_model_nor_a_zoo():
    with pytest.raises(ProfileError, match=r"name a model .* or a list of them \(offing profile --zoo standard\)"):
        profile()


def test_a_zoo_takes_nothing_that_belongs_to_one_model():
    with pytest.raises(ProfileError, match=r"leave out: model, --batch, --load-only"):
        profile("vgg5", zoo="quick", batch="1,2", load_only=True)


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


class TestTorchvision:
    """Names that only torchvision has. The tests that build are skipped where it is not installed."""

    def test_without_it_the_error_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(zoo, "_installed", lambda package: package != "torchvision")
        with pytest.raises(ProfileError, match=r"torchvision:resnet34 needs torchvision .* pip install --no-deps"):
            resolve("torchvision:resnet34")
        with pytest.raises(ProfileError, match=r'no model named "resnet34"\..*torchvision:NAME where torchvision is'):
            resolve("resnet34")

    def test_its_names_are_found_and_ours_come_first(self, monkeypatch):
        """A stand-in for the window on torchvision, so that this holds where it is not installed."""
        window = types.SimpleNamespace(names=lambda: ["resnet18", "resnet34", "inception_v3"])
        monkeypatch.setattr(zoo, "_installed", lambda package: True)
        monkeypatch.setattr(zoo, "_torchvision", lambda: window)
        assert resolve("resnet34") == Recipe("resnet34", "torchvision:resnet34", (3, 224, 224))
        assert resolve("resnet34", 96).tag == "96"
        assert resolve("torchvision:inception_v3").shape == (3, 299, 299)
        assert resolve("resnet18").builder == "calibration.networks:resnet18"
        assert resolve("torchvision:resnet18").name == "torchvision-resnet18"  # ours keeps its files
        with pytest.raises(ProfileError, match=r'no classification network "resnet43"\. Did you mean "resnet34"'):
            resolve("torchvision:resnet43")

    def test_the_same_network_from_both_sides(self):
        """Layers of ours and of theirs: as many, of the same classes, with the same work."""
        torch = pytest.importorskip("torch", reason="building a model needs PyTorch")
        pytest.importorskip("torchvision.models", reason="no torchvision", exc_type=(ImportError, RuntimeError))
        graph = importlib.import_module("calibration.profiling.graph")
        example = torch.randn(1, 3, 96, 96)
        for name in ("squeezenet1_1", "inception_v3", "efficientnet_b0", "mobilenet_v3_small"):
            ours, theirs = (
                graph.inspect(graph.trace(resolve(f"{where}{name}", 96).build(), example), example)
                for where in ("", "torchvision:")
            )
            for quantity in ("flops", "params"):
                assert sum(getattr(row, quantity) for row in ours) == sum(getattr(row, quantity) for row in theirs)


class TestCells:
    """What ``offing profile --zoo`` measures."""

    def test_the_standard_zoo_has_every_model_at_the_sizes_and_batches_of_the_documentation(self):
        found = {cell.name: (cell.batches, cell.training) for cell in cells("standard")}
        assert found["vgg8 32"] == found["lenet 1x32x32"] == ((1, 2, 4, 8, 16, 32, 64, 100), True)
        assert found["resnet18 96"] == found["gru_kws 98x40"] == ((1, 8, 32), True)
        assert found["resnet18 224"] == found["inception_v3 299"] == ((1,), False)
        assert {cell.recipe.name for cell in cells("standard")} == ZOO.keys()

    def test_no_two_cells_write_the_same_file(self):
        for name in ZOOS:
            files = [(cell.name, batch) for cell in cells(name) for batch in cell.batches]
            assert len(files) == len(set(files))

    def test_an_unknown_zoo(self):
        with pytest.raises(
            ProfileError, match=r'no zoo named "standards"\. Did you mean "standard"\? Known: standard, quick'
        ):
            cells("standards")
