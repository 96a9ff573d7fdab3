"""What a figure is drawn of: a scenario (run when a figure needs it) or a saved run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import yaml

from simulator import Results, Scenario, Simulation, run
from simulator.foundation.errors import RegistryError, ResultsError, did_you_mean
from simulator.profiles.hardware import worst
from simulator.run.provenance import provenance
from simulator.techniques.registry import name_of
from simulator.world.cluster import Cluster
from simulator.world.view import View


@dataclass(frozen=True)
class Subject:
    """A scenario, or a run that has been made of one."""

    given: Scenario | Results
    wanted: str | None = None
    """Device whose requests to look at where a figure shows one device's; the first source where none is given."""

    @classmethod
    def of(cls, source: str | Path | Scenario | Results | Subject, device: str | None = None) -> Subject:
        """Take a scenario (object, file, or name of a shipped one) or a run (object or folder).

        Raises:
            ScenarioError: if there is no such scenario, or it is wrong.
            ResultsError: if a folder is not a saved run.
        """
        if isinstance(source, Subject):
            return source
        if isinstance(source, (Scenario, Results)):
            return cls(source, device)
        return cls(Results.load(source) if Path(source).is_dir() else Scenario.load(source), device)

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario: the given one, else the one behind the run."""
        return self.given if isinstance(self.given, Scenario) else _scenario_behind(self.given)

    @cached_property
    def results(self) -> Results:
        """The run: the given one, else one made now."""
        return self.given if isinstance(self.given, Results) else run(self.given)

    @cached_property
    def world(self) -> Simulation:
        """The scenario made live and not yet run, for figures of what would happen."""
        return Simulation(self.scenario)

    @property
    def cluster(self) -> Cluster:
        """The nodes and links of :attr:`world`."""
        return self.world.cluster

    @property
    def device(self) -> str:
        """The device to look at.

        Raises:
            RegistryError: if the one asked for sends no requests.
        """
        sources = self.world.parts.sources
        if self.wanted is not None and self.wanted not in sources:
            hint = did_you_mean(self.wanted, sources)
            known = ", ".join(sources[:20])
            raise RegistryError(f'no device named "{self.wanted}" sends requests.{hint} Known: {known}')
        return self.wanted or sources[0]

    @property
    def view(self) -> View:
        """What the device may see at the start."""
        return next(service.view for service in self.world.services if service.source == self.device)

    @cached_property
    def first_choice(self) -> int | None:
        """The split point the technique chose first for the device; None where that is not known."""
        if isinstance(self.given, Scenario):
            service = next(service for service in self.world.services if service.source == self.device)
            asked = service.technique.asks == "view"
            return service.technique.place(service.view).split_point(self.device) if asked else None
        if "decisions" not in self.given.columns:
            return None
        decisions = self.given.decisions
        mine = decisions[(decisions["source"] == self.device) & (decisions["hook"] == "place")]
        return int(mine["split_point"].iloc[0]) if len(mine) else None

    def caption(self) -> str:
        """Write where the figure comes from: scenario, technique, seed, version, weakest evidence, bandwidths."""
        if isinstance(self.given, Results):
            meta = self.given.meta
            name, technique, seed = meta["scenario"], meta["technique"], meta["seed"]
            made_by = self.given.provenance.get("offing", "")
            grades = set(self.given.columns["nodes"]["grade"].astype(str))
            networks = self.given.provenance.get("networks", {})
        else:
            name, seed, made_by = self.given.name, self.given.entry.seed, version("offing")
            technique = name_of(self.given.technique)
            grades = {times.grade for times in self.world.parts.times.values()}
            networks = provenance(self.world.parts)["networks"]
        evidence = f"evidence: {worst(grades)}"
        said = (name, technique, f"seed {seed}", f"offing {made_by}", evidence, bandwidth_evidence(networks))
        return "  ·  ".join(filter(None, said))


def bandwidth_evidence(networks: Mapping[str, Mapping[str, str]]) -> str:
    """Write for a caption where bandwidths come from that are not constants: ``bandwidth: synthetic 4g (transferred)``.

    Args:
        networks: grade and source of each direction of a link, as in ``Results.provenance``.
    """
    drawn = {each["source"].partition(" (")[0] for each in networks.values() if each["source"].startswith("synthetic")}
    recorded = {each["source"] for each in networks.values() if not each["source"].startswith("synthetic")}
    if not networks:
        return ""
    kinds = sorted(drawn) if len(drawn) <= 2 else ["synthetic"]
    grades = {each["grade"] for each in networks.values() if each["grade"]}
    graded = f" ({worst(grades)})" if grades else ""
    return f"bandwidth: {' and '.join([*kinds, *(['recorded'] if recorded else [])])}{graded}"


def _scenario_behind(results: Results) -> Scenario:
    """Return the scenario of *results*, under a neutral technique: the real one need not be installed here."""
    data = {**yaml.safe_load(results.scenario_text), "technique": {"kind": "device-only"}}
    with tempfile.TemporaryDirectory() as folder:  # where the recordings that came with the run can be read
        for name, content in results.files.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        return Scenario.from_dict(data, folder=folder)


def requests_of(results: Results, answered: bool = False) -> pd.DataFrame:
    """Return the requests that arrived after the warm-up; those with an answer only, if *answered*.

    Raises:
        ResultsError: if there is none.
    """
    warm = float(results.meta["warmup_s"])
    frame = results.requests[results.requests["arrival_s"] >= warm]
    if answered:
        frame = frame[frame["finish_s"].notna()]
    if frame.empty:
        kind = "answered requests" if answered else "requests"
        raise ResultsError(f'the run of "{results.meta["scenario"]}" has no {kind} to draw')
    return frame.reset_index(drop=True)
