"""Our own small zoo in plain torch, so that neither profiling nor CI needs torchvision.

One file per family. The networks follow the published architectures layer by layer; their parameter counts are tested
against the literature. Weights are random: time depends on shapes.
"""

from __future__ import annotations

from calibration.networks.alexnet import alexnet
from calibration.networks.densenet import densenet121
from calibration.networks.mobilenet import mobilenet_v2, mobilenet_v3_large
from calibration.networks.resnet import resnet18, resnet50
from calibration.networks.vgg import vgg5, vgg8, vgg16

__all__ = [
    "alexnet", "densenet121", "mobilenet_v2", "mobilenet_v3_large", "resnet18", "resnet50", "vgg5", "vgg8", "vgg16",
]  # fmt: skip
