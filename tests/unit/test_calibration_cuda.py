"""CUDA profiling as far as it can be tested without CUDA: the composition, the events' bookkeeping, the refusals."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="profiling needs PyTorch")

import numpy as np  # noqa: E402  # after the check for torch
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from calibration.profiling import cuda, machine  # noqa: E402
from calibration.profiling.commands import profile  # noqa: E402
from calibration.profiling.profiler import How  # noqa: E402
from calibration.zoo import resolve  # noqa: E402
from simulator.foundation.errors import ProfileError  # noqa: E402

LAYERS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=20)


@given(LAYERS)
def test_a_layer_waits_for_the_one_before_and_for_its_launch(layers):
    enqueued, device = np.cumsum([launch for launch, _ in layers]), [takes for _, takes in layers]
    done = cuda.launch_bound(enqueued, device)
    # The longest path: launched up to some layer, then computed from there on without a gap.
    longest = max(enqueued[i] + sum(device[i:]) for i in range(len(device)))
    assert done[-1] == pytest.approx(longest)
    assert (np.diff(done) >= np.array(device[1:]) - 1e-9).all()


def test_a_host_far_ahead_leaves_the_sum_and_one_behind_leaves_the_launches():
    assert cuda.launch_bound([0, 0, 0], [5, 6, 7]).tolist() == [5, 11, 18]
    assert cuda.launch_bound([10, 20, 30], [1, 1, 1]).tolist() == [11, 21, 31]


class Device:
    """A make-believe device: layers take *times* on it [ns], an event takes 2, and the host launches every 10."""

    def __init__(self, times):
        self.times, self.launches, self.time, self.waited, self.early = times, 0, 0.0, 0, []

    def mark(self):
        self.time += 2
        return self.time

    def ahead(self):
        self.early.append(True)

    def wait(self):
        self.waited += 1

    def gap_ns(self, first, second):
        return second - first

    def with_events(self, _):
        marks = [self.mark()]
        for takes in self.times:
            self.time += takes
            marks.append(self.mark())
        return None, marks

    def with_reads(self, _):
        return None, [1000 + 10 * i for i in range(len(self.times) + 1)]


@pytest.mark.parametrize(("eager", "expected"), [(True, [14, 46, 1]), (False, [4, 40, 1])])
def test_a_round_takes_events_off_and_composes_only_where_the_host_launches(eager, expected):
    device = Device([4, 40, 1])
    assert cuda.event_overhead_ns(device) == 2
    timing = cuda.rounds(lambda: None, (device.with_events, device.with_reads), None, device, 3, eager)
    # with launches at 10, 20 and 30 the layers are done at 14, 60 and 61
    assert timing.nodes_cpu.tolist() == [expected] * 3
    assert timing.nodes_wall.tolist() == [[4, 40, 1]] * 3
    assert timing.sum_ns == sum(expected), "what an event takes is off already"
    assert len(device.early) == 2 + 3, "each device pass stands behind the dummy kernel"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("device", ["cuda", "cuda-graph"])
def test_without_cuda_it_says_what_to_do(device, monkeypatch):
    with pytest.raises(ProfileError, match=r"--device cuda: .* profile with --device cpu"):
        profile("vgg5", device=device)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(ProfileError, match="no CUDA device was found; check the driver with nvidia-smi"):
        profile("vgg5", device=device)


def test_an_unknown_device_and_training_there_are_refused():
    with pytest.raises(ProfileError, match=r'"cuda-grap" is not known\. Did you mean "cuda-graph"'):
        profile("vgg5", device="cuda-grap")
    with pytest.raises(ProfileError, match="not measured on a CUDA device yet; pass --no-training"):
        cuda.measure(resolve("vgg5"), (1,), How(device="cuda"), training=True, progress=lambda *_: None)


def test_a_gpus_folder_is_named_after_it_and_its_graphs_apart():
    facts = {"cpu": "AMD EPYC", "threads": 1, "gpu": "NVIDIA H200", "device": "cuda"}
    assert machine.default_name(facts) == "nvidia-h200"
    assert machine.default_name({**facts, "device": "cuda-graph"}) == "nvidia-h200-graph"
    assert machine.machine_facts(1, "cuda")["device"] == "cuda"
