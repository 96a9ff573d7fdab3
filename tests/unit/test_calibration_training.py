"""Training by layers against ordinary autograd: gradients bit by bit, order, times that are known, memory by hand."""

from __future__ import annotations

import copy
import itertools
import time

import pytest

torch = pytest.importorskip("torch", reason="training a model needs PyTorch")

import numpy as np  # noqa: E402  # after the check for torch
from torch import nn  # noqa: E402

from calibration.profiling import training  # noqa: E402
from calibration.profiling.checks import SplitModel, spread_cuts  # noqa: E402
from calibration.profiling.graph import inspect, trace  # noqa: E402
from calibration.profiling.memory import Tracker, peak_inference_bytes, peak_training_bytes  # noqa: E402
from calibration.profiling.training import Trainer, loss_of, optimizer_shares, saved_bytes  # noqa: E402
from calibration.zoo import resolve  # noqa: E402
from simulator.foundation.errors import ProfileError  # noqa: E402


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.a(x)
        return torch.relu(self.norm(self.b(y)) + y)


class Dense(nn.Module):
    """Each layer reads all before it, so that gradients from several readers are added up."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 * (i + 1), 3, 1) for i in range(3))

    def forward(self, x):
        seen = [x]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, 1)))
        return torch.cat(seen, 1)


class Shared(nn.Module):
    """One module called twice, and its weight read once more by name."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.first = nn.Linear(3 * 4 * 4, 8)

    def forward(self, x):
        y = self.fc(torch.tanh(self.fc(self.first(x.flatten(1)))))
        return y @ self.fc.weight


