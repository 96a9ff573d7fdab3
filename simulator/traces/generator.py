"""Generators: synthetic traces drawn from a seed that behave like recorded ones, by technology and movement.

Recordings are not ours to ship, and a handful of them is a handful of drives. A :class:`Generator` is what was fitted
to a set of them, in one of two forms, each with a file of its own: ``copula`` (``copula.py``) and ``markov``
(``markov.py``). A third, ``bootstrap`` (``bootstrap.py``), keeps no parameters but the recording itself, which is the
user's own. How near each comes is in ``docs/explanation/synthetic_bandwidth.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from simulator.foundation.errors import TraceError, did_you_mean
from simulator.profiles.trace import Trace
from simulator.traces.copula import read_copula
from simulator.traces.markov import read_markov
from simulator.traces.recording import Direction, Layer
from simulator.traces.written import Kind, named, read_mapping


@runtime_checkable
class Generator(Protocol):
    """A kind of network or of load, of which any number of traces can be drawn."""

    @property
    def name(self) -> str:
        """Its name in scenarios."""

    @property
    def kind(self) -> Kind:
        """What its traces are of."""

    @property
    def grade(self) -> str:
        """Evidence grade of its traces."""

    @property
    def direction(self) -> Direction:
        """Which direction of a link was recorded."""

    @property
    def layer(self) -> Layer:
        """What bandwidths it was made of were measured of."""

    @property
    def evidence(self) -> str:
        """What stands in the records for a trace of it."""

    @property
    def step(self) -> float:
        """How often its level changes [s]."""

    @property
    def mean(self) -> float:
        """The mean of all its traces [B/s or share]."""

    @property
    def peak(self) -> float:
        """The largest value it can give [B/s or share]."""

    def scaled(self, factor: float) -> Generator:
        """Return this network or load *factor* times as high."""

    def generate(self, rng: np.random.Generator, duration: float) -> Trace:
        """Return one trace that wraps after *duration* [s]."""


FORMS: dict[str, Callable[[Mapping[str, Any], Path], Generator]] = {"copula": read_copula, "markov": read_markov}
"""What a file says under ``form:`` → what reads the rest."""


def read_generator(path: Path) -> Generator:
    """Read a file of parameters, of whichever form it says it has.

    Raises:
        TraceError: if it cannot be read, its form is unknown, or a key, a unit or a number is wrong.
    """
    data = read_mapping(path)
    form = data.get("form")
    if form not in FORMS:
        came = "is missing" if form is None else f"{form!r} came"
        raise TraceError(f"{path.name}: form: {came};{did_you_mean(form, FORMS)} known: {', '.join(FORMS)}")
    return FORMS[str(form)](data, path)


def generator_names(folder: Path) -> list[str]:
    """Return the names of the generators in *folder*."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def find_generator(name: str, folder: Path) -> Generator:
    """Return the generator *name* of *folder*.

    Raises:
        TraceError: if there is none, with the nearest name, or its file is wrong.
    """
    return read_generator(named(name, folder, "generator"))
