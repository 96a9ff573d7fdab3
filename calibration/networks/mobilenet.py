"""Networks for phones: MobileNetV2 (Sandler et al., CVPR 2018) and MobileNetV3 (Howard et al., ICCV 2019)."""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

from torch import Tensor, nn


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 of width 1, 1000 classes; 3,504,872 parameters."""
    return MobileNetV2()


def mobilenet_v3_large() -> nn.Module:
    """MobileNetV3-Large of width 1, 1000 classes; 5,483,032 parameters."""
    return MobileNetV3()


def _conv_norm_relu6(channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(width), nn.ReLU6()]


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise by 3x3, project by 1x1; a shortcut where the shape stays."""

    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        """Take input and output channels, the depthwise stride and the factor of expansion."""
        super().__init__()
        hidden = channels * expansion
        layers = _conv_norm_relu6(channels, hidden, 1) if expansion != 1 else []
        layers += _conv_norm_relu6(hidden, hidden, 3, stride, groups=hidden)
        layers += [nn.Conv2d(hidden, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, width, H/stride, W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


_MOBILENET_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Stages: expansion, output channels, blocks, stride of the first block (table 2 of the paper)."""


class MobileNetV2(nn.Module):
    """Seventeen inverted residuals between a 3x3 stem and a 1x1 head."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        layers: list[nn.Module] = _conv_norm_relu6(3, 32, 3, stride=2)
        channels = 32
        for expansion, width, depth, stride in _MOBILENET_V2:
            for i in range(depth):
                layers.append(InvertedResidual(channels, width, stride if i == 0 else 1, expansion))
                channels = width
        self.features = nn.Sequential(*layers, *_conv_norm_relu6(channels, 1280, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 1000)."""
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the means of all (hard sigmoid)."""

    def __init__(self, channels: int) -> None:
        """Take the number of channels; a quarter of them, in whole eights, stands in the middle."""
        super().__init__()
        middle = _eights(channels // 4)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, middle, 1)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(middle, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to the same shape."""
        return x * self.gate(self.fc2(self.relu(self.fc1(self.avgpool(x)))))


def _eights(channels: int) -> int:
    """Round to a multiple of 8, at least 8 and never down by more than a tenth, as the paper's code does."""
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _conv_norm_act(
    channels: int, width: int, kernel: int, act: type[nn.Module] | None, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(width, eps=0.001)
    return [conv, norm] if act is None else [conv, norm, act()]


class InvertedResidualV3(nn.Module):
    """Expand by 1x1, filter depthwise, gate the channels where asked to, project by 1x1; a shortcut as in V2."""

    def __init__(
        self, channels: int, kernel: int, hidden: int, width: int, gated: bool, act: type[nn.Module], stride: int
    ) -> None:
        """Take input channels, then one row of the paper's table."""
        super().__init__()
        layers = _conv_norm_act(channels, hidden, 1, act) if hidden != channels else []
        layers += _conv_norm_act(hidden, hidden, kernel, act, stride, groups=hidden)
        layers += [SqueezeExcite(hidden)] if gated else []
        layers += _conv_norm_act(hidden, width, 1, None)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, width, H/stride, W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


_MOBILENET_V3_LARGE: tuple[tuple[int, int, int, bool, str, int], ...] = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard-swish", 2), (3, 200, 80, False, "hard-swish", 1),
    (3, 184, 80, False, "hard-swish", 1), (3, 184, 80, False, "hard-swish", 1),
    (3, 480, 112, True, "hard-swish", 1), (3, 672, 112, True, "hard-swish", 1),
    (5, 672, 160, True, "hard-swish", 2), (5, 960, 160, True, "hard-swish", 1), (5, 960, 160, True, "hard-swish", 1),
)  # fmt: skip
"""Blocks: kernel, expanded channels, output channels, squeeze-and-excite, activation, stride (table 1 of the paper)."""
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "hard-swish": nn.Hardswish}


class MobileNetV3(nn.Module):
    """Fifteen inverted residuals between a 3x3 stem and a 1x1 head, two dense layers."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        layers: list[nn.Module] = _conv_norm_act(3, 16, 3, nn.Hardswish, stride=2)
        channels = 16
        for kernel, hidden, width, gated, act, stride in _MOBILENET_V3_LARGE:
            layers.append(InvertedResidualV3(channels, kernel, hidden, width, gated, _ACTIVATIONS[act], stride))
            channels = width
        self.features = nn.Sequential(*layers, *_conv_norm_act(channels, 960, 1, nn.Hardswish))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(960, 1280), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1280, 1000)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 1000)."""
        return self.classifier(self.flatten(self.avgpool(self.features(x))))
