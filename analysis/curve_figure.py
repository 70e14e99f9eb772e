"""The figure of learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.lines
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.render import amount, of
from analysis.selection import task_name
from analysis.stats import FloatArray
from analysis.style import (
    CYCLE,
    INK,
    new_figure,
    objective_colors,
    objective_name,
    panel_title,
    png,
    steps_axis,
    styled,
)

PAPER_STEPS = 1_000_000  # Figure 3's horizontal axis


class LineStyle(NamedTuple):
    """How a label is named and drawn."""

    name: str
    color: str


def line_styles(
    kinds: Mapping[str, tuple[str, float | None]], labels: Sequence[str]
) -> dict[str, LineStyle]:
    """Names and colors: by objective family where `kinds` (label -> kind, value) is given."""
    if not kinds:
        return {
            label: LineStyle(label, CYCLE[place % len(CYCLE)]) for place, label in enumerate(labels)
        }
    rows = [
        (label, kind, math.nan if value is None else float(value))
        for label, (kind, value) in kinds.items()
    ]
    colors = objective_colors(rows)
    order = ("none", "clip", "clip_log", "kl_adaptive", "kl_fixed")
    rows.sort(key=lambda row: (order.index(row[1]) if row[1] in order else len(order), *row[1:]))
    return {
        label: LineStyle(objective_name(kind, value, math=True), colors[label])
        for label, kind, value in rows
    }


def figure(
    table: pd.DataFrame,
    styles: Mapping[str, LineStyle],
    by: str,
    paper: Mapping[str, FloatArray],
    episodes: int,
) -> bytes:
    """One panel a task, the legend outside the data.

    Args:
        table: `curves.COLUMNS`.
        styles: name and color by label, in the legend's order.
        by: what the labels are values of.
        paper: Figure 3's curve by task without version; empty for none.
        episodes: window of the smoothing.
    """
    tasks = sorted(set(table["task"]))
    with styled():
        columns = 1 if len(tasks) == 1 else min(4, max(2, math.ceil(len(tasks) / 2)))
        height = math.ceil(len(tasks) / columns)
        beside = columns < 3 and columns * height == len(tasks)
        drawing = new_figure(1.0 + 3.3 * columns + (3.0 if beside else 0.0), 1.3 + 2.7 * height)
        grid = drawing.subplots(height, columns, squeeze=False).ravel().tolist()
        for place, (axes, task) in enumerate(zip(grid, tasks, strict=False)):
            _panel(axes, table[table["task"] == task], styles, paper.get(task_name(task)))
            if place + columns < len(tasks):
                axes.set_xlabel("")
        for axes in grid[len(tasks) :]:
            axes.set_axis_off()
        drawing.supylabel(f"return, mean of the last {episodes} episodes", fontsize=9.5)
        _legend(drawing, grid[len(tasks) :], _handles(table, styles, bool(paper)), by, beside)
        return png(drawing)


def _panel(
    axes: Axes, table: pd.DataFrame, styles: Mapping[str, LineStyle], paper: FloatArray | None
) -> None:
    groups = dict(iter(table.groupby("label")))
    crowded = len(styles) > 6
    done = expected = 0
    for label, style in styles.items():
        if label not in groups:
            continue
        line = groups[label]
        done += int(line["n_runs"].max())
        expected += int(line["n_expected"].iloc[0])
        axes.fill_between(
            line["step"],
            line["ci_low"],
            line["ci_high"],
            color=style.color,
            alpha=0.07 if crowded else 0.16,
            linewidth=0,
        )
        axes.plot(line["step"], line["mean"], color=style.color, linewidth=1.3 if crowded else 1.8)
    if paper is not None:
        axes.plot(np.linspace(0, PAPER_STEPS, len(paper)), paper, "--", color=INK, linewidth=1.4)
    steps_axis(axes)
    axes.set_xlim(0, table["step"].max())
    panel_title(axes, str(table["task"].iloc[0]), done, expected)
    _cut_collapsed(axes, table, styles, paper)


def _cut_collapsed(
    axes: Axes, table: pd.DataFrame, styles: Mapping[str, LineStyle], paper: FloatArray | None
) -> None:
    """End the axis above lines that fall so far that the others would be flat, and say so."""
    means = table["mean"].dropna()
    if means.empty:
        return
    start = float(table.groupby("label")["mean"].first().min())
    top = float(means.max())
    floor = start - 0.35 * (top - start)
    lowest = table.groupby("label")["mean"].min()
    fallen = [label for label in styles if label in lowest.index and lowest[label] < floor]
    if not fallen or top <= start:
        return
    top = float(np.fmax(table["ci_high"].max(), top if paper is None else max(top, paper.max())))
    axes.set_ylim(floor, top + 0.04 * (top - floor))
    for place, label in enumerate(fallen):
        axes.annotate(
            f"▼ {styles[label].name}: down to {amount(float(lowest[label]))}",
            (0.98, 0.03 + 0.075 * place),
            xycoords="axes fraction",
            fontsize=7.5,
            horizontalalignment="right",
            color=styles[label].color,
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )


def _handles(
    table: pd.DataFrame, styles: Mapping[str, LineStyle], paper: bool
) -> list[matplotlib.lines.Line2D]:
    cells = table.groupby(["label", "task"]).agg({"n_runs": "max", "n_expected": "first"})
    totals = cells.groupby("label").sum()
    handles = [
        matplotlib.lines.Line2D(
            [],
            [],
            color=style.color,
            linewidth=2.2,
            label=f"{style.name}  ({of(*totals.loc[label, ['n_runs', 'n_expected']])})",
        )
        for label, style in styles.items()
    ]
    if paper:
        handles.append(
            matplotlib.lines.Line2D(
                [],
                [],
                color=INK,
                linestyle="--",
                linewidth=1.4,
                label="the paper's Figure 3, PPO (Clip)",
            )
        )
    return handles


def _legend(
    drawing: Figure,
    spare: Sequence[Axes],
    handles: Sequence[matplotlib.lines.Line2D],
    by: str,
    beside: bool,
) -> None:
    """In a spare panel, else beside narrow figures, else below wide ones: never over data."""
    title = "objective (runs)" if by == "objective_label" else f"{by} (runs)"
    if spare and len(handles) <= 13:
        spare[0].legend(
            handles=handles, loc="center left", title=title, alignment="left", fontsize=8.5
        )
        return
    drawing.legend(
        handles=handles,
        loc="outside right upper" if beside else "outside lower center",
        ncols=1 if beside else min(4, len(handles)),
        title=title,
        alignment="left",
    )
