"""The machines of the catalogue whose rates are fitted: whose times, of which networks, and how far off the fit is.

Two kinds of evidence. Block times that others measured (Scission, ScissionTL) are read where they stand and have a row
per block. Latencies of whole networks, as published for boards, have one row per network: too few for two rates per
class, so classes share rates, and a class that no published network has gets none. Each board says in one sentence
what :func:`Board.fit` reached in sample and with each network left out; the hardware files carry that sentence.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from calibration.devices.fit import (
    BLOCKS,
    Fit,
    Sample,
    Ties,
    errors,
    errors_by_model,
    fit_rates,
    joined,
    leave_one_out,
    samples_of,
)
from calibration.devices.keras import KerasLayer
from calibration.devices.untimed import untimed
from calibration.measured.scission import read_scission
from calibration.measured.scission_tl import FILE, read_transfer
from calibration.measured.tables import data_file
from calibration.zoo import ZOO, Recipe

NETWORKS = ("vgg16", "mobilenet", "densenet121", "densenet201", "resnet50", "resnet152")
"""Keras networks whose layers are counted and whose blocks were measured on every machine below."""

_DENSE = {("compute", name): "conv" for name in ("pointwise", "linear", "attention")}
_MOVING = ("norm", "activation", "pool", "elementwise", "depthwise")
ONE_MEMORY: Ties = {**_DENSE, **{("memory", name): "conv" for name in ("pointwise", "linear", "attention", *_MOVING)}}
"""One compute rate for dense work, one for depthwise, one memory rate."""
TWO_MEMORY: Ties = {**ONE_MEMORY, **{("memory", name): "norm" for name in _MOVING}}
"""The same with a memory rate of its own for what hardly computes."""


@dataclass(frozen=True)
class Board:
    """A machine whose rates are fitted."""

    samples: Callable[[], list[Sample]]
    """Reads what was measured."""
    ties: Ties = field(default_factory=lambda: BLOCKS)
    unit: str = "blocks"

    def fit(self) -> tuple[Fit, str]:
        """Return the rates and a sentence that says how far off they are.

        Raises:
            ProfileError: where the measurements (or torch, which counts the layers of some networks) are not there.
        """
        samples = self.samples()
        fit = fit_rates(samples, self.ties)
        totals = [found.total for found in errors_by_model(fit, samples).values()]
        left = leave_one_out(samples, self.ties)
        outside = [found.total for found in left.values() if found is not None]
        alone = [name for name, found in left.items() if found is None]
        blocks = f" of {len(left)} networks; block MAPE {errors(fit, samples).mape:.1%}"
        said = (
            f"fit to {len(samples)} {self.unit}{'' if self.unit == 'networks' else blocks}; "
            f"in sample end to end {min(totals):+.1%} to {max(totals):+.1%}; "
            f"leaving one network out MAPE {sum(map(abs, outside)) / len(outside):.1%} "
            f"({min(outside):+.1%} to {max(outside):+.1%})"
        )
        if alone:
            said += f"; {', '.join(alone)} cannot be left out, alone with an operator class"
        return fit, said.replace("%", " %")


# -- blocks that others measured --------------------------------------------------------------------------------------


def scission(machine: str, least: float = 0.0, most: float | None = None) -> list[Sample]:
    """Return Scission's blocks on a machine.

    Args:
        machine: its name there.
        least: join blocks until each took this long [s], for a clock that ticks coarsely.
        most: leave out MobileNet's blocks above this [s]: one of 55 ms stands among 91 of at most 2.5 ms on ``2500``.
    """
    samples = samples_of(read_scission(machine, NETWORKS))
    kept = [s for s in samples if most is None or s.model != "mobilenet" or s.seconds <= most]
    return joined(kept, least) if least else kept


def scission_tl(machine: str) -> list[Sample]:
    """Return ScissionTL's TensorFlow blocks on a machine, without the transfer layer."""
    return samples_of(read_transfer(data_file(FILE))["tensorflow"].blocks.blocks(machine, NETWORKS))


# -- latencies of whole networks --------------------------------------------------------------------------------------

PI_4_STEPS = {
    "resnet18": 10.918, "resnet34": 20.362, "resnet50": 32.627, "mobilenet_v2": 15.274, "mobilenet_v3_small": 4.761,
    "mobilenet_v3_large": 12.299, "vit_tiny": 6.085,
}  # fmt: skip
"""A Raspberry Pi 4's training steps [s], PyTorch, batch 16 at 224 px (jafermarq/federated-embedded-vision, 2023)."""

