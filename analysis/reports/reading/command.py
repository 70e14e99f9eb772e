"""`reading`: Table 1 beside the paper, statement by statement, with a probability for each."""

from __future__ import annotations

import argparse
from pathlib import Path

from analysis import cli
from analysis.drawing.tables import as_json, csv
from analysis.reports.pilot import numbers as pilot
from analysis.reports.reading import numbers, text
from analysis.runs.load import load_sweep


def _run(options: argparse.Namespace) -> cli.Output:
    sweep, settings = cli.selected(options), cli.settings(options)
    trial = None
    if options.pilot is not None:
        trial = pilot.build(pilot.placed(load_sweep(options.pilot)), (), settings)
    reading = numbers.build(sweep, settings, trial)
    report = text.markdown(reading, sweep, settings)
    files = {
        "reading.md": f"{report}\n".encode(),
        "reading.json": as_json(numbers.as_values(reading)),
        "ppo_by_task.csv": csv(reading.ppo),
    }
    return cli.Output(files, report)


_BESIDE = "runs under other switches of the recipe, shown beside"
_PILOT = cli.option("--pilot", _BESIDE, type=Path, metavar="DIR")
COMMAND = cli.Command(
    "reading",
    "the paper's statements on Table 1, each with its probability",
    _run,
    (cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE, _PILOT),
)
