"""Models by name: where their code is, what they eat, and how many parameters the literature gives them.

A table without torch, so that a mistyped name is answered at once. A user's own model is named the way the table
itself names ours, ``package.module:function``; nothing here is privileged.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.foundation.errors import ProfileError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str, int, int], None]
"""Called with (what is going on, done, of how many)."""


@dataclass(frozen=True)
class Recipe:
    """A model that can be built and the input it is profiled with."""

    name: str
    """Name in the profile's file name and ``model`` column."""
    builder: str
    """``package.module:function`` that takes nothing and returns an ``nn.Module``."""
    shape: tuple[int, ...]
    """One input without its batch dimension, e.g. ``(3, 224, 224)``."""
    parameters: int | None = None
    """Number of parameters in the literature, which a test holds the code to."""

    @property
    def tag(self) -> str:
        """The input in file names: ``224`` for a square colour image, else all dimensions (``1x40x101``)."""
        square = len(self.shape) == 3 and self.shape[0] == 3 and self.shape[1] == self.shape[2]
        return str(self.shape[1]) if square else "x".join(map(str, self.shape))

    def build(self) -> nn.Module:
        """Build the model with the same random weights each time.

        Raises:
            ProfileError: without torch, or if the builder is not found, fails or returns something else.
        """
        require_torch()
        import torch

        function = _locate(self.builder)
        with torch.random.fork_rng(devices=[]):  # leave the caller's generator as it was
            torch.manual_seed(0)
            try:
                model = function()
            except Exception as error:  # user code may raise anything; its message is what helps
                raise ProfileError(f'"{self.builder}" failed to build: {type(error).__name__}: {error}') from error
        if not isinstance(model, torch.nn.Module):
            raise ProfileError(f'"{self.builder}" returned a {type(model).__name__}; expected a torch.nn.Module')
        return model


def _ours(name: str, shape: tuple[int, ...], parameters: int) -> tuple[str, Recipe]:
    return name, Recipe(name, f"calibration.networks:{name}", shape, parameters)


ZOO: dict[str, Recipe] = dict(
    [
        _ours("vgg5", (3, 32, 32), 582_346),
        _ours("vgg8", (3, 32, 32), 1_337_898),
        _ours("vgg16", (3, 224, 224), 138_357_544),
        _ours("resnet18", (3, 224, 224), 11_689_512),
        _ours("mobilenet_v2", (3, 224, 224), 3_504_872),
        _ours("mobilenet_v3_large", (3, 224, 224), 5_483_032),
        _ours("alexnet", (3, 224, 224), 61_100_840),
        _ours("resnet50", (3, 224, 224), 25_557_032),
        _ours("densenet121", (3, 224, 224), 7_978_856),
    ]
)
"""The shipped models."""


def require_torch() -> None:
    """Raise :class:`ProfileError` with the way out where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise ProfileError("profiling needs PyTorch: pip install offing[calibrate]")


def resolve(model: str, size: int | None = None, shape: tuple[int, ...] | None = None) -> Recipe:
    """Return the recipe of *model*, a name from :data:`ZOO` or ``package.module:function``.

    Args:
        model: what the user typed.
        size: side of a square colour image, instead of the model's usual one.
        shape: whole input without the batch dimension; needed for a user's model unless *size* is given.

    Raises:
        ProfileError: for an unknown name, or a user's model without an input.
    """
    if shape is None and size is not None:
        if size < 1:
            raise ProfileError(f"--size {size}: an image has at least one pixel; write e.g. --size 224")
        shape = (3, size, size)
    if ":" in model:
        if shape is None:
            raise ProfileError(f"{model}: say what the model eats, e.g. --input 1x3x224x224")
        return Recipe(_short_name(model), model, shape)
    if model not in ZOO:
        raise ProfileError(
            f'no model named "{model}".{did_you_mean(model, ZOO)} Known: {", ".join(ZOO)}; '
            "or your own as package.module:function"
        )
    known = ZOO[model]
    return known if shape is None else Recipe(known.name, known.builder, shape, known.parameters)


def _short_name(builder: str) -> str:
    """``nets.tiny:build`` → ``tiny``; ``nets:tiny`` → ``tiny``: safe in a file name."""
    module, _, function = builder.partition(":")
    name = module.rpartition(".")[2] if function == "build" else function
    return re.sub(r"[^A-Za-z0-9-]+", "_", name) or "model"


def _locate(builder: str) -> Callable[[], object]:
    """Import ``package.module:function``; the current directory counts, as it does for ``python -m``."""
    module_name, _, function_name = builder.partition(":")
    if not module_name or not function_name:
        raise ProfileError(f'"{builder}" is not of the form package.module:function')
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ProfileError(f'cannot import "{module_name}" for the model "{builder}": {error}') from error
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [name for name in dir(module) if callable(getattr(module, name))]
        raise ProfileError(f'"{module_name}" has no function "{function_name}".{did_you_mean(function_name, known)}')
    return function  # type: ignore[no-any-return]  # getattr's Any, checked callable above
