"""`updates`: how far an update moves the policy, row by row and task by task."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

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


def build(sweep: Sweep) -> pd.DataFrame:
    """Medians over the second half of training, all seeds together.

    Args:
        sweep: expected runs; of a finished one the iterations that `collect` keeps count.

    Returns:
        One line a task and row: `task, row, objective, value, n_runs, n_expected`, and the
        `MEASURES`, NaN where no run has them.

    Raises:
        AnalysisError: for runs that differ in more than objective, task and seed, or a damaged
            table.
    """
    check_table(sweep.runs)
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in sweep.runs:
        groups.setdefault((run.task, run.row), []).append(run)
    lines = [(*key, *_line(group)) for key, group in sorted(groups.items())]
    return pd.DataFrame(lines, columns=[*_LINE, *MEASURES])


def _line(group: Sequence[Run]) -> tuple[object, ...]:
    tables = [read_progress(run, list(MEASURES)) for run in group if not hole_of(run)]
    halves = pd.concat(
        [
            pd.DataFrame(columns=list(MEASURES), dtype=float),
            *(table.iloc[len(table) // 2 :] for table in tables),
        ]
    )
    return (*group[0].objective, len(tables), len(group), *halves.median())


def _markdown(medians: pd.DataFrame, sweep: Sweep) -> str:
    """A table a measure: rows of Table 1 by tasks."""
    parts = [
        f"## {title}\n\n{_by_task(medians, name)}"
        for name, title in MEASURES.items()
        if medians[name].notna().any()
    ]
    found = [
        "Median over the second half of training, all seeds together, of the iterations that "
        "`collect` keeps of a run.",
        *notes.provenance(sweep.runs),
    ]
    return tables.report("What an update does to the policy", "\n\n".join(parts), found)


def _by_task(medians: pd.DataFrame, name: str) -> str:
    tasks, rows = sorted(set(medians["task"])), objective_names(objective_rows(medians))
    by = ("row", "task")
    return tables.pivot("Objective", rows, tasks, medians, by, lambda line: _cell(line, name))


def _cell(line: Line | None, name: str) -> str:
    if line is None or np.isnan(line[name]):
        return NOT_KNOWN
    return f"{line[name]:.2g}" + (
        f" ({runs_of(line)})" if line["n_runs"] < line["n_expected"] else ""
    )


def _run(options: argparse.Namespace) -> cli.Output:
    sweep = cli.selected(options)
    medians = build(sweep)
    text = _markdown(medians, sweep)
    return cli.Output(
        {"updates.csv": tables.csv(medians), "updates.md": f"{text}\n".encode()}, text
    )


COMMAND = cli.Command(
    "updates", "how far an update moves the policy, by objective and task", _run, (cli.RUNS,)
)
