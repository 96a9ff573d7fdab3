"""Our own small zoo in plain torch, so that neither profiling nor CI needs torchvision.

One file per family. The networks follow the published architectures layer by layer; their parameter counts are tested
against the literature. Weights are random: time depends on shapes.
"""

from __future__ import annotations

from calibration.networks.alexnet import alexnet
from calibration.networks.densenet import densenet121
from calibration.networks.efficientnet import efficientnet_b0
from calibration.networks.inception import inception_v3
from calibration.networks.lenet import lenet
from calibration.networks.mobilenet import mobilenet_v1, mobilenet_v2, mobilenet_v3_large, mobilenet_v3_small
from calibration.networks.resnet import resnet18, resnet20, resnet32, resnet50, resnet110
from calibration.networks.speech import gru_kws, wav2vec_small
from calibration.networks.squeezenet import squeezenet1_1
from calibration.networks.transformer import vit_tiny
from calibration.networks.unet import unet
from calibration.networks.vgg import vgg5, vgg8, vgg11, vgg16

__all__ = [
    "alexnet", "densenet121", "efficientnet_b0", "gru_kws", "inception_v3", "lenet", "mobilenet_v1", "mobilenet_v2",
    "mobilenet_v3_large", "mobilenet_v3_small", "resnet18", "resnet20", "resnet32", "resnet50", "resnet110",
    "squeezenet1_1", "unet", "vgg5", "vgg8", "vgg11", "vgg16", "vit_tiny", "wav2vec_small",
]  # fmt: skip
