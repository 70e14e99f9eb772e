"""`table1`: the paper's Table 1 from runs, beside the paper's own scores, and task by task."""

from __future__ import annotations

import argparse

from analysis import cli
from analysis.drawing.style import png
from analysis.drawing.tables import csv
from analysis.reports.table1 import figure, numbers, text


def _run(options: argparse.Namespace) -> cli.Output:
    sweep, settings = cli.selected(options), cli.settings(options)
    table = numbers.build(sweep, settings)
    main = text.markdown(table, sweep, settings)
    subtitle = text.subtitle(table, sweep)
    files = {
        "table1.csv": csv(table.rows[list(numbers.COLUMNS)]),
        "table1.md": f"{main}\n".encode(),
        "table1.tex": text.latex(table).encode(),
        "table1.png": png(lambda: figure.score_figure(table.rows, subtitle)),
        "table1_per_task.csv": csv(table.tasks[list(numbers.TASK_COLUMNS)]),
        "table1_per_task.md": f"{text.task_markdown(table, sweep, settings)}\n".encode(),
        "table1_per_task.png": png(lambda: figure.task_figure(table, settings.episodes)),
    }
    return cli.Output(files, main)


COMMAND = cli.Command(
    "table1",
    "the paper's Table 1: scores, intervals, and returns by task",
    _run,
    (cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE),
)
