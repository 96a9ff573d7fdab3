"""Inception v3 (Szegedy et al., CVPR 2016) without its auxiliary head, which only guides training and is cut off later.

Images are 299x299; 75 pixels are the least that its poolings leave something of.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

import torch
from torch import Tensor, nn


def inception_v3() -> nn.Module:
    """Inception v3 without the auxiliary head, 1000 classes; 23,834,568 parameters."""
    return InceptionV3()


class Branches(nn.Module):
    """Layers side by side on the same input, their channels joined."""

    def __init__(self, *branches: nn.Module) -> None:
        """Take the branches."""
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to the sum of the branches' channels."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _chain(channels: int, *convolutions: tuple[int | tuple[int, int], ...]) -> nn.Sequential:
    """Convolutions as (output channels, kernel[, stride]), with normalisation and ReLU; stride 1 keeps the size."""
    layers: list[nn.Module] = []
    for width, kernel, *stride in convolutions:
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (0, 0) if stride else tuple(side // 2 for side in sides)
        layers.append(nn.Conv2d(channels, width, sides, *stride, padding=padding, bias=False))
        layers += [nn.BatchNorm2d(width, eps=0.001), nn.ReLU()]
        channels = width  # type: ignore[assignment]  # the first entry is always a number
    return nn.Sequential(*layers)


def _pooled(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), _chain(channels, (width, 1)))


def _module_a(channels: int, pooled: int) -> Branches:
    """Figure 5 of the paper, at 35x35."""
    return Branches(
        _chain(channels, (64, 1)),
        _chain(channels, (48, 1), (64, 5)),
        _chain(channels, (64, 1), (96, 3), (96, 3)),
        _pooled(channels, pooled),
    )


def _module_c(middle: int) -> Branches:
    """Figure 6 of the paper with n = 7, at 17x17."""
    wide, tall = (1, 7), (7, 1)
    return Branches(
        _chain(768, (192, 1)),
        _chain(768, (middle, 1), (middle, wide), (192, tall)),
        _chain(768, (middle, 1), (middle, tall), (middle, wide), (middle, tall), (192, wide)),
        _pooled(768, 192),
    )


def _module_e(channels: int) -> Branches:
    """Figure 7 of the paper, at 8x8."""

    def fork() -> Branches:
        return Branches(_chain(384, (384, (1, 3))), _chain(384, (384, (3, 1))))

    return Branches(
        _chain(channels, (320, 1)),
        nn.Sequential(_chain(channels, (384, 1)), fork()),
        nn.Sequential(_chain(channels, (448, 1), (384, 3)), fork()),
        _pooled(channels, 192),
    )


class InceptionV3(nn.Module):
    """A stem of five convolutions, eleven modules of parallel branches, one dense layer."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        wide, tall = (1, 7), (7, 1)
        self.features = nn.Sequential(
            _chain(3, (32, 3, 2), (32, 3, 1), (64, 3)), nn.MaxPool2d(3, stride=2),
            _chain(64, (80, 1), (192, 3, 1)), nn.MaxPool2d(3, stride=2),
            _module_a(192, 32), _module_a(256, 64), _module_a(288, 64),
            Branches(_chain(288, (384, 3, 2)), _chain(288, (64, 1), (96, 3), (96, 3, 2)), nn.MaxPool2d(3, stride=2)),
            _module_c(128), _module_c(160), _module_c(160), _module_c(192),
            Branches(
                _chain(768, (192, 1), (320, 3, 2)),
                _chain(768, (192, 1), (192, wide), (192, tall), (192, 3, 2)),
                nn.MaxPool2d(3, stride=2),
            ),
            _module_e(1280), _module_e(2048),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout()
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 1000)."""
        return self.fc(self.flatten(self.dropout(self.avgpool(self.features(x)))))
