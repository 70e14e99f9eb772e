"""`seeds`: Table 1 with more seeds than three, and what three could have said."""

from __future__ import annotations

from functools import partial

from analysis import cli
from analysis.reports.seeds import figure, numbers, text
from analysis.runs.load import frame
from analysis.runs.selection import check_table

_PLANNED = "seeds a cell that are planned; a report with fewer says so"
_TEN = cli.option("--planned", _PLANNED, type=cli.integer_from(1), default=10)


@cli.command("seeds", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE, _TEN)
def command(given: cli.Given) -> cli.Output:
    """Coverage of three-seed intervals, and the paper's protocol by resampling seeds."""
    sweep, settings = given.sweep, given.settings
    check_table(sweep.runs)
    found = numbers.build(frame(sweep.runs, settings.episodes), settings, given.planned)
    report = text.markdown(found)
    files: cli.Files = {
        "seeds.md": report,
        "seeds.json": numbers.as_values(found),
        "seeds.csv": found.rows[list(numbers.COLUMNS)],
        "seeds_coverage.csv": found.coverage,
        "seeds.png": partial(figure.draw, found),
    }
    return cli.Output(files, report)
