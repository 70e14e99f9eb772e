"""`atari`: section 6.4 of the paper: Table 6, Table 2, and learning curves of its Atari games."""

from __future__ import annotations

from functools import partial

from analysis import cli
from analysis.published.atari import figure6_ends
from analysis.reports.atari import figure, numbers, text
from analysis.runs.curves import label_of, learning_curves
from analysis.runs.until import cut


@cli.command("atari", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.UNTIL, cli.POINTS)
def command(given: cli.Given) -> cli.Output:
    """Section 6.4: Table 6, games won, curves."""
    sweep, settings = cut(given.sweep, given.until), given.settings
    found = numbers.build(sweep, settings)
    curves, _ = learning_curves(sweep.runs, label_of("algorithm"), settings, given.points)
    report, ends = text.markdown(found, sweep, settings), figure6_ends(settings.reference)
    files: cli.Files = {
        "atari.md": report,
        "atari.csv": found.scores,
        "atari_curves.csv": curves,
        "atari.png": partial(figure.figure, curves, ends, settings.episodes),
    }
    return cli.Output(files, report)
