"""`reading`: Table 1 beside the paper, statement by statement, with a probability for each."""

from __future__ import annotations

from pathlib import Path

from analysis import cli
from analysis.reports.pilot import numbers as pilot
from analysis.reports.reading import numbers, text
from analysis.runs.load import load_sweep

_BESIDE = "runs under other switches of the recipe, shown beside"
_PILOT = cli.option("--pilot", _BESIDE, type=Path, metavar="DIR")


@cli.command("reading", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE, _PILOT)
def command(given: cli.Given) -> cli.Output:
    """The paper's statements on Table 1, each with its probability."""
    sweep, settings = given.sweep, given.settings
    trial = None
    if given.pilot is not None:
        trial = pilot.build(pilot.placed(load_sweep(given.pilot)), (), settings)
    reading = numbers.build(sweep, settings, trial)
    report, values = text.markdown(reading, sweep, settings), numbers.as_values(reading)
    files: cli.Files = {
        "reading.md": report,
        "reading.json": values,
        "ppo_by_task.csv": reading.ppo,
    }
    return cli.Output(files, report)
