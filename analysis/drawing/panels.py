"""Grids of panels, values with intervals, and the entries of legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.drawing.style import ALARM, MUTED, scaled
from analysis.drawing.text import Line, of
from analysis.published.atari import game_name

SEPARATOR = "#CFCFCF"


Size = tuple[float, float]  # width and height in inches


def grid(
    count: int, columns: int, size: Size, margin: Size, blank: int = 0, **share: Any
) -> tuple[Figure, list[Axes], list[Axes]]:
    """Panels row by row: the figure, `[count]` panels, and the `blank` or more places after them.

    `size` is of a panel, `margin` beside and above all of them.
    """
    rows = math.ceil((count + blank) / columns)
    figure = Figure(figsize=(margin[0] + size[0] * columns, margin[1] + size[1] * rows))
    axes = figure.subplots(rows, columns, squeeze=False, **share).ravel().tolist()
    for place in axes[count:]:
        place.set_axis_off()
    return figure, axes[:count], axes[count:]


def only_below(axes: Sequence[Axes], columns: int) -> None:
    """Keep the horizontal axis' label of the lowest panel of each column."""
    for above in axes[: max(len(axes) - columns, 0)]:
        above.set_xlabel("")


def key(label: str, **how: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **how)


def point(
    axes: Axes,
    line: Line,
    value: str,
    place: float,
    color: str,
    size: float = 6.5,
    width: float = 2.2,
) -> None:
    """A value of `line` as a dot at height `place`, its interval as a bar where there is one."""
    low, high = float(line["ci_low"]), float(line["ci_high"])
    if not math.isnan(low):
        axes.plot([low, high], [place, place], color=color, linewidth=width, solid_capstyle="butt")
    axes.plot(float(line[value]), place, marker="o", markersize=size, color=color, linestyle="none")


def separate(axes: Axes, groups: Sequence[object]) -> None:
    """A line between rows of two groups; a row is a whole number of the vertical axis."""
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for place in range(1, len(groups)):
        if groups[place] != groups[place - 1]:
            axes.axhline(place - 0.5, color=SEPARATOR, linewidth=0.8)


def panel_title(axes: Axes, title: str, cells: pd.DataFrame, remark: str = "") -> None:
    """A bold title, and below it n of N runs of all `cells`, in red when some are missing."""
    axes.set_title(title if "-" in title else game_name(title), pad=scaled(17))
    count, expected = cells[["n_runs", "n_expected"]].sum().astype(int)
    text = f"{of(count, expected)} runs" + (f", {remark}" if remark else "")
    color = ALARM if remark or count != expected else MUTED
    above: Any = {"xycoords": "axes fraction", "textcoords": "offset points"}  # at any height
    axes.annotate(text, (0, 1), (0, scaled(5)), fontsize=scaled(8.5), color=color, **above)
