"""Learning curves: a panel a task, a line and a band a label."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from analysis.drawing import panels, style
from analysis.drawing.algorithms import ENTRIES, entry
from analysis.drawing.style import CYCLE, INK, MUTED, LineStyle, scaled
from analysis.drawing.text import amount, runs_of
from analysis.published.paper import Curve, task_name

Dashed = Sequence[tuple[str, Curve]]  # published curves with their colors

# Values that people know by another name; each has its place in `CYCLE` in every figure.
NAMES = {
    "paper": "the paper's recipe",
    "ppo2": "OpenAI Baselines' ppo2",
    "ppo1": "OpenAI Baselines' ppo1",
    "sb3": "Stable-Baselines3's recipe",
    "cleanrl": "CleanRL's recipe",
    "cnn_a3c": "CNN of Mnih et al. 2016",
    "cnn_nature": "CNN of Mnih et al. 2015",
}


def line_styles(labels: Sequence[str]) -> dict[str, LineStyle]:
    """Names and colors of labels without a family: algorithms, recipes, values of a key."""
    known = dict(zip(NAMES, CYCLE, strict=False))
    colors = {label: known[label] for label in labels if label in known}
    others = [label for label in labels if label not in {*known, *ENTRIES}]
    colors |= style.label_colors(others, taken=[*colors.values()])
    styles = {label: LineStyle(NAMES.get(label, label), color) for label, color in colors.items()}
    return {label: styles[label] if label in styles else entry(label) for label in labels}


def panel(
    axes: Axes,
    table: pd.DataFrame,
    styles: Mapping[str, LineStyle],
    paper: Dashed = (),
    width: float | None = None,
) -> None:
    """One task: a line and a band a label, published curves dashed behind, n of N in the title.

    `table` is `runs.curves.COLUMNS` of the task.
    """
    groups = dict(iter(table.groupby("label")))
    crowded = len(styles) > 6
    width = width or (1.3 if crowded else 1.8)
    last = float(table["step"].max())
    for color, curve in paper:
        axes.plot(*curve.until(last), "--", color=color, linewidth=1.1 if len(paper) > 1 else 1.4)
    band: Any = {"alpha": 0.07 if crowded else 0.16, "linewidth": 0}
    for label in (label for label in styles if label in groups):
        line, look = groups[label], styles[label]
        axes.fill_between(line["step"], line["ci_low"], line["ci_high"], color=look.color, **band)
        axes.plot(line["step"], line["mean"], look.line, color=look.color, linewidth=width)
    axes.set_xlabel("environment steps")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 0, 200k, ... 1M
    axes.set_xlim(0, last)
    panels.panel_title(axes, str(table["task"].iloc[0]), _totals(table))
    _cut_collapsed(axes, table, styles, [(color, curve.until(last)) for color, curve in paper])


def _totals(table: pd.DataFrame) -> pd.DataFrame:
    """`n_runs, n_expected` by label and task."""
    return table.groupby(["label", "task"]).agg({"n_runs": "max", "n_expected": "first"})


def _cut_collapsed(
    axes: Axes, table: pd.DataFrame, styles: Mapping[str, LineStyle], paper: Dashed
) -> None:
    """End the axis above lines that fall so far that the others would be flat, and say so."""
    means = table.groupby("label")["mean"]
    start, top, lowest = float(means.first().min()), float(means.max().max()), means.min()
    floor = start - 0.35 * (top - start)
    fallen = [label for label in styles if label in lowest.index and lowest[label] < floor]
    if not fallen or top <= start:
        return
    axes.set_ylim(floor, axes.get_ylim()[1])
    # A band may reach below the axis where its line does not.
    lows = table.groupby("label")["ci_low"].min().fillna(lowest).clip(upper=lowest)
    below = [(styles[x].name, styles[x].color, lows[x]) for x in styles if lows.get(x, top) < floor]
    ends = [(color, float(curve.returns.min())) for color, curve in paper]
    below += [("the paper", color, low) for color, low in ends if low < floor]
    for place, (name, color, low) in enumerate(below):
        axes.annotate(
            f"▼ {name}: down to {amount(float(low))}",
            (0.98, 0.03 + 0.075 * place),
            xycoords="axes fraction",
            fontsize=scaled(7.5),
            horizontalalignment="right",
            color=color,
            bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        )


def keys(table: pd.DataFrame, styles: Mapping[str, LineStyle], paper: str = "") -> list[Line2D]:
    """Entries of the legend: every label with its n of N, then what dashed lines are, if any."""
    totals = _totals(table).groupby("label").sum()
    entries = []
    for label, look in styles.items():
        text = f"{look.name}  ({runs_of(totals.loc[label].to_dict())})"
        how = {"color": look.color, "linestyle": look.line, "linewidth": 2.2}
        entries.append(panels.key(text, **how))
    return entries + [panels.key(paper, color=INK, linestyle="--", linewidth=1.4)] * bool(paper)


def drawn(
    table: pd.DataFrame,
    styles: Mapping[str, LineStyle],
    said: str,
    columns: int,
    size: panels.Size,
    margin: panels.Size,
    paper: Callable[[str], Dashed] = lambda task: (),
    width: float | None = None,
    blank: int = 0,
) -> tuple[Figure, list[Axes], list[Axes]]:
    """`panels.grid` with one panel a task; `said` names the vertical axis of all.

    `table` is `runs.curves.COLUMNS`, `paper` what is published of a task.
    """
    tasks = sorted(set(table["task"]))
    drawing, grid, spare = panels.grid(len(tasks), columns, size, margin, blank)
    for axes, task in zip(grid, tasks, strict=True):
        panel(axes, table[table["task"] == task], styles, paper(task), width)
    panels.only_below(grid, columns)
    bands = "line: mean over seeds; band: 95 % interval of that mean, step by step"
    if table["ci_low"].isna().all():
        bands = "line: a single run, so without an interval"
    drawing.suptitle(bands, x=0.01, horizontalalignment="left", fontsize=scaled(8.5), color=MUTED)
    drawing.supylabel(said, fontsize=scaled(9.5))
    return drawing, grid, spare


def figure(
    table: pd.DataFrame,
    styles: Mapping[str, LineStyle],
    title: str,
    paper: Mapping[str, Curve],
    episodes: int,
) -> Figure:
    """One panel a task; the legend in a spare panel, beside narrow figures or below wide ones.

    `table` is `runs.curves.COLUMNS`, `paper` Figure 3's curve by task without version.
    """
    tasks = set(table["task"])
    columns = 1 if len(tasks) == 1 else min(4, max(2, math.ceil(len(tasks) / 2)))
    beside = columns < 3 and len(tasks) % columns == 0
    curves = {task: [(INK, paper[task_name(task)])] for task in tasks if task_name(task) in paper}
    said, margin = f"return, mean of the last {episodes} episodes", (1.0 + 3.0 * beside, 1.3)
    drawing, _, spare = drawn(
        table, styles, said, columns, (3.3, 2.7), margin, lambda task: curves.get(task, ())
    )
    handles = keys(table, styles, "the paper's Figure 3, PPO (Clip)" if curves else "")
    how = {"handles": handles, "title": title, "alignment": "left"}
    if spare and len(handles) <= 13:
        spare[0].legend(loc="center left", fontsize=scaled(8.5), **how)
    elif beside:
        drawing.legend(loc="outside right center", **how)
    else:
        drawing.legend(loc="outside lower center", ncols=min(4, len(handles)), **how)
    return drawing
