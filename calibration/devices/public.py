"""What is public about machines of others' measurements: kind, cores, clock, vector width. No time is read from here.

Where a table does not name the part (a virtual machine, "a GPU"), the facts are guesses of what is usual and say so.
Rates are arithmetic: clock times the single-precision operations of a core per cycle (a fused multiply-add is two).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublicFacts:
    """A machine as its vendor describes it."""

    kind: str
    """``cpu`` or ``gpu``."""
    core: float
    """Peak of one processor core [FLOP/s]; of the host where the machine is a GPU: it launches the operators."""
    peak: float
    """Peak of the whole machine in single precision [FLOP/s]."""
    grade: str
    source: str


def _cpu(cores: int, ghz: float, per_cycle: int, grade: str, source: str) -> PublicFacts:
    core = ghz * 1e9 * per_cycle
    return PublicFacts("cpu", core, cores * core, grade, source)


PUBLIC = {
    "raspi4": _cpu(4, 1.5, 8, "published", "Raspberry Pi 4B: 4 Cortex-A72 at 1.5 GHz; 8 operations a cycle (NEON)"),
    "2500": _cpu(
        4, 3.3, 16, "published", "Intel Core i5-2500 (by its name): 4 cores at 3.3 GHz; AVX, no fused multiply"
    ),
    "vm2Core": _cpu(2, 3.0, 32, "guessed", "a virtual machine of 2 cores; 3 GHz and AVX2 are what is usual"),
    "6700k(NoGPU)": _cpu(4, 4.0, 32, "published", "Intel Core i7-6700K: 4 cores at 4.0 GHz; AVX2 with fused multiply"),
    "6700k(GPU)": PublicFacts(
        "gpu",
        128e9,
        6e12,
        "guessed",
        "host i7-6700K (published); the GPU is not named, 6 TFLOP/s is a desktop's of 2017",
    ),
    "tx2_gpu": PublicFacts(
        "gpu", 16e9, 0.665e12, "published", "Jetson TX2: 256 cores at 1.3 GHz; host Cortex-A57 at 2.0 GHz, 8 a cycle"
    ),
    "tx2_cpu": _cpu(4, 2.0, 8, "published", "Jetson TX2: 4 Cortex-A57 at 2.0 GHz; 8 operations a cycle (NEON)"),
    "ampere": PublicFacts(
        "gpu", 112e9, 20e12, "guessed", "an Ampere GPU, not named: 20 TFLOP/s; its host 3.5 GHz with AVX2 is usual"
    ),
    "titan_cpu": _cpu(8, 3.5, 32, "guessed", "a server's processor, not named; 8 cores of 3.5 GHz with AVX2 are usual"),
}
"""By the names of Scission's and ScissionTL's tables."""
