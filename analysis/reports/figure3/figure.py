"""The picture of Figure 3: a panel a task, every algorithm, the paper's curves dashed behind."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing import panels
from analysis.drawing.algorithms import entry, ordered
from analysis.drawing.curves import keys, labelled, panel
from analysis.drawing.style import scaled
from analysis.published.paper import Curve, task_name
from analysis.reports.figure3.numbers import Curves

_COLUMNS = 4


def figure(table: pd.DataFrame, paper: Curves, episodes: int) -> Figure:
    """One panel a task; `table` is `runs.curves.COLUMNS`, the labels are entries."""
    tasks = sorted(set(table["task"]))
    styles = {key: entry(key) for key in ordered(table["label"])}
    places = len(tasks) + 1  # one is left for the legend
    columns = min(_COLUMNS, places)
    drawing, grid, _ = panels.grid(places, columns, (3.6, 3.1), (1.0, 0.6))
    for axes, task in zip(grid, tasks, strict=False):
        dashed = _dashed(styles, paper, task_name(task))
        panel(axes, table[table["task"] == task], styles, dashed)
    panels.only_below(grid[:-1], columns)
    labelled(drawing, table, episodes, unit="training episodes")
    grid[-1].set_axis_off()
    grid[-1].legend(
        handles=keys(table, styles, "the paper, in the same color" if paper else ""),
        loc="center left",
        title="algorithm (finished of expected runs)",
        alignment="left",
        fontsize=scaled(8.5),
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
