"""Figures of Table 1: scores beside the paper's, and returns task by task."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import matplotlib.lines
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing.style import (
    ALARM,
    INK,
    MUTED,
    PAPER,
    new_figure,
    objective_colors,
    objective_name,
    panel_title,
    png,
    styled,
)
from analysis.drawing.text import amount, of
from analysis.drawing.text import score as format_score
from analysis.statistics.scoring import Scores

# Runs that collapse have no lower bound; below this the other rows would merge into one point.
_LOWEST_SCORE = -1.5


def score_figure(rows: pd.DataFrame, subtitle: str) -> bytes:
    """Our scores with intervals, the paper's as hollow diamonds, n of N at the right.

    Args:
        rows: `table1.Table1.rows`.
        subtitle: what was run.
    """
    with styled():
        figure = new_figure(7.6, 1.5 + 0.36 * len(rows))
        axes = figure.add_subplot()
        colors = _colors(rows)
        for place, line in enumerate(rows.to_dict("records")):
            _point(axes, line, "score", place - 0.1, colors[line["row"]])
            _below(
                axes, line["score"], _LOWEST_SCORE, place - 0.1, colors[line["row"]], format_score
            )
            axes.plot(line["paper_score"], place + 0.2, **PAPER)
            axes.text(
                1.02,
                place,
                of(line["n_runs"], line["n_expected"]),
                va="center",
                fontsize=8.5,
                color=INK if line["n_runs"] == line["n_expected"] else ALARM,
                transform=axes.get_yaxis_transform(),
            )
        axes.text(
            1.02,
            -0.9,
            "runs",
            va="center",
            fontsize=8.5,
            color=MUTED,
            transform=axes.get_yaxis_transform(),
        )
        _name_rows(axes, rows)
        axes.axvline(0, color=MUTED, linewidth=0.9)
        if rows["score"].min() < _LOWEST_SCORE:
            axes.set_xlim(left=_LOWEST_SCORE)
        axes.set_xlabel("average normalized score (0: random policy, 1: best result of each task)")
        axes.set_title("Table 1: surrogate objectives", pad=24)
        axes.text(0, 1.02, subtitle, transform=axes.transAxes, color=MUTED, fontsize=9)
        _score_legend(figure)
        return png(figure)


def _score_legend(figure: Figure) -> None:
    ours = matplotlib.lines.Line2D(
        [],
        [],
        marker="o",
        markersize=6.5,
        color=INK,
        linewidth=1.6,
        label="these runs, 95 % interval",
    )
    paper = matplotlib.lines.Line2D([], [], **PAPER, label="the paper (no spread given)")
    figure.legend(handles=[ours, paper], loc="outside lower center", ncols=2)


def _point(
    axes: Axes, line: Mapping[Hashable, Any], key: str, place: float, color: str, size: float = 6.5
) -> None:
    value, low, high = (float(line[name]) for name in (key, "ci_low", "ci_high"))
    if not math.isnan(low):
        axes.plot([low, high], [place, place], color=color, linewidth=2.2, solid_capstyle="butt")
    axes.plot(value, place, marker="o", markersize=size, color=color, linestyle="none")


def _name_rows(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set_yticks(range(len(rows)), _names(rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    kinds = rows["objective"].tolist()
    for place in range(1, len(kinds)):
        if kinds[place] != kinds[place - 1]:
            axes.axhline(place - 0.5, color="#CFCFCF", linewidth=0.8)


def _names(rows: pd.DataFrame) -> list[str]:
    return [
        objective_name(str(line["objective"]), float(line["value"]), math=True)
        for line in rows.to_dict("records")
    ]


def _colors(rows: pd.DataFrame) -> dict[str, str]:
    return objective_colors(
        [
            (str(line["row"]), str(line["objective"]), float(line["value"]))
            for line in rows.to_dict("records")
        ]
    )


def task_figure(tasks: pd.DataFrame, scores: Scores, episodes: int) -> bytes:
    """One panel a task: mean return and interval a row, single runs as small dots.

    Args:
        tasks: `table1.Table1.tasks`.
        scores: single runs, and the scale of each task.
        episodes: how many last episodes a run's return averages.
    """
    names = sorted(set(tasks["task"]))
    rows = tasks.drop_duplicates("row")[["row", "objective", "value"]]
    with styled():
        columns = min(4, len(names))
        height = math.ceil(len(names) / columns)
        figure = new_figure(2.2 + 3.0 * columns, 1.4 + (0.8 + 0.26 * len(rows)) * height)
        grid = figure.subplots(height, columns, sharey=True, squeeze=False).ravel().tolist()
        for axes, task in zip(grid, names, strict=False):
            _task_panel(axes, rows, tasks[tasks["task"] == task], scores, task)
        for place, axes in enumerate(grid[: len(names)]):
            if place + columns >= len(names):
                axes.set_xlabel("return")
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        _task_legend(figure, grid[len(names) :], episodes)
        return png(figure)


def _task_panel(
    axes: Axes, rows: pd.DataFrame, cells: pd.DataFrame, scores: Scores, task: str
) -> None:
    colors = _colors(rows)
    lines = {line["row"]: line for line in cells.to_dict("records")}
    runs = scores.runs[scores.runs["task"] == task]
    low_edge = _low_edge(runs, scores, task)
    for place, row in enumerate(rows["row"]):
        values = runs.loc[runs["row"] == row, "return"].to_numpy(float)
        axes.plot(
            values,
            np.full(len(values), place + 0.25),
            marker="o",
            markersize=2.6,
            color=colors[row],
            alpha=0.65,
            linestyle="none",
        )
        if row in lines:
            _point(axes, lines[row], "return", place - 0.08, colors[row], size=5)
            _below(axes, float(lines[row]["return"]), low_edge, place, colors[row])
    _name_rows(axes, rows)
    excluded = scores.tasks.loc[scores.tasks["task"] == task, "excluded"]
    remark = "not scored" if (excluded != "").any() else ""
    panel_title(axes, task, int(cells["n_runs"].sum()), int(cells["n_expected"].sum()), remark)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for line in scores.tasks[scores.tasks["task"] == task].to_dict("records"):
        axes.axvline(line["random"], color=MUTED, linewidth=1, linestyle=":")
        axes.axvline(line["best"], color=MUTED, linewidth=1, linestyle="--")
    if not math.isnan(low_edge):
        right = max(scores.tasks.loc[scores.tasks["task"] == task, "best"].max(), _top(cells))
        axes.set_xlim(low_edge, right + 0.04 * (right - low_edge))


def _top(cells: pd.DataFrame) -> float:
    return float(np.nanmax(cells[["return", "ci_high"]].to_numpy(float)))


def _low_edge(runs: pd.DataFrame, scores: Scores, task: str) -> float:
    """Where the axis begins when single runs collapse so far that they would flatten the rest.

    NaN where all fits.
    """
    scale = scores.tasks[scores.tasks["task"] == task]
    if scale.empty or scale["excluded"].iloc[0]:
        return float("nan")
    random, best = float(scale["random"].iloc[0]), float(scale["best"].iloc[0])
    edge = random - 0.6 * (best - random)
    return edge if runs["return"].min() < edge else float("nan")


def _below(
    axes: Axes,
    value: float,
    edge: float,
    place: float,
    color: str,
    number: Callable[[float], str] = amount,
) -> None:
    """Say in the panel what lies left of its axis: cut off, but never silently."""
    if not math.isnan(edge) and value < edge:
        axes.text(
            0.02,
            place,
            f"◀ {number(value)}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=color,
        )


def _task_legend(figure: Figure, spare: Sequence[Axes], episodes: int) -> None:
    line = matplotlib.lines.Line2D
    handles = [
        line([], [], marker="o", markersize=5, color=INK, label="mean over seeds, 95 % interval"),
        line([], [], marker="o", markersize=2.6, color=INK, linestyle="none", label="single run"),
        line([], [], color=MUTED, linewidth=1, linestyle=":", label="random policy (score 0)"),
        line([], [], color=MUTED, linewidth=1, linestyle="--", label="best result (score 1)"),
    ]
    title = f"return: mean of the last {episodes} training episodes"
    if spare:
        spare[0].legend(handles=handles, loc="center", title=title, alignment="left")
    else:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, title=title)
