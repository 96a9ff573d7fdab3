"""The page of ``offing fidelity --all``: every data set with its errors, goals and picture, as Markdown.

The page of the documentation is made by ``offing fidelity --all --out docs/reference/fidelity``. It holds figures,
errors and the few worst rows, never the tables: most measurements are not ours to pass on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.figures import fidelity as figure
from analysis.picture import Picture
from calibration.fidelity.comparison import SEGMENTS, Comparison, Dataset
from calibration.fidelity.report import errors
from calibration.fidelity.tables import right, tables
from simulator.foundation.errors import ResultsError

HEAD = """\
# How far from reality

Simulated times beside measured ones, set by set. Every prediction on this page comes out of a run of the simulator;
rows that something was fitted on are not judged. *Regret* is how much longer the split predicted to be fastest took
than the fastest one did. The page is written by a command, which needs the recordings
([where to get them](../../how-to/get_traces.md)):

```console
$ offing fidelity --all --out docs/reference/fidelity
```
"""


def write(found: Sequence[tuple[Dataset, Comparison]], out: Path) -> list[Path]:
    """Write ``index.md`` and a picture per data set into *out*, and return the files.

    Raises:
        ResultsError: if they cannot be written.
    """
    pictures = [file for dataset, comparison in found for file in picture(dataset, comparison).save(out)]
    target = out / "index.md"
    text = "\n".join([HEAD, *(_chapter(dataset, comparison) for dataset, comparison in found)])
    try:
        draft = out / ".index.md.part"
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        raise ResultsError(f"{target}: cannot be written: {error.strerror}") from None
    return [target, *pictures]


def picture(dataset: Dataset, comparison: Comparison) -> Picture:
    """Return predicted against measured, with the errors as its table."""
    rows = comparison.judged.sort_values("segment", key=lambda names: names.map(SEGMENTS.index), kind="stable")
    caption = f"{comparison.measured_on}  ·  {comparison.evidence}"
    return figure.draw(rows, errors(rows), dataset.NAME, dataset.TITLE, caption)


def _chapter(dataset: Dataset, comparison: Comparison) -> str:
    parts = [
        f"## {dataset.NAME}",
        f"{dataset.TITLE}. Measured on: {comparison.measured_on}. {comparison.evidence.capitalize()}.",
        f"![Predicted against measured times of {dataset.NAME}]({dataset.NAME}.png)",
    ]
    for title, frame, below in tables(comparison):
        parts += [f"**{title[0].upper()}{title[1:]}**", markdown(frame), *([below] if below else [])]
    if comparison.notes:
        parts.append("\n".join(f"- {note}" for note in comparison.notes))
    return "\n\n".join(parts) + "\n"


def markdown(frame: pd.DataFrame) -> str:
    """Return a table of text in Markdown, numbers to the right."""
    rule = ("---:" if right(frame[column]) else "---" for column in frame.columns)
    lines = [map(str, frame.columns), rule, *frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
