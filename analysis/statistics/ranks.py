"""Ranks among algorithms, and how far they agree with the paper's: pure functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import kendalltau, rankdata, spearmanr

from analysis.statistics.bootstrap import FloatArray


class Agreement(NamedTuple):
    """How alike two orders of `ranked` algorithms are: 1 the same, 0 unrelated, -1 reversed.

    Both are NaN for fewer than 3 algorithms, and where one order is all ties.
    """

    spearman: float
    kendall: float
    ranked: int


def agreement(ours: FloatArray, theirs: FloatArray) -> Agreement:
    """Spearman's rho and Kendall's tau-b of values `[A]`, over the algorithms that both have."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    x, y = ours[both], theirs[both]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Agreement(float("nan"), float("nan"), len(x))
    return Agreement(float(spearmanr(x, y).statistic), float(kendalltau(x, y).statistic), len(x))


def overall(ours: FloatArray, theirs: FloatArray) -> Agreement:
    """Agreement of mean ranks over tasks, of values `[T, A]` without gaps."""
    return agreement(-rankdata(-ours, axis=1).mean(axis=0), -rankdata(-theirs, axis=1).mean(axis=0))
