"""Whether a run has a steady state to speak of: its warm-up, its overloaded stations, the interval of its mean.

A station that is given more than it can do has a queue that grows for as long as the run lasts: mean and percentiles
of such a run are figures of its length. That is not guessed from latencies but counted (``offered`` in the frames
``nodes`` and ``links``); the margin is what chance can do to a station that is stable.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator.results.record import Columns
from simulator.results.statistics import Interval, batch_means, mser5

MSER = "mser-5"
"""What a scenario says for a warm-up that is to be found."""

CHANCE = 2.0  # standard errors of the number of arrivals that an overload must exceed, where they are random
STEADY_ARRIVALS = "periodic"
TOLD = 5  # overloaded stations that are named, the worst


def in_order(requests: Columns) -> npt.NDArray[np.intp]:
    """Return the indices of *requests* in order of arrival, however they were recorded."""
    arrival = requests["arrival_s"]
    order = np.argsort(arrival, kind="stable")
    in_time = arrival[order]
    if (in_time[1:] > in_time[:-1]).all():
        return order
    return np.lexsort((requests["request"], requests["source"].astype(str), arrival))


def find_warmup(requests: Columns) -> tuple[float, bool]:
    """Return when the first request to keep arrived [s], by MSER-5, and whether a steady state was found."""
    order = in_order(requests)
    order = order[np.isfinite(requests["latency_s"][order])]
    found = mser5(requests["latency_s"][order])
    return (float(requests["arrival_s"][order[found.first]]) if found.first else 0.0), found.steady


def mean_interval(requests: Columns, meta: Mapping[str, Any], unstable: Mapping[str, float]) -> Interval:
    """Return the interval of the mean latency of the answered requests behind the warm-up, by batch means.

    There is none where a station is overloaded or no steady state was found, whatever the batches look like.
    """
    order = in_order(requests)
    order = order[requests["arrival_s"][order] >= meta["warmup_s"]]
    latency = requests["latency_s"][order]
    found = batch_means(latency[np.isfinite(latency)])
    problem = "a station is unstable" if unstable else "" if meta["warmup_steady"] else "no steady state was found"
    return Interval(found.mean, math.nan, math.nan, found.count, found.level, problem) if problem else found


def overloaded(columns: Mapping[str, Columns], arrivals: str) -> dict[str, float]:
    """Return, by node, channel or station of several channels, how many times its capacity it was given, worst first.

    Named are those above 1 by more than (a) the last request of each source, which may have come too late to be done,
    and (b) where arrivals are random, two standard errors of their number. Closed loops wait for their answers and
    overload nothing.

    Args:
        columns: the frames requests, nodes and links.
        arrivals: their kind in the scenario.
    """
    nodes, links = columns["nodes"], columns["links"]
    if arrivals == "closed" or not ((nodes["offered"] > 1).any() or (links["offered"] > 1).any()):
        return {}
    sources, counts = np.unique(columns["requests"]["source"].astype(str), return_counts=True)
    asked = dict(zip(sources.tolist(), counts.tolist(), strict=True))
    found = {}
    for name, ends, offered in _stations(nodes, links):
        users = [end for end in ends if end in asked] or list(asked)
        requests = sum(asked[user] for user in users)
        if requests:
            margin = 0.0 if arrivals == STEADY_ARRIVALS else CHANCE / math.sqrt(requests)
            if offered * (1 - len(users) / requests) > 1 + margin + 1e-9:
                found[name] = offered
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _stations(nodes: Columns, links: Columns) -> Iterator[tuple[str, set[str], float]]:
    """Yield each station that was given more than it can do: its name, the nodes that use it, and how much."""
    for name, offered in zip(nodes["node"].tolist(), nodes["offered"].tolist(), strict=True):
        if offered > 1:
            yield name, {name}, offered
    stations: dict[str, tuple[list[str], set[str], float]] = {}
    over = np.flatnonzero(links["offered"] > 1)
    keys = ("channel", "sender", "receiver", "station", "offered")
    for channel, sender, receiver, station, offered in zip(*(links[key][over].tolist() for key in keys), strict=True):
        channels, ends, _ = stations.setdefault(station, ([], set(), offered))
        channels.append(channel)
        ends.update((sender, receiver))
    for station, (channels, ends, offered) in stations.items():
        yield (channels[0] if len(channels) == 1 else station), ends, offered


def warnings(meta: Mapping[str, Any], unstable: Mapping[str, float], nodes: Collection[str]) -> list[str]:
    """Return what must be known before any figure of the run is believed, a sentence each."""
    said = []
    for name, offered in list(unstable.items())[:TOLD]:
        work, do, was = ("work", "do", "was") if name in nodes else ("bytes", "carry", "were")
        times = f"{offered:.2f} times" if offered < 1e3 else "more than 1000 times"
        said.append(
            f"{name} is unstable: {times} the {work} it can {do} in {meta['until_s']:g} s {was} handed to it; "
            "latencies grow with the length of the run, so no mean or interval of them means anything"
        )
    if len(unstable) > TOLD:
        said.append(f"and so are {len(unstable) - TOLD} more stations (column offered of the frames nodes and links)")
    if not meta["warmup_steady"]:
        said.append(
            "no steady state was found (MSER-5): too few requests were answered, or latencies still changed half-way "
            "through; make the run longer"
        )
    return said
