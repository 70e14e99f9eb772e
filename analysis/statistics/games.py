"""The numbers of section 6.4 as pure functions: games won, and human-normalized scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats

from analysis.statistics.bootstrap import UNKNOWN, FloatArray, Interval, bounds, replicate_means

TIE = "tie"


def wins(scores: Mapping[str, Mapping[str, float]], algorithms: Sequence[str]) -> dict[str, int]:
    """Table 2: in how many games each algorithm has the highest score; equal ones tie.

    Args:
        scores: game -> algorithm -> mean score; games that lack one of the algorithms are left out.
        algorithms: who competes.

    Returns:
        Algorithm or `TIE` -> games.
    """
    counts = dict.fromkeys([*algorithms, TIE], 0)
    for values in scores.values():
        if any(name not in values or np.isnan(values[name]) for name in algorithms):
            continue
        best = max(values[name] for name in algorithms)
        winners = [name for name in algorithms if values[name] == best]
        counts[winners[0] if len(winners) == 1 else TIE] += 1
    return counts


class Agreement(NamedTuple):
    """Whether the same algorithm leads in ours and in the paper's: games that agree, of those."""

    same: int
    games: int


def order_agreement(
    ours: Mapping[str, Mapping[str, float]],
    paper: Mapping[str, Mapping[str, float]],
    pair: tuple[str, str],
) -> Agreement:
    """In how many games `pair` is in the paper's order; games where either is tied do not count."""
    same = games = 0
    for game, values in ours.items():
        if game not in paper or any(name not in values for name in pair):
            continue
        own = np.sign(values[pair[0]] - values[pair[1]])
        told = np.sign(paper[game][pair[0]] - paper[game][pair[1]])
        if own == 0 or told == 0 or np.isnan(own):
            continue
        games += 1
        same += int(own == told)
    return Agreement(same, games)


def rank_correlation(ours: Sequence[float], paper: Sequence[float]) -> float:
    """Spearman's rho over games; NaN for fewer than three, or where one side has no ranks."""
    if len(ours) < 3 or len(set(ours)) == 1 or len(set(paper)) == 1:
        return float("nan")
    return float(scipy.stats.spearmanr(ours, paper).statistic)


def human_normalized(scores: FloatArray, random: float, human: float) -> FloatArray:
    """0 for a random policy, 1 for the human tester."""
    return (scores - random) / (human - random)


def iqm(values: FloatArray) -> float:
    """Interquartile mean (Agarwal et al. 2021): of the middle half of all values."""
    return float(scipy.stats.trim_mean(values, 0.25, axis=None))


def iqm_interval(
    strata: Sequence[FloatArray], replicates: int, rng: np.random.Generator
) -> Interval:
    """95 % interval of the interquartile mean over all runs; seeds are resampled within each game.

    Args:
        strata: one array a game, `[seeds]`; a single run in one of them leaves no interval.
        replicates: B.
        rng: drawn from game by game.
    """
    if not strata or any(len(values) < 2 for values in strata):
        return UNKNOWN
    columns = [values[rng.integers(0, len(values), (replicates, len(values)))] for values in strata]
    means = scipy.stats.trim_mean(np.concatenate(columns, axis=1), 0.25, axis=1)
    low, high = bounds(np.asarray(means))
    return Interval(float(low), float(high))


def mean_interval(values: FloatArray, replicates: int, rng: np.random.Generator) -> Interval:
    """95 % interval of the mean over seeds; none for a single run."""
    if len(values) < 2:
        return UNKNOWN
    low, high = bounds(replicate_means(values, replicates, rng))
    return Interval(float(low), float(high))


def by_game(table: pd.DataFrame, column: str) -> dict[str, dict[str, float]]:
    """Game -> algorithm -> mean of `column` over the runs that have one."""
    kept = table.dropna(subset=column)
    means: pd.DataFrame = kept.groupby(["game", "algorithm"])[[column]].mean().reset_index()
    scores: dict[str, dict[str, float]] = {}
    for line in means.to_dict("records"):
        scores.setdefault(str(line["game"]), {})[str(line["algorithm"])] = float(line[column])
    return scores
