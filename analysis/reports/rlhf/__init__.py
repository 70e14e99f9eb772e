"""`rlhf`: what a proxy costs, in a picture and tables."""

from __future__ import annotations

from functools import partial

from analysis import cli
from analysis.reports.rlhf import cells, collect, figure, numbers, text

PICTURES = dict(zip(cells.GROUPS, ("rlhf.png", "rlhf_methods.png", "rlhf_pairs.png"), strict=True))
_COLLECT = "also write the tables that take the place of the run directories"


@cli.command(
    "rlhf",
    cli.DIRECTORIES,
    cli.REPLICATES,
    cli.option("--collect", _COLLECT, action="store_true"),
)
def command(given: cli.Given) -> cli.Output:
    """Language models: gold and proxy reward against KL."""
    found = numbers.build(given.runs, given.settings)
    report = text.markdown(found)
    shown = {group: cells.compared(found.runs, group) for group in PICTURES}
    files: dict[str, cli.Content] = {
        PICTURES[group]: partial(figure.figure, found, each)
        for group, each in shown.items()
        if each
    }
    files |= {
        "rlhf.md": report,
        "rlhf.csv": found.cells,
        "rlhf_curves.csv": found.curves,
        "rlhf_best_of_n.csv": found.best_of_n,
        "rlhf_fits.csv": found.fits,
        "rlhf_positions.csv": found.positions,
        "rlhf_reward_models.csv": found.reward_models,
    }
    if given.collect:
        files |= collect.files(found, text.SHOWN)
    return cli.Output(files, report)
