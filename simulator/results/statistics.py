"""How far a figure of a simulation can be trusted: confidence intervals, warm-up, paired comparisons.

Values of one run depend on each other (who waits behind a long queue is followed by another who does), so that the
textbook interval over requests is far too narrow. What stands here does not assume independence where there is none:
batch means for one run, one value per seed for several runs, differences per seed for two techniques. Formulas and
when not to trust them: ``docs/explanation/output_analysis.md``.

Sources: Law (2015), Simulation Modeling and Analysis, 5th ed., chapters 9 and 10; Schmeiser (1982), Batch size effects
in the analysis of simulation output, Operations Research 30(3); Law and Carson (1979), A sequential procedure for
determining the length of a steady-state simulation, Operations Research 27(5); White (1997), An effective truncation
heuristic for bias reduction in simulation output, Simulation 69(6), and with Cobb and Spratt (2000), A comparison of
five steady-state truncation heuristics for simulation, Winter Simulation Conference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from simulator.foundation.errors import ResultsError

Values = Sequence[float] | npt.NDArray[np.float64]

FEWEST, MOST = 10, 30  # batches: fewer widen the interval much, more do not narrow it (Schmeiser 1982)
FINE = 10  # parts of a batch whose correlation is tested (Law and Carson 1979: 400 parts for 40 batches)
CORRELATED = 0.4  # correlation of neighbouring parts from which batches cannot be held independent (the same)
SHORTEST = 10  # batches of five that MSER-5 needs to tell anything
ROUNDING = 1e-9  # of the largest value: smaller differences are no transient


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval."""

    mean: float
    low: float
    """NaN where no interval can be given."""
    high: float
    count: int
    """How many independent values it rests on: seeds, batches, pairs."""
    level: float
    """Probability that such an interval holds the true mean."""
    problem: str = ""
    """Why no interval can be given."""

    @property
    def half(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2

    @property
    def reliable(self) -> bool:
        """Whether there is an interval at all."""
        return not self.problem

    def __str__(self) -> str:
        """Write ``0.1714 ± 0.0082 (95 %, n = 20)``."""
        if self.problem:
            return f"{self.mean:.4g} ({self.problem})"
        return f"{rounded(self.mean, self.half)} ({100 * self.level:g} %, n = {self.count})"


def rounded(mean: float, half: float) -> str:
    """Write a mean and the half width of its interval, both to the second digit of the half width."""
    if not half > 0 or not math.isfinite(half):
        return f"{mean:.4g} ± {half:.2g}"
    digits = 1 - math.floor(math.log10(half))
    size = max(abs(mean), half)
    if digits > 6 or size >= 1e6:  # too small or too large to write out
        return f"{mean:.{max(1, digits + math.floor(math.log10(size)) + 1)}g} ± {half:.2g}"
    return f"{mean:.{max(0, digits)}f} ± {half:.{max(0, digits)}f}"


def t_interval(values: Values, level: float = 0.95) -> Interval:
    """Return Student's interval of the mean of independent *values*, such as one per seed.

    A value that is not a number leaves no interval.

    Raises:
        ResultsError: for fewer than two values, or a level that is none.
    """
    return _student(_array(values), level, level, "an interval needs at least two independent values (such as seeds)")


def paired(a: Values, b: Values, level: float = 0.95, comparisons: int = 1) -> Interval:
    """Return the interval of the mean of a - b, where a[i] and b[i] met the same world (one pair per seed).

    With *comparisons* of several such differences, all intervals hold at once with probability *level* (Bonferroni).

    Raises:
        ResultsError: for fewer than two pairs, lists of different lengths, or a level that is none.
    """
    if comparisons < 1:
        raise ResultsError(f"{comparisons} comparisons came; there is at least one")
    single = 1.0 - (1.0 - level) / comparisons
    return _student(_differences(a, b), level, single, "an interval needs at least two pairs (such as seeds)")


def p_value(a: Values, b: Values) -> float:
    """Return the two-sided p value of the paired t test that a and b have the same mean; 1 for equal lists.

    Raises:
        ResultsError: for fewer than two pairs, or lists of different lengths.
    """
    differences = _differences(a, b)
    if len(differences) < 2:
        raise ResultsError(f"a t test needs at least two pairs (such as seeds); {len(differences)} came")
    if not np.isfinite(differences).all():
        return math.nan
    mean, error = float(differences.mean()), _standard_error(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2.0 * stdtr(len(differences) - 1, -abs(mean) / error))


def batch_means(values: Values, level: float = 0.95, batches: int = 20) -> Interval:
    """Return the interval of the mean of one stationary series in order of arrival, by batch means.

    The series is cut into *batches* (fewer, but 10 at least, where it is short) of equal length, each ten or more
    values; their means are nearly independent if the batches are long. That is tested on tenths of batches, of which
    there are enough to tell: where neighbouring tenths are correlated by 0.4 or more (jackknifed), there is no
    interval (Law and Carson 1979). What is left over at the beginning is in the mean and in no batch.

    Raises:
        ResultsError: for a number of batches outside 10 to 30 (Schmeiser 1982), or a level that is none.
    """
    if not FEWEST <= batches <= MOST:
        raise ResultsError(f"{batches} batches came; {FEWEST} to {MOST} are sensible (Schmeiser 1982)")
    _check(level)
    series = _array(values)
    count = len(series)
    mean = math.fsum(series.tolist()) / count if count else math.nan
    if not np.isfinite(series).all():
        return _none(mean, 0, level, "some values are not numbers")
    batches = min(batches, count // FINE)
    if batches < FEWEST:
        return _none(mean, count, level, f"{count} values are too few for batch means, {FEWEST * FINE} are needed")
    size = count // batches
    fine = _means(series, size // FINE)
    coarse = _means(series, size)
    error = _standard_error(coarse)
    if _same(fine):
        return Interval(mean, mean, mean, batches, level)
    if _correlation(fine) >= CORRELATED:
        return _none(mean, batches, level, "the run is too short: batches of it still depend on each other")
    half = _quantile(level, batches - 1) * error
    return Interval(mean, mean - half, mean + half, batches, level)


@dataclass(frozen=True)
class Truncation:
    """Where a series in order of arrival is settled."""

    first: int
    """Index of the first value to keep."""
    steady: bool
    """False where no steady state was found: too few values, or they were still changing half-way."""


def mser5(values: Values) -> Truncation:
    """Return how many values at the beginning are transient, by MSER-5 (White 1997; White, Cobb and Spratt 2000).

    Of the means Y of fives, the first d are cut for which the squared standard error of what is left,
    ``sum((Y[i] - mean)**2 for i >= d) / (n - d)**2``, is least; d is looked for in the first half. A least value at
    the end of that half means that the series has not settled.
    """
    series = _array(values)
    fives = _means(series[: len(series) - len(series) % 5], 5)
    n = len(fives)
    if n < SHORTEST or not np.isfinite(series).all():
        return Truncation(0, False)
    distance = fives - fives[-1]
    distance[np.abs(distance) < ROUNDING * np.abs(fives).max()] = 0.0
    left = np.arange(n, 0, -1, dtype=np.float64)
    sums, squares = (np.cumsum(x[::-1])[::-1] for x in (distance, distance**2))
    least = np.maximum(squares - sums**2 / left, 0.0) / left**2
    half = n // 2
    cut = int(np.argmin(least[: half + 1]))
    return Truncation(5 * cut, cut < half)


# -- what they share -------------------------------------------------------------------------------------------------


def _array(values: Values) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _differences(a: Values, b: Values) -> npt.NDArray[np.float64]:
    first, second = _array(a), _array(b)
    if len(first) != len(second):
        raise ResultsError(f"{len(first)} values are to be paired with {len(second)}; give one of each per seed")
    return first - second


def _check(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ResultsError(f"level {level} came; expected a probability between 0 and 1, such as 0.95")


def _student(values: npt.NDArray[np.float64], level: float, single: float, need: str) -> Interval:
    """Return the interval of the mean of *values* at level *single*, as one of several that hold at *level*."""
    _check(level)
    count = len(values)
    if count < 2:
        raise ResultsError(f"{need}; {count} came")
    if not np.isfinite(values).all():
        return _none(math.nan, count, level, f"{count - int(np.isfinite(values).sum())} of {count} are not numbers")
    mean = math.fsum(values.tolist()) / count
    half = _quantile(single, count - 1) * _standard_error(values)
    return Interval(mean, mean - half, mean + half, count, level)


def _none(mean: float, count: int, level: float, problem: str) -> Interval:
    return Interval(mean, math.nan, math.nan, count, level, problem)


def _quantile(level: float, freedom: int) -> float:
    return float(stdtrit(freedom, 0.5 + level / 2))


def _standard_error(values: npt.NDArray[np.float64]) -> float:
    if _same(values):
        return 0.0  # and not what rounding makes of it
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _same(values: npt.NDArray[np.float64]) -> bool:
    return bool((values == values[0]).all())


def _means(values: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """Return the means of blocks of *size*; what does not fill one is left out at the beginning."""
    count = len(values) // size
    blocks = values[len(values) - count * size :].reshape(count, size)
    return np.asarray(blocks.mean(axis=1), dtype=np.float64)


def _correlation(values: npt.NDArray[np.float64]) -> float:
    """Return the correlation of neighbours, jackknifed by halves, since the plain estimate is too low."""
    middle = len(values) // 2
    return 2.0 * _lag_1(values) - (_lag_1(values[:middle]) + _lag_1(values[middle:])) / 2


def _lag_1(values: npt.NDArray[np.float64]) -> float:
    distance = values - values.mean()
    total = float((distance**2).sum())
    return float((distance[:-1] * distance[1:]).sum()) / total if total else 0.0
