"""What the living figures hold: every run, its curve, and the replicates of means."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from analysis.drawing.algorithms import entry, ordered
from analysis.drawing.style import objective_names
from analysis.published.paper import paper_figure3, random_returns, task_name
from analysis.reports.table1 import numbers as table1
from analysis.runs.comparison import DEFAULT_OBJECTIVE, entry_key, with_objective
from analysis.runs.curves import smoothed
from analysis.runs.load import finished_episodes, load_sweep
from analysis.runs.run import Run, Sweep
from analysis.settings import DEFAULTS, RANDOM_POLICIES, Settings
from analysis.statistics.bootstrap import FloatArray, stream
from analysis.statistics.cells import strata, typical_by_task
from analysis.statistics.estimates import law

POINTS = 50  # of a run's curve
DIGITS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"  # 64


def read_table1(results: Path, settings: Settings = DEFAULTS) -> dict[str, Any]:
    """The runs of Table 1, with what every convention of its score needs.

    Raises:
        AnalysisError: for damaged tables, or runs that cannot share one.
    """
    sweep = load_sweep(results / "table1")
    table = table1.build(sweep, settings)
    rows, tasks = list(table.rows["row"]), sorted(set(table.runs["task"]))
    names = objective_names(table.rows)
    paper = table.rows.set_index("row")["paper_score"]
    kinds = table.rows.set_index("row")["objective"]
    found = _runs(sweep, rows, tasks, settings, lambda run: run.row)
    zeros = {kind: random_returns(settings.reference, kind) for kind in RANDOM_POLICIES}
    lines = [
        {
            "name": names[row],
            "label": row.replace("_", " "),
            "kind": kinds[row],
            "paper": paper[row],
            "replicates": _replicates(table.scores.runs, row, tasks, settings),
        }
        for row in rows
    ]
    return {
        "tasks": [task_name(task) for task in tasks],
        "rows": lines,
        "quantiles": _quantiles(lines, settings),
        "random": {kind: [returns[task] for task in tasks] for kind, returns in zeros.items()},
        "episodes": settings.episodes,
        **found,
    }


def _replicates(
    runs: pd.DataFrame, row: str, tasks: list[str], settings: Settings
) -> list[dict[str, Any] | None]:
    """How a row's replicates arise in each task: `mean + scale * quantiles[place]`, as in Table 1.

    `freedom` names the quantiles, and `at` has the place of each replicate among them, in two
    digits. They are the draws of `estimates.replicates`: the same stream, in the same order.
    """
    rng, common, found = stream(settings.seed, "row", row), typical_by_task(runs), {}
    for task, values in strata(runs, row).items():
        order, (scale, freedom) = rng.permutation(settings.replicates), law(values, common[task])
        found[task] = {
            "mean": float(values.mean()),
            "scale": float(scale),
            "freedom": f"{freedom:g}",
            "at": "".join(DIGITS[place // 64] + DIGITS[place % 64] for place in order),
        }
    return [found.get(task) for task in tasks]


def _quantiles(rows: list[dict[str, Any]], settings: Settings) -> dict[str, list[float]]:
    """Student's t at the replicates' places, by its degrees of freedom."""
    cells = (cell for row in rows for cell in row["replicates"] if cell is not None)
    places = (np.arange(settings.replicates) + 0.5) / settings.replicates
    return {
        freedom: [float(f"{x:.9g}") for x in student.ppf(places, float(freedom))]
        for freedom in sorted({cell["freedom"] for cell in cells})
    }


def read_figure3(results: Path, settings: Settings = DEFAULTS) -> dict[str, Any]:
    """The runs of Figure 3 as far as there are some, and the paper's curves on the same steps.

    Raises:
        AnalysisError: for damaged tables, or runs that cannot be compared.
    """
    sweep = with_objective(load_sweep(results / "figure3_medium"), DEFAULT_OBJECTIVE)
    keys = ordered(map(entry_key, sweep.runs))
    tasks = sorted({run.task for run in sweep.runs})
    found = _runs(sweep, keys, tasks, settings, entry_key)
    curves = {key: paper_figure3(settings.reference, entry(key).paper) for key in keys}
    return {
        "tasks": [task_name(task) for task in tasks],
        "rows": [
            {
                "name": entry(key).name,
                "paper": [
                    [_short(curves[key][task_name(task)].at(step)) for step in found["steps"]]
                    for task in tasks
                ],
            }
            for key in keys
        ],
        "episodes": settings.episodes,
        **found,
    }


def _runs(
    sweep: Sweep, rows: list[str], tasks: list[str], settings: Settings, row: Callable[[Run], str]
) -> dict[str, Any]:
    """`steps`, and `runs`: row and task by place, seed, result, and the curve on these steps."""
    grid = np.unique(np.rint(np.linspace(0, sweep.runs[0].steps, POINTS + 1)[1:]))
    lines = []
    for run in sweep.runs:
        hole, steps, returns = finished_episodes(run)
        if hole:
            continue
        lines.append(
            {
                "row": rows.index(row(run)),
                "task": tasks.index(run.task),
                "seed": int(run.info["seed"]),
                "result": float(f"{np.mean(returns[-settings.episodes :]):.9g}"),
                "curve": _shortened(smoothed(steps, returns, grid, settings.episodes)),
            }
        )
    return {"steps": [int(step) for step in grid], "runs": lines}


def _shortened(values: FloatArray) -> list[float | None]:
    return [_short(value) for value in values]


def _short(value: float) -> float | None:
    """With the digits that a picture shows; JSON knows no NaN."""
    return None if np.isnan(value) else float(f"{value:.4g}")
