"""`updates`: how far an update moves the policy, row by row and task by task."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.cli import Command, Output, add_runs_arguments
from analysis.drawing import text as render
from analysis.drawing.style import objective_name
from analysis.reports.pilot.command import row_order
from analysis.reports.table1.text import provenance
from analysis.runs.load import Run, hole_of, read_progress
from analysis.runs.selection import check_table, selected_sweep

MEASURES = {
    "kl": "KL(old, new) after an update, in nats",
    "std": "Standard deviation of the actions",
}
_LINE = ("task", "row", "objective", "value", "n_runs", "n_expected")


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """Medians over the second half of training, all seeds together.

    Args:
        runs: expected runs; of a finished one the iterations that `collect` keeps count.

    Returns:
        One line a task and row: `task, row, objective, value, n_runs, n_expected`, and the
        `MEASURES`, NaN where no run has them.

    Raises:
        AnalysisError: for a damaged table.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.task, run.row), []).append(run)
    lines = [_line(group) for _, group in sorted(groups.items())]
    return pd.DataFrame(lines, columns=[*_LINE, *MEASURES])


def _line(group: Sequence[Run]) -> dict[str, Any]:
    done = [run for run in group if not hole_of(run)]
    halves = [_second_half(read_progress(run, list(MEASURES))) for run in done]
    medians = {name: _median([half[name] for half in halves]) for name in MEASURES}
    first, value = group[0], group[0].info["objective_value"]
    return {
        "task": first.task,
        "row": first.row,
        "objective": str(first.info["objective"]),
        "value": float("nan") if value is None else float(value),
        "n_runs": len(done),
        "n_expected": len(group),
        **medians,
    }


def _second_half(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[len(rows) // 2 :]


def _median(columns: Sequence[pd.Series]) -> float:
    known = np.concatenate([column.to_numpy(float) for column in columns] or [np.array([])])
    known = known[~np.isnan(known)]
    return float(np.median(known)) if len(known) else float("nan")


def markdown(medians: pd.DataFrame, runs: Sequence[Run]) -> str:
    """A table a measure: rows of Table 1 by tasks."""
    parts = ["# What an update does to the policy"]
    for name, title in MEASURES.items():
        if medians[name].notna().any():
            parts += [f"\n## {title}\n", _by_task(medians, name)]
    notes = [
        "Median over the second half of training, all seeds together, of the iterations that "
        "`collect` keeps of a run.",
        *provenance(tuple(runs)),
    ]
    return "\n".join(parts) + "\n" + render.bullets("Notes", notes).rstrip("\n")


def _by_task(medians: pd.DataFrame, name: str) -> str:
    tasks = sorted(set(medians["task"]))
    cells = {(line["row"], line["task"]): line for line in medians.to_dict("records")}
    lines = []
    for row in row_order(medians):
        here = [cells.get((row, task)) for task in tasks]
        known = next(cell for cell in here if cell is not None)
        label = objective_name(str(known["objective"]), float(known["value"]))
        lines.append((label, *(_cell(cell, name) for cell in here)))
    return render.markdown_table(("Objective", *tasks), lines, "l" + "r" * len(tasks))


def _cell(line: Mapping[Any, Any] | None, name: str) -> str:
    if line is None or np.isnan(line[name]):
        return render.NOT_KNOWN
    text = f"{line[name]:.2g}"
    if line["n_runs"] < line["n_expected"]:
        text += f" ({render.of(line['n_runs'], line['n_expected'])})"
    return text


def _run(options: argparse.Namespace) -> Output:
    sweep = selected_sweep(options)
    check_table(sweep.runs)
    medians = table(sweep.runs)
    text = markdown(medians, sweep.runs)
    files = {"updates.csv": render.csv(medians), "updates.md": (text + "\n").encode()}
    return Output(files, text)


COMMAND = Command(
    "updates", "how far an update moves the policy, by objective and task", add_runs_arguments, _run
)
