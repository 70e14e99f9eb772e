"""The figure of section 6.4: learning curves, one panel a game, beside the paper's ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib.lines
import pandas as pd
from matplotlib.axes import Axes

from analysis.drawing.style import (
    CYCLE,
    INK,
    PAPER,
    new_figure,
    panel_title,
    png,
    steps_axis,
    styled,
)

BESIDE = 1.03  # the paper's ends stand right of the axis: its runs may be longer than these


def figure(
    table: pd.DataFrame,
    names: Mapping[str, str],
    papers: Mapping[str, str],
    ends: Mapping[str, Mapping[str, Sequence[float]]],
    episodes: int,
) -> bytes:
    """PNG.

    Args:
        table: `curves.COLUMNS`; `task` is the game, `label` the algorithm.
        names: label -> how it is named.
        papers: label -> how the paper's of that kind is named in `ends`, if it is to be marked.
        ends: game -> algorithm -> ends of the paper's curves, one a seed.
        episodes: window of the smoothing.
    """
    games = sorted(set(table["task"]))
    colors = {label: CYCLE[place % len(CYCLE)] for place, label in enumerate(names)}
    with styled():
        columns = min(7, max(math.ceil(math.sqrt(len(games))), min(3, len(games)), 1))
        rows = math.ceil(len(games) / columns)
        handles = _handles(names, colors)
        abreast = min(len(handles), 2 * columns - 1)
        legend_rows = math.ceil(len(handles) / abreast)
        drawing = new_figure(1.0 + 2.9 * columns, 1.2 + 0.2 * legend_rows + 2.3 * rows)
        grid = drawing.subplots(rows, columns, squeeze=False).ravel().tolist()
        for place, (axes, game) in enumerate(zip(grid, games, strict=False)):
            told = ends.get(game, {})
            marks = {label: told.get(paper, ()) for label, paper in papers.items()}
            _panel(axes, table[table["task"] == game], colors, marks)
            if place + columns < len(games):
                axes.set_xlabel("")
        for axes in grid[len(games) :]:
            axes.set_axis_off()
        drawing.supylabel(f"score, mean of the last {episodes} games", fontsize=9.5)
        drawing.legend(handles=handles, loc="outside lower center", ncols=abreast)
        return png(drawing)


def _handles(names: Mapping[str, str], colors: Mapping[str, str]) -> list[matplotlib.lines.Line2D]:
    """Entries of the legend: every algorithm, then the paper's."""
    marker = {**PAPER, "label": "ends of the paper's three runs, 10M steps (Figure 6)"}
    lines = [
        matplotlib.lines.Line2D([], [], color=colors[label], linewidth=2.2, label=name)
        for label, name in names.items()
    ]
    return [*lines, matplotlib.lines.Line2D([], [], **marker)]


def _panel(
    axes: Axes,
    table: pd.DataFrame,
    colors: Mapping[str, str],
    ends: Mapping[str, Sequence[float]],
) -> None:
    done = expected = 0
    for label, color in colors.items():
        line = table[table["label"] == label]
        if line.empty:
            continue
        done += int(line["n_runs"].max())
        expected += int(line["n_expected"].iloc[0])
        axes.fill_between(
            line["step"], line["ci_low"], line["ci_high"], color=color, alpha=0.16, linewidth=0
        )
        axes.plot(line["step"], line["mean"], color=color)
        for end in ends.get(label, ()):
            axes.plot(
                [BESIDE],
                [end],
                transform=axes.get_yaxis_transform(),
                clip_on=False,
                **{**PAPER, "markersize": 4.5, "markeredgecolor": color},
            )
    steps_axis(axes)
    axes.set_xlim(0, table["step"].max())
    axes.tick_params(colors=INK)
    panel_title(axes, str(table["task"].iloc[0]), done, expected)
