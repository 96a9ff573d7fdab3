"""DenseNet-121 (Huang et al., CVPR 2017): each layer reads what all layers before it in its block made.

What has been made is joined layer by layer, so that one tensor of the block's whole width stands between two layers,
as in Keras and with as many bytes copied as if each layer joined all its parents by itself.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

import torch
from torch import Tensor, nn

from calibration.networks.blocks import ImageClassifier

_GROWTH = 32
"""Channels that a layer adds."""


class DenseLayer(nn.Module):
    """Normalise, 1x1 to four times the growth, 3x3 to the growth; the result joins what came in."""

    def __init__(self, channels: int) -> None:
        """Take the number of channels that come in."""
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, 4 * _GROWTH, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * _GROWTH)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(4 * _GROWTH, _GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, channels + 32, H, W)."""
        y = self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(x))))))
        return torch.cat((x, y), dim=1)


def densenet121() -> nn.Module:
    """DenseNet-121, 1000 classes; 7,978,856 parameters."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]  # fmt: skip
    channels = 64
    for block, depth in enumerate((6, 12, 24, 16)):
        if block:  # between blocks channels and side are halved
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1, bias=False)]
            layers.append(nn.AvgPool2d(2))
            channels //= 2
        layers += [DenseLayer(channels + i * _GROWTH) for i in range(depth)]
        channels += depth * _GROWTH
    return ImageClassifier([*layers, nn.BatchNorm2d(channels), nn.ReLU()], nn.Linear(channels, 1000))
