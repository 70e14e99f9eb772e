"""The picture of `rlhf`: gold and proxy against the root of the KL, best of n behind."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing import panels
from analysis.drawing.style import CYCLE, INK
from analysis.reports.rlhf.numbers import Numbers


def figure(found: Numbers, cells: list[str]) -> Figure:
    """Two panels, and a color for each of `cells`; thin lines are seeds, dots are ends."""
    drawing, (gold, proxy, legend), _ = panels.grid(3, 3, (4.0, 3.6), (0.4, 0.4))
    colors = {cell: CYCLE[i % len(CYCLE)] for i, cell in enumerate(cells)}
    for axes, name, title in ((gold, "gold", "Gold reward"), (proxy, "proxy", "Proxy reward")):
        _panel(axes, found, name, colors)
        axes.set(xlabel="root of KL(policy, base), nats", title=title)
    handles = [panels.key(cell, color=colors[cell]) for cell in cells]
    if len(found.best_of_n):
        handles.append(panels.key("best of n", color=INK, linestyle="--"))
    legend.set_axis_off()
    legend.legend(handles=handles, loc="center left", title="policy", alignment="left")
    return drawing


def _panel(axes: Axes, found: Numbers, name: str, colors: dict[str, str]) -> None:
    for run in (run for run in found.runs if run.cell in colors):
        d = np.sqrt(run.curve["kl"].clip(lower=0))
        axes.plot(d, run.curve[name], color=colors[run.cell], linewidth=0.5, alpha=0.4)
    shown = found.curves[found.curves["cell"].isin(list(colors))]
    for cell, curve in shown.groupby("cell"):
        d, color = np.sqrt(curve["kl"].clip(lower=0)), colors[str(cell)]
        axes.plot(d, curve[name], color=color)
        axes.plot(d.iloc[-1], curve[name].iloc[-1], marker="o", markersize=5, color=color)
    best = found.best_of_n
    if len(best):
        axes.plot(np.sqrt(best["kl"]), best[name], color=INK, linestyle="--")
