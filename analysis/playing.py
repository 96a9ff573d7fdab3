"""The runs behind a comparison: who plays in which worlds, and what is kept of each run.

A comparison may be of hundreds of runs, so that of each only its figures and its mean latency by time of arrival stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.comparison import Comparison
from analysis.contestants import Contestant, Given, contestants
from analysis.subject import bandwidth_evidence
from simulator import Results
from simulator.foundation.errors import ResultsError, did_you_mean
from simulator.results.replications import FIGURES
from simulator.run.replicate import Done, each_run

BINS = 60
"""Parts of a run for which the mean latency is kept, to be drawn over time."""


Digest = tuple[dict[str, Any], pd.DataFrame]
"""The figures of a run, and its latencies by time of arrival."""


def compare(
    *given: Given,
    seeds: int | Iterable[int] | None = None,
    metric: str = "latency_mean_s",
    level: float = 0.95,
    against: str | None = None,
    jobs: int | None = None,
    progress: Done | None = None,
) -> Comparison:
    """Compare techniques in the same worlds.

    Args:
        *given: scenarios (object, file, shipped name), techniques (object, or name as ``fixed-split:split_point=32``)
            applied to the one scenario given, saved runs (object or folder), lists of runs.
        seeds: how many worlds (from the scenario's seed on; 20 unless said), or which; saved runs bring theirs.
        metric: what to rank by, one of :data:`FIGURES`.
        level: probability of the intervals.
        against: label of the one to compare all others with, instead of each with each.
        jobs: processes; one per core by default.
        progress: called with the runs done and their number.

    Raises:
        ScenarioError: nothing to compare, or different worlds.
        ResultsError: fewer than two seeds, an unknown metric, or saved runs without two seeds in common.
    """
    if metric not in FIGURES:
        raise ResultsError(f'no metric "{metric}".{did_you_mean(metric, FIGURES)} Known: {", ".join(FIGURES)}')
    sides = contestants(given)
    if against is not None and against not in [side.label for side in sides]:
        labels = [side.label for side in sides]
        raise ResultsError(f'none is called "{against}".{did_you_mean(against, labels)} Here are: {", ".join(labels)}')
    worlds = _worlds(sides, seeds)
    ready = _played(sides, worlds, jobs, progress)
    runs, over_time = [], []
    for side in sides:
        for seed in worlds:
            figures, bins = ready[side.label, seed]
            runs.append({"label": side.label, "seed": seed, **figures})
            over_time.append(bins.assign(label=side.label, seed=seed))
    frame = pd.concat(over_time, ignore_index=True)[["label", "seed", "from_s", "to_s", "requests", "latency_sum_s"]]
    table = pd.DataFrame(runs)
    meta = {key: table[key].iloc[0] for key in ("offing", "grade", "networks", "inputs")}
    name = sides[0].scenario.name if sides[0].scenario is not None else str(sides[0].runs[0].meta["scenario"])
    bounds = tuple(side.label for side in sides if side.clairvoyant)
    kept = table.drop(columns=["offing", "networks", "inputs"])
    return Comparison(kept, frame, name, metric, level, bounds, against or "", meta)


def _played(
    sides: Sequence[Contestant], worlds: Sequence[int], jobs: int | None, progress: Done | None
) -> dict[tuple[str, int], Digest]:
    """Return what is kept of each contestant's run in each world.

    Where warm-ups were looked for, all contestants leave out what the longest in their world does: they would not be
    paired if each left out other requests.
    """
    bare = {side.label: side.scenario.with_({"record": "requests"}) for side in sides if side.scenario is not None}
    saved = {(side.label, int(run.meta["seed"])): run for side in sides for run in side.runs}
    ready = {key: _digest(run) for key, run in saved.items()}
    todo = [(label, seed) for seed in worlds for label in bare]
    runs = each_run([(bare[label], seed) for label, seed in todo], _digest, jobs)
    for done, (index, digest) in enumerate(runs, start=1):
        ready[todo[index]] = digest
        if progress is not None:
            progress(done, len(todo))
    cuts = {seed: max(ready[side.label, seed][0]["warmup_s"] for side in sides) for seed in worlds}
    again = [key for key in ready if key[1] in cuts and ready[key][0]["warmup_s"] < cuts[key[1]]]
    anew = [key for key in again if key not in saved]
    for key in set(again) - set(anew):
        ready[key] = _digest(replace(saved[key], meta={**saved[key].meta, "warmup_s": cuts[key[1]]}))
    shorter = [(bare[label].with_({"warmup": f"{cuts[seed]!r} s"}), seed) for label, seed in anew]
    for index, digest in each_run(shorter, _digest, jobs):
        ready[anew[index]] = digest
    return ready


def _worlds(sides: Sequence[Contestant], seeds: int | Iterable[int] | None) -> list[int]:
    """Return the seeds all contestants have."""
    saved = [{int(saved.meta["seed"]) for saved in side.runs} for side in sides if side.runs]
    if saved:
        if seeds is not None:
            raise ResultsError("saved runs bring their seeds; leave --seeds out")
        common = sorted(set.intersection(*saved))
        if len(common) < 2:
            raise ResultsError(
                f"the saved runs have {len(common)} seeds in common, an interval needs two or more; save runs with "
                "replications: 10 in the scenario"
            )
        return common
    seeds = 20 if seeds is None else seeds
    if isinstance(seeds, int):
        first = next(side.scenario.entry.seed for side in sides if side.scenario is not None)
        seeds = range(first, first + seeds)
    worlds = list(dict.fromkeys(int(seed) for seed in seeds))
    if len(worlds) < 2:
        raise ResultsError(f"{len(worlds)} seed came; an interval needs at least two worlds, e.g. --seeds 20")
    return worlds


def _digest(results: Results) -> Digest:
    """Return what a comparison needs of one run; the rest is forgotten, since there are many."""
    summary = results.summary()
    outcomes = summary["outcomes"]
    figures = {
        **{metric: summary[metric] for metric in FIGURES},
        "requests": summary["requests"],
        "unanswered": outcomes.get("unfinished", 0) + outcomes.get("lost", 0),
        "changes": summary["changes"],
        "warmup_s": summary["warmup_s"],
        "knowledge": summary["knowledge"],
        "downtime_s": summary["downtime_s"],
        "unstable": bool(summary["unstable"]),
        "grade": summary["grade"],
        "offing": results.provenance.get("offing", ""),
        "networks": bandwidth_evidence(results.provenance.get("networks", {})),
        "inputs": tuple(results.meta.get("inputs", ())),
    }
    columns = results.columns["requests"]
    answered = np.isfinite(columns["finish_s"]) & (columns["arrival_s"] >= results.meta["warmup_s"])
    edges = np.linspace(0.0, results.meta["until_s"], BINS + 1)
    place = np.clip(np.searchsorted(edges, columns["arrival_s"][answered], side="right") - 1, 0, BINS - 1)
    bins = pd.DataFrame(
        {
            "from_s": edges[:-1],
            "to_s": edges[1:],
            "requests": np.bincount(place, minlength=BINS),
            "latency_sum_s": np.bincount(place, weights=columns["latency_s"][answered], minlength=BINS),
        }
    )
    return figures, bins
