"""Learning curves: smoothed returns of runs on a grid of steps, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from analysis.runs.load import finished_episodes
from analysis.runs.run import Run
from analysis.runs.selection import Absent, lookup, show
from analysis.settings import Settings
from analysis.statistics.bootstrap import FloatArray, bounds, stream
from analysis.statistics.estimates import replicates, typical
from analysis.statistics.ranges import cut

COLUMNS = ("task", "label", "step", "mean", "ci_low", "ci_high", "n_runs", "n_expected")
POINTS = 100


def smoothed(steps: FloatArray, returns: FloatArray, grid: FloatArray, episodes: int) -> FloatArray:
    """Mean return of the last `episodes` episodes that had ended by each step of `grid`.

    Of returns `[E]` and the ascending environment steps `[E]` at which their episodes ended, to
    `[G]`; fewer are averaged while there are fewer, NaN before the first has ended.
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
    runs: Sequence[Run], label: Callable[[Run], str], settings: Settings, points: int
) -> tuple[pd.DataFrame, list[str]]:
    """`COLUMNS`, one row a line and grid step, and a sentence for each run that is in no line.

    `n_runs` counts the runs that had ended an episode by then. While it is less than the finished
    runs, mean and interval are NaN: a mean over changing runs would draw a jump that no run made.

    Args:
        runs: expected ones; those of a task and label have equal lengths.
        label: the line that a run belongs to.
        settings: `episodes` is the window of the smoothing.
        points: of the grid.
    """
    cells: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        cells.setdefault((run.task, label(run)), []).append(run)
    lines: dict[tuple[str, str], tuple[FloatArray, FloatArray]] = {}  # the grid; curves `[n, G]`
    holes = []
    for key, members in sorted(cells.items()):
        grid = np.unique(np.rint(np.linspace(0, members[0].steps, points + 1)[1:]))
        curves = []
        for run in members:
            hole, steps, returns = finished_episodes(run)
            if hole:
                holes.append(f"{run.run_id}: {hole}")
            else:
                curves.append(smoothed(steps, returns, grid, settings.episodes))
        lines[key] = grid, np.reshape(curves, (-1, len(grid)))
    tables = []
    for (task, name), (grid, values) in lines.items():
        mine = [each for key, (_, each) in lines.items() if key[0] == task]
        equal = {each.shape[1] for each in mine} == {len(grid)}
        common = typical(mine) if equal else None
        rng = stream(settings.seed, task, name)
        table = _line(task, values, common, settings.replicates, rng)
        expected = len(cells[task, name])
        tables.append(table.assign(task=task, label=name, step=grid, n_expected=expected))
    table = pd.concat(tables, ignore_index=True).astype({"step": "int64"})
    return table[list(COLUMNS)], sorted(holes)


def _line(
    task: str,
    curves: FloatArray,
    common: FloatArray | None,
    count: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Mean and interval of curves `[n, G]`, where all of them are finite: `[G]` rows.

    `common` is `estimates.typical` of the task, `[G]`.
    """
    there = np.isfinite(curves).sum(axis=0)
    full = (there == len(curves)) & (there > 0)
    values = np.full((3, len(there)), np.nan)
    if full.any():
        known = replicates(curves[:, full], None if common is None else common[full], count, rng)
        known = cut(known, task)
        values[:, full] = [known[0], *bounds(known)]
    mean, low, high = values
    return pd.DataFrame({"mean": mean, "ci_low": low, "ci_high": high, "n_runs": there})
