"""FedFly (Ullah et al., IEEE Communications Magazine 2022, arXiv 2111.01516): what a move has to carry, and may save.

A device that changes servers needs its server-side part there: weights, the momentum of SGD, the loss and, where a
batch is in flight, the gradient of the activations. The training times wait for the technique itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.claims.counting import FLOAT, crossing, grades, learnable, stages
from analysis.claims.system import Quantity, System
from simulator.profiles.library import Library
from simulator.profiles.model import ModelProfile

BATCH = 100
NOTE = "weights, buffers and momentum alone: what the serialiser adds (keys, framing) is not in a profile"


class FedFly(System):
    """Checkpoints of VGG-5, and the algebra of starting a round again."""

    def quantities(self) -> Mapping[str, Quantity]:
        """Return the checkpoint at each split, and the best saving there can be."""
        vgg5 = Library().model("vgg5", "32")
        found = {}
        for index, cut in enumerate(stages(vgg5)[:-1]):
            found[f"FF-M{index}"] = checkpoint(vgg5, cut, crossing(vgg5, cut, BATCH))
            found[f"FF-M{index}b"] = checkpoint(vgg5, cut, 0.0)
        found["FF-D1"] = saved(0.5)
        found["FF-D2"] = saved(0.9)
        return found


def checkpoint(profile: ModelProfile, cut: int, gradient: float) -> Quantity:
    """Return the bytes of the server's part behind *cut*, with its momentum and a *gradient* of so many bytes."""
    weights = profile.parameters(cut, len(profile))
    momentum = FLOAT * learnable(profile, cut)
    return Quantity.exact(weights + momentum + gradient, "byte", grades(profile), NOTE)


def saved(done: float) -> Quantity:
    """Return the share of a round's time saved by not repeating its part *done* (0 to 1), at no overhead.

    With a restart the round takes ``done + 1`` of its time, without one 1.
    """
    return Quantity.exact(1.0 - 1.0 / (done + 1.0), "fraction", (), "an identity: no measured input")
