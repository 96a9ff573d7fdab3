"""SqueezeNet 1.1 (Iandola et al., 2016, in the authors' later form with earlier pooling)."""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

import torch
from torch import Tensor, nn


def squeezenet1_1() -> nn.Module:
    """SqueezeNet 1.1, 1000 classes; 1,235,496 parameters."""
    return SqueezeNet()


class Fire(nn.Module):
    """Squeeze to few channels by 1x1, then expand by 1x1 and 3x3 side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        """Take input channels, squeezed channels and the channels of each half of the output."""
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU()
        self.expand1 = nn.Conv2d(squeezed, expanded, 1)
        self.relu1 = nn.ReLU()
        self.expand3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, 2 expanded, H, W)."""
        x = self.relu(self.squeeze(x))
        return torch.cat((self.relu1(self.expand1(x)), self.relu3(self.expand3(x))), dim=1)


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


class SqueezeNet(nn.Module):
    """A 3x3 stem, eight fire modules with three poolings, and a 1x1 convolution in place of a dense layer."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), _pool(),
            Fire(64, 16, 64), Fire(128, 16, 64), _pool(),
            Fire(128, 32, 128), Fire(256, 32, 128), _pool(),
            Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.flatten = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 1000)."""
        return self.flatten(self.classifier(self.features(x)))
