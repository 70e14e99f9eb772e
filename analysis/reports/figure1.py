"""`figure1`: one term of L_CLIP as a function of the probability ratio, tabulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import cli
from analysis.drawing.style import INK, MUTED
from analysis.reports.explain.numbers import TABLES, clip_term

_RED = "#D7191C"


def build(tables: Path, epsilon: float = 0.2) -> pd.DataFrame:
    """`advantage, r, l_clip` for A = 1 and A = -1, r from 0 to 2, as the objective computes them.

    Raises:
        AnalysisError: for an `epsilon` that is not tabulated.
    """
    table = clip_term(tables, "clip", epsilon).rename(columns={"ratio": "r", "term": "l_clip"})
    return table[["advantage", "r", "l_clip"]]


def figure(table: pd.DataFrame, epsilon: float) -> Figure:
    """Two panels, A > 0 and A < 0."""
    drawing = Figure(figsize=(7.6, 3.3))
    left, right = drawing.subplots(1, 2)
    _panel(left, table[table["advantage"] > 0], 1 + epsilon, "1 + ε", "A > 0")
    _panel(right, table[table["advantage"] < 0], 1 - epsilon, "1 - ε", "A < 0")
    left.set_ylabel(r"$L^{\mathrm{CLIP}}$, one term, in units of $|A|$")
    return drawing


def _panel(axes: Axes, table: pd.DataFrame, kink: float, name: str, title: str) -> None:
    axes.plot(table["r"], table["l_clip"], color="#0072B2", linewidth=2.4)
    heights = np.interp([1.0, kink], table["r"], table["l_clip"])
    axes.vlines([1, kink], 0, heights, color=MUTED, linestyle=":", linewidth=1.2)
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.plot(1, heights[0], marker="o", markersize=8, color=_RED, linestyle="none")
    axes.set_xticks([0, 1, kink], ["0", "1", name])
    axes.set_xlim(0, 2)
    axes.set_xlabel("probability ratio r")
    axes.set_title(title)
    axes.grid(visible=False)


@cli.command("figure1", cli.option("--epsilon", "the paper's 0.2", type=float, default=0.2), TABLES)
def command(given: cli.Given) -> cli.Output:
    """The paper's Figure 1: one term of L_CLIP against r."""
    table, epsilon = build(given.tables, given.epsilon), given.epsilon
    text = f"Figure 1: min(r A, clip(r, 1 - ε, 1 + ε) A) at ε = {epsilon:g}, A = 1 and A = -1."
    return cli.Output({"figure1.png": lambda: figure(table, epsilon), "figure1.csv": table}, text)
