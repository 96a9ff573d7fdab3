"""Fit bandwidth generators of the ``copula`` form to recordings, and compare generated traces with recorded ones.

A set of recordings is one population: every second of it counts the same, whichever recording it stands in, and what
sets recordings apart (one drive in town, another in the country) is part of the slow memory. Seconds in which nothing
came through are outages and are fitted apart: their share, mean length and spread of the logarithm. What is left gives
the quantiles and, at lags of 1 to 60 s, the autocorrelation; the memory of the normal process behind it is the one
whose autocorrelation, once through the quantiles, is nearest (least squares). That correlation follows from the
Hermite coefficients of the map from score to level (Mehler's formula): ``corr(lag) = sum c[n]^2 rho^n / sum c[n]^2``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.stats import norm

from simulator.foundation.errors import TraceError
from simulator.profiles.trace import Trace
from simulator.traces.copula import Copula, Outages
from simulator.traces.format import Request
from simulator.traces.markov import Markov
from simulator.traces.reader import read_trace
from simulator.traces.recording import Array, stretches
from simulator.traces.written import Kind

SHARES = (0.005, 0.01, 0.02, *(k / 20 for k in range(1, 20)), 0.98, 0.99, 0.995)
"""Where quantiles are kept."""
LAGS = (1, 2, 3, 5, 8, 12, 20, 30, 45, 60)
"""Lags at which the memory is fitted [s]."""
LONGEST = 600.0
"""Recordings of some minutes do not tell a longer memory from a trend [s]."""
MBIT = 125e3


@dataclass(frozen=True)
class RealSet:
    """A set of recordings that a generator is fitted to."""

    name: str
    title: str
    folder: str
    files: str
    """Pattern of the files in the folder."""
    citation: str


SETS = (
    RealSet(
        "3g",
        "3G (HSDPA) on the move around Oslo, 2010 and 2011",
        "norway-hsdpa-3g",
        "report.*.json",
        "Riiser et al., Commute path bandwidth traces from 3G networks, MMSys 2013",
    ),
    RealSet(
        "4g",
        "4G (LTE) on the move in Ghent, 2015 and 2016: on foot, bicycle, bus, tram, train, by car",
        "ghent-4g-lte",
        "report_*.json",
        "van der Hooft et al., HTTP/2-based adaptive streaming of HEVC video over 4G/LTE networks, "
        "IEEE Communications Letters 20(11), 2016",
    ),
    RealSet(
        "5g-walking",
        "5G (millimetre wave) on foot in Minneapolis, 2019 and 2020",
        "lumos5g-minneapolis",
        "5g_trace_*_walking",
        "Narayanan et al., Lumos5G, IMC 2020 (CC BY 4.0), as cut for their SIGCOMM 2021 study",
    ),
    RealSet(
        "5g-driving",
        "5G (millimetre wave) by car in Minneapolis, 2019 and 2020",
        "lumos5g-minneapolis",
        "5g_trace_*_driving",
        "Narayanan et al., Lumos5G, IMC 2020 (CC BY 4.0), as cut for their SIGCOMM 2021 study",
    ),
)


def recordings(real: RealSet, data: Path) -> list[Trace]:
    """Read the recordings of a set from the folder of third-party data.

    Raises:
        TraceError: if there is none, or one is malformed.
    """
    files = sorted((data / "bandwidth" / real.folder).glob(real.files))
    if not files:
        raise TraceError(f"no {real.files} in bandwidth/{real.folder}")
    return [read_trace(path, Request("bandwidth", "sabre" if path.suffix == ".json" else "lumos5g")) for path in files]


# -- statistics ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Statistics:
    """What matters to transfers, over all seconds of some traces."""

    seconds: float
    mean: float
    """[B/s]."""
    variation: float
    """Standard deviation by mean."""
    quantiles: tuple[float, ...]
    """At 5, 25, 50, 75 and 95 % of the time [B/s]."""
    memory: tuple[float, ...]
    """Autocorrelation at 1, 5 and 20 s, about the mean of all."""
    zero: float
    """Share of time at zero."""
    outages: tuple[float, ...]
    """Lengths of stretches at zero [s], sorted."""


def statistics(traces: Sequence[Trace]) -> Statistics:
    """Return the statistics of *traces* (which have a duration), every second counted the same."""
    lengths, values = segments(traces)
    total = float(lengths.sum())
    mean = float(lengths @ values) / total
    deviation = math.sqrt(float(lengths @ (values - mean) ** 2) / total)
    points = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95), weights=lengths, method="inverted_cdf")
    samples = [sampled(trace) for trace in traces]
    memory = tuple(correlation(samples, lag, outages=True) for lag in (1, 5, 20))
    zero = float(lengths[values == 0].sum()) / total
    outages = tuple(sorted(length for trace in traces for length in outage_lengths(trace)))
    return Statistics(total, mean, deviation / mean, tuple(points.tolist()), memory, zero, outages)


def segments(traces: Sequence[Trace]) -> tuple[Array, Array]:
    """Return length [s] and value of all segments of *traces*."""
    lengths = [np.diff([*trace.starts, trace.duration]) for trace in traces]
    return np.concatenate(lengths), np.concatenate([np.array(trace.values) for trace in traces])


def outage_lengths(trace: Trace) -> list[float]:
    """Return how long each stretch at zero lasts [s]."""
    zeros = stretches(np.array(trace.values) == 0, np.append(trace.starts, trace.duration))
    found: list[float] = np.diff(zeros).ravel().tolist()
    return found


def sampled(trace: Trace) -> Array:
    """Return the bandwidth once a second, in the middle of each."""
    times = np.arange(math.floor(trace.duration)) + 0.5
    return np.array(trace.values)[np.searchsorted(trace.starts, times, side="right") - 1]


def correlation(samples: Sequence[Array], lag: int, *, outages: bool) -> float:
    """Return the autocorrelation over all *samples*; without *outages*, over pairs with none at either end."""
    pool = np.concatenate(samples)
    kept = pool if outages else pool[pool > 0]
    mean, variance = kept.mean(), kept.var()
    total, count = 0.0, 0
    for sample in samples:
        a, b = sample[:-lag], sample[lag:]
        if not outages:
            both = (a > 0) & (b > 0)
            a, b = a[both], b[both]
        total += float((a - mean) @ (b - mean))
        count += len(a)
    return float(total / count / variance) if count else math.nan


def transfer_times(traces: Sequence[Trace], size: float, count: int, rng: np.random.Generator) -> Array:
    """Return how long transfers of *size* bytes take [s] that begin at *count* random times of random traces."""
    lengths = np.array([trace.duration for trace in traces])
    picked = rng.choice(len(traces), size=count, p=lengths / lengths.sum())
    begins = rng.random(count) * lengths[picked]
    pairs = zip(picked.tolist(), begins.tolist(), strict=True)
    return np.array([traces[index].finish(begin, size) - begin for index, begin in pairs])


def comparison(real: Sequence[Trace], synthetic: Sequence[Trace], size: float, count: int = 4000) -> pd.DataFrame:
    """Return recorded and generated side by side, bandwidths in Mbit/s; transfers are of *size* bytes."""
    columns = {}
    for name, traces in (("recorded", real), ("generated", synthetic)):
        found = statistics(traces)
        lengths = np.array(found.outages or (0.0,))
        times = transfer_times(traces, size, count, np.random.default_rng(1))
        columns[name] = {
            "mean (Mbit/s)": found.mean / MBIT,
            "coefficient of variation": found.variation,
            **{
                f"{q} % of time below (Mbit/s)": value / MBIT
                for q, value in zip((5, 25, 50, 75, 95), found.quantiles, strict=True)
            },
            **{f"autocorrelation, {lag} s": r for lag, r in zip((1, 5, 20), found.memory, strict=True)},
            "time at zero (%)": 100 * found.zero,
            "outage, mean (s)": float(lengths.mean()),
            "outage, median (s)": float(np.median(lengths)),
            "outage, 90 % (s)": float(np.quantile(lengths, 0.9)),
            "transfer, median (s)": float(np.median(times)),
            "transfer, 90 % (s)": float(np.quantile(times, 0.9)),
        }
    return pd.DataFrame(columns)


# -- fit -------------------------------------------------------------------------------------------------------------


def fit(real: RealSet, traces: Sequence[Trace]) -> Copula:
    """Fit a generator to the recordings of a set."""
    lengths, values = segments(traces)
    up = values > 0
    levels = np.quantile(values[up], SHARES, weights=lengths[up], method="inverted_cdf")
    samples = [sampled(trace) for trace in traces]
    recorded = np.array([correlation(samples, lag, outages=False) for lag in LAGS])
    share, fast, slow = memory(levels, recorded, LAGS, LONGEST)
    found = statistics(traces)
    logs = np.log(found.outages) if found.outages else np.zeros(1)
    outages = Outages(found.zero, float(np.mean(found.outages or (1.0,))), float(logs.std()))
    source = f"fitted to {len(traces)} recordings, {found.seconds:.0f} s: {real.citation}"
    nodes = tuple(zip(SHARES, levels.tolist(), strict=True))
    return Copula(
        real.name,
        real.title,
        "transferred",
        "down",
        source,
        nodes,
        share,
        fast,
        slow,
        outages,
        1.0,
        "bandwidth",
        "goodput",
    )


def memory(levels: Array, recorded: Array, at: Sequence[int], longest: float) -> tuple[float, float, float]:
    """Return share, fast and slow time whose correlation, once through the levels, is nearest to that recorded.

    Args:
        levels: quantiles at ``SHARES``.
        recorded: autocorrelation at the lags *at*.
        at: lags [steps].
        longest: the most that the slow time may be [steps].
    """
    powers = _hermite(levels)
    lags = np.array(at, dtype=float)

    def error(guess: Array) -> Array:
        share, fast, slow = guess
        rho = share * np.exp(-lags / fast) + (1 - share) * np.exp(-lags / slow)
        return np.asarray(np.polynomial.polynomial.polyval(rho, powers) - recorded, dtype=np.float64)

    starts = [(share, fast, slow) for share in (0.1, 0.5, 0.9) for fast in (1.0, 5.0) for slow in (30.0, 200.0)]
    bounds = ([0.0, 0.5, 10.0], [1.0, 10.0, longest])
    best = min((least_squares(error, start, bounds=bounds, x_scale=(0.1, 1.0, 50.0)) for start in starts),
               key=lambda found: float(found.cost))  # fmt: skip
    share, fast, slow = best.x.tolist()
    return share, fast, slow


def _hermite(levels: Array, order: int = 60) -> Array:
    """Return the share of the variance of level(score) in each power of the score's correlation, 0 to *order*."""
    scores = np.linspace(-8, 8, 8001)
    weight = norm.pdf(scores)
    weight /= weight.sum()
    value = np.interp(scores, norm.ppf(SHARES), levels)
    before, here = np.ones_like(scores), scores
    shares = [0.0]
    for n in range(1, order + 1):
        shares.append(float((weight * value * here).sum()) ** 2)
        before, here = here, (scores * here - math.sqrt(n) * before) / math.sqrt(n + 1)
    found = np.array(shares)
    return np.asarray(found / found.sum(), dtype=np.float64)


