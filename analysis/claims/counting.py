"""What can be counted on a profiled network without running it: parameters, operations, bytes."""

from __future__ import annotations

from simulator.profiles.hardware import worst
from simulator.profiles.model import Layer, ModelProfile

FLOAT = 4
"""Bytes of a float32."""
_COUNTER = 8
"""Bytes of the batch counter that PyTorch keeps in each batch normalisation."""
_OPENERS = ("conv", "pointwise", "depthwise", "pool", "linear")
"""Operators that open a new layer in the papers' way of counting; the others belong to the layer before."""


def learnable(profile: ModelProfile, start: int = 0, stop: int | None = None) -> float:
    """Return the learnable parameters of layers [start, stop).

    A profile holds parameters and buffers together. Of a batch normalisation's four numbers per channel two are
    learnt; the running mean and variance, and a batch counter, are buffers.
    """
    return sum(_learnable(layer) for layer in profile.layers[start:stop])


def _learnable(layer: Layer) -> float:
    if layer.kind.startswith("BatchNorm") and layer.param_bytes:
        return (layer.param_bytes - _COUNTER) / FLOAT / 2
    return layer.param_bytes / FLOAT


def macs(profile: ModelProfile, start: int = 0, stop: int | None = None) -> float:
    """Return the multiply-accumulates of one forward pass over layers [start, stop), for one input (1 MAC = 2 FLOP)."""
    return sum(layer.flops for layer in profile.layers[start:stop]) / 2 / profile.batch


def rescaled(profile: ModelProfile, pixels: float, classes: int) -> tuple[float, float]:
    """Return (parameters, multiply-accumulates) of a convolutional network at another input size and head.

    Holds where every stage's size scales alike (224 and 32 are both divided by two five times): the work of the
    convolutions then goes with the number of *pixels* (a share of the profiled), and the weights do not change. The
    last dense layer is replaced by one for so many *classes*.
    """
    last = max(index for index, layer in enumerate(profile.layers) if layer.operator == "linear")
    features = profile.layers[last].in_bytes / FLOAT / profile.batch
    outputs = profile.layers[last].out_bytes / FLOAT / profile.batch
    head = features * classes
    body_macs = macs(profile) - features * outputs
    body_parameters = learnable(profile) - (features + 1) * outputs
    return body_parameters + head + classes, body_macs * pixels + head


def stages(profile: ModelProfile) -> list[int]:
    """Return where each layer ends as papers count them: a convolution, a pooling or a dense layer with what follows.

    Normalisation, activation and reshaping belong to the layer before them. Each is a cut of the profile.
    """
    opens = [index for index, layer in enumerate(profile.layers) if layer.operator in _OPENERS]
    return [*opens[1:], len(profile)]


def crossing(profile: ModelProfile, cut: int, batch: int = 1) -> float:
    """Return the bytes that cross *cut* for a batch of inputs."""
    sizes = {found.index: found.bytes for found in profile.cuts()}
    return sizes[cut] * batch / profile.batch


def features(profile: ModelProfile) -> float:
    """Return the number of values in the last feature map, before the global pooling, for one input."""
    pools = [layer for layer in profile.layers if layer.kind.startswith("AdaptiveAvgPool")]
    return pools[-1].in_bytes / FLOAT / profile.batch


def grades(profile: ModelProfile) -> tuple[str, ...]:
    """Return the evidence grade of the profile that was counted on."""
    return (worst({times.grade for times in profile.measured.values()}),)
