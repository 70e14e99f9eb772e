"""The numbers of section 6.4 as pure functions: games won, and human-normalized scores.

Mean scores are a frame, one line a game and one column an algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

TIE = "tie"


def wins(scores: pd.DataFrame, algorithms: Sequence[str]) -> dict[str, int]:
    """Table 2: in how many games each algorithm has the highest score; equal ones tie.

    Games that lack one of the `algorithms` are left out. Ties are counted under `TIE`.
    """
    table = scores.reindex(columns=list(algorithms)).dropna()
    best = table.eq(table.max(axis=1), axis=0)
    alone = best[best.sum(axis=1) == 1]
    return {name: int(alone[name].sum()) for name in algorithms} | {TIE: len(best) - len(alone)}


def order_agreement(
    ours: pd.DataFrame, paper: pd.DataFrame, pair: tuple[str, str]
) -> tuple[int, int]:
    """In how many games `pair` is in the paper's order, and of how many; ties do not count."""
    own, theirs = (scores.reindex(columns=list(pair)) for scores in (ours, paper))
    orders = own.diff(axis=1)[pair[1]] * theirs.diff(axis=1)[pair[1]]  # above 0 where they agree
    return int((orders > 0).sum()), int((orders.dropna() != 0).sum())


def human_normalized(scores: pd.Series, games: pd.Series, scale: pd.DataFrame) -> pd.Series:
    """0 for a random policy, 1 for the human tester; NaN in games that `scale` lacks."""
    random, human = games.map(scale["random"]), games.map(scale["human"])
    return (scores - random) / (human - random)