# -- no recordings ---------------------------------------------------------------------------------------------------

WIFI = (
    (-82.0, 13.0), (-79.0, 26.0), (-77.0, 39.0), (-74.0, 52.0),
    (-70.0, 78.0), (-66.0, 104.0), (-65.0, 117.0), (-64.0, 130.0),
)  # fmt: skip
"""Least signal [dBm] and rate [Mbit/s] of 802.11n with two streams in 20 MHz (IEEE 802.11n-2009, clause 20)."""


def wifi() -> Copula:
    """Guess a Wi-Fi network, for want of recordings: a person who walks about at home, alone on the channel.

    The signal is normal in dB (-62 dBm in the middle, 8 dB of shadowing); it picks the rate of the standard, of which
    TCP gets 60 %. Below the least signal nothing comes through. Shadowing is forgotten over some 6 m, at 1.2 m/s.
    """
    signal = norm(-62.0, 8.0)
    least = float(signal.cdf(WIFI[0][0]))
    at = signal.ppf(least + (1 - least) * np.array(SHARES))
    levels = [0.6 * MBIT * max(rate for needed, rate in WIFI if needed <= dbm) for dbm in at.tolist()]
    source = (
        "nobody measured it: rates and least signals of IEEE 802.11n-2009 (two streams, 20 MHz); the signal is guessed "
        "as normal, -62 dBm with 8 dB (the order of indoor shadowing in ITU-R P.1238), 60 % of the rate left for TCP, "
        "5 s to walk out of a shadow of 6 m (the order of ITU-R M.2135, indoor), a minute in a room, gaps of 2 s"
    )
    return Copula(
        "wifi", "Wi-Fi (802.11n) at home, on the move, one device alone on the channel", "guessed", "both", source,
        tuple(zip(SHARES, levels, strict=True)), 0.5, 5.0, 60.0, Outages(least, 2.0, 0.7), 1.0, "bandwidth",
        "goodput",
    )  # fmt: skip


