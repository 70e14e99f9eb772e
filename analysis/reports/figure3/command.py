"""`figure3`: every algorithm on every task, beside the paper's curves, in a picture and tables."""

from __future__ import annotations

import argparse

from analysis import cli
from analysis.drawing.style import png
from analysis.drawing.tables import csv
from analysis.reports.figure3 import figure, numbers, text
from analysis.runs.comparison import entry_key, with_objective
from analysis.runs.curves import learning_curves


def _run(options: argparse.Namespace) -> cli.Output:
    settings = cli.settings(options)
    sweep = with_objective(cli.selected(options), options.objective)
    found = numbers.build(sweep, settings)
    curves, _ = learning_curves(sweep.runs, entry_key, settings, options.points)
    report = text.markdown(found, sweep, settings)
    files = {
        "figure3.png": png(lambda: figure.figure(curves, found.paper, settings.episodes)),
        "figure3.csv": csv(found.tasks),
        "figure3.md": f"{report}\n".encode(),
        "figure3_aggregates.csv": csv(found.aggregates),
        "figure3_orders.csv": csv(found.orders),
        "figure3_curves.csv": csv(curves),
    }
    return cli.Output(files, report)


COMMAND = cli.Command(
    "figure3",
    "the paper's Figure 3: PPO and the algorithms it is compared with",
    _run,
    (cli.RUNS, cli.OBJECTIVE, cli.BOOTSTRAP, cli.SCALE, cli.REFERENCE, cli.POINTS),
)
