"""The verb ``offing plot``: figures of a scenario or of a saved run, each with its table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from analysis.figures import FIGURES, check_name, draw, gantt, layers
from analysis.picture import Picture
from analysis.subject import Subject
from simulator import Library, Scenario, ScenarioError
from simulator.commands.options import JsonOption
from simulator.commands.run import SetOption, read_changes
from simulator.foundation.units import DURATION
from simulator.profiles.hardware import worst

ALL = "all"


def plot(
    figure: Annotated[str, typer.Argument(help=f"{', '.join(FIGURES)}, or {ALL}.")],
    source: Annotated[str | None, typer.Argument(help="A scenario, or the folder of a saved run.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and their tables.")] = Path("figures"),
    change: SetOption = None,
    device: Annotated[
        str | None, typer.Option(help="cuts, map, adaptation: whose requests, if not the first source's.")
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", help="gantt: where the window begins, e.g. '10 s'.")] = None,
    length: Annotated[str | None, typer.Option("--for", help="gantt: how long it is, e.g. '2 s'.")] = None,
    model: Annotated[str | None, typer.Option(help="layers: a model, instead of a scenario.")] = None,
    hardware: Annotated[list[str] | None, typer.Option(help="layers: a machine for --model; may be repeated.")] = None,
    svg: Annotated[bool, typer.Option("--svg", help="Write SVG too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw figures of a scenario (which is run where needed) or of a saved run, each with its table as CSV."""
    check_name(figure, ALL)
    if model is not None or hardware:
        pictures: Sequence[Picture] = [_layers_alone(figure, source, model, hardware or [])]
    elif source is None:
        raise ScenarioError("say what to draw: a scenario (quick/split_inference) or the folder of a saved run")
    else:
        pictures = _pictures(figure, _subject(source, change, device), _seconds(begin), _seconds(length))
    saved = {picture.name: [str(file) for file in picture.save(out, svg)] for picture in pictures}
    if as_json:
        sys.stdout.write(json.dumps({"figures": saved}, indent=1) + "\n")
        return
    for files in saved.values():
        Console(soft_wrap=True).print("  ".join(files), markup=False, highlight=False)


def _subject(source: str, change: list[str] | None, device: str | None) -> Subject:
    if change and Path(source).is_dir():
        raise ScenarioError(f"--set changes a scenario, but {source} is a saved run; give the scenario instead")
    if change:
        return Subject.of(Scenario.load(source).with_(read_changes(change)), device)
    return Subject.of(source, device)


def _pictures(figure: str, subject: Subject, begin: float | None, length: float | None) -> Sequence[Picture]:
    names = list(FIGURES) if figure == ALL else [figure]
    return [gantt.draw(subject, begin, length) if name == "gantt" else draw(name, subject) for name in names]


def _layers_alone(figure: str, source: str | None, model: str | None, hardware: list[str]) -> Picture:
    if figure != "layers" or source is not None or model is None or not hardware:
        raise ScenarioError("without a scenario: offing plot layers --model resnet18 --hardware raspberry-pi-4")
    library = Library()
    profile = library.model(model)
    times = {name: profile.times_on(library.hardware(name)) for name in hardware}
    grade = worst({found.grade for found in times.values()})
    return layers.draw_profile(profile, times, f"offing {version('offing')}  ·  evidence: {grade}")


def _seconds(text: str | None) -> float | None:
    return None if text is None else DURATION.parse(text)
