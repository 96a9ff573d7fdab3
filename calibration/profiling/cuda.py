"""Layer times on a CUDA device, from events recorded between the layers.

The ticked graph is the same as on a processor; its clock is :meth:`Events.mark`, which puts an event into the stream.
Three passes make a round. The **plain** model between two synchronisations gives what a user waits. The **device** pass
stands behind a long dummy kernel, so that the host has enqueued everything before the first layer starts and the gaps
between events are the device's time alone. The **host** pass reads the wall clock after each layer's enqueueing.

Eager latency is not the sum of device times, since a small layer is over before the host has launched the next. With
``h[i]`` the time at which layer ``i`` has been enqueued and ``g[i]`` its device time, it is done at
``d[i] = max(d[i-1], h[i]) + g[i]`` (:func:`launch_bound`), and what the layer adds is ``d[i] - d[i-1]``. Replay of a
captured graph launches nothing, so there the layers' times are ``g``; it is a device of its own, ``cuda-graph``.

No CUDA device was at hand when this was written: :func:`launch_bound` and the bookkeeping of events are tested with
made-up ones, the passes themselves never ran.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from calibration.profiling.graph import inspect, trace
from calibration.profiling.machine import reference_kernels
from calibration.profiling.profiler import GATE, RETRIES, How, Measurement, summarise
from calibration.profiling.ticks import WALL, timed_nodes, with_ticks
from calibration.profiling.timing import Timing
from calibration.zoo import Progress, Recipe
from simulator.foundation.errors import ProfileError

WARM_UP = 10
"""Contexts, library handles and the choice of kernels are settled by then."""
_AHEAD_CYCLES = 200_000_000  # about 0.1 s: longer than any host needs to enqueue a model

Floats = npt.NDArray[np.float64]


class Events(Protocol):
    """What the passes need of a device."""

    def mark(self) -> Any:
        """Record an event in the stream and return it."""

    def ahead(self) -> None:
        """Keep the device busy for long enough that the host can run ahead."""

    def wait(self) -> None:
        """Wait until the device is done."""

    def gap_ns(self, first: Any, second: Any) -> float:
        """Return the time between two events that are over [ns]."""


class CudaEvents:
    """Events of the current CUDA device, from a pool that is made before anything is timed."""

    def __init__(self, size: int) -> None:
        """Make *size* events."""
        self._pool = [torch.cuda.Event(enable_timing=True) for _ in range(size)]
        self._next = 0

    def mark(self) -> Any:
        """Record the next event of the pool."""
        event = self._pool[self._next % len(self._pool)]
        self._next += 1
        event.record()
        return event

    def ahead(self) -> None:
        """Launch a kernel that only waits."""
        torch.cuda._sleep(_AHEAD_CYCLES)

    def wait(self) -> None:
        """Synchronise."""
        torch.cuda.synchronize()

    def gap_ns(self, first: Any, second: Any) -> float:
        """Return the time between two events that are over [ns]."""
        return float(first.elapsed_time(second)) * 1e6


def launch_bound(enqueued: Sequence[float] | Floats, device: Sequence[float] | Floats) -> Floats:
    """Return when each layer is done, ``d[i] = max(d[i-1], h[i]) + g[i]``, in the units given, shape (layers,).

    Args:
        enqueued: when the host had enqueued each layer, from the start, not falling.
        device: what each layer takes on the device.
    """
    done, times = 0.0, []
    for at, takes in zip(enqueued, device, strict=True):
        done = max(done, float(at)) + float(takes)
        times.append(done)
    return np.array(times)


def device_times(graph: Callable[[Any], Any], example: Any, events: Events, overhead_ns: float) -> Floats:
    """Return each layer's time on the device [ns], less what an event takes itself: one device pass."""
    events.wait()
    events.ahead()
    _, marks = graph(example)
    events.wait()
    gaps = [events.gap_ns(first, second) for first, second in pairwise(marks)]
    return np.asarray(np.maximum(np.array(gaps) - overhead_ns, 0.0))


def enqueue_times(graph: Callable[[Any], Any], example: Any, events: Events) -> Floats:
    """Return when the host had enqueued each layer, from the start [ns]: one host pass."""
    events.wait()
    _, reads = graph(example)
    events.wait()
    return np.asarray(reads[1:], dtype=float) - float(reads[0])


def event_overhead_ns(events: Events, marks: int = 100) -> float:
    """Return what an event adds between two layers [ns]: the median gap of events with nothing between them."""
    events.wait()
    events.ahead()
    made = [events.mark() for _ in range(marks)]
    events.wait()
    return float(np.median([events.gap_ns(a, b) for a, b in pairwise(made)]))


