"""What the AdaptiveDNN rows say about machines, link and server: fitted by medians, for a simulation to replay.

A row is one cut under one condition: seconds on the edge, seconds on the cloud, and a total. Four things are fitted,
each on the rows of one network alone (the link is the testbed's and is fitted once, in ``adaptive_dnn_link``):

- seconds of each head on the edge and each tail on the cloud, by stress level. A level that fewer than ``ENOUGH`` rows
  of a cut have seen follows the machine: the ratio to the unstressed time that all cuts share;
- the bytes of each cut, from what is left of the total at several rates, by the law of the link read backwards;
- what a transfer takes beyond that law (a delayed acknowledgement: 40 ms in one of two requests);
- when the server is ready. ``total - cloud`` is ``max(edge + transfer, ready)``: after each answer the server builds
  the tail anew, on its own processor, while the next request is on its way; the request waits where it comes first.
  The medians of such censored values are found by censored least absolute deviations (Powell 1984, J. Econometrics).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from calibration.measured.adaptive_dnn_link import SHAPER, Array, Shaper

ENOUGH = 3
"""Rows from which the median of a cell is believed; each is the mean of two requests, of which one may be slow."""
WORTH = 0.2
"""Share of the deviations that a server's readiness must explain to be believed in."""
POLISH = 3
"""Rounds in which the factors of two kinds of stress are told apart."""
TWO_KINDS = 1.8
"""Four fifths of a cut's unstressed rows over one fifth of them, above which they are of two kinds."""
LEVELS = ("net_mbps", "cloud_cpu", "edge_mem", "cloud_mem", "edge_cpu")
"""Columns that make a condition."""
PLAUSIBLE = (0.9, 2.2)
"""Slowdown that one competitor per core can cause: 1 to 2, and a tenth for noise; a lone row outside says nothing of
its machine."""


@dataclass(frozen=True)
class MachineTimes:
    """Seconds of each cut's part on one machine, by stress level."""

    base: pd.Series[float]
    """Unstressed, by cut [s]."""
    cpu: Mapping[int, float]
    """Slowdown by CPU stress [%]: what all cuts share."""
    memory: Mapping[int, float]
    """The same by memory stress."""
    own_cpu: Mapping[tuple[int, int], float]
    """Slowdown by (cut, CPU stress), where enough rows say it."""
    own_memory: Mapping[tuple[int, int], float]
    """Factor on top by (cut, memory stress), where enough rows say it."""
    cells: Mapping[tuple[int, int, int], float]
    """Seconds by (cut, CPU stress, memory stress), where twice as many rows say it: the two do not just multiply."""

    def seconds(self, cuts: Sequence[int], cpu: int, memory: int) -> Array:
        """Return the time of each of *cuts* under stress levels [s], shape (cuts,)."""
        machine = self.slowdown(cpu)
        filled = self.memory.get(memory, 1.0)

        def one(cut: int) -> float:
            factor = self.own_cpu.get((cut, cpu), machine) * self.own_memory.get((cut, memory), filled)
            return self.cells.get((cut, cpu, memory), float(self.base.loc[cut]) * factor)

        return np.array([one(cut) for cut in cuts])

    def measured(self, cut: int, cpu: int, memory: int) -> bool:
        """Return whether rows of this cut under this CPU stress say its time, not only those of others."""
        return cpu == 0 or (cut, cpu) in self.own_cpu or (cut, cpu, memory) in self.cells

    def slowdown(self, cpu: int) -> float:
        """Return the machine's slowdown at a CPU stress level [%]; the law's at one that was never seen."""
        return self.cpu.get(cpu, law(cpu))


def law(cpu: int) -> float:
    """Return the slowdown by one competitor per core of that duty cycle [%]: design I.2, no fit."""
    return 1.0 / (1.0 - cpu / 200.0)


