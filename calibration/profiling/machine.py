"""What machine a profile was taken on: the facts that decide whether its times mean anything elsewhere.

No host name and no path is recorded: a profile is meant to be published.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from calibration.profiling.ticks import Clock

_ZEN = {0x17: "Zen 1 or 2", 0x19: "Zen 3 or 4", 0x1A: "Zen 5"}  # AMD families, from the vendor's documentation
_MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_ARENA_MAX", "LD_PRELOAD")


def steady_memory() -> bool:
    """Stop glibc from giving memory back between layers, for the rest of this process; say whether it worked.

    By default glibc unmaps large blocks and trims its heap, and each fresh page then costs a fault when it is written:
    5,800 faults and almost half of the time of a MobileNetV2 pass at 224 px, in an amount that depends on the order of
    allocations, so that the parts of a split model do not add up to the whole. Serving systems avoid it, with these
    settings or with another allocator. The same as the environment variables MALLOC_TRIM_THRESHOLD_ and its sisters,
    but possible after start.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    never_mmap, never_trim, grow_by = (-4, 0), (-1, 2**31 - 1), (-2, 64 << 20)  # M_MMAP_MAX, M_TRIM_..., M_TOP_PAD
    return all(mallopt(*setting) == 1 for setting in (never_mmap, never_trim, grow_by))


@contextmanager
def flushing_denormals() -> Iterator[bool]:
    """Have the processor take denormal numbers for zero, and leave it as it was; yields whether it can.

    The setting is the whole process's: left on, it changes the arithmetic of everything that comes after.
    """
    try:
        yield bool(torch.set_flush_denormal(True))
    finally:
        torch.set_flush_denormal(False)


def machine_facts(threads: int, device: str = "cpu") -> dict[str, Any]:
    """Return the facts as JSON-ready values; unknown ones are absent rather than empty.

    Args:
        threads: torch's threads within an operator.
        device: what is measured: ``cpu``, ``cuda`` or ``cuda-graph``.
    """
    cpu = _cpuinfo()
    with flushing_denormals() as flushed:  # setting is the only way to learn whether it can be
        pass
    facts: dict[str, Any] = {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "cores": os.cpu_count(),
        "threads": threads,
        "caches": _caches(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "virtual": "hypervisor" in cpu.get("flags", "").split(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onednn": _first(r"MKL-DNN v([\d.]+)"),
        "blas": _first(r"BLAS_INFO=(\w+)"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "dtype": "float32",
        "device": device,
        "flush_denormal": flushed,
    }
    if device != "cpu" and torch.cuda.is_available():
        facts |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    if cpu.get("vendor_id") == "AuthenticAMD" and cpu.get("cpu family", "").isdigit():
        family = int(cpu["cpu family"])
        facts["cpu_family"] = f"{family} ({_ZEN[family]})" if family in _ZEN else str(family)
    if hasattr(os, "sched_getaffinity"):
        facts["cores_allowed"] = len(os.sched_getaffinity(0))
    memory = _memory_bytes()
    if memory:
        facts["memory_bytes"] = memory
    return {key: value for key, value in facts.items() if value not in (None, "", [])}


def default_name(facts: dict[str, Any]) -> str:
    """Return a folder name for the machine, e.g. ``amd-epyc-zen-5-1t`` or ``nvidia-t4-graph``."""
    if "gpu" in facts:
        graph = "-graph" if facts["device"] == "cuda-graph" else ""
        return "-".join(re.findall(r"[a-z0-9]+", facts["gpu"].lower())) + graph
    zen = re.search(r"Zen \d", str(facts.get("cpu_family", "")))
    words = f"{facts['cpu']} {zen.group() if zen else ''}"
    words = re.sub(r"\([^)]*\)|@.*|\bCPU\b|\bProcessor\b", " ", words)
    return "-".join(re.findall(r"[a-z0-9]+", words.lower())) + f"-{facts['threads']}t"


def reference_kernels(clock: Clock, repeats: int = 101, warm_up: int = 20) -> dict[str, int]:
    """Time a 256x256x256 matrix product and a copy of 4 MB [ns, medians].

    Taken before and after each profile: if these moved, the machine did, and not the model.
    """
    a, b = torch.ones(256, 256), torch.ones(256, 256)
    product = torch.empty(256, 256)
    source = torch.ones(1_000_000)
    target = torch.empty_like(source)
    matmul, copy = [], []
    for _ in range(warm_up + repeats):
        start = clock()
        torch.mm(a, b, out=product)
        middle = clock()
        target.copy_(source)
        matmul.append(middle - start)
        copy.append(clock() - middle)
    return {
        "matmul_256_ns": round(statistics.median(matmul[warm_up:])),
        "copy_4mb_ns": round(statistics.median(copy[warm_up:])),
    }


def _cpuinfo() -> dict[str, str]:
    """Return the first processor's block of /proc/cpuinfo (empty where there is none)."""
    try:
        text = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _caches() -> list[str]:
    """Return e.g. ``["L1 Data 48K", "L2 Unified 1024K"]`` as the kernel tells them for core 0."""
    caches = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        parts = [(index / name).read_text().strip() for name in ("level", "type", "size")]
        caches.append("L{} {} {}".format(*parts))
    return caches


def _memory_bytes() -> int | None:
    try:
        match = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return None
    return int(match.group(1)) * 1024 if match else None


def malloc_settings(steady: bool) -> str:
    """Describe the allocator a profile was taken with; page faults are part of the time."""
    words = [" ".join(filter(None, platform.libc_ver())) or "libc"]
    words.append("steady: no mmap, no trim, 64 MiB pad" if steady else "default")
    words += [f"{name}={Path(os.environ[name]).name}" for name in _MALLOC if name in os.environ]
    return ", ".join(words)


def _first(pattern: str) -> str | None:
    match = re.search(pattern, torch.__config__.show())
    return match.group(1) if match else None
