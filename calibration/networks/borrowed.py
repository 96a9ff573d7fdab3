"""Torchvision's classification networks by name, where it is installed; built without weights.

Beside a CPU build of torch its native library does not load, and the import then fails for want of operators that no
classification network calls. Declaring their schemas first lets the import pass.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch
from torch import nn

from simulator.foundation.errors import ProfileError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_WITH_A_SECOND_HEAD = ("googlenet", "inception_v3")


def names() -> list[str]:
    """Return the names of torchvision's classification networks.

    Raises:
        ProfileError: if torchvision cannot be imported.
    """
    models = _models()
    return [str(name) for name in models.list_models(module=models)]


def build(name: str) -> nn.Module:
    """Build the network *name* without weights, and without the second head that only guides training.

    Raises:
        ProfileError: if torchvision cannot be imported.
    """
    options = {"aux_logits": False, "init_weights": True} if name in _WITH_A_SECOND_HEAD else {}
    model: nn.Module = _models().get_model(name, weights=None, **options)
    return model


def _models() -> Any:
    """Return ``torchvision.models``, with its missing operators declared where the plain import fails."""
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise ProfileError(f"torchvision cannot be imported: {error}") from error
    for module in [module for module in sys.modules if module.partition(".")[0] == "torchvision"]:
        del sys.modules[module]  # what the failed import left behind
    for schema in _SCHEMAS:
        torch.library.define(f"torchvision::{schema.partition('(')[0]}", schema[schema.index("(") :])
    try:
        return importlib.import_module("torchvision.models")
    except (ImportError, RuntimeError) as error:
        raise ProfileError(
            f"torchvision cannot be imported beside torch {torch.__version__}: {error}; "
            "install the version that goes with it"
        ) from error
