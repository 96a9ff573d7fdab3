"""Tables of AdaptiveDNN's form for several tests: where the recorded one is, and irregular ones made up."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from calibration.measured.adaptive_dnn_fit import LEVELS
from calibration.measured.adaptive_dnn_link import SHAPER

SET = "adaptivednn/benchmark_2020-05-27.csv.gz"


def noisy(seed: int, cuts: int = 6) -> pd.DataFrame:
    """Return a table in which nothing is regular: times jump, servers build, some rows are missing."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(list(product((50, 25, 10), (0, 50, 100), (0, 100), (0, 50), (0, 50, 100), range(1, cuts + 1))),
                        columns=[*LEVELS, "cut"])  # fmt: skip
    rows["edge_s"] = 0.02 * rows["cut"] * (1 + rows["edge_cpu"] / 100) * rng.lognormal(0, 0.4, len(rows))
    rows["cloud_s"] = 0.3 / rows["cut"] * (1 + rows["cloud_cpu"] / 100) * rng.lognormal(0, 0.4, len(rows))
    rest = SHAPER.seconds(1e6 / rows["cut"], rows["net_mbps"]) * rng.lognormal(0, 0.1, len(rows))
    rows["total_s"] = np.maximum(rows["edge_s"] + rest, 0.4) + rows["cloud_s"]
    kept = rng.random(len(rows)) < 0.7
    return rows[kept].assign(model=f"noisy {seed}")[["model", *LEVELS, "cut", "total_s", "edge_s", "cloud_s"]]
