"""The verb ``offing predict``: what a network would take on a machine where others were timed."""

from __future__ import annotations

import json
import math
import sys
from typing import Annotated, Any

import pandas as pd
import typer
from rich.table import Table

from calibration.devices.forest import Forest, Prediction, family, learn, leave_one_out, timed_on
from calibration.devices.untimed import untimed
from calibration.profiling.commands import parse_input
from calibration.zoo import resolve
from simulator.commands.options import JsonOption
from simulator.commands.tables import wide_console

GOALS = {"mape_pct": 15.0, "median_ape_pct": 8.0}
"""What the errors of networks left out should be at most [%]."""


def predict(
    hardware: Annotated[str, typer.Argument(help="Machine on which networks were profiled.")],
    model: Annotated[
        str | None, typer.Argument(help="Network, as for offing profile; without it, how good predictions are.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Inputs per run.")] = 1,
    size: Annotated[int | None, typer.Option(help="Side of a square colour image, e.g. 224.")] = None,
    input_shape: Annotated[str | None, typer.Option("--input", help="Whole input, e.g. 1x3x224x224.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict a network on a machine from the others that were timed there, or say how good that is.

    Needs scikit-learn, and PyTorch to count the layers of MODEL, whose own profiles are not looked at. How good it is,
    networks left out in turn tell: each alone, and together with its siblings.
    """
    profiles = timed_on(hardware)
    if model is None:
        _report(_quality(profiles, hardware), hardware, as_json)
        return
    shape = parse_input(input_shape)
    if shape is not None:
        batch = shape[0]
    recipe = resolve(model, size, None if shape is None else shape[1:])
    forest, table, _ = learn([profile for profile in profiles if profile.name != recipe.name], hardware)
    found = forest.predict(untimed(recipe, batch))
    _tell(found, forest, table, f"{recipe.name}, input {recipe.tag}, batch {batch}", as_json)


def errors(table: pd.DataFrame) -> dict[str, float]:
    """Return the figures of a table of :func:`~calibration.devices.forest.leave_one_out` [%].

    ``n`` counts the profiles predicted and ``refused`` the others; ``covered_pct`` are those inside their interval.
    """
    done = table[table["refused"] == ""]
    error = 100 * (done["predicted_s"] / done["measured_s"] - 1)
    known = done.dropna(subset=["low_s", "high_s"])
    inside = (known["low_s"] <= known["measured_s"]) & (known["measured_s"] <= known["high_s"])
    return {
        "n": len(done),
        "refused": len(table) - len(done),
        "mape_pct": float(error.abs().mean()),
        "median_ape_pct": float(error.abs().median()),
        "p90_ape_pct": float(error.abs().quantile(0.9)),
        "max_ape_pct": float(error.abs().max()),
        "bias_pct": float(error.mean()),
        "covered_pct": 100 * float(inside.mean()) if len(known) else math.nan,
    }


def _quality(profiles: Any, hardware: str) -> dict[str, dict[str, Any]]:
    found = {}
    for what, group in (("each network left out", str), ("each family left out", family)):
        table, nodes = leave_one_out(profiles, hardware, group)
        long = nodes[nodes["measured_s"] > 50e-6]
        layers = 100 * float((long["predicted_s"] / long["measured_s"] - 1).abs().mean())
        found[what] = {"errors": errors(table) | {"layers_mape_pct": layers}, "rows": table}
    return found


def _report(found: dict[str, dict[str, Any]], hardware: str, as_json: bool) -> None:
    """Print how good predictions are, per network and in all."""
    if as_json:
        plain = {
            what: {"errors": each["errors"], "rows": json.loads(each["rows"].to_json(orient="records"))}
            for what, each in found.items()
        }
        sys.stdout.write(json.dumps({"hardware": hardware, "goals": GOALS, **plain}) + "\n")
        return
    console = wide_console()
    table = Table(box=None, title=f"networks predicted on {hardware} by the others timed there", title_justify="left")
    table.add_column("network", style="cyan")
    for what in ("input", "batch", "measured", *found):
        table.add_column(what, justify="right")
    tables = [each["rows"].set_index(["model", "input", "batch"]) for each in found.values()]
    for key, row in tables[0].iterrows():
        name, size, batch = key
        told = [_told(each.loc[key]) for each in tables]
        table.add_row(str(name), str(size), str(batch), f"{1e3 * row['measured_s']:.4g} ms", *told)
    console.print(table)
    for what, each in found.items():
        figures = each["errors"]
        console.print(
            f"{what}: MAPE {figures['mape_pct']:.1f} %, median {figures['median_ape_pct']:.1f} %, 90 % below "
            f"{figures['p90_ape_pct']:.1f} %, largest {figures['max_ape_pct']:.1f} %, bias "
            f"{figures['bias_pct']:+.1f} %; layers over 50 us {figures['layers_mape_pct']:.1f} %; {_covered(figures)}; "
            f"{figures['n']} profiles, {figures['refused']} refused",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    figures = next(iter(found.values()))["errors"]
    for key, limit in GOALS.items():
        verdict = "met" if figures[key] <= limit else "not met"
        console.print(f"goal {key.replace('_', ' ')} at most {limit:g}: {figures[key]:.1f}, {verdict}", highlight=False)


def _covered(figures: dict[str, Any]) -> str:
    if math.isnan(figures["covered_pct"]):
        return "too few for a 90 % interval"
    return f"{figures['covered_pct']:.0f} % inside the 90 % interval"


def _told(row: pd.Series[Any]) -> str:
    if row["refused"]:
        return "refused"
    return f"{100 * (row['predicted_s'] / row['measured_s'] - 1):+.1f} %"


def _tell(found: Prediction, forest: Forest, table: pd.DataFrame, what: str, as_json: bool) -> None:
    """Print the prediction of one network."""
    figures = errors(table)
    if as_json:
        layers = list(found.times.seconds)
        whole = {"seconds": found.seconds, "low_s": found.low, "high_s": found.high, "grade": found.times.grade}
        facts = {"network": what, "hardware": forest.hardware, **whole, "source": found.times.source}
        sys.stdout.write(json.dumps({**facts, "layers_s": layers, "errors_left_out": figures}) + "\n")
        return
    between = f"90 % interval {1e3 * found.low:.4g} to {1e3 * found.high:.4g} ms"
    if math.isnan(found.low):
        between = "too few networks were timed there for a 90 % interval"
    console = wide_console()
    console.print(
        f"{what} on {forest.hardware}: {1e3 * found.seconds:.4g} ms; {between}; evidence of the inputs: "
        f"{found.times.grade} ({found.times.source})",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(
        f"networks left out with their families: MAPE {figures['mape_pct']:.1f} %, median "
        f"{figures['median_ape_pct']:.1f} %",
        markup=False, highlight=False,
    )  # fmt: skip
