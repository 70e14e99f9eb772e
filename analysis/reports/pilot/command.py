"""`pilot`: which silent switch of the recipe moves the comparison of surrogate objectives."""

from __future__ import annotations

import argparse

from analysis import cli
from analysis.drawing.style import png
from analysis.drawing.tables import as_json, csv
from analysis.reports.pilot import figure, numbers, text


def _run(options: argparse.Namespace) -> cli.Output:
    sweep, settings = numbers.placed(cli.selected(options)), cli.settings(options)
    pilot = numbers.build(sweep, options.base, settings)
    report = text.markdown(pilot, sweep, settings)
    files = {
        "pilot.csv": csv(pilot.returns),
        "pilot_scores.csv": csv(pilot.scores),
        "pilot.json": as_json(text.answers(pilot)),
        "pilot.md": f"{report}\n".encode(),
        "pilot.png": png(lambda: figure.figure(pilot)),
    }
    return cli.Output(files, report)


_CHOICE = (
    "the variant that the others are compared with (default: the one with the most frequent value "
    "of every switch); repeatable"
)
_BASE = cli.option("--base", _CHOICE, action="append", default=[], metavar="KEY=VALUE")
COMMAND = cli.Command(
    "pilot",
    "which switches of the recipe move the comparison of objectives",
    _run,
    (cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE, _BASE),
)
