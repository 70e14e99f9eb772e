"""The picture of `rlhf`: gold and proxy against the root of the KL, best of n behind."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import panels
from analysis.drawing.style import CYCLE, INK, Stroke
from analysis.reports.rlhf.numbers import Numbers

Looks = dict[str, tuple[str, Stroke]]  # cell -> color and line


def figure(found: Numbers, cells: list[str]) -> Figure:
    """Two panels, and a look for each of `cells`; thin lines are seeds, dots are ends."""
    drawing, (gold, proxy, legend), _ = panels.grid(3, 3, (4.0, 3.6), (0.4, 0.4))
    looks = _looks(found, cells)
    for axes, name, title in ((gold, "gold", "Gold reward"), (proxy, "proxy", "Proxy reward")):
        _panel(axes, found, name, looks)
        axes.set(xlabel="root of KL(policy, base), nats", title=title)
    handles = [
        panels.key(cell, color=color, linestyle=line) for cell, (color, line) in looks.items()
    ]
    if len(found.best_of_n):
        handles.append(panels.key("best of n", color=INK, linestyle="--"))
    legend.set_axis_off()
    legend.legend(handles=handles, loc="center left", title="policy", alignment="left")
    return drawing


def _looks(found: Numbers, cells: list[str]) -> Looks:
    """A color for each policy, whatever its reward model, and a line for each size of its data."""
    pairs = {run.cell: run.info["pairs"] for run in found.runs}
    policies = {cell: cell.replace(f", {pairs[cell]} pairs", "") for cell in cells}
    colors = dict(zip(dict.fromkeys(policies.values()), itertools.cycle(CYCLE), strict=False))
    others = sorted({pairs[cell] for cell in cells} - {found.pairs})
    strokes: tuple[Stroke, ...] = (":", "-.")
    lines: dict[int, Stroke] = dict(zip(others, itertools.cycle(strokes), strict=False))
    return {cell: (colors[policies[cell]], lines.get(pairs[cell], "-")) for cell in cells}


def _panel(axes: Axes, found: Numbers, name: str, looks: Looks) -> None:
    for run in (run for run in found.runs if run.cell in looks):
        d = np.sqrt(run.curve["kl"].clip(lower=0))
        axes.plot(d, run.curve[name], color=looks[run.cell][0], linewidth=0.5, alpha=0.4)
    shown = found.curves[found.curves["cell"].isin(list(looks))]
    for cell, curve in shown.groupby("cell"):
        d, (color, line) = np.sqrt(curve["kl"].clip(lower=0)), looks[str(cell)]
        axes.plot(d, curve[name], color=color, linestyle=line)
        axes.plot(d.iloc[-1], curve[name].iloc[-1], marker="o", markersize=5, color=color)
    best = found.best_of_n
    if len(best):
        axes.plot(np.sqrt(best["kl"]), best[name], color=INK, linestyle="--")
