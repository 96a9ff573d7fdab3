"""Our own small zoo in plain torch, so that neither profiling nor CI needs torchvision.

VGG-5 and VGG-8 are the CIFAR networks of the split federated learning papers (FedAdapt, FedFly, FedComm): 3x3
convolutions with batch normalisation and ReLU, two dense layers with no activation between them. VGG-16, ResNet-18 and
MobileNetV2 follow the published architectures layer by layer; their parameter counts are tested against the literature.
Weights are random: time depends on shapes.
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


def resnet18() -> nn.Module:
    """ResNet-18, 1000 classes; 11,689,512 parameters."""
    return ResNet18()


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 of width 1, 1000 classes; 3,504,872 parameters."""
    return MobileNetV2()


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


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is projected where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        """Take input channels, output channels and the first convolution's stride."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.shortcut: nn.Module | None = None
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, H, W) to (batch, width, H/stride, W/stride)."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet18(nn.Module):
    """A 7x7 stem, four stages of two basic blocks, global pooling, one dense layer."""

    def __init__(self) -> None:
        """Build the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        blocks: list[nn.Module] = []
        channels = 64
        for width, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
            blocks.append(BasicBlock(channels, width, stride))
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(512, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Images (batch, 3, H, W) to scores (batch, 1000)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.flatten(self.avgpool(self.blocks(x))))


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
