"""A mean over few seeds and its replicates: Student's t with a variance that is pooled in part.

Three runs say little about their own spread, and the settings of a task scatter alike, but not all
of them. So a cell's variance counts with its own n - 1 degrees of freedom, and the typical one of
its task with 2 more:

    s^2 = (2 s0^2 + (n - 1) s_cell^2) / (2 + n - 1)       s0^2: median over the task's cells
    (mean - mu) / (s / sqrt(n)) ~ t with 2 + n - 1 degrees of freedom

A cell that scatters far more than the others keeps most of its own spread, which a variance pooled
over all cells would take from it and hand to the others. On normal data of 11 cells of 3 runs it
covers 98 % of a cell, and 83 % of one cell with ten times the spread of the others (a percentile
bootstrap 75 % of either, pooling 95 % and 15 %); of a row over 7 tasks 98 and 93 %. `intervals`
counts on the runs of Table 1 what this covers beside other methods, and the plan in
`results/table1_ten_seeds` has the rule that took it. With fewer than 4 cells there is nothing
typical: then it is Student's t of the cell.

Replicates are quantiles of that law in random order: estimates of several cells are combined
replicate by replicate, and intervals and probabilities follow, as from a bootstrap.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from scipy.stats import chi2
from scipy.stats import t as student

from analysis.statistics.bootstrap import FloatArray

PRIOR = 2.0  # degrees of freedom of the typical variance
FEWEST = 4  # cells that have a typical variance


def typical(cells: Iterable[FloatArray]) -> FloatArray | None:
    """The median of the variances of a task's cells `[n, ...]`, as an estimate of a variance.

    A sample variance is below its mean more often than not, at n = 3 by a factor 0.69 at the
    median, for which this corrects. None with fewer than FEWEST cells of two runs or more; NaN in
    a cell, as of a curve that has not begun, is left out.
    """
    found = [
        unbiased_at_the_median(values.var(axis=0, ddof=1), len(values) - 1)
        for values in cells
        if len(values) > 1
    ]
    if len(found) < FEWEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where all are NaN, the median is
        return np.asarray(np.nanmedian(found, axis=0))


def unbiased_at_the_median(variance: FloatArray, freedom: int) -> FloatArray:
    """Sample variances, scaled so that half of them exceed the variance they estimate."""
    return np.asarray(variance * freedom / chi2.ppf(0.5, freedom))


def pooled_in_part(
    variance: FloatArray, common: FloatArray | None, freedom: int
) -> tuple[FloatArray, float]:
    """The variance of a cell with that of its task, and its degrees of freedom."""
    if common is None:
        return variance, freedom
    total = PRIOR + freedom
    return (PRIOR * common + freedom * variance) / total, total


def replicates(
    values: FloatArray, common: FloatArray | None, count: int, rng: np.random.Generator
) -> FloatArray:
    """The mean over runs, `[n, ...]` -> `[1 + B, ...]`: the estimate and its replicates.

    One draw of t serves all other axes, as the points of a curve. NaN without a run; of a single
    run the replicates are NaN, since it says nothing about its spread.

    Args:
        values: one number a run, or more.
        common: `typical` of its task, `[...]`.
        count: B.
        rng: drawn from once.
    """
    order = rng.permutation(count)
    n = len(values)
    if n < 2:
        mean = values.mean(axis=0) if n else np.full(values.shape[1:], np.nan)
        rest = np.full((count, *values.shape[1:]), np.nan)
        return np.concatenate([mean[None], rest])
    scale, freedom = law(values, common)
    drawn = student.ppf((order + 0.5) / count, freedom)
    errors = np.multiply.outer(np.concatenate([[0.0], drawn]), scale)
    return np.asarray(values.mean(axis=0) + errors)


def law(values: FloatArray, common: FloatArray | None) -> tuple[FloatArray, float]:
    """The standard error `[...]` of the mean of two runs or more, `[n, ...]`, and its freedom."""
    n = len(values)
    variance, freedom = pooled_in_part(values.var(axis=0, ddof=1), common, n - 1)
    return np.sqrt(variance / n), freedom