def as_yaml(generator: Copula) -> str:
    """Return the file of a generator, its numbers to three digits."""
    outages = generator.outages
    levels = "\n".join(f"  {100 * share:.3g} %: {written(value, generator.kind)}" for share, value in generator.levels)
    memory = f"share: {100 * generator.share:.3g} %, fast: {generator.fast:.3g} s, slow: {generator.slow:.3g} s"
    return f"""\
{head(generator, "copula")}
outages: {{share: {100 * outages.share:.3g} %, mean: {outages.mean:.3g} s, spread: {outages.spread:.3g}}}
memory: {{{memory}}}
levels:  # outside outages, this share of the time has less
{levels}
"""


def head(generator: Copula | Markov, form: str) -> str:
    """Return the first lines of the file of a generator."""
    return f"""\
form: {form}
kind: {generator.kind}
name: {generator.name}
title: "{generator.title} (synthetic)"
grade: {generator.grade}
direction: {generator.direction}
layer: {generator.layer}
source: "{generator.source}"
step: {generator.step:.3g} s"""


def written(value: float, kind: Kind) -> str:
    """Return a bandwidth [B/s] or a load with its unit, to three digits."""
    return f"{value / MBIT:.3g} Mbit/s" if kind == "bandwidth" else f"{100 * value:.3g} %"
