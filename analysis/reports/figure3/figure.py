"""The picture of Figure 3: seven panels, every algorithm, the paper's curves dashed behind."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes

from analysis.drawing.curves import LineStyle, handles, panel
from analysis.drawing.style import ALARM, MUTED, new_figure, png, styled
from analysis.published.paper import PAPER_TASKS, Curve
from analysis.reports.algorithms import entry, ordered
from analysis.reports.figure3.numbers import Curves
from analysis.runs.selection import task_name

_COLUMNS = 4


def figure(table: pd.DataFrame, paper: Curves, episodes: int) -> bytes:
    """One panel a task of the paper's, with or without runs, and one for each further task.

    Args:
        table: `curves.COLUMNS`; the labels are entries.
        paper: Figure 3's curves, by algorithm of the paper and task without version.
        episodes: window of the smoothing.
    """
    there = sorted(set(table["task"]))
    tasks = sorted({task_name(task) for task in there} | set(PAPER_TASKS))
    styles = {
        key: LineStyle(entry(key).name, entry(key).color, entry(key).line)
        for key in ordered(table["label"])
    }
    with styled():
        height = -(-(len(tasks) + 1) // _COLUMNS)  # a place is left for the legend
        drawing = new_figure(1.0 + 3.6 * _COLUMNS, 0.6 + 3.1 * height)
        grid = drawing.subplots(height, _COLUMNS, squeeze=False).ravel().tolist()
        for place, (axes, task) in enumerate(zip(grid, tasks, strict=False)):
            mine = table[table["task"].map(task_name) == task]
            if mine.empty:
                _empty_panel(axes, task)
            else:
                panel(axes, mine, styles, _dashed(styles, paper, task))
            if place + _COLUMNS < len(tasks):
                axes.set_xlabel("")
        for axes in grid[len(tasks) :]:
            axes.set_axis_off()
        drawing.supylabel(f"return, mean of the last {episodes} training episodes", fontsize=9.5)
        grid[len(tasks)].legend(
            handles=handles(table, styles, "the paper, in the same color" if paper else ""),
            loc="center left",
            title="algorithm (finished of expected runs)",
            alignment="left",
            fontsize=8.5,
        )
        return png(drawing)


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
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
