"""AlexNet in its one-column form (Krizhevsky, "One weird trick for parallelizing CNNs", 2014)."""

from __future__ import annotations

from torch import nn

from calibration.networks.blocks import ImageClassifier


def alexnet() -> nn.Module:
    """AlexNet, 1000 classes; 61,100,840 parameters, 96 % of them in the dense layers."""
    features = (
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(),
        nn.Linear(4096, 1000),
    )  # fmt: skip
    return ImageClassifier(features, classifier, pooled=6)
