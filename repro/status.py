"""`python -m repro.status DIR`: which of a sweep's expected runs are there, and how far.

It reads small files only, loads no torch, and may be asked while the sweep runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate

from repro.console import say
from repro.errors import EXIT_BAD_INPUT, ConfigError
from repro.runs import locks, store

EXIT_INCOMPLETE = 1
DONE, RUNNING, PREEMPTED, FAILED, MISSING = "done", "running", "preempted", "failed", "missing"
STATES = {  # in the order of a cell, and with the letter that stands there
    DONE: "",
    RUNNING: "r",
    PREEMPTED: "p",
    FAILED: "f",
    MISSING: "m",
}
HELP = """\
Compare the expected runs of a sweep (DIR/sweep.json) with what is there.

Exit code: 0 if all expected runs are done, 1 if not, 2 if DIR holds no sweep.
"""


class Run(NamedTuple):
    """One expected run.

    Attributes:
        run_id: its name and directory.
        task: a column of the table.
        setting: a row of it.
        state: a key of `STATES`.
        owner: the process that trains it.
        note: why it is not done.
    """

    run_id: str
    task: str
    setting: str
    state: str
    owner: locks.Owner | None
    note: str | None


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m repro.status",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="a sweep's runs_dir")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    try:
        runs = survey(options.directory)
    except ConfigError as error:
        say(str(error), sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    say(json.dumps(as_json(runs), indent=2) if options.json else text(runs))
    sys.exit(0 if all(run.state == DONE for run in runs) else EXIT_INCOMPLETE)


def survey(runs_dir: Path) -> list[Run]:
    """Every expected run of a sweep, and where it stands.

    Raises:
        ConfigError: where no sweep was started, or its `sweep.json` cannot be read.
    """
    if not (runs_dir / "sweep.json").is_file():
        raise ConfigError(_no_sweep(runs_dir))
    try:
        expected = store.read_sweep(runs_dir)
        tasks = _tasks(expected)
        return [
            Run(
                entry["run_id"],
                tasks[entry["env_id"]],
                entry["objective_label"],
                *_state(runs_dir / entry["run_id"]),
            )
            for entry in expected
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"{runs_dir}: its sweep.json cannot be read: {error}") from error


def text(runs: Sequence[Run]) -> str:
    """A table of tasks and settings, then what is not done and why."""
    counts = Counter(run.state for run in runs)
    rest = [f"{counts[state]} {state}" for state in STATES if state != DONE and counts[state]]
    tasks = list(dict.fromkeys(run.task for run in runs))
    cells: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        cells.setdefault(run.setting, {}).setdefault(run.task, []).append(run)
    rows = [
        [setting, *(_cell(by_task.get(task, ())) for task in tasks)]
        for setting, by_task in cells.items()
    ]
    marks = [f"{mark} {state}" for state, mark in STATES.items() if mark and counts[state]]
    lines = [", ".join([f"{counts[DONE]} of {len(runs)} done", *rest]), ""]
    lines += [tabulate(rows, ["", *tasks], disable_numparse=True)]
    lines += [f"({', '.join(marks)})"] if marks else []
    notes = [*_owners(runs), *(f"{run.state} {run.run_id}: {run.note}" for run in runs if run.note)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def as_json(runs: Sequence[Run]) -> dict[str, Any]:
    """What `text` says, for programs."""
    counts = Counter(run.state for run in runs)
    return {
        "expected": len(runs),
        **{state: counts[state] for state in STATES},
        "complete": counts[DONE] == len(runs),
        "runs": [
            run._asdict() | {"owner": run.owner._asdict() if run.owner else None} for run in runs
        ],
    }


def _tasks(expected: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Task id -> the name of its choice in `conf/env`, where that tells it from the others."""
    names = {entry["env_id"]: entry["env_name"] for entry in expected}
    return {
        env_id: name if list(names.values()).count(name) == 1 and name != "gymnasium" else env_id
        for env_id, name in names.items()
    }


def _state(directory: Path) -> tuple[str, locks.Owner | None, str | None]:
    owner = locks.owner(directory)  # first: it may finish while we look
    try:
        info = store.read_run(directory) if (directory / "run.json").is_file() else {}
    except ValueError as error:
        return FAILED, None, str(error)
    status = info.get("status")
    if status == store.DONE:
        return DONE, None, None
    if owner is not None:
        return RUNNING, owner, None
    if status == store.FAILED:
        return FAILED, None, info.get("error")
    if status == store.PREEMPTED:
        return PREEMPTED, None, info.get("error")
    if status == store.RUNNING:
        return PREEMPTED, None, f"its process on {info.get('host')} ended without a word"
    return MISSING, None, None


def _owners(runs: Sequence[Run]) -> list[str]:
    owners: dict[tuple[str, int], list[locks.Owner]] = {}
    for run in runs:
        if run.owner is not None:
            owners.setdefault(run.owner[:2], []).append(run.owner)
    return [f"running {len(several)}: {min(several)}" for several in owners.values()]


def _cell(runs: Sequence[Run]) -> str:
    """`3/3`, or `1/3 r p`."""
    if not runs:
        return ""
    counts = Counter(run.state for run in runs)
    marks = [
        letter if counts[state] == 1 else f"{counts[state]}{letter}"
        for state, letter in STATES.items()
        if letter and counts[state]
    ]
    return " ".join([f"{counts[DONE]}/{len(runs)}", *marks])


def _no_sweep(runs_dir: Path) -> str:
    if not runs_dir.is_dir():
        return f"{runs_dir} is not a directory: give the runs_dir of a sweep."
    below = sorted(str(path.parent) for path in runs_dir.rglob("sweep.json"))
    if below:
        return f"{runs_dir} holds no sweep.json; below it are those of {', '.join(below)}."
    runs = len(store.run_directories(runs_dir))
    had = f", only {runs} runs started one by one" if runs else ""
    return f"{runs_dir} holds no sweep (no sweep.json{had}): one is begun with python -m repro -m."


if __name__ == "__main__":
    main()
