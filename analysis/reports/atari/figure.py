"""The figure of section 6.4: learning curves, one panel a game, beside the paper's ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import panels
from analysis.drawing.curves import drawn, line_styles
from analysis.drawing.style import INK, PAPER, LineStyle
from analysis.reports.atari.numbers import SB3, name_of

BESIDE = 1.03  # the paper's ends stand right of the axis: its runs may be longer than these

Ends = Mapping[str, Mapping[str, Sequence[float]]]  # game -> algorithm -> one a seed


def figure(table: pd.DataFrame, ends: Ends, episodes: int) -> Figure:
    """One panel a game; `table` is `runs.curves.COLUMNS`, the labels are algorithms."""
    games, labels = (sorted(set(table[name])) for name in ("task", "label"))
    styles = {x: replace(style, name=name_of(x)) for x, style in line_styles(labels).items()}
    papers = papers_of({label: style.name for label, style in styles.items()})
    columns = min(7, max(math.ceil(math.sqrt(len(games))), min(3, len(games)), 1))
    handles = [panels.key(x.name, color=x.color, linewidth=2.2) for x in styles.values()]
    handles.append(panels.key("ends of the paper's three runs, 10M steps (Figure 6)", **PAPER))
    abreast = min(len(handles), 2 * columns - 1)
    size, margin = (2.9, 2.3), (1.0, 1.2 + 0.2 * math.ceil(len(handles) / abreast))
    said = f"score, mean of the last {episodes} games"
    drawing, grid, _ = drawn(table, styles, said, columns, size, margin, width=1.6)
    for axes, game in zip(grid, games, strict=True):
        axes.tick_params(colors=INK)
        for label, paper in papers.items():
            _mark(axes, styles[label], ends.get(game, {}).get(paper, ()))
    drawing.legend(handles=handles, loc="outside lower center", ncols=abreast)
    return drawing


def papers_of(names: Mapping[str, str]) -> dict[str, str]:
    """Label -> the paper's of its kind; for SB3's only where ours, which it stands by, is not."""
    papers = {label: name.removesuffix(SB3) for label, name in names.items()}
    return {k: v for k, v in papers.items() if v == names[k] or v not in names.values()}


def _mark(axes: Axes, style: LineStyle, ends: Sequence[float]) -> None:
    how = {**PAPER, "markersize": 4.5, "markeredgecolor": style.color}
    where = axes.get_yaxis_transform()
    for end in ends:
        axes.plot([BESIDE], [end], transform=where, clip_on=False, **how)
