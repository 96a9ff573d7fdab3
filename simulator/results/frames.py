"""``Results``: what a run gives: tidy pandas frames, a summary, and a folder that can be read again.

A folder holds one Parquet file per frame (no clock and no path inside, so the same run gives the same bytes), the
resolved scenario, and ``provenance.json``. It is written under a temporary name and renamed, so that a killed run
never leaves a half result that looks whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simulator.foundation.errors import ResultsError
from simulator.profiles.hardware import worst
from simulator.results.blame import blame
from simulator.results.files import write_folder
from simulator.results.record import TABLES, Columns
from simulator.results.steady import MSER, find_warmup, mean_interval, overloaded, warnings

IDENTITY = ("run_id", "scenario", "technique", "seed")
"""Columns every frame begins with."""
REGRET = ("regret_mean_s", "regret_requests", "oracle_latency_mean_s")
"""What a comparison with the oracle adds to ``meta`` and summary."""


@dataclass(frozen=True)
class Results:
    """One run's frames and where they come from."""

    columns: dict[str, Columns]
    """Typed columns per table, as recorded."""
    meta: dict[str, Any]
    """run_id, scenario, technique, seed, knowledge, clairvoyant, arrivals, until_s, warmup (as said), warmup_s (as
    found), warmup_steady, deadline_s, end_s, inputs (a line for each recording that was read, or replaced); and regret,
    where it was asked for (``run/regret.py``)."""
    scenario_text: str
    provenance: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """Recordings the scenario read, so that a saved run can be run again: name in the folder → content."""

    @classmethod
    def of(
        cls,
        columns: dict[str, Columns],
        scenario: Any,
        technique: str,
        knowledge: str,
        end: float,
        sources: dict[str, Any],
    ) -> Results:
        """Make the results of a run of *scenario* that ended at *end* [s]."""
        entry = scenario.entry
        digest = scenario.hash()
        text = f"{digest} {technique} {entry.seed} {version('offing')}"
        found = find_warmup(columns["requests"]) if entry.warmup == MSER else (entry.warmup, True)
        meta = {
            "run_id": hashlib.sha256(text.encode()).hexdigest()[:12],
            "scenario": scenario.name,
            "technique": technique,
            "seed": entry.seed,
            "knowledge": knowledge,
            "clairvoyant": scenario.technique.clairvoyant,
            "arrivals": entry.workload.arrivals.kind,
            "until_s": entry.until,
            "warmup": str(scenario.document.data.get("warmup", "0 s")),
            "warmup_s": found[0],
            "warmup_steady": found[1],
            "deadline_s": entry.workload.deadline,
            "end_s": end,
            "inputs": [*(each.line for each in scenario.inputs()), *sources.get("told", [])],
        }
        files = {name: content for name, (_, content) in scenario.recordings().items()}
        return cls(columns, meta, scenario.text(), {**sources, "scenario_hash": digest}, files)

    def __repr__(self) -> str:
        """Say what was run and how many requests there were (``summary()`` and the frames have the rest)."""
        run = f"{self.meta['scenario']!r}, {self.meta['technique']}, seed {self.meta['seed']}"
        return f"Results({run}: {len(self.columns['requests']['request'])} requests)"

    def frame(self, name: str) -> pd.DataFrame:
        """Return the frame *name*, its rows in order of time.

        Raises:
            ResultsError: if this run did not record it.
        """
        if name not in self.columns:
            hint = " (record: spans in the scenario switches it on)" if name in TABLES else ""
            raise ResultsError(f'this run has no frame "{name}"{hint}; it has: {", ".join(self.columns)}')
        columns = self.columns[name]
        frame = pd.DataFrame(
            {key: _as_text(values) if values.dtype == object else values for key, values in columns.items()}, copy=False
        )
        if name == "requests" and len(frame):
            order = np.lexsort((columns["request"], columns["source"].astype(str), columns["arrival_s"]))
            frame = frame.iloc[order].reset_index(drop=True)
        for position, key in enumerate(IDENTITY):
            value = self.meta[key]
            if isinstance(value, str):
                frame.insert(position, key, pd.Series([value] * len(frame), dtype="str", index=frame.index))
            else:
                frame.insert(position, key, np.full(len(frame), value, dtype=np.int64))
        return frame

    @cached_property
    def requests(self) -> pd.DataFrame:
        """One row per request."""
        return self.frame("requests")

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row per piece of work on a resource."""
        return self.frame("spans")

    @cached_property
    def decisions(self) -> pd.DataFrame:
        """One row per decision of the technique."""
        return self.frame("decisions")

    @cached_property
    def failures(self) -> pd.DataFrame:
        """One row per node or link that went down."""
        return self.frame("failures")

    @cached_property
    def handovers(self) -> pd.DataFrame:
        """One row per change of a device from one access point to another."""
        return self.frame("handovers")

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """One row per node."""
        return self.frame("nodes")

    @cached_property
    def links(self) -> pd.DataFrame:
        """One row per direction of a link."""
        return self.frame("links")

    @cached_property
    def blame(self) -> pd.DataFrame:
        """One row per node and direction of a link: how its time splits into working and four ways of not working."""
        return replace(self, columns={"blame": blame(self.columns, self.meta["end_s"])}).frame("blame")

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write everything to *folder*, all or nothing.

        Raises:
            ResultsError: if the folder exists and holds anything (unless *force* and it is a saved run), or cannot
                be written.
        """
        target = free_place(folder, force)
        with write_folder(target) as draft:
            self._write(draft)
        return target

    def _write(self, draft: Path) -> None:
        for name in self.columns:
            self.frame(name).to_parquet(draft / f"{name}.parquet", index=False)
        (draft / "scenario.yaml").write_text(self.scenario_text, encoding="utf-8")
        (draft / "meta.json").write_text(json.dumps(self.meta, indent=1) + "\n", encoding="utf-8")
        (draft / "provenance.json").write_text(json.dumps(self.provenance, indent=1) + "\n", encoding="utf-8")
        for name, content in self.files.items():
            (draft / name).parent.mkdir(exist_ok=True)
            (draft / name).write_bytes(content)

    @staticmethod
    def save_all(runs: Sequence[Results], folder: str | Path, *, force: bool = False) -> Path:
        """Write several runs of different seeds to *folder*, each to ``seed-N`` in it, all or nothing.

        Raises:
            ResultsError: as :meth:`save`, or if two runs have one seed.
        """
        names = [f"seed-{run.meta['seed']}" for run in runs]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ResultsError(f"two runs of {twice[0]} came; runs saved together have each a seed of their own")
        target = free_place(folder, force)
        with write_folder(target) as draft:
            for name, run in zip(names, runs, strict=True):
                (draft / name).mkdir()
                run._write(draft / name)
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Read a saved run.

        Raises:
            ResultsError: if the folder is not one.
        """
        path = Path(folder)
        seeds = saved_seeds(path)
        if seeds:
            raise ResultsError(f"{folder} holds {len(seeds)} runs; choose one of them, such as {seeds[0]}")
        try:
            meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
            provenance = json.loads((path / "provenance.json").read_text(encoding="utf-8"))
            text = (path / "scenario.yaml").read_text(encoding="utf-8")
            columns: dict[str, Columns] = {}
            for name in TABLES:
                file = path / f"{name}.parquet"
                if file.is_file():
                    frame = pd.read_parquet(file).drop(columns=list(IDENTITY))
                    columns[name] = {str(key): frame[key].to_numpy() for key in frame}
            files = {f"traces/{file.name}": file.read_bytes() for file in sorted((path / "traces").glob("*"))}
        except (OSError, ValueError, KeyError) as error:
            raise ResultsError(f"{folder} is not a saved run (made with --out): {error}") from None
        return cls(columns, meta, text, provenance, files)

    @classmethod
    def load_all(cls, folder: str | Path) -> list[Results]:
        """Read a folder of saved runs in order of seed, or of one saved run.

        Raises:
            ResultsError: if the folder is neither.
        """
        seeds = saved_seeds(Path(folder))
        return [cls.load(place) for place in seeds] or [cls.load(folder)]

    # -- summary -------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Return the figures of the run as plain numbers; requests that arrived in the warm-up are left out."""
        columns = self.columns["requests"]
        kept = columns["arrival_s"] >= self.meta["warmup_s"]
        outcome = columns["outcome"][kept]
        answered = np.isfinite(columns["finish_s"][kept])
        latency = columns["latency_s"][kept][answered]
        span = max(self.meta["until_s"] - self.meta["warmup_s"], 1e-300)
        in_time = columns["latency_s"][kept] <= (self.meta["deadline_s"] or math.inf)
        names, counts = np.unique(outcome.astype(str), return_counts=True)
        finish = columns["finish_s"][kept]
        parts = ("queue", "compute", "transfer", "delay", "software", "recovery", "hold")
        mean_parts = {p: _mean(columns[f"{p}_s"][kept][answered]) for p in parts}
        splits, uses = np.unique(columns["placement"][kept].astype(str), return_counts=True)
        nodes = self.columns["nodes"]
        decisions = self.columns["decisions"]
        adapted = decisions["hook"] == "adapt"
        sources = set(decisions["source"][decisions["hook"] == "place"].tolist())  # whose first decision is no change
        unstable = overloaded(self.columns, self.meta["arrivals"])
        interval = mean_interval(columns, self.meta, unstable)
        return {
            **{key: self.meta[key] for key in ("run_id", "scenario", "technique", "seed", "knowledge")},
            **{key: self.meta[key] for key in ("warmup", "warmup_s")},
            "warmup_requests": int((~kept).sum()),
            "grade": worst(nodes["grade"]),
            "power_grade": _power_grade(self.provenance),
            "requests": int(kept.sum()),
            "outcomes": dict(zip(names.tolist(), counts.tolist(), strict=True)),
            "latency_mean_s": _mean(latency),
            "latency_mean_low_s": interval.low if interval.reliable else None,
            "latency_mean_high_s": interval.high if interval.reliable else None,
            "latency_mean_interval": interval.problem or f"{100 * interval.level:g} %, {interval.count} batch means",
            "latency_p50_s": _quantile(latency, 0.50),
            "latency_p95_s": _quantile(latency, 0.95),
            "latency_p99_s": _quantile(latency, 0.99),
            "throughput_per_s": float((finish <= self.meta["until_s"]).sum() / span),
            "goodput_per_s": float((in_time & (finish <= self.meta["until_s"])).sum() / span),
            "deadline_s": self.meta["deadline_s"],
            "energy_j": float(nodes["energy_j"].sum()),
            "request_device_energy_j": _mean(columns["device_energy_j"][kept][answered]),
            "latency_parts_s": mean_parts,
            "placements": dict(sorted(zip(splits.tolist(), uses.tolist(), strict=True), key=lambda kv: -kv[1])),
            "node_energy_j": dict(zip(nodes["node"].tolist(), nodes["energy_j"].tolist(), strict=True)),
            "node_utilisation": dict(zip(nodes["node"].tolist(), nodes["utilisation"].tolist(), strict=True)),
            "changes": int(np.isin(decisions["hook"].astype(str), ("place", "adapt")).sum()) - len(sources),
            "redeployments": int(adapted.sum()),
            "downtime_s": float(decisions["downtime_s"][adapted].sum()),
            **{
                key: self.meta[key]
                for key in ("regret_mean_s", "regret_requests", "oracle_latency_mean_s")
                if key in self.meta
            },
            "unstable": unstable,
            "inputs": self.meta.get("inputs", []),
            "warnings": warnings(self.meta, unstable, set(nodes["node"].tolist())),
        }