class Views(nn.Module):
    """Views, a tuple taken apart (one part unused), a dropout and a parameter read by name."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 1)
        self.scale = nn.Parameter(torch.full((1, 2, 1, 1), 0.5))
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(2 * 16, 4)

    def forward(self, x):
        left, middle, _ = torch.chunk(self.conv(x), 3, dim=1)
        return self.fc(self.drop((left * self.scale + middle).transpose(2, 3).reshape(x.shape[0], -1)))


NETWORKS = [Residual, Dense, Shared, Views]


@pytest.fixture(params=NETWORKS, ids=lambda kind: kind.__name__)
def network(request):
    torch.manual_seed(4)
    x = torch.randn(2, 3, 4, 4)
    model = request.param().train()
    return model, trace(model, x, training=True), x


def gradients(model):
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def ordinary(model, x):
    torch.manual_seed(9)
    loss_of(model(x)).backward()
    found = gradients(model)
    model.zero_grad()
    return found


def test_gradients_are_those_of_an_ordinary_backward_pass_bit_by_bit(network, monkeypatch):
    model, traced, x = network
    expected = ordinary(copy.deepcopy(model), x)
    trainer = Trainer(model, traced)
    kept = {}
    monkeypatch.setattr(model, "zero_grad", lambda: kept.update(gradients(model)))
    torch.manual_seed(9)
    trainer.layers(x)
    assert kept.keys() == expected.keys()
    assert all(torch.equal(kept[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("name", "size"), [("resnet18", 32), ("densenet121", 32), ("mobilenet_v3_large", 32)])
def test_gradients_of_the_zoo_are_untouched(name, size, monkeypatch):
    recipe = resolve(name, size)
    x = torch.randn(2, *recipe.shape, generator=torch.Generator().manual_seed(6))
    model, other = recipe.build().train(), recipe.build()
    traced = trace(other, x, training=True)
    other.load_state_dict(model.state_dict())  # tracing ran it, and so moved its running means
    expected, kept = ordinary(model, x), {}
    trainer = Trainer(other, traced)
    monkeypatch.setattr(other, "zero_grad", lambda: kept.update(gradients(other)))
    torch.manual_seed(9)
    step = trainer.layers(x)
    assert all(torch.equal(kept[name], expected[name]) for name in expected)
    assert (step.forward > 0).all()
    assert (step.backward > 0).sum() > 0.9 * len(step.backward)


def test_backward_comes_to_the_layers_in_reverse(network):
    _, traced, x = network
    trainer = Trainer(network[0], traced)
    reads, _ = trainer._forward(x)
    trainer._loss.backward()
    names = [trainer.names[k] for k, _ in reads]
    assert names == sorted(set(names), key=trainer.names.index, reverse=True)
    with_gradient = [node.name for node in traced.graph.nodes if node.op not in ("placeholder", "output", "get_attr")]
    # the first views of the input alone have nothing to pass on, an identity is its input, and a tuple is its parts
    silent = set(with_gradient) - set(names)
    assert silent <= {"flatten", "cat", "getattr_1", "getitem_2", "getitem_3", "chunk", "getitem", "getitem_1"}, silent


def test_all_time_of_a_backward_pass_is_somebodys():
    steps = itertools.count()
    model, x = Residual().train(), torch.randn(2, 3, 4, 4)
    trainer = Trainer(model, trace(model, x, training=True), clock=lambda: next(steps))
    step = trainer.layers(x)
    assert step.forward.tolist() == [1] * len(trainer.names), "one read of the clock from layer to layer"
    assert step.backward.tolist() == [1] * len(trainer.names), "a hook each, and the end after the last"
    assert step.loss == 1 + 1


class Slow(torch.autograd.Function):
    """Takes 5 ms forward and 20 ms back."""

    @staticmethod
    def forward(ctx, x):
        wait(0.005)
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        wait(0.020)
        return grad * 2


def wait(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


class Sleeper(nn.Module):
    def forward(self, x):
        return Slow.apply(x)


class Leaf(nn.Module):
    """A chain with one layer whose times are known; fx keeps modules of torch.nn whole, so it poses as one."""

    def __init__(self):
        super().__init__()
        self.a, self.slow, self.b = nn.Linear(8, 8), Sleeper(), nn.Linear(8, 8)

    def forward(self, x):
        return self.b(self.slow(self.a(x)))


def test_the_layer_that_takes_long_is_the_one_that_is_blamed(monkeypatch):
    monkeypatch.setattr(Sleeper, "__module__", "torch.nn.slow")
    model, x = Leaf(), torch.randn(2, 8)
    trainer = Trainer(model, trace(model, x, training=True))
    trainer.layers(x)
    step = trainer.layers(x)
    assert trainer.names == ["a", "slow", "b"]
    assert 5e6 <= step.forward[1] < 10e6
    assert 20e6 <= step.backward[1] < 30e6
    assert step.backward_wall[1] >= 20e6
    assert max(step.forward[0], step.forward[2], step.backward[0], step.backward[2], step.loss) < 4e6
    assert training.hook_overhead_ns(time.thread_time_ns, layers=50, rounds=5) < 100_000
    assert 0 < trainer.tick_overhead_ns() < 100_000


def test_a_whole_step_moves_the_weights_and_its_parts_add_up():
    model, x = Residual().train(), torch.randn(2, 3, 4, 4)
    trainer = Trainer(model, trace(model, x, training=True))
    before = model.a.weight.clone()
    whole = trainer.whole(x)
    assert not torch.equal(before, model.a.weight)
    assert model.a.weight.grad is None
    assert whole.total == whole.forward + whole.loss + whole.backward + whole.optimizer > 0
    assert min(whole.forward, whole.loss, whole.backward, whole.optimizer) > 0
    after = model.a.weight.clone()
    trainer.layers(x)
    assert torch.equal(after, model.a.weight)
    assert model.a.weight.grad is None


# -- the optimiser and memory --------------------------------------------------------------------------------------


def test_the_optimisers_time_is_shared_out_by_tensors_and_bytes(monkeypatch):
    monkeypatch.setattr(training, "_optimizer_costs", lambda clock: (100.0, 0.5))
    model, x = Shared(), torch.randn(2, 3, 4, 4)
    traced = trace(model, x, training=True)
    shares = dict(zip(Trainer(model, traced).names, optimizer_shares(traced), strict=True))
    first, fc = 2 * 100 + 0.5 * 4 * (48 * 8 + 8), 2 * 100 + 0.5 * 4 * (64 + 8)
    assert shares["first"] == pytest.approx(first / (first + fc))
    assert shares["fc"] == pytest.approx(fc / (first + fc))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["fc_1"] == shares["fc_weight"] == 0, "a parameter is stepped once, however often it is read"


def test_larger_parameters_take_longer_to_step():
    per_tensor, per_byte = training._optimizer_costs(time.thread_time_ns, rounds=5)
    assert per_tensor > 0
    assert per_byte > 0
    assert per_byte * (4 << 20) > per_tensor


def test_what_is_kept_for_backward_by_hand():
    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.relu, self.out = nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)

        def forward(self, x):
            return self.out(self.relu(self.fc(x)))

    x = torch.randn(2, 8)
    kept = saved_bytes(trace(Chain(), x, training=True), x)
    # a dense layer keeps its input, the activation its output (which is the next one's input: counted once)
    assert kept == {"fc": 2 * 8 * 4, "relu": 2 * 16 * 4}


def test_normalising_a_single_value_cannot_be_trained():
    model = nn.Sequential(nn.Conv2d(3, 4, 4), nn.BatchNorm2d(4))
    x = torch.randn(1, 3, 4, 4)
    trace(model, x)
    with pytest.raises(ProfileError, match="does not accept the input 1x3x4x4: Expected more than 1 value per channel"):
        trace(model, x, training=True)


def test_the_tracker_sees_what_lives_at_once():
    x = torch.zeros(256)
    with Tracker([x]) as tracker:
        y = x + 1
        y = y.view(16, 16) * 2  # a view costs nothing; the sum is alive until this is done
        z = y + 1
        del y
        z.sum()
    assert tracker.peak == 3 * 1024


def test_peaks_of_a_chain_by_hand():
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 8)).eval()
    x = torch.randn(4, 64)
    assert peak_inference_bytes(model, x) == 4 * 4 * (64 + 256 + 256)  # the sequence still holds what relu reads
    parameters = sum(p.numel() * 4 for p in model.parameters())
    peak = peak_training_bytes(model, x)
    assert peak > 4 * 4 * (64 + 256) + parameters  # input and activation are kept, gradients come on top
    assert peak < 4 * 4 * (64 + 4 * 256) + parameters + 4096
    assert all(parameter.grad is None for parameter in model.parameters())


# -- split models --------------------------------------------------------------------------------------------------


def test_cuts_are_spread_and_valid():
    recipe = resolve("resnet18", 32)
    x = torch.randn(1, *recipe.shape)
    facts = inspect(trace(recipe.build(), x), x)
    cuts = spread_cuts(facts, 4)
    assert len(cuts) == 4
    assert np.diff([0, *cuts, len(facts)]).min() > len(facts) / 8
    assert spread_cuts(facts, 0) == []
    torch.manual_seed(0)
    model, x = Views(), torch.randn(2, 3, 4, 4)
    facts = inspect(trace(model, x), x)
    assert all(facts[cut].cut_ok and 0 < cut < len(facts) - 1 for cut in spread_cuts(facts, 50))


def test_split_training_gives_the_gradients_of_the_whole(network, monkeypatch):
    model, traced, x = network
    expected = ordinary(model, x)
    facts = inspect(traced, x)
    for cut in spread_cuts(facts, 50):
        parts = SplitModel(traced, cut, time.thread_time_ns)
        seen = {}
        monkeypatch.setattr(parts.head, "parameters", lambda seen=seen: seen.update(gradients(model)) or iter(()))
        torch.manual_seed(9)
        times = parts.train(x)
        for name, gradient in expected.items():  # where paths join at the cut, sums are made in another order
            torch.testing.assert_close(seen[name], gradient, rtol=1e-5, atol=1e-6 * float(gradient.abs().max()))
        assert all(took > 0 for pair in times.values() for took in pair)
        model.zero_grad()