def fit_machine(rows: pd.DataFrame, column: str, cpu: str, memory: str) -> MachineTimes:
    """Return the times of *column* by stress level; *cpu* and *memory* name the columns of the levels."""
    log = np.log(rows[column].clip(lower=1e-6))
    base = log.groupby(rows["cut"]).median()
    for calm in (rows[cpu] == 0, (rows[cpu] == 0) & (rows[memory] == 0)):
        groups = log[calm].groupby(rows["cut"])
        base.update(groups.median()[groups.size() >= min(ENOUGH, int(groups.size().max() if len(groups) else 0))])
    kinds = _of_two_kinds(log[rows[cpu] == 0], rows["cut"]).reindex(base.index)
    base = base.where(~(kinds > base), kinds)
    left = log - rows["cut"].map(base)
    prior = {level: law(level) for level in map(int, rows[cpu].unique())}
    filled: dict[int, float] = {}
    own_memory: dict[tuple[int, int], float] = {}
    for _ in range(POLISH):  # median polish (Tukey 1977): each factor from what the other leaves
        machine, own = _levels(left - _logs(rows, memory, own_memory, filled), rows, cpu, prior)
        filled, own_memory = _levels(left - _logs(rows, cpu, own, machine), rows, memory, {})
    groups = log.groupby([rows["cut"], rows[cpu], rows[memory]])
    many = np.exp(groups.median()[groups.size() >= 2 * ENOUGH])
    cells = {(cut, c, m): float(value) for (cut, c, m), value in zip(many.index.tolist(), many, strict=True)}
    return MachineTimes(np.exp(base), machine, filled, own, own_memory, cells)


def _of_two_kinds(log: pd.Series[float], cuts: pd.Series[int]) -> pd.Series[float]:
    """Return the logarithm of the mean of those cuts whose unstressed times are of two kinds.

    Now and then a server builds a network while it answers, which takes seconds. Where that happens often, a median
    says which kind came once more than the other, and the mean what to expect.
    """
    groups = log.groupby(cuts)
    spread = groups.quantile(0.8) - groups.quantile(0.2)
    kept = (spread > np.log(TWO_KINDS)) & (groups.size() > ENOUGH)
    mean: pd.Series[float] = log.apply(np.exp).groupby(cuts).mean()[kept].apply(np.log)
    return mean


def _logs(rows: pd.DataFrame, column: str, own: Mapping[tuple[int, int], float], shared: Mapping[int, float]) -> Array:
    """Return the logarithm of the factor that each row has by *column*."""
    keys = zip(rows["cut"], rows[column], strict=True)
    return np.asarray(np.log([own.get(key, shared.get(key[1], 1.0)) for key in keys]))


def _levels(
    left: pd.Series[float], rows: pd.DataFrame, column: str, prior: Mapping[int, float]
) -> tuple[dict[int, float], dict[tuple[int, int], float]]:
    """Return the factor of each level of *column* that all cuts share, and those that cuts have for themselves.

    The cuts of one condition were measured in the same minutes, so what is shared is known from as many conditions as
    there are, however many cuts they have: one condition weighs as much as the *prior*.
    """
    low, high = np.log(PLAUSIBLE)
    shared: dict[int, float] = {}
    own: dict[tuple[int, int], float] = {}
    for level in sorted(set(rows[column]) - {0}):
        part = left[rows[column] == level]
        before = float(np.log(prior.get(level, 1.0)))
        kept = part[(part > low) & (part < high)]
        conditions = len(rows.loc[kept.index, list(LEVELS)].drop_duplicates())
        median = float(kept.median()) if len(kept) else before
        shared[level] = float(np.exp((conditions * median + before) / (conditions + 1)))
        cells = part.groupby(rows["cut"])
        many = cells.median()[cells.size() >= ENOUGH]
        own |= {(cut, level): float(np.exp(value)) for cut, value in zip(many.index.tolist(), many, strict=True)}
    return {0: 1.0, **shared}, own


