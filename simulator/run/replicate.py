"""``replicate``: independent runs of one scenario, one per seed, side by side on the cores there are.

Runs of different seeds share nothing, so that one value per run is one independent value: that is what an interval
over replications rests on (``simulator/results/replications.py``). What comes out does not depend on how many work at
it. Processes are joblib's (loky), which sends techniques defined in a notebook along.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config

from simulator.foundation.errors import ScenarioError
from simulator.results.frames import Results
from simulator.run.simulation import Progress, Simulation
from simulator.scenario.scenario import Scenario
from simulator.techniques.registry import read_technique
from simulator.techniques.technique import Technique

T = TypeVar("T")

Done = Callable[[int, int], None]
"""Called with how many runs are done, and of how many."""


def replicate(
    scenario: str | Path | Scenario,
    replications: int | None = None,
    technique: Technique | str | None = None,
    jobs: int | None = None,
    progress: Done | None = None,
) -> list[Results]:
    """Run *scenario* with its seed, its seed + 1, and so on, and return the runs in this order.

    Args:
        scenario: a file, the name of a shipped one (``quick/split_inference``), or a ``Scenario``.
        replications: how many runs, instead of as many as the scenario says.
        technique: instead of the scenario's, registered or not, or by name: ``fixed-split:split_point=32``.
        jobs: how many at once, each in a process of its own (default: one per core this process may use).
        progress: called with how many runs are done, and of how many.

    Raises:
        ScenarioError: with every problem found.
    """
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario)
    if technique is not None:
        scenario = scenario.with_technique(read_technique(technique) if isinstance(technique, str) else technique)
    count = scenario.entry.replications if replications is None else replications
    for name, value in (("replications", count), ("jobs", jobs)):
        if value is not None and value < 1:
            raise ScenarioError(f"{name}: {value} came; it must be 1 or more")
    seeds = range(scenario.entry.seed, scenario.entry.seed + count)
    scenario.with_({"seed": seeds[-1]})  # which may be too large
    found: dict[int, Results] = {}
    for index, results in each_run([(scenario, seed) for seed in seeds], _as_it_is, jobs):
        found[index] = results
        if progress is not None:
            progress(len(found), count)
    return [found[index] for index in range(count)]


def each_run(
    worlds: Sequence[tuple[Scenario, int]], keep: Callable[[Results], T], jobs: int | None = None
) -> Iterator[tuple[int, T]]:
    """Run every (scenario, seed), and yield its index with what *keep* leaves of the results, as each one ends.

    Args:
        worlds: what to run.
        keep: called where the run was made, so that only what it returns has to be sent back.
        jobs: how many at once, each in a process of its own (default: one per core this process may use).
    """
    count = min(jobs or cpu_count(), len(worlds))
    if count <= 1:
        yield from ((index, keep(_one(*world))) for index, world in enumerate(worlds))
        return
    here = str(Path.cwd()), os.getpid()
    with parallel_config("loky", inner_max_num_threads=1):  # a run has one thread, and there is one run per core
        parallel = Parallel(n_jobs=count, return_as="generator_unordered")
        yield from parallel(delayed(_apart)(index, *world, keep, *here) for index, world in enumerate(worlds))


def _one(scenario: Scenario, seed: int, progress: Progress | None = None) -> Results:
    """Run one replication, as a scenario of its own."""
    return Simulation(scenario.with_({"seed": seed, "replications": 1})).run(progress)


def _as_it_is(results: Results) -> Results:
    return results


def _apart(
    index: int, scenario: Scenario, seed: int, keep: Callable[[Results], T], folder: str, parent: int
) -> tuple[int, T]:
    """Run one replication in a process that *parent* started, maybe for an earlier call from another folder."""
    os.chdir(folder)

    def alone(now: float, done: int) -> None:
        if os.getppid() != parent:
            os._exit(1)  # nobody waits for the result

    return index, keep(_one(scenario, seed, alone))
