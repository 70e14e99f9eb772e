"""`atari`: section 6.4 of the paper: Table 6, Table 2, and learning curves of its Atari games."""

from __future__ import annotations

import argparse

from analysis import cli
from analysis.drawing.style import png
from analysis.drawing.tables import csv
from analysis.published.atari import figure6_ends
from analysis.reports.atari import figure, numbers, text
from analysis.runs.curves import label_of, learning_curves
from analysis.runs.until import cut


def _run(options: argparse.Namespace) -> cli.Output:
    sweep, settings = cut(cli.selected(options), options.until), cli.settings(options)
    found = numbers.build(sweep, settings)
    curves, _ = learning_curves(sweep.runs, label_of("algorithm"), settings, options.points)
    report = text.markdown(found, sweep, settings)
    ends = figure6_ends(settings.reference)
    files = {
        "atari.md": f"{report}\n".encode(),
        "atari.csv": csv(found.scores),
        "atari_curves.csv": csv(curves),
        "atari.png": png(lambda: figure.figure(curves, ends, settings.episodes)),
    }
    return cli.Output(files, report)


COMMAND = cli.Command(
    "atari",
    "section 6.4: Table 6, games won, curves",
    _run,
    (cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.UNTIL, cli.POINTS),
)
