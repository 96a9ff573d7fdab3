"""The layer graph against torch itself: cut a network, run both halves, and weigh what went across."""

from __future__ import annotations

from collections import Counter

import pytest

torch = pytest.importorskip("torch", reason="tracing a model needs PyTorch")

from torch import nn  # noqa: E402  # after the check for torch

from calibration.profiling.graph import crossing, inspect, split, trace  # noqa: E402
from calibration.zoo import ZOO  # noqa: E402
from simulator.foundation.errors import ProfileError  # noqa: E402


class Small(nn.Module):
    """A bit of everything that makes cuts hard: a skip, a view that crosses beside its source, a tuple, a parameter."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.scale = nn.Parameter(torch.full((1, 8, 1, 1), 0.5))
        self.fc = nn.Linear(4 * 36, 5)

    def forward(self, x):
        y = self.relu(self.conv(x))
        z = self.pointwise(self.depthwise(y))
        z += y  # in place, and y is still needed below
        z = z * self.scale
        left, right = torch.chunk(z, 2, dim=1)
        flat = torch.flatten(left, 1)
        return self.fc(flat) + torch.nn.functional.relu(right, inplace=True).sum() + left.mean()


@pytest.fixture(scope="module")
def example():
    return torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def small(example):
    torch.manual_seed(2)
    traced = trace(Small(), example)
    return traced, inspect(traced, example)


def storage_bytes(tensors):
    """Bytes to carry for tensors, the honest way: views of one storage together never more than that storage."""
    shares = {}
    for tensor in tensors:
        storage = tensor.untyped_storage()
        _, size = shares.get(storage.data_ptr(), (0, 0))
        shares[storage.data_ptr()] = storage.nbytes(), size + tensor.numel() * tensor.element_size()
    return [min(whole, size) for whole, size in shares.values()]


def test_every_cut_runs_bit_identically_and_carries_live_bytes(small, example):
    traced, rows = small
    with torch.no_grad():
        whole = traced(example)
        for cut, row in enumerate(rows):
            if not row.cut_ok:
                continue
            head, tail = split(traced, cut)
            carried = head(example)
            assert torch.equal(tail(*carried), whole), row.node
            sizes = storage_bytes(carried)
            assert (row.live_n, row.live_bytes) == (len(sizes), sum(sizes)), row.node


def test_residual_blocks_are_cut_across_two_tensors(small):
    rows = {row.node: row for row in small[1]}
    assert rows["depthwise"].live_n == 2
    assert rows["depthwise"].live_bytes == 2 * 2 * 8 * 36 * 4
    assert rows["conv"].live_n == 1


def test_no_cut_while_a_tuple_would_cross(small):
    rows = {row.node: row for row in small[1]}
    assert not rows["chunk"].cut_ok
    assert not rows["getitem"].cut_ok
    assert rows["getitem_1"].cut_ok
    assert rows["getitem_1"].live_n == 1, "two halves of one storage are one tensor to carry"


def test_views_are_marked_and_name_what_they_view_first(small):
    rows = {row.node: row for row in small[1]}
    assert [name for name, row in rows.items() if row.alias] == ["chunk", "getitem", "getitem_1", "flatten"]
    assert rows["flatten"].parents[0] == "getitem"


def test_in_place_layers_are_replaced(small):
    kinds = [row.kind for row in small[1]]
    assert "f.add" in kinds
    assert "f.iadd" not in kinds


def test_operator_classes(small):
    operators = {row.node: row.operator for row in small[1]}
    assert operators["conv"] == "conv"
    assert operators["depthwise"] == "depthwise"
    assert operators["pointwise"] == "pointwise"
    assert operators["fc"] == "linear"
    assert operators["x"] == operators["scale"] == "input"
    assert operators["flatten"] == operators["getitem"] == "reshape"
    assert operators["relu"] == "activation"
    assert operators["mean"] == "pool"


def test_sizes_and_parameters_by_hand(small):
    rows = {row.node: row for row in small[1]}
    conv = rows["conv"]
    assert conv.flops == 2 * 2 * 36 * 8 * 27
    assert (conv.in_bytes, conv.out_bytes) == (2 * 3 * 36 * 4, 2 * 8 * 36 * 4)
    assert (conv.params, conv.param_bytes) == (8 * 27 + 8, 4 * (8 * 27 + 8))
    assert (rows["scale"].params, rows["scale"].param_bytes) == (8, 32)
    assert rows["fc"].flops == 2 * 2 * 144 * 5


def test_a_parameter_read_by_name_does_not_cross(small):
    traced, rows = small
    cut = next(i for i, row in enumerate(rows) if row.node == "scale")
    assert "scale" not in [node.name for node in crossing(traced, cut)]


def test_an_operation_of_no_class_is_other():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.cumsum(x, 1)

    x = torch.ones(1, 4)
    assert inspect(trace(Odd(), x), x)[1].operator == "other"


@pytest.fixture(scope="module")
def at_64():
    """Trace a network of the zoo on a small image, once."""
    made = {}

    def get(name):
        if name not in made:
            x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
            traced = trace(ZOO[name].build(), x)
            made[name] = traced, inspect(traced, x), x
        return made[name]

    return get


@pytest.mark.parametrize(
    ("name", "cuts"),
    [
        ("alexnet", {1: 23}),
        ("resnet18", {1: 24, 2: 46}),  # as counted when the method was worked out, from torchvision's networks
        ("resnet50", {1: 40, 2: 136}),
        ("mobilenet_v2", {1: 74, 2: 80}),
        ("mobilenet_v3_large", {1: 66, 2: 97, 3: 25}),  # three where a gate is computed beside a shortcut
        ("densenet121", {1: 80, 2: 348}),  # six of a dense layer's seven cuts carry what came in, 58 layers
    ],
)
def test_skips_of_the_zoo_cross_its_cuts(at_64, name, cuts):
    _, rows, _ = at_64(name)
    assert Counter(row.live_n for row in rows) == cuts
    assert all(row.cut_ok for row in rows)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "densenet121"])
def test_where_a_skip_ends_both_its_sides_were_carried(at_64, name):
    _, rows, _ = at_64(name)
    ends = [(rows[i - 1], row) for i, row in enumerate(rows) if row.kind in ("f.add", "f.cat")]
    assert len(ends) in (8, 10, 16, 58)
    for before, end in ends:
        assert before.live_n == 2
        assert before.live_bytes == (end.out_bytes if end.kind == "f.cat" else 2 * end.out_bytes)


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "mobilenet_v3_large", "densenet121"])
def test_networks_of_the_zoo_run_in_two_halves_bit_by_bit(at_64, name):
    traced, rows, x = at_64(name)
    most = max(range(len(rows)), key=lambda i: (rows[i].live_n, rows[i].live_bytes))
    with torch.no_grad():
        whole = traced(x)
        for cut in {most, *range(0, len(rows), len(rows) // 6)}:
            head, tail = split(traced, cut)
            carried = head(x)
            assert torch.equal(tail(*carried), whole), rows[cut].node
            sizes = storage_bytes(carried)
            assert (rows[cut].live_n, rows[cut].live_bytes) == (len(sizes), sum(sizes)), rows[cut].node


def test_flops_of_vgg16_in_closed_form():
    x = torch.zeros(1, 3, 224, 224)
    rows = inspect(trace(ZOO["vgg16"].build(), x), x)
    side, channels, flops = 224, 3, 0
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            flops += 2 * 9 * channels * width * side * side
            channels = width
        side //= 2
    flops += 2 * (512 * 49 * 4096 + 4096 * 4096 + 4096 * 1000)
    assert sum(row.flops for row in rows) == flops
    assert flops == pytest.approx(30.94e9, rel=1e-3)


def test_a_model_that_does_not_accept_the_input():
    with pytest.raises(ProfileError, match="ImageClassifier does not accept the input 1x3x64x64"):
        trace(ZOO["vgg5"].build(), torch.zeros(1, 3, 64, 64))


def test_control_flow_on_values_cannot_be_traced():
    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ProfileError, match=r"torch\.fx cannot trace Branch"):
        trace(Branch(), torch.zeros(1, 4))


def test_two_inputs_are_refused():
    class Two(nn.Module):
        def forward(self, x, y=None):
            return x

    with pytest.raises(ProfileError, match=r"Two takes 2 inputs \(x, y\)"):
        trace(Two(), torch.zeros(1, 4))


def test_an_in_place_call_whose_result_is_dropped_is_noticed():
    class Sneaky(nn.Module):
        def forward(self, x):
            y = x * 2
            y.add_(1)  # the pure form returns a new tensor, which nobody reads
            return y

    with pytest.raises(ProfileError, match="computes something else"):
        trace(Sneaky(), torch.ones(1, 4))
