"""One end of the testbed: a process with torch that runs its part of a model and talks over TCP.

It does as it is told over a pipe (a verb and its arguments, one answer each) and ends when the pipe does. Both ends
read one clock, for they run on one machine.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import fx

from calibration.profiling import profiler, store
from calibration.profiling.graph import crossing, split, trace
from calibration.profiling.machine import machine_facts, steady_memory
from calibration.testbed import wire
from calibration.testbed.emulator import hurry, leave_network
from calibration.zoo import Recipe
from simulator.foundation.errors import OffingError

PORT = 7000
"""Of the server in a namespace of its own, where nobody else listens."""
_BEFORE_ALONE = 2  # calls before those that are timed
wall, cpu = time.perf_counter, time.thread_time


def work(pipe: Connection, alone: bool, make: type[Worker] | None = None) -> None:
    """Serve the *pipe* until it closes; *alone* in a network namespace of its own.

    Args:
        pipe: where verbs come from.
        alone: whether to leave the machine's network.
        make: what serves, instead of a :class:`Worker` that never needs gradients.
    """
    hurry()
    if alone:
        leave_network()
    steady_memory()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    gc.disable()
    worker = (make or Worker)()
    with torch.inference_mode(make is None), contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            verb, arguments = pipe.recv()
            try:
                pipe.send((True, getattr(worker, verb)(*arguments)))
            except (OffingError, OSError, RuntimeError, ValueError) as error:
                said = str(error) if isinstance(error, OffingError) else traceback.format_exc(limit=3)
                pipe.send((False, said))


class Worker:
    """What one end holds: the parts of a model for each cut, and the connection."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.parts: dict[int, tuple[fx.GraphModule, fx.GraphModule]] = {}
        self.likes: dict[int, list[torch.Tensor]] = {}
        """What crosses each cut, as the receiving end expects it."""
        self.example = torch.zeros(0)
        self.answer = torch.zeros(0)
        self.listener: socket.socket | None = None
        self.connection: socket.socket | None = None

    def hello(self) -> int:
        """Say that it is there, by its process id."""
        return os.getpid()

    def facts(self) -> dict[str, Any]:
        """Return what machine this is."""
        net = Path("/proc/sys/net/ipv4")
        names = ("tcp_slow_start_after_idle", "tcp_no_metrics_save", "tcp_wmem", "tcp_rmem", "tcp_autocorking")
        return machine_facts(1) | {n: (net / n).read_text().split() for n in names if (net / n).exists()}

    # -- the model -----------------------------------------------------------------------------------------------

    def profile(self, recipe: Recipe, batch: int, folder: Path) -> str:
        """Take a fresh profile and return its file."""
        with torch.inference_mode(False):
            (measured,) = profiler.measure(recipe, (batch,), profiler.How(accept=True, splits=0))
            return str(store.save(measured, machine_facts(1), folder))

    def load(self, recipe: Recipe, batch: int, cuts: Sequence[int]) -> dict[int, int]:
        """Build the model and cut it; return the bytes that cross each cut."""
        with torch.inference_mode(False), torch.no_grad():
            self.example = torch.randn((batch, *recipe.shape), generator=torch.Generator().manual_seed(1))
            traced = trace(recipe.build().eval(), self.example)
            self.parts = {cut: split(traced, cut) for cut in cuts}
            self.likes = {cut: [t.clone() for t in head(self.example)] for cut, (head, _) in self.parts.items()}
            self.answer = traced(self.example)
            named = {cut: [node.name for node in crossing(traced, cut)] for cut in cuts}
        assert all(len(named[cut]) == len(self.likes[cut]) for cut in cuts)
        return {cut: sum(like.nbytes for like in likes) for cut, likes in self.likes.items()}

    def alone(self, end: str, cut: int, repeats: int) -> list[float]:
        """Return the wall times of the head or tail in a tight loop [s]."""
        head, tail = self.parts[cut]
        part, inputs = (head, [self.example]) if end == "head" else (tail, self.likes[cut])
        times = []
        for i in range(-_BEFORE_ALONE, repeats):
            start = wall()
            part(*inputs)
            if i >= 0:
                times.append(wall() - start)
        return times

    # -- the connection ------------------------------------------------------------------------------------------

    def listen(self, host: str) -> int:
        """Open a port for the device and return its number."""
        self.close()
        if self.listener is None:
            self.listener = socket.create_server((host, PORT if host == "0.0.0.0" else 0))
            self.listener.settimeout(60.0)
        port: int = self.listener.getsockname()[1]
        return port

    def close(self) -> None:
        """Hang up."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _connected(self, address: tuple[str, int], congestion: str, fresh: bool) -> tuple[socket.socket, float]:
        """Return the connection to *address*, a *fresh* one where wanted, and how long making it took [s]."""
        if self.connection is not None and not fresh:
            return self.connection, 0.0
        self.close()
        connection = socket.socket()
        wire.tuned(connection, congestion)
        start = wall()
        connection.connect(address)
        self.connection = connection
        return connection, wall() - start

    def run(
        self, cut: int, requests: int, address: tuple[str, int], congestion: str, fresh: bool
    ) -> list[dict[str, float]]:
        """Be the device: send *requests*, one after the other; return the stamps of each."""
        head, _ = self.parts[cut]
        rows = []
        for number in range(requests):
            connection, connecting = self._connected(address, congestion, fresh)
            start, busy = wall(), cpu()
            tensors = head(self.example)
            headed, headed_cpu = wall(), cpu()
            payload = wire.serialise(tensors)
            sent = wall()
            wire.send(connection, number, payload)
            data, received = wire.receive(connection, number)
            wire.tensors(data, [self.answer])
            end = wall()
            rows.append(
                {"connect": connecting, "start": start, "headed": headed, "sent": sent, "received": received,
                 "end": end, "device_cpu": headed_cpu - busy}
            )  # fmt: skip
        return rows

    def serve(self, cut: int, requests: int, congestion: str, fresh: bool) -> list[dict[str, float]]:
        """Be the server: answer *requests*; return the stamps of each."""
        _, tail = self.parts[cut]
        rows = []
        assert self.listener is not None
        for number in range(requests):
            if fresh or self.connection is None:
                self.close()
                self.connection = self.listener.accept()[0]
                wire.tuned(self.connection, congestion)
            data, received = wire.receive(self.connection, number)
            tensors = wire.tensors(data, self.likes[cut])
            start, busy = wall(), cpu()
            answer = tail(*tensors)
            tailed, tailed_cpu = wall(), cpu()
            payload = wire.serialise((answer,))
            sent = wall()
            wire.send(self.connection, number, payload)
            rows.append(
                {"received": received, "start": start, "tailed": tailed, "sent": sent,
                 "server_cpu": tailed_cpu - busy}
            )  # fmt: skip
        return rows
