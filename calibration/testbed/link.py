"""Put a link between two worker processes, and take it away again whatever happens.

Only loopback, or network namespaces that the workers made for themselves: those end with the workers, so nothing is
left behind even by a kill.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from calibration.testbed import emulator
from calibration.testbed.setting import Link, Maker
from simulator.foundation.errors import OffingError

_START = 20.0  # seconds until an emulator has to be there


@cache
def processes() -> Any:
    """Return what starts processes: a clean server that has imported what an emulator needs, so that one is quick."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["calibration.testbed.emulator"])
    return context


@cache
def makers() -> tuple[Maker, ...]:
    """Return what this machine lets shape a link, best first."""
    found: list[Maker] = ["relay"]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and _try_namespace():
        if Path("/dev/net/tun").exists():
            found.insert(0, "tun")
        found.insert(0, "tbf")
    return tuple(found)


def _try_namespace() -> bool:
    """Return whether a process can have a network namespace and a token bucket in it."""
    pair = "ip link add name offing1 type veth peer name offing2"
    probe = f"{pair} && tc qdisc add dev offing1 root tbf rate 1mbit burst 16kb latency 1s"
    try:
        emulator.command("unshare", "--net", "sh", "-c", probe)
    except (OffingError, OSError):
        return False
    return True


@contextmanager
def laid(link: Link, device: int, server: int, port: int) -> Iterator[tuple[str, int]]:
    """Lay *link* between two workers and yield the address at which the device reaches the server.

    Args:
        link: what it is like.
        device: process id of the device's worker.
        server: that of the server's.
        port: on which the server listens.

    Raises:
        OffingError: if it cannot be laid.
    """
    if link.maker == "tbf":
        with _bucket(link, device, server):
            yield emulator.SERVER, port
        return
    target: Any
    arguments: tuple[Any, ...]
    if link.maker == "tun":
        target, arguments = emulator.tun, (_namespaces(device, server), link.rate, link.delay_ms * 1e-3)
    else:
        target = emulator.relay
        arguments = ("127.0.0.1", port), link.rate, link.delay_ms * 1e-3, float(link.burst_bytes)
    with _process(target, arguments) as answer:
        yield (emulator.SERVER, port) if link.maker == "tun" else ("127.0.0.1", answer)


@contextmanager
def awake(wanted: bool) -> Iterator[None]:
    """Keep the cores that we may use from going idle while inside, if *wanted*: one process each that gives way."""
    with ExitStack() as stack:
        for _ in range(len(os.sched_getaffinity(0)) if wanted else 0):
            stack.enter_context(_process(emulator.spin, ()))
        yield


@contextmanager
def _process(target: Any, arguments: tuple[Any, ...]) -> Iterator[int]:
    context = processes()
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START):
            raise OffingError(f"the link emulator did not start within {_START:g} s")
        try:
            answer: int = ours.recv()
        except EOFError:
            raise OffingError("the link emulator ended before it began; what it said is above") from None
        yield answer
    finally:
        ours.close()
        process.join(2.0)
        if process.is_alive():
            process.kill()
            process.join()


def _namespaces(device: int, server: int) -> tuple[str, str]:
    return f"/proc/{device}/ns/net", f"/proc/{server}/ns/net"


@contextmanager
def _bucket(link: Link, device: int, server: int) -> Iterator[None]:
    """A veth pair with the kernel's token bucket at both ends; no queue overflows and no batches of segments."""
    own, other = (f"--net={path}" for path in _namespaces(device, server))
    command = emulator.command
    command("nsenter", own, "ip", "link", "add", emulator.NAME, "type", "veth",
            "peer", "name", emulator.NAME, "netns", str(server))  # fmt: skip
    try:
        for space, mine, peer in ((own, emulator.DEVICE, emulator.SERVER), (other, emulator.SERVER, emulator.DEVICE)):
            command("nsenter", space, "ip", "addr", "add", mine, "peer", peer, "dev", emulator.NAME)
            command("nsenter", space, "ip", "link", "set", emulator.NAME, "gso_max_segs", "1", "up")
            command("nsenter", space, "tc", "qdisc", "add", "dev", emulator.NAME, "root", "tbf", "rate",
                    f"{link.rate_mbit_s:g}mbit", "burst", str(link.burst_bytes), "limit", "16mb")  # fmt: skip
        yield
    finally:
        with contextlib.suppress(OffingError):
            command("nsenter", own, "ip", "link", "del", emulator.NAME)