PI_5_STEPS = {"resnet18": 5.84, "resnet50": 16.1, "mobilenet_v3_small": 2.37}
"""The same on a Raspberry Pi 5 [s]."""

NANO_LATENCIES = {
    "resnet18": 34.7e-3, "resnet34": 64.8e-3, "resnet50": 81.7e-3, "resnet101": 141e-3, "resnet152": 204e-3,
    "vgg11": 114e-3, "vgg13": 156e-3, "vgg16": 201e-3,
}  # fmt: skip
"""Jetson Nano [s], PyTorch in half precision, batch 1 at 224 px (torch2trt's benchmark table)."""

AGX_XAVIER_LATENCIES = {
    "resnet18": 7.33e-3, "resnet34": 12.9e-3, "resnet50": 17.9e-3, "resnet101": 35.1e-3, "resnet152": 53.2e-3,
    "vgg11": 12.1e-3, "vgg13": 14.3e-3, "vgg16": 16.5e-3, "mobilenet_v2": 15.4e-3,
}  # fmt: skip
"""Jetson AGX Xavier [s], same table."""

STEP = 3
"""Work of a training step in forward passes: the backward pass counted as two, the optimiser not at all."""


def whole(seconds: Mapping[str, float], batch: int = 1, passes: int = 1) -> list[Sample]:
    """Return latencies of whole networks at 224 px as samples; their layers are counted by tracing them (torch).

    Args:
        seconds: network → time of a run.
        batch: inputs per run.
        passes: forward passes that a run's work is worth.
    """
    return [Sample(name, layers_of(name, batch, passes), taken) for name, taken in seconds.items()]


def layers_of(name: str, batch: int = 1, passes: int = 1) -> tuple[KerasLayer, ...]:
    """Return the work of each layer of a network at 224 px, *passes* times over."""
    recipe = Recipe(name, f"{__name__}:{name}", (3, 224, 224)) if name in _BUILDERS else ZOO[name]
    times = batch * passes
    return tuple(
        KerasLayer(
            layer.operator, round(layer.flops * times), round(layer.in_bytes * times), round(layer.out_bytes * times),
            round(layer.param_bytes * passes),
        )
        for layer in untimed(recipe).layers
    )  # fmt: skip


def _residual(block: str, depths: tuple[int, ...]) -> Callable[[], Any]:
    """Return a builder of a residual network that the zoo does not have."""

    def build() -> Any:
        nets = importlib.import_module("calibration.networks.resnet")
        return nets.resnet_of(getattr(nets, block), depths)

    return build


def _plain(depths: tuple[int, ...]) -> Callable[[], Any]:
    """Return a builder of a VGG of other *depths* than VGG-16."""
    return lambda: importlib.import_module("calibration.networks.vgg").vgg_of(depths)


resnet34, resnet101, resnet152 = (
    _residual("BasicBlock", (3, 4, 6, 3)),
    _residual("Bottleneck", (3, 4, 23, 3)),
    _residual("Bottleneck", (3, 8, 36, 3)),
)
vgg11, vgg13 = _plain((1, 1, 2, 2, 2)), _plain((2, 2, 2, 2, 2))
_BUILDERS = ("resnet34", "resnet101", "resnet152", "vgg11", "vgg13")

BOARDS: dict[str, Board] = {
    "edge-2500": Board(lambda: scission("2500", most=0.05)),
    "edge-vm-2core": Board(lambda: scission("vm2Core", least=8e-3)),
    "desktop-6700k": Board(lambda: scission("6700k(NoGPU)")),
    "desktop-6700k-gpu": Board(lambda: scission("6700k(GPU)"), ONE_MEMORY),
    "jetson-tx2": Board(lambda: scission_tl("tx2_gpu"), ONE_MEMORY),
    "server-ampere": Board(lambda: scission_tl("ampere"), ONE_MEMORY),
    "server-titan-cpu": Board(lambda: scission_tl("titan_cpu")),
    "raspberry-pi-4-torch": Board(lambda: whole(PI_4_STEPS, 16, STEP), TWO_MEMORY, "networks"),
    "jetson-nano": Board(lambda: whole(NANO_LATENCIES), ONE_MEMORY, "networks"),
    "jetson-agx-xavier": Board(lambda: whole(AGX_XAVIER_LATENCIES), ONE_MEMORY, "networks"),
}
"""Hardware file → what its rates are fitted to. ``raspberry-pi-4`` has a test set of its own."""
