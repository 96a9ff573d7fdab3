"""Offing: a discrete-event simulator of edge-cloud machine-learning systems.

    from simulator import run
    results = run("quick/split_inference")
    results.requests

The names below are the whole public surface for users and for authors of techniques.
"""

from simulator.foundation.errors import OffingError, ScenarioError
from simulator.foundation.units import Bytes, BytesPerSecond, Period, PerSecond, Seconds
from simulator.profiles.hardware import Hardware
from simulator.profiles.library import Library
from simulator.profiles.model import Layer, LayerTimes, ModelProfile
from simulator.profiles.placement import Failure, Placement, Recovery, Redeployment, Segment
from simulator.profiles.trace import Trace
from simulator.results.frames import Results
from simulator.run.replicate import replicate
from simulator.run.simulation import Simulation, run
from simulator.scenario.scenario import Scenario
from simulator.techniques.technique import Technique
from simulator.world.request import Request
from simulator.world.view import View

__all__ = [
    "Bytes",
    "BytesPerSecond",
    "Failure",
    "Hardware",
    "Layer",
    "LayerTimes",
    "Library",
    "ModelProfile",
    "OffingError",
    "PerSecond",
    "Period",
    "Placement",
    "Recovery",
    "Redeployment",
    "Request",
    "Results",
    "Scenario",
    "ScenarioError",
    "Seconds",
    "Segment",
    "Simulation",
    "Technique",
    "Trace",
    "View",
    "replicate",
    "run",
]
