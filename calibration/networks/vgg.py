"""The VGG family: the small CIFAR networks of the split federated learning papers, and VGG-16.

VGG-5 and VGG-8 (FedAdapt, FedFly, FedComm): 3x3 convolutions with batch normalisation and ReLU, two dense layers with
no activation between them. VGG-11 is configuration A of Simonyan and Zisserman (ICLR 2015) as it is used on CIFAR:
with batch normalisation, and one dense layer on the single position that five poolings leave of 32x32. VGG-16 is
their configuration D as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from calibration.networks.blocks import ImageClassifier

_POOL = "pool"


def vgg5() -> nn.Module:
    """VGG-5 for 32x32 colour images, 10 classes; 582,346 parameters."""
    return _cifar([32, _POOL, 64, _POOL, 64], (64 * 8 * 8, 128, 10))


def vgg8() -> nn.Module:
    """VGG-8 for 32x32 colour images, 10 classes; 1,337,898 parameters."""
    return _cifar([32, 32, _POOL, 64, 64, _POOL, 128, 128], (128 * 8 * 8, 128, 10))


def vgg11() -> nn.Module:
    """VGG-11 for 32x32 colour images, 10 classes; 9,231,114 parameters."""
    stages: list[int | str] = [64, _POOL, 128, _POOL, 256, 256, _POOL, 512, 512, _POOL, 512, 512, _POOL]
    return _cifar(stages, (512, 10))


def vgg16() -> nn.Module:
    """VGG-16 (configuration D, no batch normalisation), 1000 classes; 138,357,544 parameters."""
    return vgg_of((2, 2, 3, 3, 3))


def _cifar(stages: Sequence[int | str], dense: tuple[int, ...]) -> nn.Module:
    """Convolution-normalisation-ReLU stages with 2x2 pooling, then dense layers with nothing between them.

    Args:
        stages: channels and ``"pool"`` marks in order.
        dense: widths of the dense part, its input first.
    """
    layers: list[nn.Module] = []
    channels = 3
    for stage in stages:
        if isinstance(stage, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, stage, 3, padding=1), nn.BatchNorm2d(stage), nn.ReLU()]
            channels = stage
    return ImageClassifier(layers, nn.Sequential(*(nn.Linear(*pair) for pair in pairwise(dense))), pooled=None)


def vgg_of(depths: Sequence[int]) -> nn.Module:
    """Return the VGG for photographs with *depths* 3x3 convolutions in its five stages, 1000 classes."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in zip((64, 128, 256, 512, 512), depths, strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    classifier = nn.Sequential(
        nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 1000),
    )  # fmt: skip
    return ImageClassifier(layers, classifier, pooled=7)
