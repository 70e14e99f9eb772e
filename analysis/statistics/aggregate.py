"""Aggregates over tasks as Agarwal et al. 2021 recommend (arXiv 2108.13264): pure functions.

The interquartile mean of normalized scores, and the probability that one algorithm does better
than another, with bootstrap intervals that resample runs within each stratum (a task, or a task and
an algorithm). Of the n runs of a stratum, n - 1 are drawn: the rescaling bootstrap of Rao and Wu
(1988), of which `bootstrap` uses the other form. Drawing n, as Agarwal et al. do for 3 to 10 runs,
reproduces (n - 1) / n of a mean's variance, at 3 runs two thirds. For normal data in 7 tasks of 3
runs, a nominal 95 % interval of the interquartile mean covers the truth about 91 % of the time,
drawing n about 85 %; of the probability 90 to 97 %, drawing n 88 to 92 %.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import trim_mean

from analysis.statistics.bootstrap import UNKNOWN, FloatArray, Interval, interval_of

Pairs = Sequence[tuple[FloatArray, FloatArray]]


def interquartile_mean(strata: Sequence[FloatArray]) -> float:
    """Mean of the middle half of all runs of all strata together; NaN without any."""
    return float(trim_mean(np.concatenate(strata), 0.25)) if strata else float("nan")


def interquartile_interval(
    strata: Sequence[FloatArray], replicates: int, rng: np.random.Generator
) -> Interval:
    """95 % interval of `interquartile_mean`; unknown where a stratum `[n_h]` has a single run."""
    if not strata or any(len(values) < 2 for values in strata):
        return UNKNOWN
    drawn = [resampled(values, replicates, rng) for values in strata]
    return interval_of(np.asarray(trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1)))


def resampled(values: FloatArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    """Draws with replacement, one fewer than there are values: `[n]` -> `[B, n - 1]`."""
    return values[rng.integers(0, len(values), size=(replicates, len(values) - 1))]


def improvement(pairs: Pairs) -> float:
    """P(X > Y): the share of pairs of runs in which X is above, ties a half, averaged over tasks.

    Of returns `[n]` of X and `[m]` of Y a task: Mann and Whitney's U / (n m); NaN without tasks.
    """
    return float(np.mean([_wins(x, y) for x, y in pairs])) if pairs else float("nan")


def improvement_interval(pairs: Pairs, replicates: int, rng: np.random.Generator) -> Interval:
    """95 % interval of `improvement`; unknown where a task has a single run of either.

    Where every run of X is above every run of Y, no resampling can find the contrary, and the
    interval has no width: it speaks of these runs, and at 3 seeds not of much more.
    """
    if not pairs or any(min(len(x), len(y)) < 2 for x, y in pairs):
        return UNKNOWN
    wins = [_wins(resampled(x, replicates, rng), resampled(y, replicates, rng)) for x, y in pairs]
    return interval_of(np.mean(wins, axis=0))


def _wins(x: FloatArray, y: FloatArray) -> FloatArray:
    """Share of pairs with x above y: `[..., n]`, `[..., m]` -> `[...]`."""
    signs = np.sign(x[..., :, None] - y[..., None, :])
    return np.asarray((signs.mean(axis=(-2, -1)) + 1) / 2)