def censored_median(floor: Array, seen: Array) -> float:
    """Return the ``r >= 0`` under which ``max(floor, r)`` is nearest to what was *seen*, by absolute deviations.

    Zero, unless some other explains at least ``WORTH`` of what zero leaves.
    """
    candidates = np.unique(np.concatenate(([0.0], seen[seen > floor])))
    off = np.abs(np.maximum(floor[:, None], candidates[None, :]) - seen[:, None]).sum(axis=0)
    best = int(off.argmin())
    return float(candidates[best]) if off[best] <= (1.0 - WORTH) * off[0] else 0.0


@dataclass(frozen=True)
class Readiness:
    """When the server is ready for a request, counted from the request's beginning [s]."""

    cells: Mapping[tuple[int, int, int], float]
    """By (cut, rate, cloud CPU stress), where enough rows say it."""
    levels: Mapping[tuple[int, int], float]
    """By (cut, cloud CPU stress) over all rates, where enough rows say it."""
    calm: Mapping[tuple[int, int], float]
    """By (cut, rate) without stress."""
    slowdown: Mapping[int, float]
    """By cloud CPU stress: what all cuts share."""

    def at(self, cut: int, mbps: int, cpu: int) -> float:
        """Return when the server is ready for *cut* [s]."""
        if (cut, mbps, cpu) in self.cells:
            return self.cells[cut, mbps, cpu]
        if (cut, cpu) in self.levels and cpu != 0:
            return self.levels[cut, cpu]
        return self._unstressed(cut, mbps) * self.slowdown.get(cpu, law(cpu))

    def _unstressed(self, cut: int, mbps: int) -> float:
        return self.calm.get((cut, mbps), self.levels.get((cut, 0), 0.0))


def fit_readiness(rows: pd.DataFrame, transfer: Array) -> Readiness:
    """Return when the server was ready, where *transfer* is what each row's transfer takes by itself [s]."""
    table = rows[["cut", "net_mbps", "cloud_cpu"]].assign(
        floor=rows["edge_s"] + transfer, seen=rows["total_s"] - rows["cloud_s"]
    )

    def medians(keys: list[str], least: int) -> dict[Any, float]:
        return {
            key: censored_median(group["floor"].to_numpy(), group["seen"].to_numpy())
            for key, group in table.groupby(keys) if len(group) >= least
        }  # fmt: skip

    cells = medians(["cut", "net_mbps", "cloud_cpu"], 2 * ENOUGH)
    levels = medians(["cut", "cloud_cpu"], ENOUGH)
    seen = table[table["cloud_cpu"] == 0].groupby(["cut", "net_mbps"])["seen"].max()
    calm: dict[tuple[int, int], float] = {}
    for (cut, mbps), latest in zip(seen.index.tolist(), seen, strict=True):
        # a request that was served proves that the server was ready by then, even if it is the only one
        calm[cut, mbps] = cells.get((cut, mbps, 0), min(levels.get((cut, 0), 0.0), float(latest)))
    found = Readiness(cells, levels, calm, {0: 1.0})
    slowdown = {0: 1.0}
    for level in sorted(set(table["cloud_cpu"]) - {0}):
        part = table[table["cloud_cpu"] == level]
        before = np.array([found._unstressed(*key) for key in zip(part["cut"], part["net_mbps"], strict=True)])
        grid = np.linspace(1.0, PLAUSIBLE[1], 61)
        late = np.maximum(part["floor"].to_numpy()[:, None], before[:, None] * grid[None, :])
        off = np.abs(late - part["seen"].to_numpy()[:, None]).sum(axis=0)
        slowdown[level] = float(grid[off.argmin()])
    return Readiness(cells, levels, calm, slowdown)


@dataclass(frozen=True)
class NetworkFit:
    """One network on the testbed, as fitted."""

    model: str
    cuts: tuple[int, ...]
    """In the order of the network: by the work before them."""
    edge: MachineTimes
    cloud: MachineTimes
    sizes: Mapping[int, float]
    """Bytes of each cut, as the link's law has them."""
    late: Mapping[tuple[int, int], float]
    """By (cut, rate): what a transfer takes beyond the law [s]."""
    ready: Readiness
    shaper: Shaper

    def beyond(self, cut: int, mbps: int) -> float:
        """Return what a transfer takes beyond the law [s]; at a rate never seen, the median of those seen."""
        if (cut, mbps) in self.late:
            return self.late[cut, mbps]
        return float(np.median([value for (own, _), value in self.late.items() if own == cut] or [0.0]))


