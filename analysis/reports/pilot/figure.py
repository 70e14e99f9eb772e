"""The pilot's figure: a panel of scores and one a task, a line a variant, a dot a setting."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.lines
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing.style import (
    INK,
    MUTED,
    new_figure,
    objective_colors,
    objective_name,
    panel_title,
    png,
    styled,
)

if TYPE_CHECKING:
    from analysis.reports.pilot.command import Pilot

Line = Mapping[Hashable, Any]
_DODGE = 0.2  # between the settings of one variant, where there is room
_ROOM = 0.85  # of a variant's strip
_FEW = 4  # settings whose base values can be told apart


def figure(pilot: Pilot) -> bytes:
    """Scores at the left, then returns; faint lines carry the base's values down.

    One task has no panel of scores, which would show its returns again.
    """
    rows = pilot.runs[["row", "objective", "value"]].drop_duplicates("row")
    kinds = {str(r): (str(k), float(v)) for r, k, v in rows.itertuples(index=False)}
    order = [row for row in pilot.returns["row"].drop_duplicates() if row in kinds]
    colors = objective_colors([(row, *kinds[row]) for row in order])
    tasks = sorted(set(pilot.returns["task"]))
    variants = [variant.name for variant in pilot.variants]
    with styled():
        panels = len(tasks) + (len(tasks) > 1)
        strip = max(0.62, 0.14 * len(order))
        width = 2.6 + (2.5 * panels if panels > 1 else 5.0)
        drawing = new_figure(width, 2.0 + strip * len(variants))
        grid = drawing.subplots(1, panels, sharey=True, squeeze=False).ravel().tolist()
        if len(tasks) > 1:
            scores = pilot.scores[pilot.scores["quantity"].isin(order)]
            scores = scores.rename(columns={"quantity": "row", "score": "value"})
            _panel(grid[0], scores, variants, colors, "All tasks")
            grid[0].set_xlabel("average normalized score")
        for axes, task in zip(grid[-len(tasks) :], tasks, strict=True):
            cells = pilot.returns[pilot.returns["task"] == task]
            _panel(axes, cells.rename(columns={"return": "value"}), variants, colors, task)
            axes.set_xlabel("return")
        grid[0].set_yticks(range(len(variants)), [_wrapped(name) for name in variants])
        grid[0].set_ylim(len(variants) - 0.5, -0.5)
        _legend(drawing, order, kinds, colors)
        return png(drawing)


def _wrapped(name: str) -> str:
    return name.replace(", ", ",\n")


def _panel(
    axes: Axes,
    cells: pd.DataFrame,
    variants: Sequence[str],
    colors: Mapping[str, str],
    title: str,
) -> None:
    lines = {(line["variant"], line["row"]): line for line in cells.to_dict("records")}
    dodge = min(_DODGE, _ROOM / len(colors))
    for place, variant in enumerate(variants):
        for number, (row, color) in enumerate(colors.items()):
            height = place + dodge * (number - (len(colors) - 1) / 2)
            if (variant, row) in lines:
                _point(axes, lines[variant, row], height, color)
        if place:
            axes.axhline(place - 0.5, color="#CFCFCF", linewidth=0.8)
    for row, color in colors.items() if len(colors) <= _FEW else ():
        value = float(lines[variants[0], row]["value"]) if (variants[0], row) in lines else np.nan
        axes.axvline(value, color=color, linewidth=1, linestyle=(0, (1, 2.5)), alpha=0.9)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    panel_title(axes, title, int(cells["n_runs"].sum()), int(cells["n_expected"].sum()))


def _point(axes: Axes, line: Line, height: float, color: str) -> None:
    low, high = float(line["ci_low"]), float(line["ci_high"])
    if not np.isnan(low):
        axes.plot([low, high], [height, height], color=color, linewidth=2, solid_capstyle="butt")
    axes.plot(float(line["value"]), height, marker="o", markersize=5.5, color=color)


def _legend(
    drawing: Figure,
    order: Sequence[str],
    kinds: Mapping[str, tuple[str, float]],
    colors: Mapping[str, str],
) -> None:
    line = matplotlib.lines.Line2D
    handles = [
        line([], [], marker="o", color=colors[row], label=objective_name(*kinds[row], math=True))
        for row in order
    ]
    base = line(
        [], [], color=MUTED, linewidth=1, linestyle=(0, (1, 2.5)), label="value of the base"
    )
    if len(order) <= _FEW:
        handles.append(base)
    columns = int(drawing.get_figwidth() / 2.4)
    drawing.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), columns),
        labelcolor=INK,
    )
