"""Fit bandwidth generators of the ``markov`` form by counting, and choose how many states they have.

Recordings are looked at once a second. Seconds without anything are one state; the others are cut into bands that
are met equally often. Transitions are counted, a recording's last second taken as followed by the next one's first (and
the last one's by the first one's): thereby each state is left as often as it is entered, so that the share of time in
each is exactly the recorded one, and every state leads to every other.

More bands remember more and are fitted to less. Their number is the one under which a recording is likeliest that was
left out of the counting (the sum over all recordings, each left out in turn). Numbers of bands are compared by the
density of a second given the one before, in units of the distribution of all seconds (``log(p[i, j] / share[j])``),
which does not depend on how the axis is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from calibration.worlds.bandwidth import RealSet, head, sampled, written
from simulator.profiles.trace import Trace
from simulator.traces.markov import OUTAGE, Markov
from simulator.traces.recording import Array

Whole = npt.NDArray[np.int64]

BANDS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
"""Numbers of bands to choose from, the outage not counted."""
WITHIN = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where quantiles are kept within a band."""


def fit_markov(real: RealSet, traces: Sequence[Trace], bands: int | None = None) -> Markov:
    """Fit a generator to the recordings of a set, with as many *bands* or as many as predict best."""
    samples = [sampled(trace) for trace in traces]
    bands = choose(samples) if bands is None else bands
    states = [_states(sample, _edges(samples, bands)) for sample in samples]
    counts = _counted([np.append(each, after[0]) for each, after in pairwise([*states, states[0]])], bands + 1)
    pool, state = np.concatenate(samples), np.concatenate(states)
    levels = [np.quantile(pool[state == band], WITHIN).tolist() for band in range(1, bands + 1)]
    rows = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    kept = [0, *range(1, bands + 1)] if (state == 0).any() else list(range(1, bands + 1))
    source = f"counted in {len(traces)} recordings, {len(pool)} s: {real.citation}"
    return Markov(
        f"{real.name}-markov", real.title, "transferred", "down", source,
        tuple(tuple(levels[band - 1]) if band else OUTAGE for band in kept),
        tuple(tuple(rows[band][kept].tolist()) for band in kept), 1.0, "bandwidth",
        "goodput",
    )  # fmt: skip


def choose(samples: Sequence[Array]) -> int:
    """Return the number of bands under which recordings left out are likeliest."""
    return max(BANDS, key=lambda bands: likelihood(samples, bands))


def likelihood(samples: Sequence[Array], bands: int) -> float:
    """Return the logarithm of how likely each recording is by the transitions of the others, per second and summed up.

    A transition never met in the others has the weight of one met as often as its target is, once in each row.
    """
    states = [_states(sample, _edges(samples, bands)) for sample in samples]
    share = np.bincount(np.concatenate(states), minlength=bands + 1) / sum(map(len, states))
    every = [_counted([each], bands + 1) for each in states]
    total, seconds = 0.0, 0
    for each, own in zip(states, every, strict=True):
        others = sum(every) - own + share
        rows = others / others.sum(axis=1, keepdims=True)
        total += float(np.log(rows[each[:-1], each[1:]] / share[each[1:]]).sum())
        seconds += len(each) - 1
    return total / seconds


def _edges(samples: Sequence[Array], bands: int) -> Array:
    pool = np.concatenate(samples)
    return np.quantile(pool[pool > 0], np.arange(1, bands) / bands)


def _states(sample: Array, edges: Array) -> Whole:
    """Return 0 for an outage, else 1, 2 ... by band."""
    return np.where(sample == 0, 0, 1 + np.searchsorted(edges, sample, side="right"))


def _counted(runs: Sequence[Whole], states: int) -> Array:
    counts = np.zeros((states, states))
    for run in runs:
        np.add.at(counts, (run[:-1], run[1:]), 1.0)
    return counts


def markov_yaml(generator: Markov) -> str:
    """Return the file of a generator, levels to three digits, shares to five."""
    lines = []
    for levels in generator.levels:
        values = ", ".join(written(value, generator.kind) for value in levels)
        lines.append("  - outage" if levels == OUTAGE else f"  - [{values}]")
    rows = "\n".join(f"  - [{', '.join(f'{share:.5g}' for share in row)}]" for row in generator.transitions)
    states = "\n".join(lines)
    return f"""\
{head(generator, "markov")}
states:  # within a state, 0, 25, 50, 75, 100 % of the time have less
{states}
transitions:  # from the state of the row to that of the column, each step
{rows}
"""
