"""Learning curves: smoothed returns of runs on a grid of steps, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from analysis.runs.load import read_episodes
from analysis.runs.run import Run, hole_in, hole_of
from analysis.runs.selection import Absent, lookup, show
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.bootstrap import FloatArray, curve_interval, stream

COLUMNS = ("task", "label", "step", "mean", "ci_low", "ci_high", "n_runs", "n_expected")
POINTS = 100


def smoothed(steps: FloatArray, returns: FloatArray, grid: FloatArray, episodes: int) -> FloatArray:
    """Mean return of the last `episodes` episodes that had ended by each grid step.

    Args:
        steps: `[E]`, ascending: environment step at which each episode ended.
        returns: `[E]`.
        grid: `[G]` environment steps.
        episodes: 100; fewer are averaged while there are fewer.

    Returns:
        `[G]`, NaN before the first episode has ended.
    """
    last = np.searchsorted(steps, grid, side="right")
    first = np.maximum(last - episodes, 0)
    sums = np.concatenate([[0.0], np.cumsum(returns)])
    with np.errstate(invalid="ignore"):
        return np.asarray((sums[last] - sums[first]) / (last - first))


def label_of(by: str) -> Callable[[Run], str]:
    """The line that a run belongs to, by a run.json field or a dotted key of its configuration."""

    def label(run: Run) -> str:
        value = lookup(run, by)
        return "" if isinstance(value, Absent) else show(value)

    return label


def learning_curves(
    runs: Sequence[Run],
    label: Callable[[Run], str],
    settings: Settings = DEFAULTS,
    points: int = POINTS,
) -> tuple[pd.DataFrame, list[str]]:
    """All lines by task and label, and a sentence for each run that is in none.

    Args:
        runs: expected ones; those of a task and label have equal lengths.
        label: the line that a run belongs to.
        settings: `episodes` is the window of the smoothing.
        points: of the grid.

    Returns:
        `COLUMNS`, one row a line and grid step. `n_runs` counts the runs that had ended an episode
        by then. While it is less than the finished runs, mean and interval are NaN: a mean over
        changing runs would draw a jump that no run made.
    """
    cells: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        cells.setdefault((run.task, label(run)), []).append(run)
    tables, holes = [], []
    for (task, name), members in sorted(cells.items()):
        grid = np.unique(np.rint(np.linspace(0, members[0].steps, points + 1)[1:]))
        curves = []
        for run in members:
            hole, curve = _curve(run, grid, settings.episodes)
            curves += [] if hole else [curve]
            holes += [f"{run.run_id}: {hole}"] if hole else []
        rng = stream(settings.seed, task, name)
        table = _line(np.reshape(curves, (-1, len(grid))), settings.replicates, rng)
        tables.append(table.assign(task=task, label=name, step=grid, n_expected=len(members)))
    table = pd.concat(tables, ignore_index=True).astype({"step": "int64"})
    return table[list(COLUMNS)], sorted(holes)


def _curve(run: Run, grid: FloatArray, episodes: int) -> tuple[str, FloatArray]:
    """Why the run has no curve, or "", and its curve on the grid."""
    if hole := hole_of(run):
        return hole, np.empty(0)
    steps, returns = read_episodes(run)
    return hole_in(returns), smoothed(steps, returns, grid, episodes)


def _line(curves: FloatArray, replicates: int, rng: np.random.Generator) -> pd.DataFrame:
    """Mean and interval of curves `[n, G]`, where all of them are finite: `[G]` rows."""
    there = np.isfinite(curves).sum(axis=0)
    full = (there == len(curves)) & (there > 0)
    values = np.full((3, len(there)), np.nan)
    if full.any():
        values[0, full] = curves[:, full].mean(axis=0)
        values[1:, full] = curve_interval(curves[:, full], replicates, rng)
    mean, low, high = values
    return pd.DataFrame({"mean": mean, "ci_low": low, "ci_high": high, "n_runs": there})
