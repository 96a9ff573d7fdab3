"""A whole zoo, cell by cell: what is there is skipped, what is done is saved, what fails does not stop the rest.

First each model is tried once: a forward pass, and a training step where one is asked for. That finds the profiles that
cannot be (a network whose maps shrink to nothing, a normalisation over a single value) before an hour is spent, and
tells how long the rest will take. They are listed with their reasons in ``machine.json`` under ``impossible``.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from calibration.profiling import costs, cuda, loading, profiler, store
from calibration.profiling.profiler import How
from calibration.profiling.training import loss_of
from calibration.zoo import Cell, Progress
from simulator.foundation.errors import ProfileError

_STARTS_S = 10.0  # what fresh processes for load time take, for the estimate of the time left
_PASSES = 5  # runs of the model in a round, for the same
_COSTS_S = 60.0


@dataclass(frozen=True)
class Place:
    """Where profiles go, and the machine that they are of."""

    folder: Path
    """Named after the machine."""
    facts: dict[str, Any]


@dataclass
class Outcome:
    """What became of each profile, by file name."""

    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Entries of ``machine.json``."""
    skipped: list[str] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)
    """Reasons by file name and mode, e.g. ``inception_v3_96_b1 training``."""
    failed: dict[str, str] = field(default_factory=dict)
    """Reasons by file name."""
    left: list[str] = field(default_factory=list)
    """Steps not finished, since the run was stopped."""


def names_of(cell: Cell) -> list[str]:
    """Return the file names of a cell's profiles."""
    return [cell.recipe.file_name(batch) for batch in cell.batches]


def take(cell: Cell, how: How, place: Place, tell: Progress) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Measure a cell's profiles in turn, save those that add up and return (their entries, why others were not saved).

    Load time and first call are taken once, at the smallest batch.

    Raises:
        ProfileError: as :func:`profiler.measure`, :func:`loading.measure_starts` and :func:`store.save` do.
    """
    alone = len(cell.batches) == 1
    each = replace(how, accept=how.accept or not alone)  # one that does not add up must not take its siblings with it
    measure = profiler.measure if how.device == "cpu" else cuda.measure
    measured = measure(cell.recipe, cell.batches, each, training=cell.training, progress=tell)
    starts = {}
    if how.device == "cpu":
        starts = loading.measure_starts(cell.recipe, min(cell.batches), how.threads, how.steady, progress=tell)
    saved, refused = {}, {}
    for one in measured:
        name = one.recipe.file_name(one.batch)
        flaw = next((flag for flag in one.summary["flags"] if flag.startswith("accepted with ")), None)
        if flaw is not None and not how.accept:
            refused[name] = f"not saved: {flaw.removeprefix('accepted with ')}; pin a quiet core, or pass --accept"
            continue
        if one.batch == min(cell.batches):
            one.summary.update(starts)
        store.save(one, place.facts, place.folder)
        others = sorted({fact.kind for fact in one.facts if fact.operator == "other"})
        saved[name] = {"nodes": len(one.facts), "others": others, **one.summary}
    return saved, refused


def start_again(cell: Cell, how: How, place: Place, tell: Progress) -> dict[str, dict[str, Any]]:
    """Take load time and first call again for a profile that is there, whose layer times stay; return them by name.

    Raises:
        ProfileError: if there is no such profile, or a process fails.
    """
    name = cell.recipe.file_name(min(cell.batches))
    starts = loading.measure_starts(cell.recipe, min(cell.batches), how.threads, how.steady, progress=tell)
    store.add(starts, place.facts, place.folder, name)
    return {name: starts}


def attempt(cell: Cell, batch: int, device: str = "cpu") -> tuple[float, dict[str, str]]:
    """Run a cell's model once at *batch* and return (seconds, why a mode cannot be, by mode).

    Raises:
        ProfileError: if the model cannot be built.
    """
    where = torch.device(device.partition("-")[0])
    model = cell.recipe.build().to(where)
    example = torch.randn((batch, *cell.recipe.shape)).to(where)
    start = time.perf_counter()
    for mode in ("inference", "training") if cell.training else ("inference",):
        try:
            with torch.set_grad_enabled(mode == "training"):
                loss = loss_of(model.train(mode == "training")(example))
            if mode == "training":
                loss.backward()
        except Exception as error:  # a user's model may raise anything; what it says is the reason
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return time.perf_counter() - start, dict.fromkeys((mode, "training") if cell.training else (mode,), reason)
    return time.perf_counter() - start, {}


def campaign(
    cells: Iterable[Cell],
    how: How,
    place: Place,
    again: bool = False,
    tell: Progress = lambda *_: None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Take all profiles of *cells* that are not there yet, and what the machine costs around its models.

    A cell is there when all its files are, in this version of the schema and from this machine and version of torch.
    Ctrl-C ends it early: what is left is listed in the outcome.

    Args:
        cells: what to measure.
        how: how to measure.
        place: where to save.
        again: take also what is there.
        tell: told what is going on within a cell.
        say: told each cell that is done, as a line.

    Raises:
        ProfileError: if the folder is another machine's or cannot be written, or a model cannot be built.
    """
    machine = store.merged(place.folder, place.facts)  # refuses another machine's folder before an hour is spent
    known = machine.get("impossible", {})
    cells = list(cells)
    todo = [cell for cell in cells if again or not _is_there(cell, place, known)]
    done = Outcome(skipped=[name for cell in cells if cell not in todo for name in names_of(cell)])
    steps = [(cell.name, partial(_take_possible, cell, how, place, done)) for cell in todo]
    if how.device == "cpu" and (again or "costs" not in machine):
        steps.append(("costs around the models", partial(_take_costs, place, done)))
    done.left = [name for name, _ in steps]
    torch.set_num_threads(how.threads)
    try:
        clock = _Schedule([*_try_all(todo, how, done, tell), _COSTS_S][: len(steps)])
        _note_impossible(place, todo, done.impossible)
        for i, (name, step) in enumerate(steps, 1):
            verdict = step(clock.tells(tell, f"{i}/{len(steps)} {name}"))
            clock.finish()
            done.left.remove(name)
            say(f"{i}/{len(steps)} {name}: {verdict}, {clock.took_s():.0f} s")
    except KeyboardInterrupt:
        pass
    return done


