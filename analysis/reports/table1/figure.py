"""Figures of Table 1: scores beside the paper's, and returns task by task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing import panels
from analysis.drawing.style import (
    ALARM,
    INK,
    MUTED,
    PAPER,
    LineStyle,
    objective_styles,
    scaled,
)
from analysis.drawing.text import amount, runs_of, score
from analysis.reports.table1.numbers import Table1
from analysis.statistics.scoring import Scores

# Runs that collapse have no lower bound; below this the other rows would merge into one point.
# Values left of an axis are printed at its edge: cut off, but never silently.
_LOWEST_SCORE = -1.5
_ABOVE = 0.38  # of a row: where it is printed, so that it is not on the interval


def score_figure(rows: pd.DataFrame, subtitle: str) -> Figure:
    """`Table1.rows` with intervals, the paper's scores as hollow diamonds, n of N at the right."""
    figure = Figure(figsize=(7.6, 1.5 + 0.36 * len(rows)))
    axes = figure.add_subplot()
    styles = objective_styles(rows)
    for place, line in enumerate(rows.to_dict("records")):
        color = styles[line["row"]].color
        panels.point(axes, line, "score", place - 0.1, color)
        if (lowest := min(line["score"], np.nan_to_num(line["ci_low"]))) < _LOWEST_SCORE:
            _beside(axes, 0.02, place - _ABOVE, f"◀ {score(lowest)}", color, 8)
        axes.plot(line["paper_score"], place + 0.2, **PAPER)
        whole = line["n_runs"] == line["n_expected"]
        _beside(axes, 1.02, place, runs_of(line), INK if whole else ALARM, 8.5)
    _beside(axes, 1.02, -0.9, "runs", MUTED, 8.5)
    _name_rows(axes, rows, styles)
    axes.axvline(0, color=MUTED, linewidth=0.9)
    if rows[["score", "ci_low"]].min().min() < _LOWEST_SCORE:
        axes.set_xlim(left=_LOWEST_SCORE)
    axes.set_xlabel("average normalized score\n(0: random policy, 1: best result of each task)")
    axes.set_title("Table 1: surrogate objectives", pad=scaled(35))
    axes.text(0, 1.02, subtitle, transform=axes.transAxes, color=MUTED, fontsize=scaled(9))
    ours = {"marker": "o", "markersize": 6.5, "color": INK, "linewidth": 1.6}
    paper = panels.key("the paper (no spread given)", **PAPER)
    handles = [panels.key("these runs, 95 % interval", **ours), paper]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def task_figure(
    table: Table1, episodes: int, styles: Mapping[str, LineStyle] | None = None
) -> Figure:
    """One panel a task: mean return and interval a row, single runs as small dots.

    `styles` name and color the rows, by row; by default they are objectives.
    """
    tasks = table.tasks
    names = sorted(set(tasks["task"]))
    rows = tasks.drop_duplicates("row")[["row", "objective", "value"]]
    styles = styles or objective_styles(rows)
    columns = min(4, len(names))
    size = (3.0, 0.8 + 0.26 * len(rows))
    figure, grid, spare = panels.grid(len(names), columns, size, (2.2, 1.4), sharey=True)
    for axes, task in zip(grid, names, strict=True):
        _task_panel(axes, rows, tasks[tasks["task"] == task], table.scores, task, styles)
        axes.set_xlabel("return")
    panels.only_below(grid, columns)
    _task_legend(figure, spare, episodes)
    return figure


def _task_panel(
    axes: Axes,
    rows: pd.DataFrame,
    cells: pd.DataFrame,
    scores: Scores,
    task: str,
    styles: Mapping[str, LineStyle],
) -> None:
    colors = {row: style.color for row, style in styles.items()}
    lines = {line["row"]: line for line in cells.to_dict("records")}
    runs = scores.runs[scores.runs["task"] == task]
    scale = scores.tasks[scores.tasks["task"] == task]
    low_edge = _low_edge(runs, scale)
    dots: dict[str, Any] = {"marker": "o", "markersize": 2.6, "alpha": 0.65, "linestyle": "none"}
    for place, row in enumerate(rows["row"]):
        values = runs.loc[runs["row"] == row, "return"].to_numpy(float)
        axes.plot(values, np.full(len(values), place + 0.25), color=colors[row], **dots)
        if row in lines:
            panels.point(axes, lines[row], "return", place - 0.08, colors[row], size=5)
            lowest = np.nanmin([*values, lines[row]["return"], np.inf])
            if lowest < low_edge:
                _beside(axes, 0.02, place - _ABOVE, f"◀ {amount(lowest)}", colors[row], 8)
    _name_rows(axes, rows, styles)
    remark = "not scored" if (scale["excluded"] != "").any() else ""
    panels.panel_title(axes, task, cells, remark)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for line in scale.to_dict("records"):
        axes.axvline(line["random"], color=MUTED, linewidth=1, linestyle=":")
        axes.axvline(line["best"], color=MUTED, linewidth=1, linestyle="--")
    if not math.isnan(low_edge):
        top = float(np.nanmax(cells[["return", "ci_high"]].to_numpy(float)))
        right = max(scale["best"].max(), top)
        axes.set_xlim(low_edge, right + 0.04 * (right - low_edge))


def _name_rows(axes: Axes, rows: pd.DataFrame, styles: Mapping[str, LineStyle]) -> None:
    axes.set_yticks(range(len(rows)), [styles[row].name for row in rows["row"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    panels.separate(axes, rows["objective"].tolist())


def _low_edge(runs: pd.DataFrame, scale: pd.DataFrame) -> float:
    """Where the axis begins when single runs collapse so far that they would flatten the rest.

    NaN where all fits.
    """
    if scale.empty or scale["excluded"].iloc[0]:
        return float("nan")
    random, best = float(scale["random"].iloc[0]), float(scale["best"].iloc[0])
    edge = random - 0.6 * (best - random)
    return edge if runs["return"].min() < edge else float("nan")


def _beside(axes: Axes, x: float, place: float, text: str, color: str, size: float) -> None:
    """Text in a row, `x` of the panel's width from its left."""
    where = axes.get_yaxis_transform()
    axes.text(x, place, text, transform=where, va="center", fontsize=scaled(size), color=color)


def _task_legend(figure: Figure, spare: Sequence[Axes], episodes: int) -> None:
    dot, line = {"marker": "o", "color": INK}, {"color": MUTED, "linewidth": 1}
    handles = [
        panels.key("mean over seeds, 95 % interval", markersize=5, **dot),
        panels.key("single run", markersize=2.6, linestyle="none", **dot),
        panels.key("random policy (score 0)", linestyle=":", **line),
        panels.key("best result (score 1)", linestyle="--", **line),
    ]
    title = f"return: mean of the last {episodes} training episodes"
    if spare:
        spare[0].legend(handles=handles, loc="center", title=title, alignment="left")
    else:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, title=title)
