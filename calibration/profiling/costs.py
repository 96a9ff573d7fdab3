"""What a machine costs around its models: packing a tensor for the wire, and sharing a core.

**Packing.** Three ways are timed at several sizes, writing and reading: a header with the tensor's own memory
(``memoryview``: nothing is copied), numpy's own file format (``numpy``), and ``torch.save``. For each a line
``alpha + beta * bytes`` is fitted, relative errors squared, neither below zero.

**Co-location.** Two models run alone, then two copies at once pinned to one core, then to two cores. The slowdown is
a run beside the other over a run alone: on the CPU clock (medians) what caches and memory cost, on the wall clock
(means, since two on one core take turns of milliseconds and short runs meet few) what a user waits.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls

from calibration.profiling.loading import fresh
from calibration.profiling.machine import flushing_denormals, steady_memory
from calibration.profiling.ticks import CPU, WALL
from calibration.zoo import Progress, Recipe, resolve
from simulator.foundation.errors import ProfileError

SIZES = (4_096, 65_536, 1 << 20, 4 << 20)
"""Bytes of the tensors that are packed."""
_ROUNDS = 31
_SECONDS = 2.0
"""How long the copies run beside each other."""
_NEIGHBOURS = (("vgg8", 8), ("mobilenet_v2", 1))  # all in the cache, and many small layers; CIFAR's and 96 px
_SIDE = {"vgg8": 32, "mobilenet_v2": 96}

Pack = Callable[[torch.Tensor], Any]
Unpack = Callable[[Any], torch.Tensor]


def measure_costs(progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Return the machine's costs, ready for ``machine.json``; takes less than a minute.

    Raises:
        ProfileError: if one of the processes fails.
    """
    packing = {}
    for i, method in enumerate(METHODS):
        progress("packing", i, len(METHODS))
        packing[method] = packing_cost(*METHODS[method])
    return {"serialise": packing, "colocation": colocation(progress)}


# -- packing -------------------------------------------------------------------------------------------------------


def _raw(tensor: torch.Tensor) -> tuple[bytes, memoryview]:
    array = tensor.numpy()
    return pickle.dumps((array.dtype.str, array.shape)), memoryview(array).cast("B")


def _from_raw(packed: tuple[bytes, memoryview]) -> torch.Tensor:
    dtype, shape = pickle.loads(packed[0])
    return torch.from_numpy(np.frombuffer(packed[1], dtype).reshape(shape))


def _numpy(tensor: torch.Tensor) -> bytes:
    stream = io.BytesIO()
    np.save(stream, tensor.numpy())
    return stream.getvalue()


def _from_numpy(packed: bytes) -> torch.Tensor:
    return torch.from_numpy(np.load(io.BytesIO(packed)))


def _torch(tensor: torch.Tensor) -> bytes:
    stream = io.BytesIO()
    torch.save(tensor, stream)
    return stream.getvalue()


def _from_torch(packed: bytes) -> torch.Tensor:
    tensor: torch.Tensor = torch.load(io.BytesIO(packed), weights_only=True)
    return tensor


METHODS: dict[str, tuple[Pack, Unpack]] = {
    "memoryview": (_raw, _from_raw),
    "numpy": (_numpy, _from_numpy),
    "torch.save": (_torch, _from_torch),
}
"""Ways of packing a tensor: how to write, how to read."""