def _power_grade(provenance: Mapping[str, Any]) -> str | None:
    """Return the weakest grade of what the energy rests on besides time; None where a saved run does not say."""
    powers = ("idle", "busy", "transmit", "receive")
    grades = [machine[name]["grade"] for machine in provenance.get("hardware", {}).values() for name in powers]
    return worst(grades) if grades else None


def saved_seeds(folder: Path) -> list[Path]:
    """Return the runs in *folder* in order of seed, if that is a folder of saved runs and of nothing else."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    seeds = [int(place.name[5:]) for place in found if re.fullmatch(r"seed-\d+", place.name)]
    whole = len(seeds) == len(found) and all((place / "provenance.json").is_file() for place in found)
    return [folder / f"seed-{seed}" for seed in sorted(seeds)] if whole else []


def free_place(folder: str | Path, force: bool) -> Path:
    """Return *folder* as a place to save in.

    Raises:
        ResultsError: if there is anything (unless *force*, and it is a saved run or a folder of them).
    """
    target = Path(folder)
    taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    if taken and not (force and ((target / "provenance.json").is_file() or saved_seeds(target))):
        raise ResultsError(f"{folder} exists already; choose another --out, or --force to replace a saved run")
    return target


def _as_text(values: np.ndarray[Any, Any]) -> pd.Series[Any]:
    return pd.Series(values, dtype="str")


def _mean(values: np.ndarray[Any, Any]) -> float:
    return math.fsum(values.tolist()) / len(values) if len(values) else math.nan  # exact in whatever order rows stand


def _quantile(values: np.ndarray[Any, Any], q: float) -> float:
    return float(np.quantile(values, q, method="inverted_cdf")) if len(values) else math.nan
