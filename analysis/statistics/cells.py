"""Cells of a table: a mean over seeds with its interval, and n of N expected runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.settings import Settings
from analysis.statistics.bootstrap import FloatArray, stream, summary
from analysis.statistics.estimates import replicates, typical
from analysis.statistics.ranges import cut

CELL = ("n_runs", "n_expected", "return", "ci_low", "ci_high")


def cells(runs: pd.DataFrame, by: Sequence[str], settings: Settings) -> pd.DataFrame:
    """`by` and `CELL`, one line a combination that was expected, in sorted order.

    Args:
        runs: columns `by`, `hole`, `return`; one line an expected run.
        by: what makes a cell, the task first; its values name the cell's random stream.
        settings: of the replicates.
    """
    lines, common = [], typical_by_task(runs, by)
    for key, group in runs.groupby(list(by), sort=True):
        values = group.loc[group["hole"] == "", "return"].to_numpy(float)
        rng = stream(settings.seed, *map(str, key))
        found = replicates(values, common.get(str(key[0])), settings.replicates, rng)
        lines.append((*key, len(values), len(group), *summary(cut(found, str(key[0])))))
    return pd.DataFrame(lines, columns=[*by, *CELL])


def typical_by_task(
    runs: pd.DataFrame, by: Sequence[str] = ("task", "row"), column: str = "return"
) -> dict[str, FloatArray | None]:
    """`estimates.typical` of each task, of the finished runs in its cells."""
    known = runs[runs["hole"] == ""] if "hole" in runs else runs
    return {
        str(task): typical(
            group.dropna().to_numpy(float) for _, group in mine.groupby(list(by))[column]
        )
        for task, mine in known.groupby(by[0])
    }


def strata(runs: pd.DataFrame, row: str, column: str = "return") -> dict[str, FloatArray]:
    """The values of a row's finished runs, `[n]` a task, in the order of the tasks."""
    mine = runs[runs["row"] == row].dropna(subset=column)
    return {str(task): group.to_numpy(float) for task, group in mine.groupby("task")[column]}
