"""`explain`: the explanatory figures, static as PNG and SVG, interactive as HTML."""

from __future__ import annotations

from functools import partial

from analysis import cli
from analysis.drawing.style import svg
from analysis.reports.explain.figures import FIGURES
from analysis.reports.explain.numbers import TABLES
from analysis.reports.explain.pages import page


@cli.command("explain", TABLES)
def command(given: cli.Given) -> cli.Output:
    """The explanatory figures, from the tables of python -m repro.explain."""
    files: dict[str, cli.Content] = {}
    for name, draw in FIGURES.items():
        picture = partial(draw, given.tables)
        files[f"{name}.png"], files[f"{name}.svg"] = picture, svg(picture)
        files[f"{name}.html"] = page(name, given.tables)
    return cli.Output(files, f"Figures from {given.tables}.")
