"""A small U-Net (Ronneberger et al., MICCAI 2015): 16 channels at the top where the paper has 64, images of 64x64.

Unlike the paper's, its convolutions are padded, so that output and input have one size, and normalised by batch.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

import torch
from torch import Tensor, nn

_BASE, _DEPTH = 16, 4


def unet() -> nn.Module:
    """U-Net of 16 base channels for colour images whose sides are multiples of 16, one mask; 1,942,577 parameters."""
    return UNet()


def _double(channels: int, width: int) -> nn.Sequential:
    """Two 3x3 convolutions with normalisation and ReLU."""
    layers: list[nn.Module] = []
    for source in (channels, width):
        layers += [nn.Conv2d(source, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Four halvings and four doublings of the side; each level on the way up also reads its twin on the way down."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        widths = [_BASE << level for level in range(_DEPTH)]
        self.down = nn.ModuleList(_double(3 if width == _BASE else width // 2, width) for width in widths)
        self.pool = nn.ModuleList(nn.MaxPool2d(2) for _ in widths)
        self.bottom = _double(widths[-1], 2 * widths[-1])
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths))
        self.up = nn.ModuleList(_double(2 * width, width) for width in reversed(widths))
        self.mask = nn.Conv2d(_BASE, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to logits (batch, 1, H, W)."""
        twins = []
        for down, pool in zip(self.down, self.pool, strict=True):
            twins.append(down(x))
            x = pool(twins[-1])
        x = self.bottom(x)
        for grow, up, twin in zip(self.grow, self.up, reversed(twins), strict=True):
            x = up(torch.cat((twin, grow(x)), dim=1))
        return self.mask(x)
