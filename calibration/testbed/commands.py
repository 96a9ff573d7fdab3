"""The verb ``offing testbed``. Light to import: torch is loaded in the worker processes alone."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, cast

import typer

from calibration.profiling.commands import told_under_a_bar
from calibration.testbed.setting import MODES, Link, Maker, Mode, links
from calibration.zoo import Recipe, require_torch, resolve
from simulator.commands.readings import quantity
from simulator.foundation.errors import ProfileError
from simulator.foundation.units import DURATION, SIZE


def record_testbed(
    out: Annotated[Path, typer.Option(help="Folder of the recording; what is there already is not recorded again.")],
    models: Annotated[str, typer.Option(help="Names with input size and batch: resnet18:64,vgg8:32:8.")] = (
        "vgg8:32,resnet18:64"
    ),
    rates: Annotated[str, typer.Option(help="Rates of the link [Mbit/s].")] = "5,20,75",
    mode: Annotated[str, typer.Option(help="persistent, new, bucket, or several of them.")] = ",".join(MODES),
    congestion: Annotated[str, typer.Option(help="Congestion control of the machine, e.g. cubic, bbr.")] = "cubic",
    delay: Annotated[str, typer.Option(help="Propagation, one way; a token bucket has none.")] = "10 ms",
    burst: Annotated[str, typer.Option(help="Size of the token bucket.")] = "16384 B",
    quota: Annotated[str, typer.Option(help="Share of a core for device and server, e.g. 0.3,0.5; 0: all.")] = "0,0",
    link: Annotated[str, typer.Option(help="auto: namespaces where possible; relay: loopback alone.")] = "auto",
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How often each cut has its turn.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="Requests recorded each turn.")] = 5,
    limit: Annotated[str, typer.Option(help="Begin nothing new after this long.")] = "30 min",
    training: Annotated[bool, typer.Option("--training", help="Split-learning rounds instead of requests.")] = False,
    sleepy: Annotated[bool, typer.Option("--sleepy", help="Let cores go idle between pieces of work.")] = False,
) -> None:
    """Run real split inference between two processes over a shaped link, and record what each part takes.

    Needs PyTorch; as root it makes network namespaces of its own, else it shapes over loopback. For clean numbers pin
    it to one quiet core: ``taskset -c 1 offing testbed --out DIR``. `offing fidelity testbed --check DIR/rows.csv`
    replays what was recorded.
    """
    recipes = _recipes(models)
    require_torch()
    running = importlib.import_module("calibration.testbed.split_inference")
    wanted = _links(
        link, rates, mode, congestion, quantity(delay, DURATION, "--delay"), quantity(burst, SIZE, "--burst")
    )
    quotas = _quotas(quota)
    seconds = quantity(limit, DURATION, "--limit")
    with told_under_a_bar("starting") as (console, tell):
        try:
            if training:
                learning = importlib.import_module("calibration.testbed.split_learning")
                new = learning.record(learning.Plan(recipes, wanted, rounds, seconds, quotas), out, tell)
            else:
                plan = running.Plan(recipes, wanted, rounds, repeats, seconds, quotas, not sleepy)
                new = running.record(plan, out, tell)
        except KeyboardInterrupt:
            console.print("Stopped; the same command goes on where it was.")
            raise typer.Exit(130) from None
    console.print(f"{new} new blocks in {out}", markup=False, highlight=False)


def _recipes(text: str) -> list[tuple[Recipe, int]]:
    """Return ``resnet18:64:8`` as recipe and batch."""
    found = []
    for word in text.split(","):
        name, *sizes = word.strip().split(":")
        if len(sizes) > 2 or not all(size.isdigit() and int(size) > 0 for size in sizes):
            raise ProfileError(f'--models "{word}": write NAME, NAME:SIZE or NAME:SIZE:BATCH, e.g. resnet18:64:8')
        found.append((resolve(name, int(sizes[0]) if sizes else None), int(sizes[1]) if len(sizes) > 1 else 1))
    return found


def _links(link: str, rates: str, mode: str, congestion: str, delay: float, burst: float) -> list[Link]:
    modes = [word.strip() for word in mode.split(",")]
    wrong = [word for word in modes if word not in MODES]
    if wrong:
        raise ProfileError(f'--mode "{wrong[0]}" is none of {", ".join(MODES)}')
    try:
        numbers = [float(word) for word in rates.split(",")]
    except ValueError:
        raise ProfileError(f'--rates "{rates}": write Mbit/s with commas between, e.g. 5,20,75') from None
    if not all(0.01 <= number <= 10_000 for number in numbers):
        raise ProfileError(f'--rates "{rates}": a rate lies between 0.01 and 10000 Mbit/s')
    if "bucket" in modes and not 3000 <= burst <= 1e9:
        raise ProfileError(f"--burst {burst:g} B: a token bucket holds at least two packets (3000 B), at most 1 GB")
    if link not in ("auto", "relay"):
        raise ProfileError(f'--link "{link}" is neither auto nor relay')
    there: tuple[Maker, ...] = ("relay",)
    if link == "auto":
        there = importlib.import_module("calibration.testbed.link").makers()
    made = links(there, numbers, cast("list[Mode]", modes), delay * 1e3, int(burst), congestion)
    if not made:
        raise ProfileError(
            "no link of that kind can be made here: slow start needs network namespaces and TUN (root on Linux); "
            "leave out --mode new"
        )
    return made


def _quotas(text: str) -> tuple[float, float]:
    try:
        device, server = (float(word) for word in text.split(","))
    except ValueError:
        raise ProfileError(f'--quota "{text}": write device and server, e.g. 0.3,0.5 (0: no quota)') from None
    if not all(0 <= share <= 1 for share in (device, server)):
        raise ProfileError(f'--quota "{text}": a share of a core lies between 0 and 1')
    return device, server