def _is_there(cell: Cell, place: Place, impossible: dict[str, str]) -> bool:
    """Whether all profiles of a cell are there that can be."""
    for name in names_of(cell):
        entry = store.entry_of(place.folder, name)
        if f"{name} inference" in impossible:
            continue
        if entry is None or entry.get("torch") != place.facts.get("torch"):
            return False
        if cell.training and "training" not in entry and f"{name} training" not in impossible:
            return False
    return True


def _try_all(todo: list[Cell], how: How, done: Outcome, tell: Progress) -> list[float]:
    """Try each cell, list what cannot be and return about how many seconds each cell will take.

    Batches are tried from the smallest up to the first that works; what a larger one might lack is memory alone.
    """
    weights = []
    for i, cell in enumerate(todo):
        seconds, tried = 0.0, 1
        for tried in sorted(cell.batches):
            name = cell.recipe.file_name(tried)
            tell(f"trying {name}", i, len(todo))
            seconds, reasons = attempt(cell, tried, how.device)
            done.impossible.update({f"{name} {mode}": reason for mode, reason in reasons.items()})
            if not reasons:
                break
        limit = profiler.BUDGET * (2 if cell.training else 1)
        rounds = (_PASSES * how.repeats * seconds * batch / tried for batch in cell.batches)
        weights.append(_STARTS_S + sum(min(limit, needed) for needed in rounds))
        gc.collect()  # graphs and modules point at each other
    return weights


def _take_possible(cell: Cell, how: How, place: Place, done: Outcome, tell: Progress) -> str:
    """Take the profiles of a cell that can be: those that can be trained with training, the others without."""

    def can(batch: int, mode: str) -> bool:
        return f"{cell.recipe.file_name(batch)} {mode}" not in done.impossible

    runs = [batch for batch in cell.batches if can(batch, "inference")]
    trains = tuple(batch for batch in runs if cell.training and can(batch, "training"))
    rest = tuple(batch for batch in runs if batch not in trains)
    for part in (replace(cell, batches=trains, training=True), replace(cell, batches=rest, training=False)):
        if not part.batches:
            continue
        try:
            saved, refused = take(part, how, place, tell)
        except (ProfileError, RuntimeError, ValueError, MemoryError) as error:
            saved, refused = {}, dict.fromkeys(names_of(part), str(error) or type(error).__name__)
        done.measured.update(saved)
        done.failed.update(refused)
        gc.collect()
    names = names_of(cell)
    counts = {
        "measured": sum(name in done.measured for name in names),
        "failed": sum(name in done.failed for name in names),
        "impossible": sum(key.rpartition(" ")[0] in names for key in done.impossible),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _take_costs(place: Place, done: Outcome, tell: Progress) -> str:
    """Measure serialisation, co-location and what else belongs to the machine rather than to a model."""
    try:
        around = costs.measure_costs(tell)
        store.write(place.folder, store.merged(place.folder, place.facts) | {"costs": around})
    except (ProfileError, RuntimeError) as error:
        done.failed["costs"] = str(error) or type(error).__name__
        return "failed"
    return "measured"


def _note_impossible(place: Place, tried: list[Cell], impossible: dict[str, str]) -> None:
    """Write into ``machine.json`` what cannot be; what stands there of cells not tried now stays."""
    machine = store.merged(place.folder, place.facts)
    names = {name for cell in tried for name in names_of(cell)}
    kept = {key: why for key, why in machine.get("impossible", {}).items() if key.rpartition(" ")[0] not in names}
    if kept or impossible:
        store.write(place.folder, machine | {"impossible": dict(sorted((kept | impossible).items()))})


class _Schedule:
    """How long the rest will take: the estimate from trying, scaled by what the finished steps really took."""

    def __init__(self, weights: list[float]) -> None:
        """Take each step's estimate [s]."""
        self.weights = weights
        self.stamps = [time.perf_counter()]

    def finish(self) -> None:
        """A step is done."""
        self.stamps.append(time.perf_counter())

    def took_s(self) -> float:
        """Return how long the last step took [s]."""
        return self.stamps[-1] - self.stamps[-2]

    def left_s(self, now: float) -> float:
        """Return about how many seconds are left."""
        done = len(self.stamps) - 1
        scale = (self.stamps[-1] - self.stamps[0]) / sum(self.weights[:done]) if done else 1.0
        return max(0.0, scale * sum(self.weights[done:]) - (now - self.stamps[-1]))

    def tells(self, tell: Progress, name: str) -> Progress:
        """Return *tell* with the step's name and the time left in front of what is going on."""

        def told(what: str, done: int, total: int) -> None:
            tell(f"{name}, {in_words(self.left_s(time.perf_counter()))} left: {what}", done, total)

        return told


def in_words(seconds: float) -> str:
    """Return e.g. ``40 s``, ``12 min`` or ``1 h 5 min``."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
