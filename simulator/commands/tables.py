"""The tables people read after a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.results.replications import FIGURES, TOLD_TOO
from simulator.results.steady import MSER

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


def seconds(value: float | None, digits: int = 4) -> str:
    """Write a duration with a unit that fits: ``12.3 ms``."""
    if value is None or not math.isfinite(value):
        return "-"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if abs(value) >= factor:
            return f"{number(value / factor, digits)} {unit}"
    return "0 s" if value == 0 else f"{value:.3g} s"


def number(value: float, digits: int = 4) -> str:
    """Write a number to so many digits, whole where it has more before the point."""
    text = f"{value:.{digits}g}"
    return f"{float(text) if digits < 4 else value:.0f}" if "e+" in text and abs(value) < 1e6 else text


def plain(value: Any) -> Any:
    """Return *value* as JSON knows it: numbers that are none as null."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary_tables(summary: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of one run's summary."""
    yield _overview(summary)
    yield _where_time_went(summary)
    yield _placements(summary)


def _overview(s: dict[str, Any]) -> Table:
    table = Table(
        title=escape(f"{s['scenario']}  ·  {s['technique']}  ·  seed {s['seed']}"), title_justify="left", box=None
    )
    table.add_column("what", style="cyan")
    table.add_column("value", justify="right")
    table.add_column("")
    outcomes = ", ".join(f"{count:,} {name}" for name, count in s["outcomes"].items())
    table.add_row("requests", f"{s['requests']:,}", outcomes)
    if s["warmup_requests"] or s["warmup"] == MSER:
        left_out = f"{s['warmup_requests']:,} of {s['warmup_requests'] + s['requests']:,} requests left out"
        how = "(MSER-5), " if s["warmup"] == MSER else ""
        table.add_row("warm-up", seconds(s["warmup_s"]), f"{how}{left_out}")
    for key, name in (("mean", "mean"), ("p50", "median"), ("p95", "95 %"), ("p99", "99 %")):
        table.add_row(f"latency {name}", seconds(s[f"latency_{key}_s"]), _interval(s) if key == "mean" else "")
    table.add_row("throughput", f"{s['throughput_per_s']:.4g} /s", "answered before the arrivals ended")
    deadline = "no deadline" if s["deadline_s"] is None else f"of them within {seconds(s['deadline_s'])}"
    table.add_row("goodput", f"{s['goodput_per_s']:.4g} /s", deadline)
    nodes = [(name, joules) for name, joules in s["node_energy_j"].items()]
    most = ", ".join(f"{name} {joules:.4g} J" for name, joules in sorted(nodes, key=lambda kv: -kv[1])[:4])
    power = f" (power {s['power_grade']})" if s["power_grade"] else ""
    table.add_row("energy", f"{s['energy_j']:.4g} J", most + (", ..." if len(nodes) > 4 else "") + power)
    table.add_row("  per request", f"{s['request_device_energy_j']:.4g} J", "added at the device, idle power apart")
    busy = sorted(s["node_utilisation"].items(), key=lambda kv: -kv[1])
    table.add_row("busiest node", f"{busy[0][1]:.1%}", ", ".join(f"{name} {share:.1%}" for name, share in busy[:4]))
    table.add_row("known to it", "", s["knowledge"])
    if "regret_mean_s" in s:
        best = s["oracle_latency_mean_s"]
        share = f", {s['regret_mean_s'] / best:.1%} more" if best else ""
        lost = s["requests"] - s["regret_requests"]
        known = f"to the oracle, which takes {seconds(best)} in this world{share}"
        known += f"; over the {s['regret_requests']:,} requests both answered" if lost else ""
        table.add_row("regret mean", seconds(s["regret_mean_s"]), known)
    if s["redeployments"]:
        table.add_row("redeployments", f"{s['redeployments']:,}", f"{seconds(s['downtime_s'])} of downtime")
    table.add_row("evidence", s["grade"], "the weakest grade among the layer times used")
    for index, line in enumerate(s["inputs"]):
        table.add_row("" if index else "inputs", "", escape(line))
    return table


def replication_tables(found: dict[str, Any]) -> Iterator[Table]:
    """Yield the table of several runs of one scenario."""
    seeds = found["seeds"]
    title = f"{found['scenario']}  ·  {found['technique']}  ·  seeds {seeds[0]} to {seeds[-1]}"
    table = Table(title=escape(title), title_justify="left", box=None)
    table.add_column("what", style="cyan")
    table.add_column("mean", justify="right")
    table.add_column(f"{100 * found['level']:g} % interval", justify="right")
    table.add_column("least to most", justify="right")
    for key, (name, unit, _) in {**FIGURES, **TOLD_TOO}.items():
        if key not in found["figures"]:
            continue
        figure = found["figures"][key]
        write = seconds if unit == "s" else lambda value, digits=4, unit=unit: f"{number(value, digits)} {unit}"
        interval = figure["problem"] or f"± {write((figure['high'] - figure['low']) / 2, 2)}"
        if key != "hold_s" or any(figure["values"]):
            spread = f"{write(min(figure['values']))} to {write(max(figure['values']))}"
            table.add_row(name, write(figure["mean"]), interval, spread)
    yield table
    outcomes = ", ".join(f"{count:,} {name}" for name, count in found["outcomes"].items())
    left_out = f"; {found['warmup_requests']:,} in the warm-up left out" if found["warmup_requests"] else ""
    about = Table(title="what this rests on", title_justify="left", box=None, show_header=False)
    about.add_column("what", style="cyan")
    about.add_row("runs", f"{found['replications']}, independent of each other: one value each")
    about.add_row("requests", f"{outcomes}{left_out}")
    about.add_row("known to it", found["knowledge"])
    about.add_row("evidence", f"{found['grade']}, the weakest grade among the layer times used")
    for index, line in enumerate(found["inputs"]):
        about.add_row("" if index else "inputs", escape(line))
    yield about


def _interval(s: dict[str, Any]) -> str:
    low, high, how = (s[f"latency_mean_{key}"] for key in ("low_s", "high_s", "interval"))
    return f"no interval: {how}" if low is None else f"± {seconds((high - low) / 2, 2)} ({how})"


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
