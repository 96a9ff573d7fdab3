"""Lengths of time that are drawn from a distribution: ``{exponential: 10 h}``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator

from simulator.foundation.units import Period
from simulator.scenario.entry import Entry, Number
from simulator.traces.outages import Distribution, Exponential, LogNormal, Weibull


class LognormalEntry(Entry):
    """Log-normal lengths."""

    mean: Period
    spread: Number = Field(ge=0, le=5)
    """Standard deviation of the logarithm."""


class WeibullEntry(Entry):
    """Weibull lengths."""

    mean: Period
    shape: Number = Field(gt=0.1, le=10)
    """Below one: many short and few very long."""


class LengthsEntry(Entry):
    """Lengths drawn from a distribution: ``{exponential: 10 h}``, ``{lognormal: {mean: 1 h, spread: 1.2}}``."""

    constant: Period | None = None
    exponential: Period | None = None
    """The mean."""
    lognormal: LognormalEntry | None = None
    weibull: WeibullEntry | None = None

    @model_validator(mode="after")
    def _one(self) -> LengthsEntry:
        if sum(getattr(self, name) is not None for name in LengthsEntry.model_fields) != 1:
            raise ValueError("lengths have one distribution; write e.g. {exponential: 10 h}")
        return self

    @property
    def lengths(self) -> Distribution:
        """The distribution."""
        if self.lognormal is not None:
            mean, spread = self.lognormal.mean, self.lognormal.spread
            return LogNormal(kind="log-normal", median=mean * math.exp(-(spread**2) / 2), spread=spread)
        if self.weibull is not None:
            mean, shape = self.weibull.mean, self.weibull.shape
            return Weibull(kind="weibull", scale=mean / math.gamma(1 + 1 / shape), shape=shape)
        if self.constant is not None:
            return Constant(self.constant)
        assert self.exponential is not None  # the validator has seen to it
        return Exponential(kind="exponential", mean=self.exponential)


@dataclass(frozen=True)
class Constant:
    """A length that is always the same."""

    mean: float
    """[s]."""

    def draw(self, rng: np.random.Generator) -> float:
        """Return it [s]."""
        return self.mean

    def met(self, rng: np.random.Generator) -> float:
        """Return it [s]."""
        return self.mean
