"""Residual networks (He et al., CVPR 2016): ResNet-18 of basic blocks, ResNet-50 of bottlenecks, and those for CIFAR.

The networks for CIFAR (section 4.2 of the paper) are n blocks at each of 16, 32 and 64 channels, 6n + 2 layers in all.
Their shortcuts have no parameters ("option A"): every second pixel, and zeros in the channels that are new.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional


def resnet18() -> nn.Module:
    """ResNet-18, 1000 classes; 11,689,512 parameters."""
    return resnet_of(BasicBlock, (2, 2, 2, 2))


def resnet50() -> nn.Module:
    """ResNet-50 with the stride in the 3x3 convolution ("version 1.5"), 1000 classes; 25,557,032 parameters."""
    return resnet_of(Bottleneck, (3, 4, 6, 3))


def resnet_of(block: type[BasicBlock] | type[Bottleneck], depths: Sequence[int]) -> nn.Module:
    """Return the residual network for photographs with *depths* blocks in its four stages (table 1 of the paper)."""
    blocks: list[nn.Module] = []
    channels = 64
    for width, depth, stride in zip((64, 128, 256, 512), depths, (1, 2, 2, 2), strict=True):
        for i in range(depth):
            blocks.append(block(channels, width, stride if i == 0 else 1))
            channels = block.WIDER * width
    return ResNet(blocks, channels)


def resnet20() -> nn.Module:
    """ResNet-20 for 32x32 colour images, 10 classes; 269,722 parameters."""
    return CifarResNet(3)


def resnet32() -> nn.Module:
    """ResNet-32 for 32x32 colour images, 10 classes; 464,154 parameters."""
    return CifarResNet(5)


def resnet110() -> nn.Module:
    """ResNet-110 for 32x32 colour images, 10 classes; 1,727,962 parameters."""
    return CifarResNet(18)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is projected where the shape changes."""

    WIDER: ClassVar = 1
    """Output channels over *width*."""

    def __init__(self, channels: int, width: int, stride: int, shortcut: nn.Module | None = None) -> None:
        """Take input channels, output channels, the first convolution's stride and a shortcut other than 1x1."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.shortcut = shortcut
        if shortcut is None and (stride != 1 or channels != width):
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, width, H/stride, W/stride)."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (x if self.shortcut is None else self.shortcut(x)))


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3, 1x1 to four times as many, beside a shortcut projected where the shape changes."""

    WIDER: ClassVar = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        """Take input channels, channels in the middle and the 3x3 convolution's stride."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu3 = nn.ReLU()
        self.shortcut: nn.Module | None = None
        if stride != 1 or channels != 4 * width:
            convolution = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, 4 width, H/stride, W/stride)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(y)))))
        return self.relu3(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nn.Module):
    """A 7x7 stem, residual blocks, global pooling, one dense layer."""

    def __init__(self, blocks: list[nn.Module], features: int) -> None:
        """Take the blocks in order and the number of channels that the last one makes."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.blocks = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(features, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 1000)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.flatten(self.avgpool(self.blocks(x))))


class PaddedShortcut(nn.Module):
    """Every second pixel of the input, with zeros in the new channels (option A of the paper)."""

    def __init__(self, channels: int) -> None:
        """Take the number of channels that come in; twice as many go out, half of the new ones on either side."""
        super().__init__()
        self.side = channels // 2

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, 2 channels, H/2, W/2)."""
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.side, self.side))


class CifarResNet(nn.Module):
    """A 3x3 stem, three stages of basic blocks at 32, 16 and 8 pixels, global pooling, one dense layer."""

    def __init__(self, depth: int) -> None:
        """Take the number of blocks in each stage."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        blocks = [BasicBlock(16, 16, 1) for _ in range(depth)]
        for channels in (16, 32):
            blocks.append(BasicBlock(channels, 2 * channels, 2, PaddedShortcut(channels)))
            blocks += [BasicBlock(2 * channels, 2 * channels, 1) for _ in range(depth - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 10)."""
        x = self.blocks(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.flatten(self.avgpool(x)))
