"""`collect`: runs -> three tables that stand for their directories and are small enough to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analysis import cli
from analysis.drawing.text import of
from analysis.errors import AnalysisError
from analysis.runs import collected
from analysis.runs.load import load_sweep, read_rows
from analysis.runs.run import MISSING, Run
from repro.runs import store


def tables(
    runs: Sequence[Run], kept: int = collected.KEPT, last: int | None = None
) -> dict[str, bytes]:
    """The files that stand for `runs`, by name; `kept` rows of progress for each.

    Of their episodes all are kept, or the `last` ones.

    Raises:
        AnalysisError: for a damaged table.
    """
    episodes, progress = {}, {}
    for number, run in enumerate(runs):
        if not run.ended or run.directory is None:
            continue
        whole = read_rows(run, "episodes", list(collected.EPISODES)[1:])
        episodes[number] = whole if last is None else whole.tail(last)
        progress[number] = read_rows(run, "progress", store.PROGRESS)
    return collected.encode(runs, episodes, progress, kept)


def whole_seeds(runs: Sequence[Run]) -> list[Run]:
    """The runs of the seeds that have ended in every cell (task and row) that any seed has."""
    cells = {(run.task, run.row) for run in runs}
    ended = Counter(run.info["seed"] for run in runs if run.ended)
    return [run for run in runs if ended[run.info["seed"]] == len(cells)]


_KEPT = "iterations of each run to keep: the first, the last and evenly spaced ones"
_ROWS = cli.option("--progress-rows", _KEPT, type=cli.integer_from(2), default=collected.KEPT)
_TAIL = "episodes of each run to keep, its last ones, each to the last bit (default: all)"
_LAST = cli.option("--last-episodes", _TAIL, type=cli.integer_from(1), metavar="N")
_ENDED = "only seeds whose runs of every task and row have ended, done or failed"
_WHOLE = cli.option("--whole-seeds", _ENDED, action="store_true")


@cli.command("collect", cli.DIRECTORIES, _ROWS, _LAST, _WHOLE)
def command(given: cli.Given) -> cli.Output:
    """Run directories as three tables, which every other command takes in their place.

    Tables that are there already are run directories, too: `--runs results/X runs/Y --out
    results/X` adds the runs of runs/Y, and loses none.
    """
    runs: Sequence[Run] = load_sweep(*given.runs).runs
    if given.whole_seeds and not (runs := whole_seeds(runs)):
        raise AnalysisError("No seed has ended in every task and row: leave out --whole-seeds.")
    files = tables(runs, given.progress_rows, given.last_episodes)
    counts = Counter(run.status for run in runs)
    order = (store.DONE, store.FAILED, store.PREEMPTED, store.RUNNING, MISSING)
    states = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
    size = sum(len(content) for content in files.values()) / 1e6
    done = of(counts[store.DONE], len(runs))
    return cli.Output(files, f"{done} runs are done ({states}); {size:.1f} MB.")
