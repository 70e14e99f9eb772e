"""What the paper says of its Table 1, and how probable it is on these runs: pure functions.

Probabilities are shares of the bootstrap replicates that Table 1's intervals come from: the rows
are independent, and a replicate resamples the seeds of every cell of all rows at once. They say how
other seeds would have answered, on the scale of this table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats

from analysis.reports.table1.numbers import Table1
from analysis.settings import Settings
from analysis.statistics.bootstrap import FloatArray, interval_of, replicate_means, stream
from analysis.statistics.cells import strata

PAPERS_BEST = "clip_0.2"
SURE = 0.95  # a statement holds from here on, and fails below 1 - SURE; between is noise


@dataclass(frozen=True)
class Replicates:
    """Scores of the rows that have an interval, and their replicates.

    Attributes:
        rows: names, in the table's order.
        kinds: kind of objective of each.
        scores: `[R]`.
        draws: `[R, B]`.
        by_task: per row, task -> `[B]`; the mean over tasks is `draws`, and its mean `scores`.
        means: per row, task -> score.
    """

    rows: tuple[str, ...]
    kinds: tuple[str, ...]
    scores: FloatArray
    draws: FloatArray
    by_task: Mapping[str, Mapping[str, FloatArray]]
    means: Mapping[str, Mapping[str, float]]


def replicates_of(table: Table1, settings: Settings) -> Replicates:
    """The replicates behind the intervals of `table`, which was built with these settings."""
    known = table.rows[table.rows["ci_low"].notna()]
    by_task: dict[str, dict[str, FloatArray]] = {}
    means: dict[str, dict[str, float]] = {}
    for row in known["row"].astype(str):
        rng = stream(settings.seed, "row", row)  # the same draws, in the same order, as in `table1`
        values = strata(table.scores.runs, row, "score")
        by_task[row] = {t: replicate_means(v, settings.replicates, rng) for t, v in values.items()}
        means[row] = {task: float(v.mean()) for task, v in values.items()}
    draws = [np.mean(list(cells.values()), axis=0) for cells in by_task.values()]
    return Replicates(
        tuple(by_task),
        tuple(known["objective"].astype(str)),
        known["score"].to_numpy(float),
        np.reshape(draws, (-1, settings.replicates)),
        by_task,
        means,
    )


def rank_correlation(found: Replicates, paper: Mapping[str, float]) -> dict[str, Any]:
    """Spearman's correlation of the scores with `paper` (score by row), with interval.

    A replicate adds noise to scores that have some already, so the interval lies rather too low.

    Returns:
        `rho`, its 95 % `low` and `high`, `p` (SciPy's, for no correlation), and `rows`, how many;
        NaN with fewer than 3, or where all scores are equal.
    """
    places = [i for i, row in enumerate(found.rows) if row in paper]
    if len(places) < 3 or np.ptp(found.scores[places]) == 0:
        return {"rho": np.nan, "low": np.nan, "high": np.nan, "p": np.nan, "rows": len(places)}
    theirs = np.array([paper[found.rows[i]] for i in places])
    result = scipy.stats.spearmanr(found.scores[places], theirs)
    interval = interval_of(_correlations(found.draws[places], theirs))._asdict()
    rho, p = float(result.statistic), float(result.pvalue)
    return {"rho": rho, **interval, "p": p, "rows": len(places)}


def _correlations(draws: FloatArray, theirs: FloatArray) -> FloatArray:
    """Spearman's correlation of each column of `[R, B]` with `[R]`: `[B]`."""
    ours = scipy.stats.rankdata(draws, axis=0)
    ours -= ours.mean(axis=0)
    ranks = scipy.stats.rankdata(theirs)
    ranks -= ranks.mean()
    norms = np.linalg.norm(ours, axis=0) * np.linalg.norm(ranks)
    with np.errstate(invalid="ignore"):
        return np.asarray(ranks @ ours / norms)


def best_row(found: Replicates) -> dict[str, float]:
    """Probability of being the best row, by row; replicates that tie are shared."""
    if not found.rows:
        return {}
    top = found.draws == found.draws.max(axis=0)
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
    clip = _places(found, ("clip",))
    kl = _places(found, ("kl_adaptive", "kl_fixed"))
    if not clip or not kl:
        return {}
    draws, scores = found.draws, found.scores
    first, second = (max(places, key=lambda i: scores[i]) for places in (clip, kl))
    difference = float(scores[first] - scores[second])
    return {
        "best": _above(difference, draws[clip].max(axis=0) - draws[kl].max(axis=0)),
        "named": _above(difference, draws[first] - draws[second])
        | {"rows": [found.rows[first], found.rows[second]]},
        "mean": _above(
            float(scores[clip].mean() - scores[kl].mean()),
            draws[clip].mean(axis=0) - draws[kl].mean(axis=0),
        ),
    }


def _places(found: Replicates, kinds: Sequence[str]) -> list[int]:
    return [i for i, kind in enumerate(found.kinds) if kind in kinds]


def _above(difference: float, draws: FloatArray) -> dict[str, Any]:
    probability = float((draws > 0).mean())
    return {"difference": difference, **interval_of(draws)._asdict(), "probability": probability}


def unconstrained(found: Replicates, row: str = "none") -> dict[str, Any]:
    """Whether the row without clipping or penalty is negative, and by which task's doing.

    Returns:
        `score`, `low`, `high`, `negative` (probability), and under `without` the same by task left
        out, with the task's own score `of_task`, and `its_doing`, the probability that the score is
        negative with the task and not without; empty where the row has no interval.
    """
    if row not in found.by_task:
        return {}
    draws, means = found.by_task[row], found.means[row]
    whole = _negative(list(means.values()), list(draws.values()))
    without = {
        task: _negative(
            [value for other, value in means.items() if other != task],
            [value for other, value in draws.items() if other != task],
        )
        | {"of_task": means[task], "its_doing": _its_doing(draws, task)}
        for task in means
        if len(means) > 1
    }
    return whole | {"without": without}


def _its_doing(draws: Mapping[str, FloatArray], task: str) -> float:
    rest = np.mean([values for other, values in draws.items() if other != task], axis=0)
    whole = np.mean(list(draws.values()), axis=0)
    return float(((whole < 0) & (rest >= 0)).mean())


def _negative(means: Sequence[float], draws: Sequence[FloatArray]) -> dict[str, Any]:
    mean = np.mean(draws, axis=0)
    negative = float((mean < 0).mean())
    return {"score": float(np.mean(means)), **interval_of(mean)._asdict(), "negative": negative}


def verdict(probability: float) -> str:
    """`holds`, `fails` or `within noise`."""
    if np.isnan(probability):
        return "unknown"
    if probability >= SURE:
        return "holds"
    return "fails" if probability <= 1 - SURE else "within noise"


def claims(table: Table1, settings: Settings) -> dict[str, Any]:
    """All of it for one table: plain values, NaN where the runs do not say."""
    found = replicates_of(table, settings)
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
