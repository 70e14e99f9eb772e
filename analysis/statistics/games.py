"""The numbers of section 6.4 as pure functions: games won, and human-normalized scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import FloatArray

TIE = "tie"
Scores = Mapping[str, Mapping[str, float]]  # game -> algorithm -> mean score


def wins(scores: Scores, algorithms: Sequence[str]) -> dict[str, int]:
    """Table 2: in how many games each algorithm has the highest score; equal ones tie.

    Games that lack one of the `algorithms` are left out.

    Returns:
        Algorithm or `TIE` -> games.
    """
    counts = dict.fromkeys([*algorithms, TIE], 0)
    for values in scores.values():
        if any(np.isnan(values.get(name, np.nan)) for name in algorithms):
            continue
        best = max(values[name] for name in algorithms)
        winners = [name for name in algorithms if values[name] == best]
        counts[winners[0] if len(winners) == 1 else TIE] += 1
    return counts


def order_agreement(ours: Scores, paper: Scores, pair: tuple[str, str]) -> tuple[int, int]:
    """In how many games `pair` is in the paper's order, and of how many; ties do not count."""
    orders = []
    for game, values in ours.items():
        if game in paper and all(name in values for name in pair):
            own, theirs = (np.sign(one[pair[0]] - one[pair[1]]) for one in (values, paper[game]))
            if own * theirs != 0 and not np.isnan(own):
                orders.append(own == theirs)
    return sum(map(bool, orders)), len(orders)


def human_normalized(scores: FloatArray, random: float, human: float) -> FloatArray:
    """0 for a random policy, 1 for the human tester."""
    return (scores - random) / (human - random)


def by_game(table: pd.DataFrame, column: str) -> dict[str, dict[str, float]]:
    """Game (`task`) -> algorithm (`row`) -> mean of `column` over the runs that have one."""
    scores: dict[str, dict[str, float]] = {}
    kept = table.dropna(subset=column)
    for (game, algorithm), values in kept.groupby(["task", "row"])[column]:
        scores.setdefault(str(game), {})[str(algorithm)] = float(values.mean())
    return scores
