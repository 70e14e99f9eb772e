"""`explain`: the explanatory figures, static as PNG and SVG, interactive as HTML."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable

import matplotlib.style
from matplotlib.figure import Figure

from analysis import cli
from analysis.drawing.style import STYLE, png
from analysis.reports.explain.figures import FIGURES
from analysis.reports.explain.numbers import TABLES
from analysis.reports.explain.pages import page

WAITS = "Figure 10 (language models) is not there yet: it waits for runs of the token-level PPO."


def svg(draw: Callable[[], Figure]) -> bytes:
    """As `drawing.style.png`, as SVG; equal figures are equal files."""
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", STYLE, {"svg.hashsalt": "explain"}]):
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _run(options: argparse.Namespace) -> cli.Output:
    files = {}
    for name, draw in FIGURES.items():
        files[f"{name}.png"] = png(lambda draw=draw: draw(options.tables))  # type: ignore[misc]
        files[f"{name}.svg"] = svg(lambda draw=draw: draw(options.tables))  # type: ignore[misc]
        files[f"{name}.html"] = page(name, options.tables)
    return cli.Output(files, f"Figures from {options.tables}. {WAITS}")


COMMAND = cli.Command(
    "explain",
    "the explanatory figures, from the tables of python -m repro.explain",
    _run,
    (TABLES,),
)
