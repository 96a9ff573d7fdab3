"""Recorded against generated: how near each form of synthetic bandwidth comes to the recordings, in and out of sample.

``python -m calibration.worlds.synthetic ../shared/data`` prints the tables of
``docs/explanation/synthetic_bandwidth.md`` and
``synthetic_loads.md`` and draws ``docs/images/synthetic_fit.png``; with ``--write`` it writes the fitted files of
``scenarios/`` anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from analysis.figures import synthetic
from calibration.worlds.bandwidth import (
    LAGS,
    MBIT,
    SETS,
    RealSet,
    as_yaml,
    correlation,
    fit,
    outage_lengths,
    recordings,
    sampled,
    segments,
    transfer_times,
    wifi,
)
from calibration.worlds.loads import fit_load, load_comparison, read_loads
from calibration.worlds.markov import BANDS, fit_markov, likelihood, markov_yaml
from calibration.worlds.outages import fit_outages, fit_table, outages_yaml, read_failures
from simulator.profiles.trace import Trace
from simulator.traces.bootstrap import Bootstrap
from simulator.traces.generator import Generator

BLOCK = 30.0
"""Mean length of a block of the bootstrap [s]."""
HOUR, COUNT = 3600.0, 150
"""Length [s] and number of the traces drawn of each form (seeds 0, 1, 2 ...)."""
TRANSFERS = 20_000
"""Transfers begun at random."""

FORMS: dict[str, Callable[[RealSet, Sequence[Trace]], Generator]] = {
    "copula": fit,
    "markov": fit_markov,
    "bootstrap": lambda real, traces: Bootstrap.of(traces, BLOCK, real.name),
}


def sizes_of(real: RealSet) -> tuple[float, ...]:
    """Return the sizes of the transfers compared [B]."""
    return (1e6, 10e6) if real.name.startswith("5g") else (1e6,)


def drawn(generator: Generator, count: int = COUNT) -> list[Trace]:
    """Return *count* traces of an hour."""
    return [generator.generate(np.random.default_rng(seed), HOUR) for seed in range(count)]


def measures(traces: Sequence[Trace], judge: Sequence[Trace], sizes: Sequence[float]) -> dict[str, float]:
    """Return what transfers meet in *traces*, and the distance of their distribution from that of *judge*."""
    samples = [sampled(trace) for trace in traces]
    pool = np.concatenate(samples)
    lengths, values = segments(traces)
    outages = np.array([length for trace in traces for length in outage_lengths(trace)] or [0.0])
    found = {f"{q} % of time below (Mbit/s)": float(np.quantile(pool, q / 100)) / MBIT for q in (5, 25, 50, 75, 95)}
    found["distance (KS)"] = float(ks_2samp(pool, np.concatenate([sampled(trace) for trace in judge])).statistic)
    found |= {f"autocorrelation, {lag} s": correlation(samples, lag, outages=True) for lag in (1, 5, 30)}
    found["time at zero (%)"] = 100 * float(lengths[values == 0].sum() / lengths.sum())
    found |= {f"outage, {name} (s)": float(np.quantile(outages, q)) for name, q in (("median", 0.5), ("95 %", 0.95))}
    for size in sizes:
        times = transfer_times(traces, size, TRANSFERS, np.random.default_rng(1))
        for name, q in (("median", 0.5), ("95 %", 0.95), ("99 %", 0.99)):
            found[f"{size / 1e6:g} MB, {name} (s)"] = float(np.quantile(times, q))
    return found


def side_by_side(real: RealSet, traces: Sequence[Trace]) -> pd.DataFrame:
    """Return one column for the recordings and one for each form fitted to them."""
    columns = {"recorded": measures(traces, traces, sizes_of(real))}
    columns |= {form: measures(drawn(make(real, traces)), traces, sizes_of(real)) for form, make in FORMS.items()}
    return pd.DataFrame(columns)


def out_of_sample(real: RealSet, traces: Sequence[Trace]) -> pd.DataFrame:
    """Return forms fitted to every other recording, judged by the rest; and both halves of the recordings."""
    seen, unseen = traces[::2], traces[1::2]
    sizes = sizes_of(real)
    columns = {"unseen half": measures(unseen, unseen, sizes), "half fitted to": measures(seen, unseen, sizes)}
    columns |= {form: measures(drawn(make(real, seen)), unseen, sizes) for form, make in FORMS.items()}
    return pd.DataFrame(columns)


def curves(real: RealSet, traces: Sequence[Trace]) -> pd.DataFrame:
    """Return the curves of the figure: columns set, panel, form, x, y."""
    parts = []
    shares = np.concatenate([[0.001, 0.01], np.arange(2, 99, 2) / 100, [0.99, 0.999]])
    size = sizes_of(real)[-1]
    sets: Mapping[str, Sequence[Trace]] = {"recorded": traces} | {
        form: drawn(make(real, traces)) for form, make in FORMS.items()
    }
    for form, some in sets.items():
        samples = [sampled(trace) for trace in some]
        outages = np.array([length for trace in some for length in outage_lengths(trace)])
        times = transfer_times(some, size, TRANSFERS, np.random.default_rng(1))
        panels = {
            "bandwidth [Mbit/s]": (np.quantile(np.concatenate(samples), shares) / MBIT, shares),
            "lag [s]": (np.array(LAGS), np.array([correlation(samples, lag, outages=True) for lag in LAGS])),
            "outage [s]": (np.quantile(outages, shares), shares),
            f"transfer of {size / 1e6:g} MB [s]": (np.quantile(times, shares), shares),
        }
        for panel, (x, y) in panels.items():
            points = {"x": [float(f"{value:.4g}") for value in x], "y": [float(f"{value:.4g}") for value in y]}
            parts.append(pd.DataFrame({"set": real.name, "panel": panel, "form": form} | points))
    return pd.concat(parts, ignore_index=True)


def bands_table(data: Path) -> pd.DataFrame:
    """Return how likely recordings left out are (log density per second), by number of bands and set."""
    columns = {}
    for real in SETS:
        samples = [sampled(trace) for trace in recordings(real, data)]
        columns[real.name] = {bands: likelihood(samples, bands) for bands in BANDS}
    return pd.DataFrame(columns)


def write_all(data: Path, folder: Path) -> None:
    """Fit everything again and write the files of *folder* (``scenarios``)."""
    texts = {"networks/wifi": as_yaml(wifi())}
    for real in SETS:
        traces = recordings(real, data)
        texts[f"networks/{real.name}"] = as_yaml(fit(real, traces))
        texts[f"networks/{real.name}-markov"] = markov_yaml(fit_markov(real, traces))
    texts["loads/server-day"] = as_yaml(fit_load(read_loads(data)))
    texts["outages/web-service"] = outages_yaml(fit_outages(read_failures(data)))
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def markdown(table: pd.DataFrame, corner: str = "") -> str:
    """Return a table for a page, numbers to three digits."""
    rows = [[corner, *map(str, table.columns)], ["---"] * (1 + len(table.columns))]
    for name, row in table.iterrows():
        rows.append([str(name), *(value if isinstance(value, str) else f"{value:.3g}" for value in row)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def main() -> None:
    """Print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description="Recorded against generated bandwidth, loads and outages.")
    parser.add_argument("data", type=Path, help="folder of third-party recordings")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="where the figure goes")
    parser.add_argument("--write", type=Path, help="write the fitted files to this folder (scenarios)")
    asked = parser.parse_args()
    if asked.write is not None:
        write_all(asked.data, asked.write)
    said, drawings = [], []
    for real in SETS:
        traces = recordings(real, asked.data)
        said.append(markdown(side_by_side(real, traces), f"`{real.name}`"))
        drawings.append(curves(real, traces))
        if len(traces) >= 6:
            said.append(markdown(out_of_sample(real, traces), f"`{real.name}`, other half"))
    said.append(markdown(bands_table(asked.data), "bands"))
    loads = read_loads(asked.data)
    table = load_comparison(loads, fit_load(loads))
    halves = load_comparison(loads[1::2], fit_load(loads[::2]))
    said.append(markdown(table.assign(**{"unseen half": halves.recorded, "from the other half": halves.generated})))
    said.append(markdown(fit_table(read_failures(asked.data)).set_index("service"), "service"))
    sys.stdout.write("\n\n".join(said) + "\n")
    synthetic.draw(pd.concat(drawings, ignore_index=True)).save(asked.out)


if __name__ == "__main__":
    main()
