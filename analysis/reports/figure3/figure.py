"""The picture of Figure 3: seven panels, every algorithm, the paper's curves dashed behind."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import panels
from analysis.drawing.algorithms import entry, ordered
from analysis.drawing.curves import keys, labelled, panel
from analysis.drawing.style import ALARM, MUTED
from analysis.published.paper import PAPER_TASKS, Curve, task_name
from analysis.reports.figure3.numbers import Curves

_COLUMNS = 4


def figure(table: pd.DataFrame, paper: Curves, episodes: int) -> Figure:
    """One panel a task of the paper's, with or without runs, and one for each further task.

    `table` is `runs.curves.COLUMNS`, the labels are entries.
    """
    tasks = sorted({task_name(task) for task in table["task"]} | set(PAPER_TASKS))
    styles = {key: entry(key) for key in ordered(table["label"])}
    places = len(tasks) + 1  # one is left for the legend
    drawing, grid, _ = panels.grid(places, _COLUMNS, (3.6, 3.1), (1.0, 0.6))
    for axes, task in zip(grid, tasks, strict=False):
        mine = table[table["task"].map(task_name) == task]
        if mine.empty:
            _empty_panel(axes, task)
        else:
            panel(axes, mine, styles, _dashed(styles, paper, task))
    panels.only_below(grid[:-1], _COLUMNS)
    labelled(drawing, episodes, unit="training episodes")
    grid[-1].set_axis_off()
    grid[-1].legend(
        handles=keys(table, styles, "the paper, in the same color" if paper else ""),
        loc="center left",
        title="algorithm (finished of expected runs)",
        alignment="left",
        fontsize=8.5,
    )
    return drawing


def _dashed(keys: Iterable[str], paper: Curves, task: str) -> list[tuple[str, Curve]]:
    """The paper's curves in a task, each once, in the color of the first entry it stands beside."""
    found: dict[str, tuple[str, Curve]] = {}
    for key in keys:
        curves = paper.get(entry(key).paper, {})
        if task in curves:
            found.setdefault(entry(key).paper, (entry(key).color, curves[task]))
    return list(found.values())


def _empty_panel(axes: Axes, task: str) -> None:
    """A task of the paper's that was not run: said, not left out."""
    axes.set_title(task, pad=17, color=MUTED)
    axes.text(0.5, 0.5, "no runs", transform=axes.transAxes, ha="center", color=ALARM)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
