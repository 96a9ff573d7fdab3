"""The tables people read after a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

PARTS = {
    "queue": "waiting for a processor or a channel",
    "compute": "layers running",
    "transfer": "bytes on the wire",
    "delay": "propagation",
    "software": "serialise, copy, system calls",
    "recovery": "lost to failures",
    "hold": "waiting for a redeployment",
}


def wide_console() -> Console:
    """Return a console that does not fold tables where the output is a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=140)


def seconds(value: float | None) -> str:
    """Write a duration with a unit that fits: ``12.3 ms``."""
    if value is None or not math.isfinite(value):
        return "-"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if abs(value) >= factor:
            return f"{value / factor:.4g} {unit}"
    return "0 s" if value == 0 else f"{value:.3g} s"


def summary_tables(summary: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of one run's summary."""
    yield _overview(summary)
    yield _where_time_went(summary)
    yield _placements(summary)


def _overview(s: dict[str, Any]) -> Table:
    table = Table(title=f"{s['scenario']}  ·  {s['technique']}  ·  seed {s['seed']}", title_justify="left", box=None)
    table.add_column("what", style="cyan")
    table.add_column("value", justify="right")
    table.add_column("")
    outcomes = ", ".join(f"{count:,} {name}" for name, count in s["outcomes"].items())
    table.add_row("requests", f"{s['requests']:,}", outcomes)
    for key, name in (("mean", "mean"), ("p50", "median"), ("p95", "95 %"), ("p99", "99 %")):
        table.add_row(f"latency {name}", seconds(s[f"latency_{key}_s"]))
    table.add_row("throughput", f"{s['throughput_per_s']:.4g} /s", "answered before the arrivals ended")
    deadline = "no deadline" if s["deadline_s"] is None else f"of them within {seconds(s['deadline_s'])}"
    table.add_row("goodput", f"{s['goodput_per_s']:.4g} /s", deadline)
    nodes = [(name, joules) for name, joules in s["node_energy_j"].items()]
    most = ", ".join(f"{name} {joules:.4g} J" for name, joules in sorted(nodes, key=lambda kv: -kv[1])[:4])
    table.add_row("energy", f"{s['energy_j']:.4g} J", most + (", ..." if len(nodes) > 4 else ""))
    table.add_row("  per request", f"{s['request_device_energy_j']:.4g} J", "added at the device, idle power apart")
    busy = sorted(s["node_utilisation"].items(), key=lambda kv: -kv[1])
    table.add_row("busiest node", f"{busy[0][1]:.1%}", ", ".join(f"{name} {share:.1%}" for name, share in busy[:4]))
    table.add_row("known to it", "", s["knowledge"])
    table.add_row("evidence", s["grade"], "the weakest grade among the layer times used")
    return table


def _where_time_went(s: dict[str, Any]) -> Table:
    table = Table(title="where a request's time went (mean)", title_justify="left", box=None)
    table.add_column("part", style="cyan")
    table.add_column("time", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    total = sum(value for value in s["latency_parts_s"].values() if math.isfinite(value))
    for part, value in s["latency_parts_s"].items():
        if value and math.isfinite(value):
            share = value / total
            table.add_row(part, seconds(value), f"{share:.1%}", f"{'█' * round(24 * share)} {PARTS[part]}")
    return table


def _placements(s: dict[str, Any]) -> Table:
    table = Table(title="what ran where (layers, first to last + 1)", title_justify="left", box=None, min_width=44)
    table.add_column("placement", style="cyan")
    table.add_column("requests", justify="right")
    placements = list(s["placements"].items())
    for placement, count in placements[:8]:
        table.add_row(placement, f"{count:,}")
    if len(placements) > 8:
        table.add_row(f"... and {len(placements) - 8} more", f"{sum(count for _, count in placements[8:]):,}")
    return table
