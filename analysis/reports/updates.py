"""`updates`: how far an update moves the policy, row by row and task by task."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pandas as pd

from analysis import cli
from analysis.drawing import notes, tables
from analysis.drawing.style import objective_names, objective_rows
from analysis.drawing.text import NOT_KNOWN, Line, runs_of
from analysis.runs.load import read_progress
from analysis.runs.run import Sweep, hole_of
from analysis.runs.selection import check_table

MEASURES = {
    "kl": "KL(old, new) after an update, in nats",
    "std": "Standard deviation of the actions",
}
_LINE = ("task", "row", "objective", "value", "n_runs", "n_expected")


def build(sweep: Sweep) -> pd.DataFrame:
    """Medians over the second half of training, all seeds together.

    Of a finished run the iterations that `collect` keeps count. One line a task and row:
    `task, row, objective, value, n_runs, n_expected`, and `MEASURES`, NaN where no run has them.

    Raises:
        AnalysisError: for runs that differ in more than objective, task and seed, or a damaged
            table.
    """
    check_table(sweep.runs)
    lines, measures, place = [], list(MEASURES), lambda run: (run.task, run.row)
    for key, runs in itertools.groupby(sorted(sweep.runs, key=place), place):
        group = list(runs)
        tables = [read_progress(run, measures) for run in group if not hole_of(run)]
        halves = [table.iloc[len(table) // 2 :] for table in tables]
        medians = pd.concat([pd.DataFrame(columns=measures, dtype=float), *halves]).median()
        lines.append((*key, *group[0].objective, len(tables), len(group), *medians))
    return pd.DataFrame(lines, columns=[*_LINE, *measures])


def _markdown(medians: pd.DataFrame, sweep: Sweep) -> str:
    tasks, rows = sorted(set(medians["task"])), objective_names(objective_rows(medians))
    parts = []
    for name, title in MEASURES.items():
        if medians[name].notna().any():
            cell = partial(_cell, name)
            table = tables.pivot("Objective", rows, tasks, medians, ("row", "task"), cell)
            parts.append(f"## {title}\n\n{table}")
    found = [
        "Median over the second half of training, all seeds together, of the iterations that "
        "`collect` keeps of a run.",
        *notes.provenance(sweep.runs),
    ]
    return tables.report("What an update does to the policy", "\n\n".join(parts), found)


def _cell(name: str, line: Line | None) -> str:
    if line is None or np.isnan(line[name]):
        return NOT_KNOWN
    lacking = f" ({runs_of(line)})" if line["n_runs"] < line["n_expected"] else ""
    return f"{line[name]:.2g}{lacking}"


@cli.command("updates", cli.RUNS)
def command(given: cli.Given) -> cli.Output:
    """How far an update moves the policy, by objective and task."""
    sweep = given.sweep
    medians = build(sweep)
    text = _markdown(medians, sweep)
    return cli.Output({"updates.csv": medians, "updates.md": text}, text)
