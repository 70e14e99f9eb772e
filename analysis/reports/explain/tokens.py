"""The static figure 10: the price of a proxy, and which tokens PPO reinforces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from analysis.drawing.style import INK, MUTED
from analysis.reports.explain.numbers import read

BETTER, WORSE = "#009E73", "#D55E00"
COLORS = ("#D55E00", "#CC79A7", "#0072B2", "#009E73", "#E69F00", "#56B4E9")
BETAS = {
    "no penalty, at the end": (0.0, "at the end"),
    "β = 0.05, at the end": (0.05, "at the end"),
}
WIDTH, LINE = 60, 0.075  # characters of a line, and its height as a share of the panel
STRONG = 2.0  # an advantage of the full color


def tokens(tables: Path) -> Figure:
    """Gold and proxy against KL by beta, and responses whose tokens have their advantage."""
    curves = wide(read(tables, "tokens_curves"))
    figure = Figure(figsize=(11.4, 6.4))
    panels = figure.subplots(2, 2, height_ratios=(1.15, 1))
    for axes, name, title in zip(
        panels[0], ("gold", "proxy"), ("Gold, the true reward", "Proxy, what is trained on"),
        strict=True,
    ):  # fmt: skip
        for color, (beta, own) in zip(COLORS, curves.groupby("beta"), strict=False):
            d, label = np.sqrt(own["kl"].clip(lower=0)), f"β = {beta:g}"
            axes.plot(d, own[name], color=color, label=label, linewidth=1.6)
            error = 2 * own[f"{name} error"].iloc[-1]
            axes.errorbar(d.iloc[-1], own[name].iloc[-1], error, fmt="o", color=color, capsize=3)
        axes.set_title(title)
        axes.set_xlabel("root of the KL to the base model, nats")
    panels[0, 1].legend(loc="lower right")
    samples = read(tables, "tokens_samples")
    for axes, (title, (beta, moment)) in zip(panels[1], BETAS.items(), strict=True):
        own = samples[(samples["beta"] == beta) & (samples["moment"] == moment)]
        _strips(axes, own, title)
    return figure


def wide(curves: pd.DataFrame) -> pd.DataFrame:
    """`beta, kl, gold, proxy, gold error, proxy error`, one row a window."""
    keys = ["beta", "window"]
    values = curves.pivot(index=keys, columns="measure", values="value")
    errors = curves.pivot(index=keys, columns="measure", values="error")
    return values.join(errors.add_suffix(" error")).reset_index()


def _strips(axes: Axes, samples: pd.DataFrame, title: str) -> None:
    """Each token on its color, line by line, in a font of one width."""
    axes.set_axis_off()
    axes.set_title(f"{title}: green is better than average, orange worse", fontsize=9.5)
    y = 0.95
    for _, own in samples.groupby("response"):
        x = 0
        for token, advantage in zip(own["token"], own["advantage"], strict=True):
            if x + len(token) > WIDTH:
                x, y = 0, y - LINE
            strength = 0.0 if np.isnan(advantage) else min(1.0, abs(advantage) / STRONG)
            back = to_rgba(BETTER if advantage > 0 else WORSE, 0.7 * strength)
            box = {"facecolor": back, "edgecolor": "none", "pad": 1.2}
            axes.text(x / WIDTH, y, token, family="monospace", fontsize=8.6, bbox=box,
                      color=MUTED if np.isnan(advantage) else INK,
                      transform=axes.transAxes)  # fmt: skip
            x += len(token) + 1
        scores = f"gold {own['gold'].iloc[0]:.1f}, proxy {own['proxy'].iloc[0]:.2f}"
        y -= LINE
        axes.text(0, y, scores, fontsize=8, color=MUTED, transform=axes.transAxes)
        y -= 1.6 * LINE
