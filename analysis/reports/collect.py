"""`collect`: run directories -> three tables that stand for them and are small enough to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis import cli
from analysis.drawing.text import of
from analysis.errors import AnalysisError
from analysis.runs import collected
from analysis.runs.load import load_sweep, read_columns
from analysis.runs.run import MISSING, Run
from repro.runs import store


def tables(runs: Sequence[Run], kept: int = collected.KEPT) -> dict[str, bytes]:
    """The files that stand for `runs`, by name; `kept` rows of progress for each.

    Raises:
        AnalysisError: for a damaged table, or runs that are collected already.
    """
    episodes, progress = {}, {}
    for number, run in enumerate(runs):
        if not run.ended or run.directory is None:
            continue
        if run.collected is not None:
            raise AnalysisError(
                f"{run.directory} is collected already: give --runs the run directories behind it."
            )
        episodes[number] = read_columns(run.directory, "episodes", store.EPISODES)
        progress[number] = read_columns(run.directory, "progress", store.PROGRESS)
    return collected.encode(runs, episodes, progress, kept)


_KEPT = "iterations of each run to keep: the first, the last and evenly spaced ones"
_ROWS = cli.option("--progress-rows", _KEPT, type=cli.integer_from(2), default=collected.KEPT)


@cli.command("collect", cli.DIRECTORIES, _ROWS)
def command(given: cli.Given) -> cli.Output:
    """Run directories as three tables, which every other command takes in their place."""
    runs = load_sweep(*given.runs).runs
    files = tables(runs, given.progress_rows)
    counts = Counter(run.status for run in runs)
    order = (store.DONE, store.FAILED, store.PREEMPTED, store.RUNNING, MISSING)
    states = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
    size = sum(len(content) for content in files.values()) / 1e6
    done = of(counts[store.DONE], len(runs))
    return cli.Output(files, f"{done} runs are done ({states}); {size:.1f} MB.")
