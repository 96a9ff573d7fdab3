"""MTL-Split (Capogrosso et al., DAC 2024, arXiv 2407.05982): what its split sends, and what a task's head weighs.

The flattened feature map of the shared backbone travels once for all tasks; each task's head begins with a dense
layer of 256. Backbones at 224x224. Which encoding the image is held against decides what is saved: both are given.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.claims.counting import FLOAT, features, grades
from analysis.claims.system import Quantity, System
from simulator.profiles.library import Library

HIDDEN = 256
PIXELS = 224 * 224 * 3
BACKBONES = {"vgg16": 1, "resnet18": 4, "mobilenet_v3_small": 7, "efficientnet_b0": 10}
"""Backbone → number of its first claim; the next two are the savings."""
HEADS = {"vgg16": 13, "mobilenet_v3_small": 14, "efficientnet_b0": 15}


class MTLSplit(System):
    """Counts on the backbones."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Return the values sent and the head's parameters for each backbone that was profiled at 224x224."""
        library = Library()
        shelf = {(model, size) for model, size, _, _ in library.profiles()}
        found: dict[str, Quantity] = {}
        for name, first in BACKBONES.items():
            ids = [_id(first), _id(first + 1), _id(first + 2), *([_id(HEADS[name])] if name in HEADS else [])]
            if (name, "224") not in shelf:
                found |= dict.fromkeys(ids, Quantity.absent(_missing(name)))
                continue
            profile = library.model(name, "224")
            sent, evidence = features(profile), grades(profile)
            numbers = (sent, PIXELS / sent, PIXELS / FLOAT / sent, (sent + 1) * HIDDEN)
            units = ("values", "x", "x", "parameters")
            for id_, number, unit in zip(ids, numbers, units, strict=False):
                found[id_] = Quantity.exact(number, unit, evidence)
        return found


def _id(number: int) -> str:
    return f"MTL-SPLIT-{number:03d}"


def _missing(name: str) -> str:
    return f"{name} was not profiled at 224x224; run offing profile {name} --size 224"
