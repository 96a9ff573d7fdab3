"""One end of a split-learning round: a device that trains the head, or the server that trains the tail.

A worker process like that of :mod:`calibration.testbed.worker`, with gradients. Devices send the activations of each
batch and wait for their gradient; the server takes batches in the order in which they have come, one at a time. At the
end of a round the heads' weights go up, are averaged, and come back.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

import torch
from torch import fx

from calibration.profiling.graph import split, trace
from calibration.testbed import wire, worker
from calibration.testbed.worker import wall
from calibration.zoo import Recipe

CLASSES = 10
RATE, MOMENTUM = 0.01, 0.9
WEIGHTS = -1
"""In place of a batch's number: the exchange of weights."""
Stamps = dict[str, float]


def work(pipe: Connection, alone: bool) -> None:
    """Serve the *pipe* until it closes."""
    worker.work(pipe, alone, Learner)


class Learner(worker.Worker):
    """Holds its part of the model, what optimises it, and the example batch."""

    part: fx.GraphModule
    like: torch.Tensor

    def prepare(self, recipe: Recipe, batch: int, cut: int, device: bool) -> tuple[int, int]:
        """Build the part; return the bytes of an activation and of the head's weights."""
        self.example = torch.randn((batch, *recipe.shape), generator=torch.Generator().manual_seed(1))
        self.labels = torch.arange(batch) % CLASSES
        head, tail = split(trace(recipe.build().eval(), self.example).train(), cut)
        (self.like,) = (tensor.detach() for tensor in head(self.example))
        self.weights = [weight.detach().clone() for weight in head.parameters()]
        self.part = head if device else tail
        self.optimiser = torch.optim.SGD(self.part.parameters(), RATE, MOMENTUM)
        return self.like.nbytes, sum(weight.nbytes for weight in self.weights)

    def device(self, address: tuple[str, int], number: int, batches: int) -> list[Stamps]:
        """Train for one round as device *number*; return the stamps of each batch and of the weights."""
        with socket.create_connection(address) as connection:
            wire.tuned(connection, "cubic")
            wire.send(connection, number, b"")
            wire.receive(connection, number)  # everybody is there
            rows = [self._batch(connection, step) for step in range(batches)]
            start = wall()
            with torch.no_grad():
                payload = wire.serialise(list(self.part.parameters()))
            sent = wall()
            wire.send(connection, batches, payload)
            data, received = wire.receive(connection, batches)
            with torch.no_grad():
                for weight, new in zip(self.part.parameters(), wire.tensors(data, self.weights), strict=True):
                    weight.copy_(new)
            rows.append(
                {"step": WEIGHTS, "start": start, "forward": start, "sent": sent, "received": received, "end": wall()}
            )
        return rows

    def _batch(self, connection: socket.socket, step: int) -> Stamps:
        start = wall()
        (activation,) = self.part(self.example)
        forward = wall()
        payload = wire.serialise((activation.detach(),))
        sent = wall()
        wire.send(connection, step, payload)
        data, received = wire.receive(connection, step)
        (gradient,) = wire.tensors(data, [self.like])
        self.optimiser.zero_grad()
        activation.backward(gradient)
        self.optimiser.step()
        return {"step": step, "start": start, "forward": forward, "sent": sent, "received": received, "end": wall()}

    def server(self, devices: int, batches: int) -> list[Stamps]:
        """Serve one round of *devices*; return the stamps of each message answered."""
        assert self.listener is not None
        connections = {}
        for _ in range(devices):
            connection = self.listener.accept()[0]
            wire.tuned(connection, "cubic")
            who, _ = wire.HEADER.unpack(wire.exactly(connection, wire.HEADER.size))
            connections[who] = connection
        came: queue.SimpleQueue[tuple[int, int, bytearray, float]] = queue.SimpleQueue()
        for number, connection in connections.items():
            wire.send(connection, number, b"")
            threading.Thread(target=_receive_all, args=(came, number, connection, batches), daemon=True).start()
        rows: list[Stamps] = []
        weights: dict[int, tuple[Sequence[torch.Tensor], float]] = {}
        while len(weights) < devices:
            number, step, data, received = came.get(timeout=120.0)
            begun = wall()
            if step < batches:
                payload = wire.serialise((self._step(data),))
                done = wall()
                wire.send(connections[number], step, payload)
                rows.append({"device": number, "step": step, "received": received, "begun": begun, "done": done})
            else:
                weights[number] = wire.tensors(data, self.weights), received
        begun = wall()
        mean = [sum(same) / devices for same in zip(*(heads for heads, _ in weights.values()), strict=True)]
        payload = wire.serialise(mean)
        done = wall()
        for number, connection in connections.items():
            wire.send(connection, batches, payload)
            came_at = weights[number][1]
            rows.append({"device": number, "step": WEIGHTS, "received": came_at, "begun": begun, "done": done})
        for connection in connections.values():
            connection.close()
        return rows

    def _step(self, data: bytearray) -> torch.Tensor:
        """Train the tail on one batch; return the gradient of the activations."""
        (activation,) = wire.tensors(data, [self.like])
        activation.requires_grad_()
        self.optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.part(activation), self.labels)
        loss.backward()
        self.optimiser.step()
        assert activation.grad is not None
        return activation.grad


def _receive_all(
    came: queue.SimpleQueue[tuple[int, int, bytearray, float]], number: int, connection: socket.socket, batches: int
) -> None:
    """Put every message of one device into the queue, batches first, then its weights."""
    for step in range(batches + 1):
        data, received = wire.receive(connection, step)
        came.put((number, step, data, received))
