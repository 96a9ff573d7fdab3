"""BranchyNet (Teerapittayanon et al., ICPR 2016): a recorded sweep of the threshold of a network with early exits.

Each setting has the share of samples that left at each exit, the accuracy of all of them together, and their mean
time. The mean is a sum over the exits of share times time to that exit, so the times to the exits, which were not
recorded, follow from a few settings by least squares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from calibration.measured.tables import data_file, read_table
from simulator.foundation.errors import ProfileError

SOURCE = "kunglab/branchynet, notebook outputs, commit a33d136"
_COLUMNS = ("notebook", "platform", "network", "acc_pct", "time_ms", "thresholds", "exit_pct")


@dataclass(frozen=True)
class Setting:
    """A network with given thresholds on one platform."""

    network: str
    platform: str
    """``CPU`` or ``GPU``."""
    thresholds: tuple[float, ...]
    """Entropy below which a sample leaves, per exit but the last; empty for a network without exits."""
    shares: tuple[float, ...]
    """Share of all samples that left at each exit, shape (exits,); sums to 1."""
    accuracy: float
    """Share of right answers of all samples."""
    seconds: float
    """Mean time per sample [s], recorded to a hundredth of a millisecond."""

    @property
    def name(self) -> str:
        """Network and platform."""
        return f"{self.network} {self.platform}"


def read_settings(path: Path | None = None, root: Path | None = None) -> list[Setting]:
    """Return the settings of a table of that format (default: the recorded one); networks without exits too.

    Raises:
        ProfileError: the table is absent or malformed; with the line.
    """
    path = path or data_file("branchynet/threshold_sweep.csv", root)
    table = read_table(path, _COLUMNS, text=("notebook", "platform", "network", "thresholds", "exit_pct"))
    rows = table[["platform", "network", "acc_pct", "time_ms", "thresholds", "exit_pct"]].to_numpy().tolist()
    found = []
    for line, (platform, network, accuracy, milliseconds, at, left) in enumerate(rows, start=2):
        thresholds, shares = _numbers(at), tuple(share / 100 for share in _numbers(left) or (100.0,))
        # Percentages were written with two digits, and 0.5 % off a whole is more than rounding.
        if len(shares) != len(thresholds) + 1 or abs(sum(shares) - 1) > 0.005 or not milliseconds > 0:
            raise ProfileError(
                f"{path}:{line}: {network} with thresholds {at} has exits {left} and {milliseconds} ms; expected one "
                "exit more than thresholds, 100 % in all, and a time above zero; is the file cut short?"
            )
        found.append(Setting(network, platform, thresholds, shares, accuracy / 100, milliseconds / 1e3))
    return found


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in re.findall(r"\d+\.?\d*(?:[eE][-+]?\d+)?", text))


def fit_exits(settings: Sequence[Setting]) -> tuple[float, ...]:
    """Return the time from the start to each exit [s], shape (exits,), by least squares on relative errors.

    No exit is nearer than the one before it.

    Raises:
        ProfileError: settings of different numbers of exits, or fewer with different shares than exits, so that the
            times cannot be told apart.
    """
    if len({len(one.shares) for one in settings}) > 1:
        raise ProfileError(f"{settings[0].name}: settings with different numbers of exits; fit them apart")
    shares = np.array([one.shares for one in settings])
    seconds = np.array([one.seconds for one in settings])
    if not len(settings) or np.linalg.matrix_rank(shares) < shares.shape[1]:
        name = settings[0].name if settings else "BranchyNet"
        count = shares.shape[1] if len(settings) else 1
        raise ProfileError(
            f"{name}: {len(settings)} settings do not tell the times to {count} exits apart; give as many with "
            "different shares as there are exits"
        )
    reached = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1]  # share of samples that goes through each stage
    stages, _ = nnls(reached / seconds[:, None], np.ones(len(seconds)))
    return tuple(map(float, np.cumsum(stages)))
