"""Fit the ``copula`` form to recorded processor loads: how busy servers are, in steps of five minutes.

The recordings are virtual machines of one day each. What sets them apart (one is always busy, one never) is by far the
largest part of the variance, and is the slow memory here: a node stays what it is. Within a node a step knows next
to nothing of the one before. A load of zero is a load like others, so there are no outages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from calibration.worlds.bandwidth import SHARES, correlation, memory
from simulator.foundation.errors import TraceError
from simulator.traces.copula import Copula, Outages
from simulator.traces.recording import Array

STEP = 300.0
"""Between two rows [s]; the files do not say, the set's description does."""
LAGS = (1, 2, 3, 6, 12, 24, 48, 96, 144)
"""Lags at which the memory is fitted [steps]: up to half a day."""
LONGEST = 8640.0
"""Recordings of a day do not tell a month from for ever [steps]."""
CITATION = "PlanetLab, 3 March 2011 (Park and Pai, 2006; as chosen by Beloglazov and Buyya, 2012)"


def read_loads(data: Path) -> list[Array]:
    """Read the recorded loads from the folder of third-party data, as shares; one array per machine.

    Raises:
        TraceError: if there are none.
    """
    files = sorted((data / "cpu" / "planetlab-2011").glob("2*"))
    if not files:
        raise TraceError("no recordings in cpu/planetlab-2011")
    return [np.array(path.read_text(encoding="utf-8").split(), dtype=float) / 100 for path in files]


def fit_load(samples: Sequence[Array]) -> Copula:
    """Fit a generator to recorded loads."""
    pool = np.concatenate(samples)
    levels = np.quantile(pool, SHARES, method="inverted_cdf")
    recorded = np.array([correlation(samples, lag, outages=True) for lag in LAGS])
    share, fast, slow = memory(levels, recorded, LAGS, LONGEST)
    source = f"fitted to {len(samples)} machines of one day: {CITATION}"
    return Copula(
        "server-day", "Load of virtual machines on PlanetLab, one day, step of five minutes", "transferred", "unknown",
        source, tuple(zip(SHARES, levels.tolist(), strict=True)), share, fast * STEP, slow * STEP,
        Outages(0.0, STEP, 0.0), STEP, "load",
    )  # fmt: skip


def load_statistics(samples: Sequence[Array]) -> dict[str, float]:
    """Return what matters of loads, each machine an array of steps, all machines together; shares in percent."""
    pool = 100 * np.concatenate(samples)
    means, spreads = (np.array([100 * f(sample) for sample in samples]) for f in (np.mean, np.std))
    return {
        "mean (%)": float(pool.mean()),
        **{f"{q} % of steps below (%)": float(np.quantile(pool, q / 100)) for q in (5, 25, 50, 75, 95)},
        "autocorrelation, 5 min": correlation(samples, 1, outages=True),
        "autocorrelation, 1 h": correlation(samples, 12, outages=True),
        "autocorrelation, 6 h": correlation(samples, 72, outages=True),
        "mean of a machine: deviation (%)": float(means.std()),
        "within a machine: deviation, median (%)": float(np.median(spreads)),
        "within a machine: deviation, 90 % (%)": float(np.quantile(spreads, 0.9)),
    }


def load_comparison(samples: Sequence[Array], generator: Copula, count: int = 1000) -> pd.DataFrame:
    """Return recorded and generated loads side by side, *count* machines of a day."""
    day = 288 * STEP
    made = [np.asarray(generator.generate(np.random.default_rng(seed), day).values) for seed in range(count)]
    return pd.DataFrame({"recorded": load_statistics(samples), "generated": load_statistics(made)})
