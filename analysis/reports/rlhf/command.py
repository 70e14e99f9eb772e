"""`rlhf`: what a proxy costs, in a picture and tables."""

from __future__ import annotations

import argparse

from analysis import cli
from analysis.drawing.style import png
from analysis.drawing.tables import csv
from analysis.reports.rlhf import figure, numbers, text


def _run(options: argparse.Namespace) -> cli.Output:
    found = numbers.build(options.runs, cli.settings(options))
    report = text.markdown(found)
    files = {
        "rlhf.png": png(lambda: figure.figure(found)),
        "rlhf.md": f"{report}\n".encode(),
        "rlhf.csv": csv(found.cells),
        "rlhf_curves.csv": csv(found.curves),
        "rlhf_best_of_n.csv": csv(found.best_of_n),
        "rlhf_fits.csv": csv(found.fits),
        "rlhf_positions.csv": csv(found.positions),
        "rlhf_reward_models.csv": csv(found.reward_models),
    }
    return cli.Output(files, report)


COMMAND = cli.Command(
    "rlhf",
    "language models: gold and proxy reward against KL",
    _run,
    (cli.DIRECTORIES, cli.REPLICATES),
)
