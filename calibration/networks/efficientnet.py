"""EfficientNet-B0 (Tan and Le, ICML 2019). Without the random dropping of blocks that its training adds later."""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

from torch import Tensor, nn

from calibration.networks.blocks import ImageClassifier, conv_norm
from calibration.networks.mobilenet import InvertedResidual

_STAGES = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)  # fmt: skip
"""Expansion, output channels, blocks, stride of the first block, kernel (table 1 of the paper)."""


def efficientnet_b0() -> nn.Module:
    """EfficientNet-B0, 1000 classes; 5,288,548 parameters."""
    layers = conv_norm(3, 32, 3, nn.SiLU, stride=2)
    channels = 32
    for expansion, width, depth, stride, kernel in _STAGES:
        for i in range(depth):
            hidden, first = channels * expansion, stride if i == 0 else 1
            gate = SqueezeExcite(hidden, channels // 4)
            layers.append(InvertedResidual(channels, hidden, width, kernel, first, nn.SiLU, gate))
            channels = width
    layers += conv_norm(channels, 1280, 1, nn.SiLU)
    return ImageClassifier(layers, nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000)))


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the means of all (sigmoid)."""

    def __init__(self, channels: int, middle: int) -> None:
        """Take the number of channels, and how many stand in the middle."""
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, middle, 1)
        self.silu = nn.SiLU()
        self.fc2 = nn.Conv2d(middle, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to the same shape."""
        return x * self.gate(self.fc2(self.silu(self.fc1(self.avgpool(x)))))