def fit_network(rows: pd.DataFrame, shaper: Shaper = SHAPER) -> NetworkFit:
    """Return what the rows of one network say; they may be few, shuffled, and of any conditions."""
    rows = rows.reset_index(drop=True)
    edge = fit_machine(rows, "edge_s", "edge_cpu", "edge_mem")
    cloud = fit_machine(rows, "cloud_s", "cloud_cpu", "cloud_mem")
    cuts = tuple(edge.base.sort_index().sort_values(kind="stable").index.tolist())
    left = (rows["total_s"] - rows["edge_s"] - rows["cloud_s"]).clip(lower=1e-6)
    cell = [rows["cut"], rows["net_mbps"]]
    counts = left.groupby(cell).size()
    low = typical = left.groupby(cell).quantile(0.25)
    for _ in range(2):
        sizes = {cut: _size(low.loc[[cut]], shaper) for cut in cuts}
        pairs = zip(rows["cut"], rows["net_mbps"], strict=True)
        lawful = np.array([float(shaper.seconds(sizes[cut], mbps)) for cut, mbps in pairs])
        ready = fit_readiness(rows, lawful)
        keys = zip(rows["cut"], rows["net_mbps"], rows["cloud_cpu"], strict=True)
        free = rows["edge_s"].to_numpy() + lawful >= np.array([ready.at(*key) for key in keys])
        # where the server was what they waited for, the transfer cannot be seen: the law stands
        lawful_cells = pd.Series(lawful).groupby(cell).first()
        typical = left[free].groupby([key[free] for key in cell]).median().reindex(low.index).fillna(lawful_cells)
        low = typical.where(typical > lawful_cells, np.minimum(low, typical))
    late = _late(typical, counts, sizes, shaper)
    fit = NetworkFit(str(rows["model"].iloc[0]), cuts, edge, cloud, sizes, late, ready, shaper)
    pairs = zip(rows["cut"], rows["net_mbps"], strict=True)
    own = lawful + np.array([fit.beyond(cut, mbps) for cut, mbps in pairs])
    return replace(fit, ready=fit_readiness(rows, own))


def _size(typical: pd.Series[float], shaper: Shaper) -> float:
    """Return the bytes that explain one cut's transfers at its rates best.

    Waiting for the server makes a transfer seem long and nothing makes it seem short, so a deviation above the law
    weighs a third of one below.
    """
    rates, seen = _rates(typical), np.asarray(typical, dtype=float)
    candidates: Array = np.unique(np.append(shaper.size(seen, rates), 0.0))
    above = np.log(seen[None, :] / shaper.seconds(candidates[:, None], rates[None, :]))
    return float(candidates[np.where(above > 0, above, -3.0 * above).sum(axis=1).argmin()])


def _rates(cells: pd.Series[float]) -> Array:
    """Return the rates of what is indexed by (cut, rate)."""
    return np.asarray(cells.index.get_level_values(1), dtype=float)


def _late(
    typical: pd.Series[float], counts: pd.Series[int], sizes: Mapping[int, float], shaper: Shaper
) -> dict[tuple[int, int], float]:
    """Return what transfers take beyond the law, by (cut, rate); few rows say no more than all of their cut do."""
    payload = np.array([sizes[cut] for cut, _ in typical.index.tolist()])
    beyond = (typical - shaper.seconds(payload, _rates(typical))).clip(lower=0.0)
    shared = beyond.groupby(level=0).transform("median")
    kept = beyond.where(counts.reindex(beyond.index) >= ENOUGH, np.minimum(beyond, shared))
    return {(cut, rate): float(value) for (cut, rate), value in zip(kept.index.tolist(), kept, strict=True)}
