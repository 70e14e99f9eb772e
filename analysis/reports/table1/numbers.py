"""Table 1 in numbers: scores by row, beside the paper's, and returns by task and row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.drawing.style import objective_rows
from analysis.published.paper import paper_table1, random_returns
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.runs.selection import check_table
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.bootstrap import UNKNOWN, FloatArray, stream, summary
from analysis.statistics.cells import cells, strata, typical_by_task
from analysis.statistics.estimates import replicates
from analysis.statistics.scoring import Scores, paper_score

_COUNTS = ("objective", "value", "n_runs", "n_expected")
COLUMNS = (*_COUNTS, "score", "ci_low", "ci_high", "paper_score")
_RETURN = ("return", "ci_low", "ci_high", "score")
TASK_COLUMNS = ("task", *_COUNTS, *_RETURN, "random", "best", "note")


@dataclass(frozen=True)
class Table1:
    """All of Table 1's numbers."""

    rows: pd.DataFrame  # `row` and `COLUMNS`, the paper's rows first, of those that were expected
    tasks: pd.DataFrame  # `row` and `TASK_COLUMNS`, one line a task and row that was expected
    scores: Scores  # of the finished runs
    runs: pd.DataFrame  # `load.frame` of the runs expected
    # row -> task -> `estimates.replicates` of the score, whose means over tasks are behind `rows`
    replicates: Mapping[str, Mapping[str, FloatArray]]


def build(sweep: Sweep, settings: Settings = DEFAULTS) -> Table1:
    """Table 1 of the runs of `sweep`, beside the paper's.

    Raises:
        AnalysisError: for runs that differ in more than objective, task and seed.
    """
    check_table(sweep.runs)
    return score(frame(sweep.runs, settings.episodes), settings)


def score(
    runs: pd.DataFrame, settings: Settings = DEFAULTS, random: Mapping[str, float] | None = None
) -> Table1:
    """Table 1 of `runs` (see `load.frame`).

    `random` is the return of the random policy by task; that of `settings` if not given.
    """
    paper = paper_table1(settings.reference)
    if random is None:
        random = random_returns(settings.reference, settings.random)
    finished = runs.loc[runs["hole"] == "", ["task", "row", "seed", "return"]]
    scores = paper_score(finished, random, settings.best)
    others = objective_rows(runs[~runs["row"].isin(paper["row"])]).assign(paper_score=float("nan"))
    asked = paper[paper["row"].isin(runs["row"])]
    order = asked if others.empty else pd.concat([asked, others], ignore_index=True)
    order = order.reset_index(drop=True)
    drawn = _replicates(scores.runs, order["row"], settings)
    rows, tasks = _rows(order, runs, scores, drawn), _tasks(order, runs, scores, settings)
    return Table1(rows, tasks, scores, runs, drawn)


def _replicates(
    runs: pd.DataFrame, rows: Iterable[str], settings: Settings
) -> dict[str, dict[str, FloatArray]]:
    common, found = typical_by_task(runs, column="score"), {}
    for row in rows:
        rng, by_task = stream(settings.seed, "row", row), strata(runs, row, "score")
        found[row] = {
            task: replicates(values, common[task], settings.replicates, rng)
            for task, values in by_task.items()
        }
    return found


def _rows(
    order: pd.DataFrame,
    runs: pd.DataFrame,
    scores: Scores,
    drawn: Mapping[str, Mapping[str, FloatArray]],
) -> pd.DataFrame:
    lines, there = [], scores.runs.dropna(subset="score")["row"]
    for row, by_task in drawn.items():
        counts = (int((rows == row).sum()) for rows in (there, runs["row"]))
        found = summary(np.mean(list(by_task.values()), axis=0)) if by_task else UNKNOWN
        lines.append((*counts, *found))
    columns = ["n_runs", "n_expected", "score", "ci_low", "ci_high"]
    return order.join(pd.DataFrame(lines, columns=columns))[["row", *COLUMNS]]


def _tasks(
    order: pd.DataFrame, runs: pd.DataFrame, scores: Scores, settings: Settings
) -> pd.DataFrame:
    by = ["task", "row"]
    found = cells(runs, by, settings).join(scores.runs.groupby(by)["score"].mean(), on=by)
    found = found.merge(scores.tasks, "left", "task")
    known = found.merge(order.assign(place=order.index).drop(columns="paper_score"), on="row")
    known = known.sort_values(["task", "place"], ignore_index=True)
    reason = known["excluded"].fillna("").astype(str)
    note = ("not scored: " + reason).where(reason != "", "")
    return known.assign(note=note)[["row", *TASK_COLUMNS]]
