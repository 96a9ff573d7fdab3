"""What a model costs before its first answer: loading its weights, the first call, and taking another's place.

Both happen once per process, and what a process does first also pays for what all models share: importing torch's
libraries, starting them, filling their caches. So each sample is taken in a process of its own, after a tiny model has
been loaded and has run there; the figure is the median over a few processes. The weights lie in a file that the system
holds in memory (it is read once before), so storage itself is not in the figure: a scenario that reads from a card or
over a network adds that.

Loading is what serving programs do: build the model without weights (torch's ``meta`` device), read the file, put the
tensors in their places, switch to evaluation. A model that cannot be built without weights is built with them, and the
time of that counts.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from calibration.profiling.machine import flushing_denormals, steady_memory
from calibration.profiling.ticks import CPU, WALL, once
from calibration.zoo import Progress, Recipe
from simulator.foundation.errors import ProfileError

STARTS = 5
"""Processes that are started, one sample each."""
_WARM_CALLS = 5


def measure_starts(
    recipe: Recipe, batch: int = 1, threads: int = 1, steady: bool = True, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Return ``load_ns``, ``first_call_ns``, ``warm_call_ns`` and ``switch_ns`` of a model: medians of processes.

    The warm call is taken just after the first one in the same process, so that their difference is what being first
    costs. A switch drops the model and loads the next, of the same size, into a process that has done all this before;
    ``switch_call_ns`` is the first call after it. ``load_date`` says when, since these may be taken again alone.

    Args:
        recipe: the model and its input.
        batch: inputs per call.
        threads: torch's threads within an operator; as in a profile, with more than one the wall clock is used.
        steady: keep memory, see :func:`calibration.profiling.machine.steady_memory`.
        progress: told how many of the :data:`STARTS` processes are done.

    Raises:
        ProfileError: if the model cannot be built, or a process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.pt"
        torch.save(recipe.build().state_dict(), weights)
        task = {
            "recipe": asdict(recipe), "batch": batch, "threads": threads, "steady": steady, "weights": str(weights),
        }  # fmt: skip
        samples = []
        for i in range(STARTS):
            samples.append(_in_a_process(task))
            progress("starting", i + 1, STARTS)
    return {
        **{name: round(median(sample[name] for sample in samples)) for name in samples[0]},
        "starts": STARTS,
        "load_date": datetime.date.today().isoformat(),
    }


def _in_a_process(task: dict[str, Any]) -> dict[str, int]:
    """Run :func:`_sample` in a fresh process."""
    process = fresh("calibration.profiling.loading", task)
    said, complaint = process.communicate()
    if process.returncode:
        reason = (complaint.strip().splitlines() or ["no message"])[-1]
        raise ProfileError(f'"{task["recipe"]["builder"]}" could not be loaded in a fresh process: {reason}')
    sample: dict[str, int] = json.loads(said.splitlines()[-1])
    return sample


def fresh(module: str, task: dict[str, Any]) -> subprocess.Popen[str]:
    """Start *module* with its *task* in an interpreter of its own that finds what this one finds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-m", module, json.dumps(task)],
        stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment,
    )  # fmt: skip


@flushing_denormals()
def _sample(recipe: Recipe, batch: int, threads: int, steady: bool, weights: Path) -> dict[str, int]:
    """Load the model in this process, call it first and then again [ns]."""
    if steady:
        steady_memory()
    torch.set_num_threads(threads)
    clock = CPU if threads == 1 else WALL
    with torch.inference_mode():
        _tiny_first(weights.with_name(f"tiny-{os.getpid()}.pt"))
        _into_cache(weights)
        example = torch.randn((batch, *recipe.shape), generator=torch.Generator().manual_seed(1))
        start = clock()
        model = load(recipe, weights)
        loaded = clock() - start
        first = once(model, example, clock)
        warm = median(once(model, example, clock) for _ in range(_WARM_CALLS))
        start = clock()
        del model
        model = load(recipe, weights)
        switched = clock() - start
        again = once(model, example, clock)
    return {
        "load_ns": loaded,
        "first_call_ns": first,
        "warm_call_ns": round(warm),
        "switch_ns": switched,
        "switch_call_ns": again,
    }


def load(recipe: Recipe, weights: Path) -> nn.Module:
    """Return the model with the weights of the file, in evaluation mode."""
    state = None
    try:
        with torch.device("meta"):
            model = recipe.build()
        state = torch.load(weights, weights_only=True)
        model.load_state_dict(state, assign=True)
        whole = not any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    except (ProfileError, RuntimeError, NotImplementedError):
        whole = False
    if not whole:  # it computes with values as it is built, or keeps some out of its state
        model = recipe.build()
        model.load_state_dict(torch.load(weights, weights_only=True) if state is None else state)
    return model.eval()


def _into_cache(file: Path) -> None:
    """Have the system hold *file* in memory; in pieces, since a block of its size would leave our own heap paged in."""
    with file.open("rb") as stream:
        while stream.read(1 << 20):
            pass


def _tiny_first(file: Path) -> None:
    """Load and run a small network with the usual kinds of layers: what all models share is then in place."""
    recipe = Recipe("tiny", "calibration.profiling.loading:_tiny", (3, 16, 16))
    torch.save(recipe.build().state_dict(), file)
    load(recipe, file)(torch.zeros(1, *recipe.shape))


def _tiny() -> nn.Module:
    convolution, norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
    return nn.Sequential(convolution, norm, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 4))


if __name__ == "__main__":
    _task = json.loads(sys.argv[1])
    _recipe = Recipe(**_task.pop("recipe"))
    sys.stdout.write(json.dumps(_sample(_recipe, **{**_task, "weights": Path(_task["weights"])})) + "\n")
