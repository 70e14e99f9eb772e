"""Two panels: what three seeds would have printed, and how often their intervals cover."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import panels
from analysis.drawing.style import CYCLE, INK, MUTED, PAPER, objective_styles
from analysis.published.paper import task_name
from analysis.reports.seeds.numbers import Seeds
from analysis.reports.seeds.text import status
from analysis.statistics.intervals import ENOUGH, METHODS, TOO_MUCH


def draw(found: Seeds) -> Figure:
    """The figure."""
    figure = Figure(figsize=(11.5, 5.2))
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    _protocol(left, found)
    _coverage(right, found)
    figure.supxlabel(status(found).split(". ")[0] + ".", color=MUTED, fontsize=9)
    return figure


def _protocol(axes: Axes, found: Seeds) -> None:
    rows = found.rows
    styles = objective_styles(rows)
    for place, line in enumerate(rows.to_dict("records")):
        color, ends = styles[line["row"]].color, [line["draw_least"], line["draw_most"]]
        axes.plot(ends, [place, place], color=color, linewidth=1)
        axes.plot([line["draw_low"], line["draw_high"]], [place, place], color=color, linewidth=5)
        axes.plot(line["score"], place, marker="o", color=INK, markersize=4)
        axes.plot(line["paper_score"], place, **PAPER)
    axes.set_yticks(range(len(rows)), [style.name for style in styles.values()])
    axes.invert_yaxis()
    axes.axvline(0, color=MUTED, linewidth=0.9)
    axes.set_title("The paper's protocol, three seeds drawn")
    axes.set_xlabel("average normalized score")
    keys = [
        panels.key("95 % of the draws", color=MUTED, linewidth=5),
        panels.key("all draws", color=MUTED, linewidth=1),
        panels.key("all seeds", color=INK, marker="o", markersize=4, linestyle="none"),
        panels.key("the paper", **PAPER),
    ]
    axes.legend(handles=keys, loc="lower left")


def _coverage(axes: Axes, found: Seeds) -> None:
    tasks = found.coverage.groupby(["method", "task"])["coverage"].mean()
    names = sorted(set(found.coverage["task"]))
    for place, method in enumerate(METHODS):
        for shift, task in zip(np.linspace(-0.25, 0.25, len(names)), names, strict=True):
            color = CYCLE[names.index(task) % len(CYCLE)]
            axes.plot(tasks[method, task], place + shift, "o", color=color, markersize=5)
        mean = found.coverage.loc[found.coverage["method"] == method, "coverage"].mean()
        axes.plot([mean, mean], [place - 0.38, place + 0.38], color=INK, linewidth=2)
    axes.axvspan(ENOUGH, TOO_MUCH, color="#E9F3EC", zorder=0)
    axes.set_yticks(range(len(METHODS)), list(METHODS))
    axes.invert_yaxis()
    axes.set_xlim(0.4, 1.0)  # room for the legend
    axes.set_title("Coverage of 95 % intervals of three seeds")
    axes.set_xlabel("share that holds the mean of the other seeds")
    keys = [
        panels.key(task_name(task), marker="o", linestyle="none", color=CYCLE[n % len(CYCLE)])
        for n, task in enumerate(names)
    ]
    axes.legend(handles=[*keys, panels.key("mean", color=INK)], fontsize=7.5, loc="upper left")
