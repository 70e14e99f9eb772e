"""What the paper says of its Table 1, and how probable it is on these runs: pure functions.

Probabilities are shares of the replicates that Table 1's intervals come from (`estimates`): rows
are independent, and a replicate draws every cell of all rows at once. They say how other seeds
would have answered, on the scale of this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from analysis.reports.table1.numbers import Table1
from analysis.statistics.bootstrap import UNKNOWN, FloatArray, summary

PAPERS_BEST = "clip_0.2"
SURE = 0.95  # a statement holds from here on, and fails below 1 - SURE; between is noise


@dataclass(frozen=True)
class Replicates:
    """Estimates (see `estimates.replicates`) of the rows that have an interval."""

    rows: tuple[str, ...]  # in the table's order
    kinds: tuple[str, ...]  # of objective
    estimates: FloatArray  # `[R, 1 + B]`: scores and their replicates
    by_task: Mapping[str, Mapping[str, FloatArray]]  # row -> task -> `[1 + B]`, whose mean it is


def replicates_of(table: Table1) -> Replicates:
    """The replicates behind the intervals of `table`."""
    known = table.rows[table.rows["ci_low"].notna()]
    by_task = {row: table.replicates[row] for row in known["row"].astype(str)}
    estimates = [np.mean(list(each.values()), axis=0) for each in by_task.values()]
    kinds = tuple(known["objective"].astype(str))
    return Replicates(tuple(by_task), kinds, np.array(estimates), by_task)


def rank_correlation(found: Replicates, paper: Mapping[str, float]) -> dict[str, Any]:
    """Spearman's correlation of the scores with `paper` (score by row), with interval.

    A replicate adds noise to scores that have some already, so the interval lies rather too low.

    Returns:
        `rho`, its 95 % `low` and `high`, `p` (SciPy's, for no correlation), and `rows`, how many;
        NaN with fewer than 3, or where all scores are equal.
    """
    places = [i for i, row in enumerate(found.rows) if row in paper]
    if len(places) < 3 or np.ptp(found.estimates[places, 0]) == 0:
        return UNKNOWN.named("rho", "") | {"p": np.nan, "rows": len(places)}
    theirs = np.array([paper[found.rows[i]] for i in places])
    result = scipy.stats.spearmanr(found.estimates[places, 0], theirs)
    rho = summary(correlations(found.estimates[places], theirs)).named("rho", "")
    return rho | {"p": float(result.pvalue), "rows": len(places)}


def correlations(draws: FloatArray, theirs: FloatArray) -> FloatArray:
    """Spearman's correlation of each column of `[R, B]` with `[R]`: `[B]`."""
    ours, ranks = scipy.stats.rankdata(draws, axis=0), scipy.stats.rankdata(theirs)
    ours -= ours.mean(axis=0)
    ranks -= ranks.mean()
    norms = np.linalg.norm(ours, axis=0) * np.linalg.norm(ranks)
    with np.errstate(invalid="ignore"):
        return np.asarray(ranks @ ours / norms)


def best_row(found: Replicates) -> dict[str, float]:
    """Probability of being the best row, by row; replicates that tie are shared."""
    if not found.rows:
        return {}
    draws = found.estimates[:, 1:]
    top = draws == draws.max(axis=0)
    shares = (top / top.sum(axis=0)).mean(axis=1)
    return dict(zip(found.rows, shares.tolist(), strict=True))


def clip_over_kl(found: Replicates) -> dict[str, Any]:
    """Clipping against KL penalties, in three ways of asking.

    Returns:
        `best`: the best clipping row against the best KL row of each replicate, which favors KL a
        little, since it has more rows to be lucky with; `named`: the two rows that are best in the
        table; `mean`: the mean over the clipping rows against that over the KL rows. Each with
        `difference` in the table, interval `low`, `high` and `probability` that it is above 0.
    """
    rows, kinds = found.rows, found.kinds
    clip = [i for i, kind in enumerate(kinds) if kind == "clip"]
    kl = [i for i, kind in enumerate(kinds) if kind in ("kl_adaptive", "kl_fixed")]
    if not clip or not kl:
        return {}
    first, second = (max(places, key=lambda i: found.estimates[i, 0]) for places in (clip, kl))
    ours, theirs = found.estimates[clip], found.estimates[kl]
    named = above(found.estimates[first] - found.estimates[second])
    return {
        "best": above(ours.max(axis=0) - theirs.max(axis=0)),
        "named": named | {"rows": [rows[first], rows[second]]},
        "mean": above(ours.mean(axis=0) - theirs.mean(axis=0)),
    }


def above(difference: FloatArray) -> dict[str, Any]:
    """The `difference` of estimates, its interval, and the `probability` that it is above 0."""
    probability = float((difference[1:] > 0).mean())
    return summary(difference).named("difference", "") | {"probability": probability}


def unconstrained(found: Replicates) -> dict[str, Any]:
    """Whether the row without clipping or penalty is negative, and by which task's doing.

    Returns:
        `score`, `low`, `high`, `negative` (probability), and under `without` the same by task left
        out, with the task's own score `of_task`, and `its_doing`, the probability that the score is
        negative with the task and not without; empty where the row has no interval.
    """
    tasks, without = found.by_task.get("none", {}), {}
    if not tasks:
        return {}
    whole = np.mean(list(tasks.values()), axis=0)
    for task in tasks if len(tasks) > 1 else ():
        rest = np.mean([values for other, values in tasks.items() if other != task], axis=0)
        its_doing = float(((whole < 0) & (rest >= 0))[1:].mean())
        without[task] = _negative(rest)
        without[task] |= {"of_task": float(tasks[task][0]), "its_doing": its_doing}
    return _negative(whole) | {"without": without}


def _negative(score: FloatArray) -> dict[str, Any]:
    negative = float((score[1:] < 0).mean())
    return summary(score).named("score", "") | {"negative": negative}


def verdict(probability: float) -> str:
    """`holds`, `fails` or `within noise`."""
    if np.isnan(probability):
        return "unknown"
    if probability >= SURE:
        return "holds"
    return "fails" if probability <= 1 - SURE else "within noise"


def claims(table: Table1) -> dict[str, Any]:
    """All of it for one table: plain values, NaN where the runs do not say."""
    found = replicates_of(table)
    rows = table.rows.set_index("row")
    paper = {str(row): float(one) for row, one in rows["paper_score"].dropna().items()}
    constrained = {row: score for row, score in paper.items() if row != "none"}
    scores = rows["score"].astype(float)
    return {
        "best_row": None if scores.isna().all() else scores.idxmax(),
        "probability_best": best_row(found),
        "rank_correlation": rank_correlation(found, paper),
        "rank_correlation_without_none": rank_correlation(found, constrained),
        "clip_over_kl": clip_over_kl(found),
        "none": unconstrained(found),
        "scores": scores.to_dict(),
    }
