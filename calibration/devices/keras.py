"""Keras' image networks as lists of layers: operator class, FLOP and bytes, counted without TensorFlow.

Third-party block times (Scission) name Keras layers by number only. These lists number the layers of
``keras.applications`` as Keras does, so that a block of layers ``first..last`` has known work. Float32, batch 1, input
224x224x3. A convolution or dense layer with a built-in activation is one layer, as it is in Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_FLOAT = 4


@dataclass(frozen=True)
class KerasLayer:
    """What one layer computes and moves."""

    operator: str
    """Operator class, as in :mod:`calibration.profiling.operators`."""
    flops: int
    """One multiply-add is two."""
    in_bytes: int
    out_bytes: int
    param_bytes: int

    @property
    def moved(self) -> int:
        """Bytes read and written, weights included."""
        return self.in_bytes + self.out_bytes + self.param_bytes


Shape = tuple[int, int, int]  # height, width, channels


class _Net:
    """Builds a list of layers; each method appends one and leaves its output shape in ``shape``."""

    def __init__(self) -> None:
        self.shape: Shape = (224, 224, 3)
        self.layers: list[KerasLayer] = [KerasLayer("input", 0, 0, _bytes(self.shape), 0)]

    def _add(self, operator: str, out: Shape, flops: int = 0, params: int = 0, extra_in: int = 0) -> None:
        self.layers.append(KerasLayer(operator, flops, _bytes(self.shape) + extra_in, _bytes(out), params * _FLOAT))
        self.shape = out

    def conv(self, width: int, kernel: int, stride: int = 1, bias: bool = False, same: bool = True) -> None:
        """Append a convolution; *same* keeps the size (divided by the stride), else no padding."""
        h, w, c = self.shape
        lost = 0 if same else kernel - 1
        h, w = -(-(h - lost) // stride), -(-(w - lost) // stride)
        weights = kernel * kernel * c * width
        operator = "pointwise" if kernel == 1 else "conv"
        self._add(operator, (h, w, width), 2 * h * w * weights, weights + (width if bias else 0))

    def depthwise(self, stride: int) -> None:
        """Append a 3x3 depthwise convolution (padded before where it has a stride)."""
        h, w, c = self.shape
        h, w = ((h - 3) // stride + 1, (w - 3) // stride + 1) if stride > 1 else (h, w)
        self._add("depthwise", (h, w, c), 2 * h * w * 9 * c, 9 * c)

    def pad(self, before: int, after: int) -> None:
        """Append zero padding: a copy, so elementwise."""
        h, w, c = self.shape
        self._add("elementwise", (h + before + after, w + before + after, c))

    def norm(self) -> None:
        """Append batch normalisation, which reads four numbers per channel."""
        self._add("norm", self.shape, params=4 * self.shape[2])

    def relu(self) -> None:
        """Append an activation."""
        self._add("activation", self.shape)

    def norm_relu(self) -> None:
        """Append normalisation and activation."""
        self.norm()
        self.relu()

    def pool(self, kernel: int, stride: int) -> None:
        """Append max or average pooling without padding."""
        h, w, c = self.shape
        self._add("pool", ((h - kernel) // stride + 1, (w - kernel) // stride + 1, c))

    def global_pool(self) -> None:
        """Append global average pooling."""
        self._add("pool", (1, 1, self.shape[2]))

    def reshape(self) -> None:
        """Append a flatten, reshape or dropout layer: nothing is computed."""
        h, w, c = self.shape
        self._add("reshape", (1, 1, h * w * c))

    def dense(self, width: int) -> None:
        """Append a dense layer with bias."""
        inputs = self.shape[2]
        self._add("linear", (1, 1, width), 2 * inputs * width, inputs * width + width)

    def merge(self, other: Shape, out: Shape) -> None:
        """Append an addition or concatenation of the current tensor with *other*."""
        self._add("elementwise", out, extra_in=_bytes(other))


def vgg16() -> list[KerasLayer]:
    """VGG-16: 23 layers; the activations are inside the convolutions."""
    net = _Net()
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            net.conv(width, 3, bias=True)
        net.pool(2, 2)
    net.reshape()
    for width in (4096, 4096, 1000):
        net.dense(width)
    return net.layers


def mobilenet() -> list[KerasLayer]:
    """MobileNet version 1 of width 1: 93 layers."""
    net = _Net()
    net.pad(0, 1)
    net.conv(32, 3, stride=2, same=False)
    net.norm_relu()
    widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    for i, width in enumerate(widths, start=1):
        stride = 2 if i in (2, 4, 6, 12) else 1
        if stride == 2:
            net.pad(0, 1)
        net.depthwise(stride)
        net.norm_relu()
        net.conv(width, 1)
        net.norm_relu()
    net.global_pool()
    net.reshape()
    net.reshape()  # dropout
    net.conv(1000, 1, bias=True)
    net.reshape()
    net.relu()  # softmax
    return net.layers


def densenet(blocks: tuple[int, ...] = (6, 12, 24, 16)) -> list[KerasLayer]:
    """DenseNet-121 (or another by its *blocks*): 429 layers, of which 58 concatenations."""
    net = _Net()
    net.pad(3, 3)
    net.conv(64, 7, stride=2, same=False)
    net.norm_relu()
    net.pad(1, 1)
    net.pool(3, 2)
    for number, depth in enumerate(blocks):
        for _ in range(depth):
            before = h, w, c = net.shape
            net.norm_relu()
            net.conv(128, 1)
            net.norm_relu()
            net.conv(32, 3)
            net.merge(before, (h, w, c + 32))
        net.norm_relu()
        if number < len(blocks) - 1:
            net.conv(net.shape[2] // 2, 1)
            net.pool(2, 2)
    net.global_pool()
    net.dense(1000)
    return net.layers


def resnet(blocks: tuple[int, ...] = (3, 4, 6, 3)) -> list[KerasLayer]:
    """ResNet-50 (or another by its *blocks*), version 1 with the stride on the first 1x1: 177 layers."""
    net = _Net()
    net.pad(3, 3)
    net.conv(64, 7, stride=2, bias=True, same=False)
    net.norm_relu()
    net.pad(1, 1)
    net.pool(3, 2)
    for number, (width, depth) in enumerate(zip((64, 128, 256, 512), blocks, strict=True)):
        for i in range(depth):
            _bottleneck(net, width, stride=2 if i == 0 and number > 0 else 1, project=i == 0)
    net.global_pool()
    net.dense(1000)
    return net.layers


def _bottleneck(net: _Net, width: int, stride: int, project: bool) -> None:
    """Append 1x1, 3x3, 1x1 beside a shortcut, in Keras' order of layers."""
    entry = net.shape
    net.conv(width, 1, stride, bias=True)
    net.norm_relu()
    net.conv(width, 3, bias=True)
    net.norm_relu()
    middle = net.shape
    if project:  # Keras numbers the projection before the last convolution, and likewise the normalisations
        net.shape = entry
        net.conv(4 * width, 1, stride, bias=True)
        net.shape = middle
    net.conv(4 * width, 1, bias=True)
    for _ in range(2 if project else 1):
        net.norm()
    net.merge(net.shape, net.shape)
    net.relu()


def _bytes(shape: Shape) -> int:
    height, width, channels = shape
    return height * width * channels * _FLOAT


ARCHITECTURES: dict[str, Callable[[], list[KerasLayer]]] = {
    "vgg16": vgg16,
    "mobilenet": mobilenet,
    "densenet121": densenet,
    "densenet201": lambda: densenet((6, 12, 48, 32)),
    "resnet50": resnet,
    "resnet152": lambda: resnet((3, 8, 36, 3)),
}
"""Scission's name → layers."""
