"""`figure3`: every algorithm on every task, beside the paper's curves, in a picture and tables."""

from __future__ import annotations

from functools import partial

from analysis import cli
from analysis.reports.figure3 import figure, numbers, text
from analysis.runs.comparison import entry_key, with_objective
from analysis.runs.curves import learning_curves

_OPTIONS = (cli.RUNS, cli.OBJECTIVE, cli.BOOTSTRAP, cli.SCALE, cli.REFERENCE, cli.POINTS)


@cli.command("figure3", *_OPTIONS)
def command(given: cli.Given) -> cli.Output:
    """The paper's Figure 3: PPO and the algorithms it is compared with."""
    sweep, settings = with_objective(given.sweep, given.objective), given.settings
    found = numbers.build(sweep, settings)
    curves, _ = learning_curves(sweep.runs, entry_key, settings, given.points)
    report = text.markdown(found, sweep, settings)
    files: cli.Files = {
        "figure3.png": partial(figure.figure, curves, found.paper, settings.episodes),
        "figure3.csv": found.tasks,
        "figure3.md": report,
        "figure3_aggregates.csv": found.aggregates,
        "figure3_orders.csv": found.orders,
        "figure3_curves.csv": curves,
    }
    return cli.Output(files, report)
