"""The figures, one file each; this folder is their table of contents.

``layers`` what each layer takes on each machine, and what it hands on; ``cuts`` what a request would take for every
place to cut the model; ``breakdown`` where the time of slow and fast requests went; ``cdf`` how latencies are
distributed; ``gantt`` who used which processor and link when.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from analysis.figures import breakdown, cdf, cuts, gantt, layers
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
}
"""Name → what draws it."""


def draw(name: str, source: str | Path | Scenario | Results | Subject, device: str | None = None) -> Picture:
    """Draw the figure *name* of a scenario or of a run.

    Args:
        name: one of ``FIGURES``.
        source: a scenario (object, file, name of a shipped one) or a run (``Results``, or the folder of a saved one).
        device: whose requests ``cuts`` looks at, instead of the first source's.

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
