"""`table1`: the paper's Table 1 from runs, beside the paper's own scores, and task by task."""

from __future__ import annotations

from functools import partial

from analysis import cli
from analysis.reports.table1 import figure, numbers, text


@cli.command("table1", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE)
def command(given: cli.Given) -> cli.Output:
    """The paper's Table 1: scores, intervals, and returns by task."""
    sweep, settings = given.sweep, given.settings
    table = numbers.build(sweep, settings)
    main = text.markdown(table, sweep, settings)
    files: cli.Files = {
        "table1.csv": table.rows[list(numbers.COLUMNS)],
        "table1.md": main,
        "table1.tex": text.latex(table),
        "table1.png": partial(figure.score_figure, table.rows, text.subtitle(table, sweep)),
        "table1_per_task.csv": table.tasks[list(numbers.TASK_COLUMNS)],
        "table1_per_task.md": text.task_markdown(table, sweep, settings),
        "table1_per_task.png": partial(figure.task_figure, table, settings.episodes),
    }
    return cli.Output(files, main)
