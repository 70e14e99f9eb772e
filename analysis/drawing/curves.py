"""The figure of learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.lines
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.style import (
    CYCLE,
    INK,
    Line,
    new_figure,
    objective_colors,
    objective_name,
    panel_title,
    png,
    steps_axis,
    styled,
)
from analysis.drawing.text import amount, of
from analysis.published.paper import Curve
from analysis.runs.selection import task_name


class LineStyle(NamedTuple):
    """How a label is named and drawn; `line` is matplotlib's name, dashed being the paper's."""

    name: str
    color: str
    line: Line = "-"


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
    paper: Mapping[str, Curve],
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
            curve = paper.get(task_name(task))
            dashed = [] if curve is None else [(INK, curve)]
            panel(axes, table[table["task"] == task], styles, dashed)
            if place + columns < len(tasks):
                axes.set_xlabel("")
        for axes in grid[len(tasks) :]:
            axes.set_axis_off()
        drawing.supylabel(f"return, mean of the last {episodes} episodes", fontsize=9.5)
        published = "the paper's Figure 3, PPO (Clip)" if paper else ""
        _legend(drawing, grid[len(tasks) :], handles(table, styles, published), by, beside)
        return png(drawing)


def panel(
    axes: Axes,
    table: pd.DataFrame,
    styles: Mapping[str, LineStyle],
    paper: Sequence[tuple[str, Curve]],
) -> None:
    """One task: a line and a band a label, published curves dashed behind, n of N in the title.

    Args:
        axes: empty.
        table: `curves.COLUMNS` of the task, one row or more.
        styles: name, color and line by label.
        paper: color and curve of each published one; drawn as far as ours reach.
    """
    groups = dict(iter(table.groupby("label")))
    crowded = len(styles) > 6
    done = expected = 0
    last = float(table["step"].max())
    for color, curve in paper:
        axes.plot(*curve.until(last), "--", color=color, linewidth=1.1 if len(paper) > 1 else 1.4)
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
        axes.plot(
            line["step"],
            line["mean"],
            style.line,
            color=style.color,
            linewidth=1.3 if crowded else 1.8,
        )
    steps_axis(axes)
    axes.set_xlim(0, last)
    panel_title(axes, str(table["task"].iloc[0]), done, expected)
    _cut_collapsed(axes, table, styles)


def _cut_collapsed(axes: Axes, table: pd.DataFrame, styles: Mapping[str, LineStyle]) -> None:
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
    axes.set_ylim(floor, axes.get_ylim()[1])
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


def handles(
    table: pd.DataFrame, styles: Mapping[str, LineStyle], paper: str
) -> list[matplotlib.lines.Line2D]:
    """Entries of the legend: every label with its n of N, then what dashed lines are, if any."""
    cells = table.groupby(["label", "task"]).agg({"n_runs": "max", "n_expected": "first"})
    totals = cells.groupby("label").sum()
    entries = [
        matplotlib.lines.Line2D(
            [],
            [],
            color=style.color,
            linestyle=style.line,
            linewidth=2.2,
            label=f"{style.name}  ({of(*totals.loc[label, ['n_runs', 'n_expected']])})",
        )
        for label, style in styles.items()
    ]
    if paper:
        entries.append(
            matplotlib.lines.Line2D([], [], color=INK, linestyle="--", linewidth=1.4, label=paper)
        )
    return entries


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
