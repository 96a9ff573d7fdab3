"""One thing to run on the testbed: a model cut somewhere, over a link of some kind. Plain data, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["persistent", "new", "bucket"]
Maker = Literal["tun", "tbf", "relay"]
"""What shapes: our emulator between two network namespaces, the kernel's token bucket, our relay over loopback."""

MODES: tuple[Mode, ...] = ("persistent", "new", "bucket")
FRAMING = {"tun": 1500 / 1448, "tbf": 1514 / 1448, "relay": 1.0}
"""Bytes that the shaper counts per byte sent: IP packets, Ethernet frames, and payload alone."""
FIT_MODELS = ("vgg8_32_b1", "resnet18_64_b1")
FIT_PLACES = (0, 2, 4)
FIT_RATES = (5.0, 75.0)


@dataclass(frozen=True)
class Link:
    """A link between the two processes, the same in both directions."""

    maker: Maker
    mode: Mode
    rate_mbit_s: float
    delay_ms: float
    burst_bytes: int
    congestion: str = "cubic"

    @property
    def rate(self) -> float:
        """Capacity [B/s]."""
        return self.rate_mbit_s * 1e6 / 8


def links(
    makers: Sequence[Maker], rates: Sequence[float], modes: Sequence[Mode], delay_ms: float, burst: int, congestion: str
) -> list[Link]:
    """Return the links of a grid; a token bucket has no delay, and a relay shows no slow start."""
    found = []
    for mode in modes:
        for rate in rates:
            if mode == "bucket":
                maker: Maker = "tbf" if "tbf" in makers else "relay"
                found.append(Link(maker, mode, rate, 0.0, burst, congestion))
            elif "tun" in makers:
                found.append(Link("tun", mode, rate, delay_ms, 0, congestion))
            elif mode == "persistent":
                found.append(Link("relay", mode, rate, delay_ms, 0, congestion))
    return found


def use(profile: str, place: int, link: Link) -> Literal["fit", "held-out"]:
    """Say whether a row may be fitted on. Fixed before the first recording.

    Args:
        profile: model, input and batch, such as ``vgg8_32_b1``.
        place: which of the five cuts, 0 to 4.
        link: what it crosses.
    """
    fit = profile in FIT_MODELS and place in FIT_PLACES and link.rate_mbit_s in FIT_RATES and link.congestion == "cubic"
    return "fit" if fit else "held-out"


def places(cuts: Sequence[int], layers: int) -> list[int]:
    """Return five of the valid *cuts* of a network: the input, near 25, 50 and 75 % of its layers, and the last.

    The cut behind the last layer is left out: there is nothing left for a server then.
    """
    inner = [cut for cut in cuts if cut < layers]
    wanted = (0.0, 0.25 * layers, 0.5 * layers, 0.75 * layers, float(layers))
    return list(dict.fromkeys(min(inner, key=lambda cut: (abs(cut - at), cut)) for at in wanted))
