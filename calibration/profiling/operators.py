"""Operator classes: the few kinds of layer that hardware treats differently.

One speed factor per device is wrong (depthwise layers run at a tenth of a dense convolution's rate on a Raspberry Pi),
one rate per layer cannot be fitted. These classes are the middle: rates are fitted and stated per class. A layer that
fits none is ``other``: its measured times are as good as any, but hardware known by rates alone has no rate for it, and
the simulator says so instead of guessing.
"""

from __future__ import annotations

from typing import Any, Final

OPERATORS: Final = (
    "input", "conv", "pointwise", "depthwise", "linear", "norm", "activation",
    "pool", "elementwise", "reshape", "recurrent", "attention", "other",
)  # fmt: skip
"""All classes. ``input`` is the placeholder or a parameter read by name; it takes no time worth a rate."""

_NAMES = {
    "linear": "Linear Bilinear linear matmul bmm mm addmm baddbmm einsum",
    "norm": "BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d "
    "LocalResponseNorm RMSNorm batch_norm layer_norm group_norm instance_norm rms_norm normalize",
    "activation": "ReLU ReLU6 LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish Hardswish Hardsigmoid Hardtanh Sigmoid Tanh "
    "Softmax LogSoftmax Softplus GLU relu relu6 leaky_relu elu selu gelu silu mish hardswish hardsigmoid hardtanh "
    "sigmoid tanh softmax log_softmax softplus glu clamp",
    "pool": "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d "
    "AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d "
    "avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d mean amax",
    "elementwise": "add sub mul div truediv pow neg exp log sqrt rsqrt abs cat concat stack where sum pad interpolate "
    "ZeroPad2d ConstantPad2d ReflectionPad2d Upsample UpsamplingNearest2d UpsamplingBilinear2d PixelShuffle",
    "reshape": "Flatten Unflatten Dropout Dropout1d Dropout2d Dropout3d Identity ChannelShuffle flatten view reshape "
    "unflatten permute transpose squeeze unsqueeze expand contiguous dropout chunk split unbind getitem getattr size "
    "dim t swapaxes select narrow roll floordiv eq _assert stochastic_depth",
    "recurrent": "RNN GRU LSTM RNNCell GRUCell LSTMCell",
    "attention": "MultiheadAttention scaled_dot_product_attention multi_head_attention_forward",
}
_CLASS_OF = {name: operator for operator, names in _NAMES.items() for name in names.split()}


def operator_class(node: Any, module: Any) -> str:
    """Return the class of an fx *node* whose leaf module is *module* (None for functions and methods)."""
    if node.op in ("placeholder", "get_attr"):
        return "input"
    if module is not None and "Conv" in type(module).__name__ and hasattr(module, "groups"):
        return _convolution(module.groups, module.in_channels, module.kernel_size)
    if module is not None:
        return _CLASS_OF.get(type(module).__name__, "other")
    return _CLASS_OF.get(str(getattr(node.target, "__name__", node.target)), "other")


def _convolution(groups: int, channels: int, kernel: tuple[int, ...]) -> str:
    """Depthwise: one filter per channel. Pointwise: a matrix product in disguise. All else is dense."""
    if groups == channels > 1:
        return "depthwise"
    return "pointwise" if groups == 1 and all(side == 1 for side in kernel) else "conv"
