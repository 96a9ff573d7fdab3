"""The graph of a network without times: what a prediction needs to know of a network that was never run to be timed."""

from __future__ import annotations

import importlib

from calibration.zoo import Recipe, require_torch
from simulator.profiles.model import Layer, ModelProfile


def untimed(recipe: Recipe, batch: int = 1) -> ModelProfile:
    """Trace the network of *recipe* and count its layers' work at *batch*; nothing is timed.

    Raises:
        ProfileError: without torch, or if it cannot be built or traced.
    """
    require_torch()
    graph, torch = importlib.import_module("calibration.profiling.graph"), importlib.import_module("torch")
    example = torch.zeros(batch, *recipe.shape)
    (source, *rest) = graph.inspect(graph.trace(recipe.build(), example), example)
    layers = tuple(
        Layer(
            fact.node, fact.kind, fact.operator, fact.parents, fact.flops, fact.in_bytes, fact.out_bytes,
            fact.param_bytes, fact.alias, fact.cut_ok,
        )
        for fact in rest
    )  # fmt: skip
    return ModelProfile(recipe.name, source.node, source.out_bytes, layers, batch, recipe.tag)
