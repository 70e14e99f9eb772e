"""`updates`: how far an update moves the policy, row by row and task by task."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pandas as pd

from analysis import cli
from analysis.drawing import notes, tables
from analysis.drawing.style import objective_names, objective_rows
from analysis.drawing.text import NOT_KNOWN, Line, runs_of
from analysis.runs.load import read_progress
from analysis.runs.run import Run, Sweep, hole_of
from analysis.runs.selection import check_table

MEASURES = {
    "kl": "KL(old, new) after an update, in nats",
    "std": "Standard deviation of the actions",
}
_LINE = ("task", "row", "objective", "value", "n_runs", "n_expected")


def build(sweep: Sweep, row: Callable[[Run], str] = lambda run: run.row) -> pd.DataFrame:
    """Medians over the second half of training, all seeds together.

    Of a finished run the iterations that `collect` keeps count. One line a task and row:
    `task, row, objective, value, n_runs, n_expected`, and `MEASURES`, NaN where no run has them.

    `row` says what a run is a row of; see `check_table` for runs that may share a table.

    Raises:
        AnalysisError: for a damaged table.
    """
    lines, measures, place = [], list(MEASURES), lambda run: (run.task, row(run))
    for key, runs in itertools.groupby(sorted(sweep.runs, key=place), place):
        group = list(runs)
        tables = [read_progress(run, measures) for run in group if not hole_of(run)]
        halves = [table.iloc[len(table) // 2 :] for table in tables]
        medians = pd.concat([pd.DataFrame(columns=measures, dtype=float), *halves]).median()
        lines.append((*key, *group[0].objective, len(tables), len(group), *medians))
    return pd.DataFrame(lines, columns=[*_LINE, *measures])


def tables_of(
    medians: pd.DataFrame, rows: Mapping[str, str], level: str = "##", what: str = "Objective"
) -> str:
    """One titled table a measure that the runs have; `rows` are names in their order, of `what`."""
    tasks = sorted(set(medians["task"]))
    parts = []
    for name, title in MEASURES.items():
        if medians[name].notna().any():
            cell = partial(_cell, name)
            table = tables.pivot(what, rows, tasks, medians, ("row", "task"), cell)
            parts.append(f"{level} {title}\n\n{table}")
    return "\n\n".join(parts)


def _markdown(medians: pd.DataFrame, sweep: Sweep) -> str:
    names = objective_names(objective_rows(medians))
    found = [
        "Median over the second half of training, all seeds together, of the iterations that "
        "`collect` keeps of a run.",
        *notes.provenance(sweep.runs),
    ]
    return tables.report("What an update does to the policy", tables_of(medians, names), found)


def _cell(name: str, line: Line | None) -> str:
    if line is None or np.isnan(line[name]):
        return NOT_KNOWN
    lacking = f" ({runs_of(line)})" if line["n_runs"] < line["n_expected"] else ""
    return f"{line[name]:#.2g}".rstrip(".") + lacking


@cli.command("updates", cli.RUNS)
def command(given: cli.Given) -> cli.Output:
    """How far an update moves the policy, by objective and task."""
    sweep = given.sweep
    check_table(sweep.runs)
    medians = build(sweep)
    text = _markdown(medians, sweep)
    return cli.Output({"updates.csv": medians, "updates.md": text}, text)
