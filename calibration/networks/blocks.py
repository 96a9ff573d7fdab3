"""What many networks for images have in common: a convolution with normalisation, and the way to an answer."""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


def conv_norm(
    channels: int,
    width: int,
    kernel: int,
    act: type[nn.Module] | None,
    stride: int = 1,
    groups: int = 1,
    eps: float = 1e-5,
) -> list[nn.Module]:
    """Return a convolution without bias that keeps the size (but for its stride), its normalisation and activation."""
    conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(width, eps=eps)
    return [conv, norm] if act is None else [conv, norm, act()]


class ImageClassifier(nn.Module):
    """Features of an image, pooled to a fixed size where the network does so, then dense layers."""

    def __init__(self, features: Iterable[nn.Module], classifier: nn.Module, pooled: int | None = 1) -> None:
        """Take the layers up to the last map, the dense part, and the side that maps are pooled to (None: as is)."""
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = None if pooled is None else nn.AdaptiveAvgPool2d(pooled)
        self.flatten = nn.Flatten()
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, channels, H, W) to scores (batch, classes)."""
        x = self.features(x)
        return self.classifier(self.flatten(x if self.avgpool is None else self.avgpool(x)))
