"""FedAdapt (Wu et al., IEEE Internet of Things Journal 2022, arXiv 2107.04271): what its network weighs.

The released code cuts VGG-5 behind one of seven layers (convolution with normalisation and activation, pooling, dense)
and trains with batches of 100. The training times wait for the technique itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.claims.counting import crossing, grades, learnable, macs, stages
from analysis.claims.system import Quantity, System
from simulator.profiles.library import Library
from simulator.profiles.model import ModelProfile

BATCH = 100
FRAMING = "weights and buffers alone: what the serialiser adds (keys, framing) is not in a profile"


class FedAdapt(System):
    """Counts on VGG-5."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Return what can be counted on the profile of VGG-5."""
        vgg5 = Library().model("vgg5", "32")
        found = {f"FA-M{index}": activation(vgg5, cut) for index, cut in enumerate(stages(vgg5))}
        found["FA-C13"] = Quantity.exact(
            vgg5.parameters(0, len(vgg5)) / 1e6,
            "MB",
            grades(vgg5),
            "what the released constant stands for; the released speed test divides by it although the model travels",
        )
        found["FA-C14"] = Quantity.exact(macs(vgg5), "MAC", grades(vgg5), "convolutions and dense layers")
        found["FA-M7"] = state(vgg5, len(vgg5))
        found["FA-M8"] = Quantity.exact(learnable(vgg5), "parameters", grades(vgg5), "biases counted")
        found["FA-M13"] = state(vgg5, stages(vgg5)[1])
        return found


def activation(profile: ModelProfile, cut: int) -> Quantity:
    """Return what crosses one way when a batch is trained with the device holding all before *cut*."""
    return Quantity.exact(crossing(profile, cut, BATCH), "byte", grades(profile))


def state(profile: ModelProfile, cut: int) -> Quantity:
    """Return the size of the device's part of the model as a message."""
    return Quantity.exact(profile.parameters(0, cut), "byte", grades(profile), FRAMING)
