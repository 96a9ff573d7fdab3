"""AdaptiveDNN's link: what a message takes behind a token bucket, fitted once to a network of known sizes.

::

    message + byte * bytes + max(0, framing * bytes - burst) / rate
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

Array = npt.NDArray[np.float64]

MBIT = 125_000.0
"""Bytes/s in 1 Mbit/s."""


@dataclass(frozen=True)
class Shaper:
    """The testbed's link, both directions: a token bucket, and what software adds to a request and its answer."""

    burst: float
    """[B]."""
    message: float
    """Of a request and its answer, both ends together [s]."""
    byte: float
    """Writing and reading the file that is sent, both ends together [s/B]."""
    framing: float
    """Bytes on the wire per byte."""

    def seconds(self, size: Array | float, mbps: Array | float) -> Array:
        """Return what a request of *size* bytes and its answer take at a rate [Mbit/s] beside computing [s]."""
        wire = np.maximum(0.0, self.framing * np.asarray(size) - self.burst)
        return np.asarray(self.message + self.byte * np.asarray(size) + wire / (np.asarray(mbps) * MBIT))

    def size(self, seconds: Array, mbps: Array) -> Array:
        """Return the bytes that take so long [s] at a rate [Mbit/s]: the law read backwards."""
        left = np.maximum(0.0, seconds - self.message)
        rate = mbps * MBIT
        within = left / self.byte
        beyond = (left + self.burst / rate) / (self.byte + self.framing / rate)
        return np.where(within * self.framing <= self.burst, within, beyond)


SHAPER = Shaper(burst=66_300.0, message=4.45e-3, byte=6.9e-9, framing=1.016)
"""Fitted by :func:`fit_shaper` to VGG-16, whose sizes are known, at all its rates: a test fits it again."""


def fit_shaper(sizes: Array, mbps: Array, seconds: Array) -> Shaper:
    """Return the shaper under which transfers of *sizes* [B] at rates *mbps* take *seconds*, by relative error.

    Args:
        sizes: payload of each transfer [B].
        mbps: rate of its link [Mbit/s].
        seconds: total less edge and cloud [s].
    """

    def misfit(x: Array) -> Array:
        law = Shaper(x[0] * 1e4, x[1] * 1e-3, x[2] * 1e-9, x[3])
        return np.asarray(law.seconds(sizes, mbps) / seconds - 1.0)

    found = least_squares(misfit, [5.0, 5.0, 5.0, 1.0], bounds=([0, 0, 0, 0.9], [50, 50, 100, 1.2]), loss="soft_l1",
                          f_scale=0.01)  # fmt: skip
    return Shaper(found.x[0] * 1e4, found.x[1] * 1e-3, found.x[2] * 1e-9, found.x[3])
