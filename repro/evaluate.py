"""`python -m repro.evaluate RUN_DIR`: plays episodes of finished runs and records their returns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from repro.cli import Parser, at_least, finish, loaded, start
from repro.console import say
from repro.runs import store
from repro.runs.finished import FinishedRun, open_run

HELP = """\
Play whole episodes with the policies of finished runs, and add a row for each to
RUN_DIR/evaluations.parquet. Prints the mean return with a 95 % bootstrap interval, and its range.
RUN_DIR may be the name of a committed policy, such as half_cheetah/clip_0.2/3, whose episodes are
not recorded.

Exit code: 0 done, 2 bad input, 3 damaged files, 4 a task returned a value that is not finite, 75
another process owns the run.
"""


def main() -> None:
    """The command."""
    sys.exit(start(run))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    return finish(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(prog="python -m repro.evaluate", description=HELP)
    parser.add_argument("directories", metavar="RUN_DIR", type=Path, nargs="+")
    parser.add_argument("--episodes", type=at_least(1), default=100, help="default 100")
    parser.add_argument("--seed", type=at_least(0), default=0, help="default 0")
    parser.add_argument("--deterministic", action="store_true", help="take the most likely actions")
    parser.add_argument(
        "--envs",
        type=at_least(1),
        default=20,
        help="environments at once (default 20); the result does not depend on it",
    )
    parser.add_argument(
        "--max-steps",
        type=at_least(1),
        default=50_000,
        help="of an episode, which is cut off there (default 50000; games of Atari end by "
        "themselves)",
    )
    options = parser.parse_args(arguments)
    runs = [_open(directory) for directory in options.directories]

    # Only now, since it loads torch: bad input is refused within a moment.
    from repro.evaluation.evaluations import evaluate, summary

    loaded()
    settings = (options.deterministic, options.envs, options.max_steps)
    for each in runs:
        done = evaluate(each, options.episodes, options.seed, *settings)
        say(f"{each.run_id}: {summary(done, options.seed)}")


def _open(directory: Path) -> FinishedRun:
    """Open a run; everything that can be refused is refused before an episode is played."""
    found = open_run(directory)
    store.read_evaluations(found.directory)
    return found


if __name__ == "__main__":
    main()
