"""Tensors over TCP as plainly as possible: a header, then their raw bytes one behind the other."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from simulator.foundation.errors import OffingError

HEADER = struct.Struct("<IQ")
"""Before the tensors: number of the request, bytes that follow."""


def tuned(connection: socket.socket, congestion: str) -> None:
    """Send at once what is written, with the congestion control asked for, and do not wait for ever.

    Raises:
        OffingError: if the machine does not have it.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(60.0)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    except OSError:
        known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
        raise OffingError(f'no congestion control "{congestion}" here; there are: {", ".join(known)}') from None


def serialise(tensors: Sequence[torch.Tensor]) -> bytes:
    """Return the tensors as raw bytes, one behind the other."""
    return b"".join(memoryview(tensor.contiguous().numpy().reshape(-1)).cast("B") for tensor in tensors)


def tensors(data: bytearray, likes: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the tensors that lie in *data*, without copying them."""
    found, at = [], 0
    for like in likes:
        found.append(torch.frombuffer(data, dtype=like.dtype, count=like.numel(), offset=at).reshape(like.shape))
        at += like.nbytes
    return found


def send(connection: socket.socket, number: int, payload: bytes) -> None:
    """Send a message; header and first bytes go in one segment."""
    header = HEADER.pack(number, len(payload))
    done = connection.sendmsg((header, payload))
    if done < len(header) + len(payload):
        connection.sendall(memoryview(payload)[done - len(header) :])


def receive(connection: socket.socket, number: int) -> tuple[bytearray, float]:
    """Return the bytes of message *number*, and when the last of them was there [s]."""
    header = exactly(connection, HEADER.size)
    came, size = HEADER.unpack(header)
    if came != number:
        raise OffingError(f"message {came} came, {number} was expected")
    data = exactly(connection, size)
    return data, time.perf_counter()


def exactly(connection: socket.socket, size: int) -> bytearray:
    """Return the next *size* bytes.

    Raises:
        OffingError: if the other end hangs up before.
    """
    data = bytearray(size)
    view = memoryview(data)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise OffingError("the other end hung up")
        view = view[got:]
    return data
