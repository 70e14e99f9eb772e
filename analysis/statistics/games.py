"""The numbers of section 6.4 as pure functions: games won, and human-normalized scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.statistics.bootstrap import FloatArray

TIE = "tie"
Scores = Mapping[str, Mapping[str, float]]  # game -> algorithm -> mean score


def wins(scores: Scores, algorithms: Sequence[str]) -> dict[str, int]:
    """Table 2: in how many games each algorithm has the highest score; equal ones tie.

    Games that lack one of the `algorithms` are left out. Ties are counted under `TIE`.
    """
    table = pd.DataFrame(scores, list(algorithms), dtype=float).T.dropna()
    best = table.eq(table.max(axis=1), axis=0)
    alone = best[best.sum(axis=1) == 1]
    return {name: int(alone[name].sum()) for name in algorithms} | {TIE: len(best) - len(alone)}


def order_agreement(ours: Scores, paper: Scores, pair: tuple[str, str]) -> tuple[int, int]:
    """In how many games `pair` is in the paper's order, and of how many; ties do not count."""
    tables = [pd.DataFrame(scores, list(pair), dtype=float).T for scores in (ours, paper)]
    own, theirs = (table[pair[0]] - table[pair[1]] for table in tables)
    orders = (own * theirs).dropna()  # above 0 where they agree
    return int((orders > 0).sum()), int((orders != 0).sum())


def human_normalized(scores: FloatArray, random: float, human: float) -> FloatArray:
    """0 for a random policy, 1 for the human tester."""
    return (scores - random) / (human - random)


def by_game(table: pd.DataFrame, column: str) -> dict[str, dict[str, float]]:
    """Game (`task`) -> algorithm (`row`) -> mean of `column` over the runs that have one."""
    means: Any = table.pivot_table(column, "task", "row")
    return {str(game): values.dropna().to_dict() for game, values in means.iterrows()}
