"""The figures, one file each; this folder is their table of contents.

``layers`` what each layer takes on each machine, and what it hands on; ``cuts`` what a request would take for every
place to cut the model; ``breakdown`` where the time of slow and fast requests went; ``cdf`` how latencies are
distributed; ``gantt`` who used which processor and link when; ``blame`` what each of them did with its time; ``map``
the best cut by bandwidth and server speed; ``adaptation`` one run over time: latency, bandwidth, the cut chosen.
``differences`` and ``regret`` are drawn of a comparison (``analysis/comparison.py``), ``synthetic`` of recordings
beside what generators make of them (``calibration/worlds/synthetic.py``), ``fidelity`` of predicted beside measured
times (``calibration/fidelity``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from analysis.figures import adaptation, blame, breakdown, cdf, cuts, gantt, layers
from analysis.figures import map as map_
from analysis.picture import Picture
from analysis.subject import Subject
from simulator import Results, Scenario
from simulator.foundation.errors import RegistryError, did_you_mean

FIGURES: dict[str, Callable[[Subject], Picture]] = {
    "layers": layers.draw,
    "cuts": cuts.draw,
    "breakdown": breakdown.draw,
    "cdf": cdf.draw,
    "gantt": gantt.draw,
    "blame": blame.draw,
    "map": map_.draw,
    "adaptation": adaptation.draw,
}
"""Name → what draws it."""


def draw(name: str, source: str | Path | Scenario | Results | Subject, device: str | None = None) -> Picture:
    """Draw the figure *name* of a scenario or of a run.

    Args:
        name: one of ``FIGURES``.
        source: a scenario (object, file, name of a shipped one) or a run (``Results``, or the folder of a saved one).
        device: whose requests ``cuts``, ``map`` and ``adaptation`` look at, instead of the first source's.

    Raises:
        RegistryError: if there is no figure of that name.
    """
    check_name(name)
    return FIGURES[name](Subject.of(source, device))


def check_name(name: str, *others: str) -> None:
    """Refuse what is neither a figure nor one of *others*.

    Raises:
        RegistryError: with the nearest name.
    """
    known = (*FIGURES, *others)
    if name not in known:
        raise RegistryError(f'no figure named "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}')
