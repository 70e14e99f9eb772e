"""The pilot's figure: a panel of scores and one a task, a line a variant, a dot a setting."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing import panels
from analysis.drawing.curves import NAMES
from analysis.drawing.style import INK, MUTED, LineStyle, objective_rows, objective_styles
from analysis.reports.pilot.numbers import Pilot

_DODGE = 0.2  # between the settings of one variant, where there is room
_ROOM = 0.85  # of a variant's strip
_FEW = 4  # settings whose base values can be told apart
_DOTTED = (0, (1, 2.5))
Styles = Mapping[str, LineStyle]  # by setting


def figure(pilot: Pilot) -> Figure:
    """Scores at the left, then returns; dotted lines carry the base's values down.

    One task has no panel of scores, which would show its returns again.
    """
    styles = objective_styles(objective_rows(pilot.runs))
    tasks = sorted(set(pilot.returns["task"]))
    variants = [variant.name for variant in pilot.variants]
    several = len(tasks) > 1
    size = (2.5 if several else 5.0, max(0.62, 0.14 * len(styles)) * len(variants))
    abreast = len(tasks) + several
    drawing, grid, _ = panels.grid(abreast, abreast, size, (2.6, 2.0), sharey=True)
    if several:
        scores = pilot.scores[pilot.scores["quantity"].isin(list(styles))]
        scores = scores.rename(columns={"quantity": "row", "score": "value"})
        _panel(grid[0], scores, variants, styles, "All tasks")
        grid[0].set_xlabel("average normalized score")
    for axes, task in zip(grid[-len(tasks) :], tasks, strict=True):
        cells = pilot.returns[pilot.returns["task"] == task]
        _panel(axes, cells.rename(columns={"return": "value"}), variants, styles, task)
        axes.set_xlabel("return")
    grid[0].set_yticks(range(len(variants)), [_named(name) for name in variants])
    grid[0].set_ylim(len(variants) - 0.5, -0.5)
    _legend(drawing, styles)
    return drawing


def _named(variant: str) -> str:
    known = re.sub(r"recipe=(\w+)", lambda recipe: NAMES.get(recipe[1], recipe[0]), variant)
    return known.replace(", ", ",\n")


def _panel(
    axes: Axes, cells: pd.DataFrame, variants: Sequence[str], styles: Styles, title: str
) -> None:
    lines = {(line["variant"], line["row"]): line for line in cells.to_dict("records")}
    dodge = min(_DODGE, _ROOM / len(styles))
    for place, variant in enumerate(variants):
        for number, (row, style) in enumerate(styles.items()):
            height = place + dodge * (number - (len(styles) - 1) / 2)
            if (variant, row) in lines:
                panels.point(axes, lines[variant, row], "value", height, style.color, 5.5, 2)
    panels.separate(axes, variants)
    for row, style in styles.items() if len(styles) <= _FEW else ():
        value = float(lines[variants[0], row]["value"]) if (variants[0], row) in lines else np.nan
        axes.axvline(value, color=style.color, linewidth=1, linestyle=_DOTTED, alpha=0.9)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    panels.panel_title(axes, title, cells)


def _legend(drawing: Figure, styles: Styles) -> None:
    handles = [panels.key(style.name, marker="o", color=style.color) for style in styles.values()]
    if len(styles) <= _FEW:
        base = {"color": MUTED, "linewidth": 1, "linestyle": _DOTTED}
        handles.append(panels.key("value of the base", **base))
    columns = min(len(handles), int(drawing.get_figwidth() / 2.4))
    drawing.legend(handles=handles, loc="outside lower center", ncols=columns, labelcolor=INK)
