"""`pilot`: which silent switch of the recipe moves the comparison of surrogate objectives."""

from __future__ import annotations

from functools import partial

from analysis import cli
from analysis.reports.pilot import figure, numbers, text

_CHOICE = (
    "the variant that the others are compared with (default: the one with the most frequent value "
    "of every switch); repeatable"
)
_BASE = cli.option("--base", _CHOICE, action="append", default=[], metavar="KEY=VALUE")


@cli.command("pilot", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE, _BASE)
def command(given: cli.Given) -> cli.Output:
    """Which switches of the recipe move the comparison of objectives."""
    sweep, settings = numbers.placed(given.sweep), given.settings
    pilot = numbers.build(sweep, given.base, settings)
    report = text.markdown(pilot, sweep, settings)
    files: cli.Files = {
        "pilot.csv": pilot.returns,
        "pilot_scores.csv": pilot.scores,
        "pilot.json": text.answers(pilot),
        "pilot.md": report,
        "pilot.png": partial(figure.figure, pilot),
    }
    return cli.Output(files, report)
