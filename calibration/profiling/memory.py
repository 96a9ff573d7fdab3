"""How much memory a model's tensors take while it runs, by watching every operation once.

Each tensor that an operation returns has its storage noted, with a weak reference, and after each operation the bytes
of the storages still alive are summed. Temporaries inside an operation (a library's workspace) are not seen.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom TorchDispatchMode is Any)

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from calibration.profiling.graph import tensors_in
from calibration.profiling.training import loss_of


class Tracker(TorchDispatchMode):
    """Watches operations; :attr:`peak` is the most bytes that were alive after one of them."""

    def __init__(self, there: Iterable[torch.Tensor] = (), ignored: Iterable[torch.Tensor] = ()) -> None:
        """Count the tensors that are *there* already, and never those *ignored* (parameters)."""
        super().__init__()
        self.peak = 0
        self._ignored = {StorageWeakRef(tensor.untyped_storage()).cdata for tensor in ignored}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._note(list(there))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and note what it made."""
        result = func(*args, **(kwargs or {}))
        self._note(tensors_in(result))
        return result

    def _note(self, tensors: list[torch.Tensor]) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            reference = StorageWeakRef(storage)
            if reference.cdata not in self._ignored:
                self._alive[reference.cdata] = reference, storage.nbytes()
        self._alive = {key: kept for key, kept in self._alive.items() if not kept[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))


def peak_inference_bytes(model: nn.Module, example: torch.Tensor) -> int:
    """Return the most bytes alive during a forward pass: the input and activations, not the parameters."""
    with torch.inference_mode():
        return _peak(model, example, lambda: model(example))


def peak_training_bytes(model: nn.Module, example: torch.Tensor) -> int:
    """Return the most bytes alive during forward, loss and backward: input, activations and gradients.

    Parameters do not count, nor does the optimiser's state (with momentum, once the parameters' size).
    """

    def step() -> None:
        loss_of(model(example)).backward()

    peak = _peak(model, example, step)
    model.zero_grad()
    return peak


def _peak(model: nn.Module, example: torch.Tensor, run: Callable[[], object]) -> int:
    with Tracker([example], [*model.parameters(), *model.buffers()]) as tracker:
        run()
    peak: int = tracker.peak
    return peak