def require_cuda() -> None:
    """Refuse where there is no CUDA device.

    Raises:
        ProfileError: with what to do.
    """
    if torch.cuda.is_available():
        return
    if torch.version.cuda is None:
        raise ProfileError(
            f"--device cuda: this PyTorch ({torch.__version__}) was built without CUDA; install a build for your CUDA "
            "version (https://pytorch.org/get-started/locally), or profile with --device cpu"
        )
    raise ProfileError(
        "--device cuda: no CUDA device was found; check the driver with nvidia-smi and CUDA_VISIBLE_DEVICES, or "
        "profile with --device cpu"
    )


def measure(
    recipe: Recipe, batches: Sequence[int], how: How, *, training: bool, progress: Progress
) -> list[Measurement]:
    """Profile one model on the CUDA device, which has to be there (:func:`require_cuda`).

    Arguments as in :func:`calibration.profiling.profiler.measure`.

    Raises:
        ProfileError: if *training* is asked for, or if no attempt passes the gate.
    """
    if training:
        raise ProfileError("the training step is not measured on a CUDA device yet; pass --no-training")
    return [_measure(recipe, batch, how, progress) for batch in batches]


def _measure(recipe: Recipe, batch: int, how: How, progress: Progress) -> Measurement:
    example = torch.randn((batch, *recipe.shape), generator=torch.Generator().manual_seed(1))
    model = recipe.build().eval()
    traced = trace(model, example)
    facts = inspect(traced, example)
    model.to("cuda")
    traced.to("cuda")
    there = example.to("cuda")
    events = CudaEvents(2 * len(facts) + 256)
    graphs = with_ticks(traced, events.mark), with_ticks(traced, WALL)
    with torch.inference_mode():
        for _ in range(WARM_UP):
            model(there)
        run = _captured(model, there) if how.device == "cuda-graph" else lambda: model(there)
        tries: list[Timing] = []
        while not tries or (abs(tries[-1].additivity) > GATE and len(tries) <= RETRIES):
            tries.append(rounds(run, graphs, there, events, how.repeats, how.device == "cuda", progress))
    best = min(tries, key=lambda timing: abs(timing.additivity))
    kernels = reference_kernels(WALL)
    summary = summarise(best, len(tries) - 1, kernels, kernels, how.accept) | {
        "peak_activation_bytes": _peak(model, there),
        "repeats": how.repeats,
        "batch": batch,
        "input": list(recipe.shape),
        "clock": "cuda_event",
        "device": how.device,
        "tick_overhead_ns": 0,  # taken off already: what an event takes is a matter of the device, not of the reader
        "event_overhead_ns": best.tick_ns,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }
    return Measurement(recipe, batch, facts, timed_nodes(traced), best, summary)


def rounds(
    run: Callable[[], Any],
    graphs: tuple[fx.GraphModule | Callable[[Any], Any], fx.GraphModule | Callable[[Any], Any]],
    example: Any,
    events: Events,
    repeats: int,
    eager: bool,
    progress: Progress = lambda *_: None,
) -> Timing:
    """Make one attempt: *repeats* rounds of the three passes.

    Args:
        run: runs the plain model (or replays its graph) once, without waiting.
        graphs: the graph with events, and with the wall clock.
        example: the input.
        events: of the device.
        repeats: rounds.
        eager: whether the host launches each layer, so that the composition applies.
        progress: told what is going on.
    """
    overhead = event_overhead_ns(events)
    plain, layers, device = [], [], []
    for i in range(repeats):
        events.wait()
        start = WALL()
        run()
        events.wait()
        plain.append(WALL() - start)
        takes = device_times(graphs[0], example, events, overhead)
        device.append(takes)
        if eager:
            done = launch_bound(enqueue_times(graphs[1], example, events), takes)
            takes = np.diff(done, prepend=0.0)
        layers.append(takes)
        progress("forward", i + 1, repeats)
    whole = np.array(plain)
    cpu, wall = (np.rint(np.array(rows)).astype(np.int64) for rows in (layers, device))
    return Timing(whole, whole, cpu, wall, round(overhead), tick_taken_off=True)


def _captured(model: nn.Module, example: torch.Tensor) -> Callable[[], Any]:
    """Return the replay of the model's captured graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            model(example)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        model(example)
    replay: Callable[[], Any] = graph.replay
    return replay


def _peak(model: nn.Module, example: torch.Tensor) -> int:
    """Return the most bytes that a pass allocates, the input included, the parameters not."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.inference_mode():
        model(example)
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before + example.nbytes)
