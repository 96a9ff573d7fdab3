"""Models by name: where their code is, what they eat, and how many parameters the literature gives them.

A table without torch, so that a mistyped name is answered at once. A user's own model is named the way the table
itself names ours, ``package.module:function``; nothing here is privileged. The sets of profiles that ``offing profile
--zoo`` takes stand here too.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator.foundation.errors import ProfileError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

_TORCHVISION = "torchvision:"

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

    def file_name(self, batch: int) -> str:
        """Return the name of a profile's files without their endings, such as ``vgg16_224_b1``."""
        return f"{self.name}_{self.tag}_b{batch}"

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


def _ours(shape: tuple[int, ...], **parameters: int) -> dict[str, Recipe]:
    """Recipes of our own networks that eat *shape*, by name, from their numbers of parameters."""
    return {name: Recipe(name, f"calibration.networks:{name}", shape, count) for name, count in parameters.items()}


_CIFAR, _LARGE, _PHOTO = (3, 32, 32), (3, 299, 299), (3, 224, 224)

ZOO: dict[str, Recipe] = {
    **_ours(_CIFAR, vgg5=582_346, vgg8=1_337_898, vgg11=9_231_114),
    **_ours(_CIFAR, resnet20=269_722, resnet32=464_154, resnet110=1_727_962),
    **_ours((1, 32, 32), lenet=61_706),
    **_ours(_PHOTO, vgg16=138_357_544, resnet18=11_689_512, resnet50=25_557_032, alexnet=61_100_840),
    **_ours(_PHOTO, mobilenet_v1=4_231_976, mobilenet_v2=3_504_872),
    **_ours(_PHOTO, mobilenet_v3_large=5_483_032, mobilenet_v3_small=2_542_856),
    **_ours(_PHOTO, densenet121=7_978_856, efficientnet_b0=5_288_548, squeezenet1_1=1_235_496, vit_tiny=5_717_416),
    **_ours(_LARGE, inception_v3=23_834_568),
    **_ours((3, 64, 64), unet=1_942_577),
    **_ours((16_000,), wav2vec_small=3_259_552),  # one second at 16 kHz
    **_ours((98, 40), gru_kws=165_900),  # frames of one second, features
}
"""The shipped models."""


@dataclass(frozen=True)
class Cell:
    """Profiles of one model at one input, measured in turn so that they have seen the same minutes."""

    recipe: Recipe
    batches: tuple[int, ...]
    training: bool = True
    """Whether training steps are measured beside inference."""

    @property
    def name(self) -> str:
        """Model and input, e.g. ``resnet18 96``."""
        return f"{self.recipe.name} {self.recipe.tag}"


_CIFAR_BATCHES = (1, 2, 4, 8, 16, 32, 64, 100)
_SMALL = 96
"""Side at which the networks for photographs are trained, in reach of edge devices."""


def _standard() -> Iterator[Cell]:
    """Small images at every batch of the federated papers, photographs reduced and whole, the rest at its own size."""
    for recipe in ZOO.values():
        if recipe.shape[1:] == _CIFAR[1:]:
            yield Cell(recipe, _CIFAR_BATCHES)
        elif recipe.shape in (_PHOTO, _LARGE):
            yield Cell(resolve(recipe.name, _SMALL), (1, 8, 32))
            yield Cell(recipe, (1,), training=False)
        else:
            yield Cell(recipe, (1, 8, 32))


def _quick() -> Iterator[Cell]:
    """Three small models, for trying out in a minute."""
    yield from (Cell(ZOO[name], (1, 8)) for name in ("lenet", "vgg5", "gru_kws"))


ZOOS: dict[str, Callable[[], Iterator[Cell]]] = {"standard": _standard, "quick": _quick}
"""Sets of cells by name, for ``offing profile --zoo``."""


def cells(zoo: str) -> list[Cell]:
    """Return the cells of a set.

    Raises:
        ProfileError: for an unknown name.
    """
    if zoo not in ZOOS:
        raise ProfileError(f'no zoo named "{zoo}".{did_you_mean(zoo, ZOOS)} Known: {", ".join(ZOOS)}')
    return list(ZOOS[zoo]())


def require_torch() -> None:
    """Raise :class:`ProfileError` with the way out where PyTorch is not installed."""
    if not _installed("torch"):
        raise ProfileError("profiling needs PyTorch: pip install offing[calibrate]")


def resolve(model: str, size: int | None = None, shape: tuple[int, ...] | None = None) -> Recipe:
    """Return the recipe of *model*: a name from :data:`ZOO` or torchvision's, or ``package.module:function``.

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
    if model.startswith(_TORCHVISION):
        return _borrowed(model.removeprefix(_TORCHVISION), shape)
    if ":" in model:
        if shape is None:
            raise ProfileError(f"{model}: say what the model eats, e.g. --input 1x3x224x224")
        return Recipe(_short_name(model), model, shape)
    if model not in ZOO:
        if _installed("torch") and _installed("torchvision") and model in _torchvision().names():
            return _borrowed(model, shape)
        raise ProfileError(
            f'no model named "{model}".{did_you_mean(model, ZOO)} Known: {", ".join(ZOO)}; '
            "or torchvision:NAME where torchvision is installed; or your own as package.module:function"
        )
    known = ZOO[model]
    return known if shape is None else Recipe(known.name, known.builder, shape, known.parameters)


def _borrowed(name: str, shape: tuple[int, ...] | None) -> Recipe:
    """Return the recipe of one of torchvision's networks; where we have one of its name, it says whose it is.

    Raises:
        ProfileError: without torch or torchvision, or for a name that it does not know.
    """
    require_torch()
    if not _installed("torchvision"):
        raise ProfileError(
            f"{_TORCHVISION}{name} needs torchvision in the version that goes with your torch, "
            "without what else it asks for; for torch 2.13: pip install --no-deps torchvision==0.28.0"
        )
    names = _torchvision().names()
    if name not in names:
        raise ProfileError(
            f'torchvision has no classification network "{name}".{did_you_mean(name, names)} Known: {", ".join(names)}'
        )
    usual = _LARGE if name == "inception_v3" else _PHOTO
    return Recipe(f"torchvision-{name}" if name in ZOO else name, f"{_TORCHVISION}{name}", shape or usual)


def _torchvision() -> Any:
    """Our window on torchvision, imported late because it needs torch."""
    return importlib.import_module("calibration.networks.borrowed")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _short_name(builder: str) -> str:
    """``nets.tiny:build`` → ``tiny``; ``nets:tiny`` → ``tiny``: safe in a file name."""
    module, _, function = builder.partition(":")
    name = module.rpartition(".")[2] if function == "build" else function
    return re.sub(r"[^A-Za-z0-9-]+", "_", name) or "model"


def _locate(builder: str) -> Callable[[], object]:
    """Import ``package.module:function``; the current directory counts, as it does for ``python -m``."""
    module_name, _, function_name = builder.partition(":")
    if builder.startswith(_TORCHVISION):
        return partial(_torchvision().build, function_name)
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
