"""The score of the paper's Table 1, as pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import FloatArray


@dataclass(frozen=True)
class Scores:
    """What `paper_score` returns."""

    runs: pd.DataFrame  # its input, with `score`: NaN in a task that cannot be scored
    tasks: pd.DataFrame  # `task, random, best, best_row, excluded`: the reason, or ""
    rows: pd.DataFrame  # `row, score`: mean over tasks of the mean over seeds; NaN without runs


def run_return(returns: FloatArray, episodes: int = 100) -> float:
    """Section 6.1's score of one run: the mean of its last `episodes` training returns `[E]`.

    All count if there are fewer; NaN for a run without episodes.
    """
    return float(np.mean(returns[-episodes:])) if len(returns) else float("nan")


def paper_score(runs: pd.DataFrame, random: Mapping[str, float], best: str = "run") -> Scores:
    """Table 1's score: per task random -> 0 and best -> 1, then averaged over tasks and seeds.

    Section 6.1: "We shifted and scaled the scores for each environment so that the random policy
    gave a score of 0 and the best result was set to 1, and averaged over 21 runs". Rows average
    their tasks with equal weight, which is the mean over 21 runs when none is missing, and keeps
    a task's weight when a run is. A task whose best result is not above its random score has no
    scale (the formula would reward the worst run): it is excluded, with the reason.

    The scale belongs to the table, not to a replicate, so intervals hold `random` and `best` fixed.
    A bootstrap replicate can only repeat the runs there are: its maximum never exceeds the observed
    one and falls below it in (2/3)^3 = 30 % of replicates at 3 seeds, so recomputing would push
    every score upward, and more replicates do not mend that (the bootstrap of a maximum is
    inconsistent). The interval then answers "how far would other seeds move this row, on the scale
    printed here".

    Args:
        runs: columns `task, row, seed, return`; one line a finished run.
        random: return of the random policy by task; a task may be absent.
        best: what "best result" is: the best single `run`, or the best row's `mean` over seeds.
    """
    tasks = _scales(runs, random, best)
    scale = tasks.set_index("task")
    zero = scale["random"]
    span = (scale["best"] - zero).where(scale["excluded"] == "")
    zeros, spans = (runs["task"].map(values).astype(float) for values in (zero, span))
    scored = runs.assign(score=(runs["return"] - zeros) / spans)
    rows = scored.groupby(["row", "task"])["score"].mean().groupby("row").mean().reset_index()
    return Scores(scored, tasks, rows)


def _scales(runs: pd.DataFrame, random: Mapping[str, float], best: str) -> pd.DataFrame:
    if best == "mean":
        runs = runs.groupby(["task", "row"])["return"].mean().reset_index()
    ordered = runs.sort_values("return", ascending=False, kind="stable")
    tops = ordered.drop_duplicates("task").sort_values("task", ignore_index=True)
    zeros = tops["task"].map(dict(random)).astype(float)
    reasons = [_excluded(zero, best) for zero, best in zip(zeros, tops["return"], strict=True)]
    scales = tops[["task", "return", "row"]].set_axis(["task", "best", "best_row"], axis=1)
    scales.insert(1, "random", zeros)
    return scales.assign(excluded=pd.Series(reasons, dtype=object))


def _excluded(random: float, best: float) -> str:
    if np.isnan(random):
        return "the reference has no random policy for it"
    if best <= random:
        return f"its best result, {best:.4g}, is not above the random policy's {random:.4g}"
    return ""
