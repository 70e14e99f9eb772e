"""`python -m repro.status DIR`: how far each run of a sweep has come.

It loads no torch, and can be used while the sweep trains.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from repro.cli import Parser, finish, start
from repro.console import Frames, is_ascii, is_terminal, say
from repro.errors import EXIT_CORRUPT
from repro.runs import locks
from repro.sweeps import screen
from repro.sweeps.survey import (
    DAMAGED,
    DONE,
    FAILED,
    FINISHED,
    MISSING,
    PREEMPTED,
    PRUNED,
    RUNNING,
    STATES,
    Expected,
    survey,
)

EXIT_INCOMPLETE = 1
WATCH_SECONDS = 2.0  # between two frames
LETTERS = {
    PRUNED: "x",
    RUNNING: "r",
    PREEMPTED: "p",
    FAILED: "f",
    DAMAGED: "d",
    MISSING: "m",
}
HELP = """\
Compare the expected runs of a sweep (DIR/sweep.json) with those that are
there, or list the single runs in DIR.

The table has a row an objective and a column a task. 2/3 f means: of three
expected runs, one a seed, two are done and one has failed. Below it stand the
processes that train, and why runs have failed or were interrupted.

examples:
  python -m repro.status runs
  python -m repro.status runs/table1/quick
  python -m repro.status runs/table1/quick --json
  python -m repro.status runs/table1/quick --watch
"""
EPILOG = """\
exit code: 0 all expected runs are done, or pruned by a search, 1 some are not,
  2 DIR holds no runs, 3 files are damaged, or not what a run wrote
"""


def main() -> None:
    """The command."""
    sys.exit(start(run))


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    return finish(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    parser = Parser(
        prog="python -m repro.status",
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="a runs_dir")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print JSON instead of a table")
    how.add_argument(
        "--watch",
        action="store_true",
        help="what trains, the curves and the time left, kept up to date until Ctrl-C or the end",
    )
    options = parser.parse_args(arguments)
    if options.watch:
        runs = _watch(options.directory)
    else:
        runs = survey(options.directory)
        say(json.dumps(as_json(runs), indent=2) if options.json else text(runs, _width()))
    if any(run.state == DAMAGED for run in runs):
        return EXIT_CORRUPT
    return 0 if all(run.state in FINISHED for run in runs) else EXIT_INCOMPLETE


def _watch(directory: Path) -> list[Expected]:
    """Show frames until no run is left to be done; only one where they cannot be replaced."""
    curves = screen.Curves()
    ascii = is_ascii(sys.stdout)  # first: Rich puts a stream without an encoding there

    def frame(runs: Sequence[Expected]) -> str:
        beats = screen.packs(runs)
        below = screen.lines(runs, beats, curves, ascii=ascii, width=_width())
        return "\n".join([text(runs, _width()), *below])

    runs = survey(directory)
    if is_terminal(sys.stdout):
        with contextlib.suppress(KeyboardInterrupt), Frames() as frames:
            while any(run.state not in FINISHED for run in runs):
                frames.show(frame(runs))
                time.sleep(WATCH_SECONDS)
                runs = survey(directory)
    say(frame(runs))
    return runs


def _width() -> int | None:
    """Of the terminal; None for any."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def text(runs: Sequence[Expected], width: int | None = None) -> str:
    """A table of tasks and settings, then what is not done and why.

    Args:
        runs: from `survey`.
        width: of the terminal; long names of tasks are broken where the table does not fit.
    """
    counts = Counter(run.state for run in runs)
    rest = [f"{counts[state]} {state}" for state in STATES if state != DONE and counts[state]]
    tasks = list(dict.fromkeys(run.task for run in runs))
    cells: dict[str, dict[str, list[Expected]]] = {}
    for run in runs:
        cells.setdefault(run.setting, {}).setdefault(run.task, []).append(run)
    rows = [
        [setting, *(_cell(by_task.get(task, ())) for task in tasks)]
        for setting, by_task in cells.items()
    ]
    marks = [f"{letter} {state}" for state, letter in LETTERS.items() if counts[state]]
    lines = [", ".join([f"{counts[DONE]} of {len(runs)} done", *rest]), ""]
    table = tabulate(rows, ["", *tasks], disable_numparse=True)
    if width is not None and len(table.splitlines()[0]) > width:
        broken = [task.replace("_", "_\n").replace("-", "-\n") for task in tasks]
        table = tabulate(rows, ["", *broken], disable_numparse=True)
    lines += [table]
    lines += [f"({', '.join(marks)})"] if marks else []
    notes = [*_owners(runs), *(f"{run.state} {run.run_id}: {run.note}" for run in runs if run.note)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def as_json(runs: Sequence[Expected]) -> dict[str, Any]:
    """What `text` says, for programs."""
    counts = Counter(run.state for run in runs)
    return {
        "expected": len(runs),
        **{state: counts[state] for state in STATES},
        "complete": all(run.state in FINISHED for run in runs),
        "runs": [
            run._asdict() | {"owner": run.owner._asdict() if run.owner else None} for run in runs
        ],
    }


def _owners(runs: Sequence[Expected]) -> list[str]:
    owners: dict[tuple[str, int], list[locks.Owner]] = {}
    for run in runs:
        if run.owner is not None:
            owners.setdefault(run.owner[:2], []).append(run.owner)
    return [f"running {len(several)}: {min(several)}" for several in owners.values()]


def _cell(runs: Sequence[Expected]) -> str:
    """`3/3`, or `1/3 r p`."""
    if not runs:
        return ""
    counts = Counter(run.state for run in runs)
    marks = [
        letter if counts[state] == 1 else f"{counts[state]}{letter}"
        for state, letter in LETTERS.items()
        if counts[state]
    ]
    return " ".join([f"{counts[DONE]}/{len(runs)}", *marks])


if __name__ == "__main__":
    main()
