"""Record real split-learning rounds: two devices, one server, relays between them, CPU quotas.

The rows wait for the simulator's training; here they are recorded, read and checked for what has to hold of any round.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.testbed.link import laid
from calibration.testbed.quota import limited
from calibration.testbed.rows import append
from calibration.testbed.setting import Link
from calibration.testbed.split_inference import End
from calibration.zoo import Progress, Recipe
from simulator.foundation.errors import ProfileError

DEVICES = 2
BATCHES = 8
CUT = 4
"""Behind the first pooling of a VGG."""
SEGMENTS = ("forward_s", "serialise_s", "uplink_s", "queue_s", "server_s", "downlink_s", "backward_s")
TIMES = (*SEGMENTS, "start_s", "end_s", "round_s")
COLUMNS = (
    "model", "input", "batch", "cut", "link", "rate_mbit_s", "delay_ms", "quota_device", "quota_server", "round",
    "device", "step", "bytes", *TIMES,
)  # fmt: skip
"""Columns of ``rounds.csv``: a row per device and batch; ``step`` -1 is the exchange of weights. Bytes one way;
``start_s`` and ``end_s`` since the round began."""


@dataclass(frozen=True)
class Plan:
    """What to record."""

    recipes: Sequence[tuple[Recipe, int]]
    links: Sequence[Link]
    rounds: int = 3
    limit: float = 1800.0
    quotas: tuple[float, float] = (0.0, 0.0)
    """Share of a core for each device and for the server; 0 for all of it."""


def record(plan: Plan, out: Path, tell: Progress = lambda *_: None) -> int:
    """Record *plan* into ``out/rounds.csv``; return how many rounds.

    Raises:
        OffingError: if a worker or a link fails; what was recorded stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / "rounds.csv"
    ends, done = time.monotonic() + plan.limit, 0
    links = [link for link in plan.links if link.mode == "persistent"]
    for recipe, batch in plan.recipes:
        for link in links:
            relay = Link("relay", "persistent", link.rate_mbit_s, link.delay_ms, 0, link.congestion)
            for turn in range(plan.rounds):
                if time.monotonic() > ends:
                    return done
                tell(f"{recipe.name} {link.rate_mbit_s:g} Mbit/s, round {turn}", done, 0)
                append(file, _round(plan, recipe, batch, relay, turn), COLUMNS, TIMES)
                done += 1
    return done


def _round(plan: Plan, recipe: Recipe, batch: int, link: Link, turn: int) -> list[dict[str, object]]:
    """Run one round in fresh processes and return its rows."""
    with ExitStack() as stack:
        ends = []
        for index in range(DEVICES + 1):
            end = End("server" if index == DEVICES else f"device {index}", False, "calibration.testbed.learner")
            stack.callback(end.stop)
            ends.append(end)
        *devices, server = ends
        sizes = [end("prepare", recipe, batch, CUT, end is not server) for end in ends]
        port = server("listen", "127.0.0.1")
        ways = [stack.enter_context(laid(link, end.pid, server.pid, port)) for end in devices]
        for end in ends:
            stack.enter_context(limited(end.pid, plan.quotas[1 if end is server else 0]))
        server.tell("server", DEVICES, BATCHES)
        for number, (end, way) in enumerate(zip(devices, ways, strict=True)):
            end.tell("device", way, number, BATCHES)
        stamps = [end.answer() for end in devices]
        answers = {(row["device"], row["step"]): row for row in server.answer()}
    about = {
        "model": recipe.name, "input": recipe.tag, "batch": batch, "cut": CUT, "link": link.maker,
        "rate_mbit_s": link.rate_mbit_s, "delay_ms": link.delay_ms, "quota_device": plan.quotas[0],
        "quota_server": plan.quotas[1], "round": turn,
    }  # fmt: skip
    return rows_of(about, stamps, answers, sizes[0])


def rows_of(
    about: dict[str, object], stamps: Sequence[Sequence[dict[str, float]]], answers: Any, sizes: tuple[int, int]
) -> list[dict[str, object]]:
    """Return the rows of one round from the stamps of all ends, and the bytes of activation and weights."""
    first = min(rows[0]["start"] for rows in stamps)
    last = max(rows[-1]["end"] for rows in stamps)
    found: list[dict[str, object]] = []
    for device, rows in enumerate(stamps):
        for row in rows:
            there = answers[device, row["step"]]
            found.append(
                {
                    **about, "device": device, "step": int(row["step"]), "bytes": sizes[row["step"] < 0],
                    "forward_s": row["forward"] - row["start"], "serialise_s": row["sent"] - row["forward"],
                    "uplink_s": there["received"] - row["sent"], "queue_s": there["begun"] - there["received"],
                    "server_s": there["done"] - there["begun"], "downlink_s": row["received"] - there["done"],
                    "backward_s": row["end"] - row["received"], "start_s": row["start"] - first,
                    "end_s": row["end"] - first, "round_s": last - first,
                }
            )  # fmt: skip
    return found


def read_rounds(path: Path) -> pd.DataFrame:
    """Return the recorded rounds at *path*.

    Raises:
        ProfileError: if it cannot be read, a column is missing, or a round is not whole.
    """
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ProfileError(f"{path}: cannot be read: {error}") from None
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise ProfileError(f"{path}: no column {', '.join(missing)}; record it with: offing testbed --training")
    for key, group in frame.groupby(["model", "batch", "rate_mbit_s", "quota_device", "round"]):
        counts = group.groupby("device")["step"].agg(["size", "min", "max"])
        if (counts["min"] != -1).any() or (counts["size"] != counts["max"] + 2).any() or len(set(counts["size"])) > 1:
            raise ProfileError(f"{path}: round {key} is not whole; delete its lines and record it again")
    return frame
