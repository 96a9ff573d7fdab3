"""PiPar (Zhang et al., JPDC 2024, arXiv 2302.12803; first released as PipeLearn): what its networks weigh.

The released code trains on 32x32 images of ten classes. The ResNets profiled here are those for 224x224 images and
1000 classes: their counts are carried over by the pixels and the head, which is exact. VGG-11 and VGG-16 of the
released code end in three dense layers behind a single position; the networks of those names here do not.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.claims.counting import grades, learnable, macs, rescaled
from analysis.claims.system import Quantity, System
from simulator.profiles.library import Library

PIXELS = (32 / 224) ** 2
CLASSES = 10
CARRIED = "carried over from the profile at 224x224 with 1000 classes: by its pixels and its head"
OTHER = (
    "the network of that name in the zoo is another one (its dense part); profile the released definition with "
    "offing profile package.module:function --input 1x3x32x32"
)


class PiPar(System):
    """Counts on the networks of the released code."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Return parameters and multiply-accumulates per image of each network."""
        library = Library()
        found: dict[str, Quantity] = {}
        for name in ("vgg5", "vgg8"):
            profile = library.model(name, "32")
            found |= _counts(name.upper(), learnable(profile), macs(profile), grades(profile))
        for name, key in (("resnet18", "ResNet18"), ("resnet50", "ResNet50")):
            profile = library.model(name, "224")
            found |= _counts(key, *rescaled(profile, PIXELS, CLASSES), grades(profile), CARRIED)
        for key in ("VGG11", "VGG16"):
            found |= {f"PP-M-{key}-{which}": Quantity.absent(OTHER) for which in "pm"}
        return found


def _counts(key: str, parameters: float, work: float, evidence: tuple[str, ...], note: str = "") -> dict[str, Quantity]:
    return {
        f"PP-M-{key}-p": Quantity.exact(parameters, "parameters", evidence, note),
        f"PP-M-{key}-m": Quantity.exact(work, "MAC", evidence, note),
    }
