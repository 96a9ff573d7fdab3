"""Several independent runs of one scenario, summed up: each figure's mean over the runs, with its interval.

Requests of different runs are never put into one sample: those of one run depend on each other, and a percentile of
the pool is no run's percentile. Each run gives one value of each figure, and these are independent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from simulator.foundation.errors import ResultsError
from simulator.profiles.hardware import worst
from simulator.results.frames import Results
from simulator.results.statistics import t_interval


class Figure(NamedTuple):
    """A number that a run gives."""

    name: str
    unit: str
    less: bool
    """Whether less of it is better."""


FIGURES = {
    "latency_mean_s": Figure("mean latency", "s", True),
    "latency_p50_s": Figure("median latency", "s", True),
    "latency_p95_s": Figure("95 % latency", "s", True),
    "latency_p99_s": Figure("99 % latency", "s", True),
    "throughput_per_s": Figure("throughput", "/s", False),
    "goodput_per_s": Figure("goodput", "/s", False),
    "request_device_energy_j": Figure("device energy per request", "J", True),
    "energy_j": Figure("energy of all nodes", "J", True),
}
"""What runs are compared by, or summed up: keys of a run's summary."""
TOLD_TOO = {
    "hold_s": Figure("waiting for redeployment", "s", True),
    "regret_mean_s": Figure("regret to the oracle", "s", True),
}
"""What is summed up where there is any."""

SAME = ("scenario", "technique", "knowledge", "deadline_s", "warmup")
TOLD = 5  # warnings


def check_replications(runs: Sequence[Results]) -> None:
    """Refuse *runs* that are not independent runs of one scenario.

    Raises:
        ResultsError: for different scenarios or techniques, or one seed twice.
    """
    if len({(run.provenance.get("scenario_hash"), run.meta["technique"]) for run in runs}) > 1:
        raise ResultsError("runs of different scenarios or techniques came; offing compare puts them side by side")
    seeds = [run.meta["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if seeds.count(seed) > 1)
        raise ResultsError(f"two runs of seed {twice} came; one run is one value, however often it is given")


def across(runs: Sequence[Results], level: float = 0.95) -> dict[str, Any]:
    """Return the figures of independent *runs* of one scenario as plain numbers.

    Each of :data:`FIGURES` and :data:`TOLD_TOO` has mean, low and high (Student's interval over the runs; None where
    there is none, and ``problem`` says why), and ``values``, one per run.

    Raises:
        ResultsError: for fewer than two runs, or runs of different scenarios.
    """
    check_replications(runs)
    summaries = [run.summary() for run in runs]
    figures = {}
    for key in (*FIGURES, *TOLD_TOO):
        if key == "regret_mean_s" and key not in summaries[0]:
            continue
        values = [s["latency_parts_s"]["hold"] if key == "hold_s" else s[key] for s in summaries]
        interval = t_interval(values, level)
        low, high = (interval.low, interval.high) if interval.reliable else (None, None)
        figures[key] = {"mean": interval.mean, "low": low, "high": high, "problem": interval.problem, "values": values}
    outcomes: Counter[str] = Counter()
    for summary in summaries:
        outcomes.update(summary["outcomes"])
    said = [f"seed {s['seed']}: {sentence}" for s in summaries for sentence in s["warnings"]]
    more = [f"and {len(said) - TOLD} more warnings; offing run --seed N shows those of one run"]
    return {
        **{key: summaries[0][key] for key in SAME},
        "grade": worst([s["grade"] for s in summaries]),
        "replications": len(runs),
        "seeds": [s["seed"] for s in summaries],
        "level": level,
        "requests": sum(s["requests"] for s in summaries),
        "warmup_requests": sum(s["warmup_requests"] for s in summaries),
        "outcomes": dict(sorted(outcomes.items())),
        "figures": figures,
        "unstable": {str(s["seed"]): s["unstable"] for s in summaries if s["unstable"]},
        "inputs": [line for line in summaries[0]["inputs"] if all(line in s["inputs"] for s in summaries)],
        "warnings": said if len(said) <= TOLD + 1 else said[:TOLD] + more,
    }
