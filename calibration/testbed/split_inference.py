"""Record real split inference: head in one process, tensors over TCP, tail in another, the answer back.

What is compared is interleaved: a link stays for a few seconds, in which every cut has its turn in each round, beside
head and tail alone in a tight loop. The profile of a model is taken just before, in the device's process.
"""

from __future__ import annotations

import datetime
import importlib
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from calibration.testbed.link import awake, laid, makers, processes
from calibration.testbed.quota import limited
from calibration.testbed.rows import HARDWARE, append, read_rows
from calibration.testbed.setting import Link, places, use
from calibration.zoo import Progress, Recipe
from simulator.foundation.errors import OffingError
from simulator.profiles.model import ModelProfile
from simulator.profiles.profile_files import read_profile

ALONE = 4
"""Timed calls of head and tail in a tight loop before each block, and again after it."""
_ANSWER = 600.0  # seconds until a worker has to answer


class End:
    """A worker process and the pipe to it."""

    def __init__(self, name: str, alone: bool, module: str = "calibration.testbed.worker") -> None:
        """Start ``work`` of *module*; *alone* in a network namespace of its own."""
        context = processes()
        self.name = name
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, alone, module), daemon=True)
        self.process.start()
        theirs.close()
        self.pid: int = self("hello")

    def tell(self, verb: str, *arguments: object) -> None:
        """Ask for *verb* without waiting."""
        self.pipe.send((verb, arguments))

    def answer(self) -> Any:
        """Return what it answers.

        Raises:
            OffingError: if it fails, ends or takes too long.
        """
        try:
            if not self.pipe.poll(_ANSWER):
                raise OffingError(f"the {self.name} has not answered for {_ANSWER:g} s")
            done, answer = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise OffingError(f"the {self.name}'s process ended; what it said is above") from None
        if not done:
            raise OffingError(f"the {self.name}: {answer}")
        return answer

    def __call__(self, verb: str, *arguments: object) -> Any:
        """Ask for *verb* and return the answer."""
        self.tell(verb, *arguments)
        return self.answer()

    def stop(self) -> None:
        """End the process, however it is."""
        self.pipe.close()
        self.process.join(1.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(pipe: Connection, alone: bool, module: str) -> None:
    """Run in the worker's process, where torch is loaded."""
    importlib.import_module(module).work(pipe, alone)


@contextmanager
def two_ends(alone: bool, quotas: tuple[float, float] = (0.0, 0.0)) -> Iterator[tuple[End, End]]:
    """Start the device's and the server's process, and end them whatever happens."""
    with ExitStack() as stack:
        found = []
        for name, quota in zip(("device", "server"), quotas, strict=True):
            end = End(name, alone)
            stack.callback(end.stop)
            stack.enter_context(limited(end.pid, quota))
            found.append(end)
        yield found[0], found[1]


@dataclass(frozen=True)
class Plan:
    """What to record."""

    recipes: Sequence[tuple[Recipe, int]]
    """Models and batch sizes."""
    links: Sequence[Link]
    rounds: int = 3
    repeats: int = 5
    """Per round, after one more that warms up."""
    limit: float = 3600.0
    """No new block begins after this long [s]."""
    quotas: tuple[float, float] = (0.0, 0.0)
    """Share of a core for device and server; 0 for all of it."""
    awake: bool = True
    """Whether cores are kept from going idle, see :func:`calibration.testbed.emulator.spin`."""


def record(plan: Plan, out: Path, tell: Progress = lambda *_: None) -> int:
    """Record *plan* into ``out/rows.csv`` and ``out/profiles``; return how many blocks were recorded.

    Blocks that are there already are left out, so that a recording goes on where it stopped.

    Raises:
        OffingError: if a worker or a link fails; what was recorded stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = out / "rows.csv"
    there = _there(rows, plan.repeats) if rows.exists() else set()
    ends = time.monotonic() + plan.limit
    total, done, new = len(plan.recipes) * len(plan.links), 0, 0
    alone = any(link.maker != "relay" for link in plan.links)
    with awake(plan.awake), two_ends(alone, plan.quotas) as (device, server):
        facts = {**device("facts"), "makers": makers(), "date": datetime.date.today().isoformat()}
        (out / "machine.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        for recipe, batch in plan.recipes:
            profile = _profiled(device, recipe, batch, out / "profiles" / HARDWARE, tell)
            cuts = places([cut.index for cut in profile.cuts()], len(profile))
            sizes = device("load", recipe, batch, cuts)
            server("load", recipe, batch, cuts)
            for link in plan.links:
                tell(f"{recipe.name} {link.mode} {link.rate_mbit_s:g} Mbit/s", done, total)
                done += 1
                settings = [_setting(profile, recipe, at, cut, sizes[cut], link, plan) for at, cut in enumerate(cuts)]
                if all((_key(setting), turn) in there for setting in settings for turn in range(plan.rounds)):
                    continue
                for block in _blocks(device, server, link, settings, plan, ends):
                    if (_key(block[0]), block[0]["round"]) not in there:
                        append(rows, block)
                        new += 1
                if time.monotonic() > ends:
                    return new
    return new


def _there(path: Path, repeats: int) -> set[tuple[tuple[object, ...], int]]:
    """Return the blocks that are in the file whole."""
    frame = read_rows(path)
    count: dict[tuple[tuple[object, ...], int], int] = {}
    for row in frame.to_dict("records"):
        key = _key(row), int(row["round"])
        count[key] = count.get(key, 0) + 1
    return {key for key, found in count.items() if found >= repeats + 1}


def _key(row: Any) -> tuple[object, ...]:
    numbers = ("cut", "rate_mbit_s", "delay_ms", "burst_bytes", "quota_device", "quota_server", "awake")
    return (*(row[name] for name in ("profile", "link", "mode", "congestion")), *(float(row[name]) for name in numbers))


def _profiled(device: End, recipe: Recipe, batch: int, folder: Path, tell: Progress) -> ModelProfile:
    name = recipe.file_name(batch)
    path = folder / f"{name}.csv"
    if not path.exists():
        tell(f"profile of {name}", 0, 1)
        path = Path(device("profile", recipe, batch, folder))
    return read_profile(path)


def _setting(
    profile: ModelProfile, recipe: Recipe, place: int, cut: int, size: int, link: Link, plan: Plan
) -> dict[str, object]:
    name = recipe.file_name(profile.batch)
    return {
        "profile": name, "model": recipe.name, "input": recipe.tag, "batch": profile.batch, "place": place, "cut": cut,
        "layers": len(profile), "payload_bytes": size, "answer_bytes": int(profile.layers[-1].out_bytes),
        "link": link.maker, "mode": link.mode, "congestion": link.congestion, "rate_mbit_s": link.rate_mbit_s,
        "delay_ms": link.delay_ms, "burst_bytes": link.burst_bytes, "quota_device": plan.quotas[0],
        "quota_server": plan.quotas[1], "awake": int(plan.awake), "use": use(name, place, link),
    }  # fmt: skip


def _blocks(
    device: End, server: End, link: Link, settings: Sequence[dict[str, object]], plan: Plan, ends: float
) -> Iterator[list[dict[str, object]]]:
    """Yield the rows of each cut's turn in each round over one link."""
    device("close")
    port = server("listen", "127.0.0.1" if link.maker == "relay" else "0.0.0.0")
    fresh = link.mode == "new"
    with laid(link, device.pid, server.pid, port) as address:
        for turn in range(plan.rounds):
            for setting in settings:
                if time.monotonic() > ends:
                    return
                cut = setting["cut"]
                heads, tails = device("alone", "head", cut, ALONE), server("alone", "tail", cut, ALONE)
                server.tell("serve", cut, plan.repeats + 1, link.congestion, fresh)
                stamps = device("run", cut, plan.repeats + 1, address, link.congestion, fresh)
                answers = server.answer()
                heads += device("alone", "head", cut, ALONE)
                tails += server("alone", "tail", cut, ALONE)
                alone = {"head_alone_s": statistics.median(heads), "tail_alone_s": statistics.median(tails)}
                yield [
                    {**setting, "round": turn, "repeat": number, **segments(a, b), **alone}
                    for number, (a, b) in enumerate(zip(stamps, answers, strict=True), start=-1)
                ]
        device("close")


def segments(device: dict[str, float], server: dict[str, float]) -> dict[str, float]:
    """Return the times of one request from the stamps of both ends [s]; they add up to the total."""
    up, down = server["received"] - device["sent"], device["received"] - server["sent"]
    head, tail = device["headed"] - device["start"], server["tailed"] - server["start"]
    total = device["end"] - device["start"]
    return {
        "device_s": head, "serialise_s": total - head - up - tail - down, "uplink_s": up, "server_s": tail,
        "downlink_s": down, "total_s": total, "connect_s": device["connect"],
        "device_cpu_s": device["device_cpu"], "server_cpu_s": server["server_cpu"],
    }  # fmt: skip
