"""LeNet-5 (LeCun et al., Proceedings of the IEEE, 1998) on grey images of 32x32, the paper's size for digits of 28x28.

As it is built today: every map of the second convolution reads all six maps of the first (the paper's table 1 leaves
out some), poolings have no weights, and ten dense outputs stand for the radial units.
"""

from __future__ import annotations

from torch import nn

from calibration.networks.blocks import ImageClassifier


def lenet() -> nn.Module:
    """LeNet-5, 10 classes; 61,706 parameters."""
    features = (
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
    )  # fmt: skip
    classifier = nn.Sequential(nn.Linear(16 * 5 * 5, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))
    return ImageClassifier(features, classifier, pooled=None)
