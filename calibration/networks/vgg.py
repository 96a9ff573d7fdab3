"""The VGG family: the small CIFAR networks of the split federated learning papers, and VGG-16.

VGG-5 and VGG-8 (FedAdapt, FedFly, FedComm): 3x3 convolutions with batch normalisation and ReLU, two dense layers with
no activation between them. VGG-16: Simonyan and Zisserman, ICLR 2015, configuration D.
"""

# mypy: disallow-subclassing-any=False
# (type checkers run without torch, to whom nn.Module is Any)

from __future__ import annotations

from torch import Tensor, nn

_POOL = "pool"


def vgg5() -> nn.Module:
    """VGG-5 for 32x32 colour images, 10 classes; 582,346 parameters."""
    return CifarVGG([32, _POOL, 64, _POOL, 64], flat=64 * 8 * 8)


def vgg8() -> nn.Module:
    """VGG-8 for 32x32 colour images, 10 classes; 1,337,898 parameters."""
    return CifarVGG([32, 32, _POOL, 64, 64, _POOL, 128, 128], flat=128 * 8 * 8)


def vgg16() -> nn.Module:
    """VGG-16 (configuration D, no batch normalisation), 1000 classes; 138,357,544 parameters."""
    return VGG16()


class CifarVGG(nn.Module):
    """Convolution-normalisation-ReLU stages with 2x2 pooling, then dense 128 and dense 10."""

    def __init__(self, stages: list[int | str], flat: int) -> None:
        """Take channels and ``"pool"`` marks in order, and the number of features that reach the dense part."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage in stages:
            if isinstance(stage, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, stage, 3, padding=1), nn.BatchNorm2d(stage), nn.ReLU()]
                channels = stage
        self.features = nn.Sequential(*layers)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(nn.Linear(flat, 128), nn.Linear(128, 10))

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, 32, 32) to scores (batch, 10)."""
        return self.classifier(self.flatten(self.features(x)))


class VGG16(nn.Module):
    """Thirteen 3x3 convolutions in five stages and three dense layers."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
            nn.Linear(4096, 1000),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 1000)."""
        return self.classifier(self.flatten(self.avgpool(self.features(x))))
