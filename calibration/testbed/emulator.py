"""The link emulators, each a process of its own: packets between two namespaces, or bytes between two sockets.

Both obey one law: a byte leaves when the token bucket lets it, and arrives the delay after that. Nothing is dropped.
No torch, so that they start at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import time
from collections import deque
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

from simulator.foundation.errors import OffingError

DEVICE, SERVER = "10.77.0.1", "10.77.0.2"
"""Addresses of the two ends, inside namespaces that the run made."""
NAME = "offing0"
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 1, 0x1000
_MTU = 1500
_SHORTEST_WAIT = 20e-6  # [s]: a shorter sleep takes longer than it says


def enter(path: str) -> None:
    """Put this thread into the network namespace at *path* (``/proc/PID/ns/net``)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(path).open("rb") as namespace:
        if libc.setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {path}")


def leave_network() -> None:
    """Put this thread into an empty network namespace of its own, which ends with the process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")
    net = Path("/proc/sys/net/ipv4")
    # Windows are what the mode says: kept on a connection that stays, and never remembered from one to the next.
    for name, value in (("tcp_slow_start_after_idle", "0"), ("tcp_no_metrics_save", "1")):
        with contextlib.suppress(OSError):
            (net / name).write_text(value)


def hurry() -> None:
    """Go before other work on the machine, where that is allowed."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)


def spin(parent: Connection) -> None:
    """Keep this core awake, giving way to everybody, until the *parent* hangs up.

    Where a core of a virtual machine goes idle, the host lends it to others, and it comes back slow for some
    milliseconds; by how much is the neighbours' affair. A core that is never idle has no such days.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    parent.send(0)
    while not parent.poll():
        for _ in range(20_000):
            pass


def command(*words: str) -> None:
    """Run a command of iproute2.

    Raises:
        OffingError: with what it said, if it failed.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OffingError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")


class Law:
    """When bytes may leave: one direction of a shaped link."""

    def __init__(self, rate: float, burst: float, delay: float) -> None:
        """Take the rate [B/s], the bucket's size [B] and the delay [s]."""
        self.rate = rate
        self.ahead = burst / rate
        self.delay = delay
        self.free = 0.0
        """When all that was admitted would have left, had there been no burst [s]."""

    def arrival(self, now: float, size: float) -> float:
        """Admit *size* bytes now; return when the last of them arrives."""
        self.free = max(self.free, now - self.ahead) + size / self.rate
        return max(now, self.free) + self.delay


def tun(parent: Connection, namespaces: tuple[str, str], rate: float, delay: float) -> None:
    """Carry packets between a TUN device in each of two namespaces until the *parent* hangs up."""
    hurry()
    files = []
    for path, own, peer in ((namespaces[0], DEVICE, SERVER), (namespaces[1], SERVER, DEVICE)):
        enter(path)
        file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH", NAME.encode(), _IFF_TUN | _IFF_NO_PI))
        command("ip", "addr", "add", own, "peer", peer, "dev", NAME)
        command("ip", "link", "set", NAME, "mtu", str(_MTU), "txqueuelen", "10000", "up")
        files.append(file)
    parent.send(0)
    there, back = files
    other = {there: back, back: there}
    laws = {file: Law(rate, 0.0, delay) for file in files}
    waiting: dict[int, deque[tuple[float, bytes]]] = {file: deque() for file in files}
    while True:
        ready = _wait(waiting.values(), [*files, parent.fileno()])
        if parent.fileno() in ready:
            return
        for file in files:
            if file in ready:
                with contextlib.suppress(BlockingIOError):
                    for _ in range(16):
                        packet = os.read(file, 65536)
                        waiting[file].append((laws[file].arrival(time.perf_counter(), len(packet)), packet))
            queue, out = waiting[file], other[file]
            while queue and queue[0][0] <= time.perf_counter():
                os.write(out, queue.popleft()[1])


def _wait(queues: Iterable[deque[tuple[float, bytes]]], files: list[int]) -> list[int]:
    """Return which *files* can be read, or none when the next arrival of one of *queues* is due."""
    due = [queue[0][0] for queue in queues if queue]
    left = max(0.0, min(due) - time.perf_counter()) if due else None
    if left is not None and left < _SHORTEST_WAIT:
        left = 0.0
    return select.select(files, [], [], left)[0]


_PIECE = 1448


def relay(parent: Connection, server: tuple[str, int], rate: float, delay: float, burst: float) -> None:
    """Carry one connection after the other from a port on loopback to *server*, shaped, until the *parent* hangs up."""
    hurry()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        parent.send(listener.getsockname()[1])
        laws = Law(rate, burst, delay), Law(rate, burst, delay)  # they outlive a connection, as a link does
        while True:
            ready = select.select([listener.fileno(), parent.fileno()], [], [])[0]
            if parent.fileno() in ready:
                return
            device = listener.accept()[0]
            with device, socket.create_connection(server) as upstream:
                for end in (device, upstream):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    end.setblocking(False)
                if not _relay_one(parent, (device, upstream), laws):
                    return


def _relay_one(parent: Connection, ends: tuple[socket.socket, socket.socket], laws: tuple[Law, Law]) -> bool:
    """Carry one connection; return False when the *parent* has hung up."""
    device, upstream = ends
    ways = [(device, upstream, laws[0], deque[tuple[float, bytes]]()), (upstream, device, laws[1], deque())]
    closed = False
    while not closed or any(queue for *_, queue in ways):
        files = [parent.fileno()] + ([] if closed else [device.fileno(), upstream.fileno()])
        ready = _wait([queue for *_, queue in ways], files)
        if parent.fileno() in ready:
            return False
        for source, target, law, queue in ways:
            if source.fileno() in ready and not closed:
                data = source.recv(1 << 16)
                closed = not data
                now = time.perf_counter()
                for at in range(0, len(data), _PIECE):
                    piece = data[at : at + _PIECE]
                    queue.append((law.arrival(now, len(piece)), piece))
            while queue and queue[0][0] <= time.perf_counter():
                _, piece = queue.popleft()
                target.setblocking(True)
                target.sendall(piece)
                target.setblocking(False)
    return True
