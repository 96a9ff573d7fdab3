"""Networks for phones: MobileNetV1 (Howard et al., 2017), V2 (Sandler et al., CVPR 2018), V3 (Howard et al., 2019)."""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

from torch import Tensor, nn

from calibration.networks.blocks import ImageClassifier, conv_norm

_MOBILENET_V1 = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *(((512, 1),) * 5), (1024, 2), (1024, 1),
)  # fmt: skip
"""Output channels and stride of each pair of layers (table 1 of the paper)."""
_MOBILENET_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Stages: expansion, output channels, blocks, stride of the first block (table 2 of the paper)."""
_Rows = tuple[tuple[int, int, int, bool, str, int], ...]
_MOBILENET_V3_LARGE: _Rows = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard-swish", 2), (3, 200, 80, False, "hard-swish", 1),
    (3, 184, 80, False, "hard-swish", 1), (3, 184, 80, False, "hard-swish", 1),
    (3, 480, 112, True, "hard-swish", 1), (3, 672, 112, True, "hard-swish", 1),
    (5, 672, 160, True, "hard-swish", 2), (5, 960, 160, True, "hard-swish", 1), (5, 960, 160, True, "hard-swish", 1),
)  # fmt: skip
"""Blocks: kernel, expanded channels, output channels, squeeze-and-excite, activation, stride (table 1 of the paper)."""
_MOBILENET_V3_SMALL: _Rows = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2), (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hard-swish", 2), (5, 240, 40, True, "hard-swish", 1), (5, 240, 40, True, "hard-swish", 1),
    (5, 120, 48, True, "hard-swish", 1), (5, 144, 48, True, "hard-swish", 1),
    (5, 288, 96, True, "hard-swish", 2), (5, 576, 96, True, "hard-swish", 1), (5, 576, 96, True, "hard-swish", 1),
)  # fmt: skip
"""The same of the small network (table 2 of the paper)."""
_EPS_V3 = 0.001  # of its normalisations, as in the authors' code
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "hard-swish": nn.Hardswish}


def mobilenet_v1() -> nn.Module:
    """MobileNetV1 of width 1, 1000 classes; 4,231,976 parameters."""
    layers = conv_norm(3, 32, 3, nn.ReLU, stride=2)
    channels = 32
    for width, stride in _MOBILENET_V1:
        layers += conv_norm(channels, channels, 3, nn.ReLU, stride, groups=channels)
        layers += conv_norm(channels, width, 1, nn.ReLU)
        channels = width
    return ImageClassifier(layers, nn.Linear(channels, 1000))


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 of width 1, 1000 classes; 3,504,872 parameters."""
    layers = conv_norm(3, 32, 3, nn.ReLU6, stride=2)
    channels = 32
    for expansion, width, depth, stride in _MOBILENET_V2:
        for i in range(depth):
            first = stride if i == 0 else 1
            layers.append(InvertedResidual(channels, channels * expansion, width, 3, first, nn.ReLU6))
            channels = width
    layers += conv_norm(channels, 1280, 1, nn.ReLU6)
    return ImageClassifier(layers, nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000)))


def mobilenet_v3_large() -> nn.Module:
    """MobileNetV3-Large of width 1, 1000 classes; 5,483,032 parameters."""
    return _mobilenet_v3(_MOBILENET_V3_LARGE, 960, 1280)


def mobilenet_v3_small() -> nn.Module:
    """MobileNetV3-Small of width 1, 1000 classes; 2,542,856 parameters."""
    return _mobilenet_v3(_MOBILENET_V3_SMALL, 576, 1024)


def _mobilenet_v3(rows: _Rows, head: int, hidden: int) -> nn.Module:
    """Take the blocks, the channels of the 1x1 head and the width of the first dense layer."""
    layers = conv_norm(3, 16, 3, nn.Hardswish, stride=2, eps=_EPS_V3)
    channels = 16
    for kernel, expanded, width, gated, act, stride in rows:
        gate = SqueezeExcite(expanded) if gated else None
        layers.append(InvertedResidual(channels, expanded, width, kernel, stride, _ACTIVATIONS[act], gate, _EPS_V3))
        channels = width
    layers += conv_norm(channels, head, 1, nn.Hardswish, eps=_EPS_V3)
    dense = nn.Linear(head, hidden), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(hidden, 1000)
    return ImageClassifier(layers, nn.Sequential(*dense))


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter depthwise, gate the channels where asked to, project by 1x1; a shortcut if nothing changes.

    V2's block, and with a gate V3's and EfficientNet's.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        width: int,
        kernel: int,
        stride: int,
        act: type[nn.Module],
        gate: nn.Module | None = None,
        eps: float = 1e-5,
    ) -> None:
        """Take input, expanded and output channels, the depthwise kernel and stride, and what stands between."""
        super().__init__()
        layers = conv_norm(channels, hidden, 1, act, eps=eps) if hidden != channels else []
        layers += conv_norm(hidden, hidden, kernel, act, stride, groups=hidden, eps=eps)
        layers += [] if gate is None else [gate]
        layers += conv_norm(hidden, width, 1, None, eps=eps)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, width, H/stride, W/stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


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