def packing_cost(pack: Pack, unpack: Unpack, sizes: Sequence[int] = SIZES, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Return the lines fitted to one way of packing, and the points (bytes, write ns, read ns) they are fitted to."""
    points, extra = [], 0
    for size in sizes:
        tensor = torch.arange(size // 4, dtype=torch.float32)
        writes, reads = [], []
        for _ in range(rounds + 3):
            start = CPU()
            packed = pack(tensor)
            middle = CPU()
            unpack(packed)
            writes.append(middle - start)
            reads.append(CPU() - middle)
        points.append((size, round(median(writes[3:])), round(median(reads[3:]))))
        extra = sum(len(part) for part in packed) if isinstance(packed, tuple) else len(packed)
        extra -= size
    lines: dict[str, float] = {}
    for name, column in (("write", 1), ("read", 2)):
        alpha, beta = fit_line([(point[0], point[column]) for point in points])
        lines |= {f"{name}_alpha_ns": round(alpha), f"{name}_beta_ns_per_byte": round(beta, 6)}
    return {**lines, "overhead_bytes": extra, "points": points}


def fit_line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return (alpha, beta) of ``alpha + beta * x``, both at least 0, with the least squares of relative errors."""
    rows = np.array([[1 / y, x / y] for x, y in points if y > 0])
    if not len(rows):
        return 0.0, 0.0
    scale = rows.max(axis=0)
    solution, _ = nnls(rows / scale, np.ones(len(rows)))
    alpha, beta = solution / scale
    return float(alpha), float(beta)


# -- co-location ---------------------------------------------------------------------------------------------------


def colocation(progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Return, per model and place, what a run took [ns] and the slowdown against running alone.

    Places are ``alone``, ``same core`` and ``other core``; the last is missing on a machine of one core.
    """
    cores = allowed_cores()
    here = cores[-1]
    places = {"alone": (here,), "same core": (here, here)}
    if len(cores) > 1:
        places["other core"] = (here, cores[0])
    told: dict[str, Any] = {}
    total = len(_NEIGHBOURS) * len(places)
    for name, batch in _NEIGHBOURS:
        recipe = resolve(name, _SIDE[name])
        runs: dict[str, dict[str, float]] = {}
        for place, pinned in places.items():
            progress("co-location", len(runs) + len(places) * len(told), total)
            runs[place] = _together(recipe, batch, pinned)
        told[f"{recipe.name}_{recipe.tag}_b{batch}"] = slowdowns(runs)
    return told


def slowdowns(runs: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Add to each place the ratio of its times to those alone."""
    alone = runs["alone"]
    return {
        place: {
            "cpu_ns": round(times["cpu_ns"]),
            "wall_ns": round(times["wall_ns"]),
            "cpu_slowdown": round(times["cpu_ns"] / alone["cpu_ns"], 4),
            "wall_slowdown": round(times["wall_ns"] / alone["wall_ns"], 4),
        }
        for place, times in runs.items()
    }


def allowed_cores() -> list[int]:
    """Return the cores that a process of ours may be pinned to, whatever this one is pinned to now."""
    if not hasattr(os, "sched_setaffinity"):
        return [0]
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        return sorted(os.sched_getaffinity(0) - mine) + sorted(mine)  # ours last: it is the one kept quiet
    finally:
        os.sched_setaffinity(0, mine)


def _together(recipe: Recipe, batch: int, cores: Sequence[int]) -> dict[str, float]:
    """Run one copy per core at the same time; return what a run of the first took [ns]."""
    tasks = [{"recipe": asdict(recipe), "batch": batch, "core": core} for core in cores]
    copies = [fresh("calibration.profiling.costs", task) for task in tasks]
    try:
        for copy in copies:
            assert copy.stdout is not None
            if copy.stdout.readline().strip() != "ready":
                raise ProfileError(f'"{recipe.name}" did not start beside a copy: {_last_line(copy)}')
        start = time.time() + 0.1
        for copy in copies:
            assert copy.stdin is not None
            copy.stdin.write(f"{start}\n")
            copy.stdin.flush()
        answers = [copy.communicate(timeout=60)[0] for copy in copies]
        medians: dict[str, float] = json.loads(answers[0].splitlines()[-1])
        return medians
    except (ValueError, IndexError, subprocess.TimeoutExpired, OSError) as error:
        raise ProfileError(f'"{recipe.name}" did not run beside a copy: {error}') from error
    finally:
        for copy in copies:
            copy.kill()
            copy.wait()


def _last_line(copy: subprocess.Popen[str]) -> str:
    copy.kill()
    lines = copy.communicate()[1].strip().splitlines()
    return lines[-1] if lines else "no message"


@flushing_denormals()
def _copy(recipe: Recipe, batch: int, core: int) -> dict[str, float]:
    """Run a model on *core* from the time told on stdin on; return what a run took [ns]."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    steady_memory()
    torch.set_num_threads(1)
    model, example = recipe.build().eval(), torch.randn(batch, *recipe.shape)
    cpu, wall = [], []
    with torch.inference_mode():
        for _ in range(3):
            model(example)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        start = float(sys.stdin.readline())
        while time.time() < start:
            pass
        while time.time() < start + _SECONDS:
            begun, at = CPU(), WALL()
            model(example)
            cpu.append(CPU() - begun)
            wall.append(WALL() - at)
    return {"cpu_ns": median(cpu), "wall_ns": sum(wall) / len(wall)}


if __name__ == "__main__":
    _task = json.loads(sys.argv[1])
    sys.stdout.write(json.dumps(_copy(Recipe(**_task["recipe"]), _task["batch"], _task["core"])) + "\n")
