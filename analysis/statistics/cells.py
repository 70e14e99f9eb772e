"""Cells of a table: a mean over seeds with its interval, and n of N expected runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.settings import Settings
from analysis.statistics.bootstrap import FloatArray, means, stream, summary

CELL = ("n_runs", "n_expected", "return", "ci_low", "ci_high")


def cells(runs: pd.DataFrame, by: Sequence[str], settings: Settings) -> pd.DataFrame:
    """`by` and `CELL`, one line a combination that was expected, in sorted order.

    Args:
        runs: columns `by`, `hole`, `return`; one line an expected run.
        by: what makes a cell, such as task and row; its values name the cell's random stream.
        settings: of the bootstrap.
    """
    lines = []
    for key, group in runs.groupby(list(by), sort=True):
        values = group.loc[group["hole"] == "", "return"].to_numpy(float)
        found = means(values, settings.replicates, stream(settings.seed, *map(str, key)))
        lines.append((*key, len(values), len(group), *summary(found)))
    return pd.DataFrame(lines, columns=[*by, *CELL])


def strata(runs: pd.DataFrame, row: str, column: str = "return") -> dict[str, FloatArray]:
    """The values of a row's finished runs, `[n]` a task, in the order of the tasks."""
    mine = runs[runs["row"] == row].dropna(subset=column)
    return {str(task): group.to_numpy(float) for task, group in mine.groupby("task")[column]}
