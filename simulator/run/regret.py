"""Regret: how much later each answer came than under the oracle, in the same world.

The world of a seed does not depend on who decides in it, so a second run with the ``oracle`` meets the same arrivals,
traces and repeats, and requests can be compared one by one. The oracle pays for no probe and no change of mind:
regret is the price of not knowing, of learning, and of deciding badly, together. What of it is noise, two requests
that changed places in a queue, cancels out over a run.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from simulator.results.frames import Results
from simulator.scenario.knowledge import resolve_knowledge
from simulator.scenario.scenario import Scenario
from simulator.techniques.oracle import Oracle


def under_oracle(scenario: Scenario) -> Scenario:
    """Return the world of *scenario* with the oracle deciding."""
    return scenario.with_({"record": "requests"}).with_technique(Oracle())


def regret(results: Results, oracle: Results) -> pd.DataFrame:
    """Return one row per request answered in both runs of one world (with closed loops few arrive in both).

    Columns: source, request, arrival_s, latency_s, oracle_s, regret_s (their difference; above zero: later).
    """
    keys = ["source", "request", "arrival_s"]
    both = [run.requests[[*keys, "latency_s"]].dropna() for run in (results, oracle)]
    frame = both[0].merge(both[1].rename(columns={"latency_s": "oracle_s"}), on=keys, how="inner")
    frame["regret_s"] = frame["latency_s"] - frame["oracle_s"]
    return frame.sort_values(["arrival_s", "source", "request"], kind="stable", ignore_index=True)


def with_regret(results: Results, oracle: Results) -> Results:
    """Return *results* with regret in its summary, warm-up left out.

    That is ``regret_mean_s`` and ``oracle_latency_mean_s``, over the ``regret_requests`` answered in both runs; with
    closed loops the difference of the means of all.
    """
    if results.meta["arrivals"] == "closed":  # requests come when the last was answered: none has its like
        mine, best = results.summary(), oracle.summary()["latency_mean_s"]
        gap = mine["latency_mean_s"] - best
        told = {"regret_mean_s": gap, "oracle_latency_mean_s": best, "regret_requests": mine["requests"]}
        return replace(results, meta={**results.meta, **told})
    frame = regret(results, oracle)
    frame = frame[frame["arrival_s"] >= results.meta["warmup_s"]]
    names = {"regret_mean_s": "regret_s", "oracle_latency_mean_s": "oracle_s"}
    means = {key: math.fsum(frame[name]) / len(frame) if len(frame) else math.nan for key, name in names.items()}
    return replace(results, meta={**results.meta, **means, "regret_requests": len(frame)})


def senses(scenario: Scenario) -> bool:
    """Return whether who decides in *scenario* knows less than the truth, so that regret says something."""
    technique = scenario.technique
    return not technique.clairvoyant and not resolve_knowledge(scenario.entry.knowledge, technique).true
