"""The state of each run that a sweep expects, read from its directory. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from repro.errors import ConfigError, CorruptError
from repro.runs import locks, store

DONE, PRUNED, RUNNING, PREEMPTED = "done", "pruned", "running", "preempted"
FAILED, DAMAGED, MISSING = "failed", "damaged", "missing"
STATES = (DONE, PRUNED, RUNNING, PREEMPTED, FAILED, DAMAGED, MISSING)
FINISHED = (DONE, PRUNED)  # nothing is left to be trained


class Expected(NamedTuple):
    """One expected run.

    Attributes:
        run_id: its name and directory.
        task: a column of the table.
        setting: a row of it.
        state: one of `STATES`.
        owner: the process that trains it.
        note: why it is not done.
        directory: where it is, or is to be.
        steps: environment steps that it is to take.
    """

    run_id: str
    task: str
    setting: str
    state: str
    owner: locks.Owner | None
    note: str | None
    directory: str
    steps: int


def survey(runs_dir: Path) -> list[Expected]:
    """Every expected run of a sweep, or each single run in a directory, and where it stands.

    Raises:
        ConfigError: where nothing was started, or several sweeps.
        CorruptError: the `sweep.json` cannot be read.
    """
    sweep = (runs_dir / "sweep.json").is_file()
    try:
        expected = store.read_sweep(runs_dir) if sweep else _alone(runs_dir)
        tasks = _tasks(expected)
        return [
            Expected(
                entry["run_id"],
                tasks[entry["env_id"]],
                entry["objective_label"],
                *state(directory := _directory(entry, runs_dir), entry),
                str(directory),
                entry["steps"],
            )
            for entry in expected
        ]
    except (ConfigError, CorruptError):
        raise
    except (KeyError, ValueError, TypeError) as error:
        file = "its sweep.json" if sweep else "the run.json of a run"
        raise CorruptError(f"{runs_dir}: {file} cannot be read: {error}") from error


def _directory(entry: Mapping[str, Any], runs_dir: Path) -> Path:
    return Path(entry.get("directory", runs_dir / entry["run_id"]))


def state(
    directory: Path, expected: Mapping[str, Any] | None = None
) -> tuple[str, locks.Owner | None, str | None]:
    """Where the run in a directory stands, the process that trains it, and why it is not done.

    Args:
        directory: of the run.
        expected: its entry in `sweep.json`, which knows whether a search has pruned it.
    """
    found = _found(directory)
    pruned = found[0] == PREEMPTED and expected is not None and expected.get("pruned")
    return (PRUNED, None, None) if pruned else found


def _found(directory: Path) -> tuple[str, locks.Owner | None, str | None]:
    owner = locks.owner(directory)  # first: it may finish while we look
    try:
        info = store.read_run(directory) if (directory / "run.json").is_file() else {}
        if info.get("status") == store.DONE:
            store.verify(directory)
    except ValueError as error:
        return DAMAGED, None, str(error)
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
        return PREEMPTED, None, f"its process on {info.get('host')} ended unexpectedly"
    return MISSING, None, None


def _tasks(expected: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Task id -> the name of its choice in `conf/env`, where that tells it from the others."""
    names = {entry["env_id"]: entry["env_name"] for entry in expected}
    return {
        env_id: name if list(names.values()).count(name) == 1 and name != "gymnasium" else env_id
        for env_id, name in names.items()
    }


def _alone(runs_dir: Path) -> list[dict[str, Any]]:
    """The runs below a directory without a sweep, as a sweep of them would expect them."""
    if not runs_dir.is_dir():
        raise ConfigError(f"{runs_dir} is not a directory: give the runs_dir of a sweep.")
    below = sorted(str(path.parent) for path in runs_dir.rglob("sweep.json"))
    if below:
        raise ConfigError(
            f"{runs_dir} holds no sweep.json; below it are those of {', '.join(below)}."
        )
    found = [_described(directory) for directory in store.run_directories(runs_dir)]
    if not found:
        raise ConfigError(
            f"{runs_dir} holds neither a sweep nor a run: one is begun with python -m repro."
        )
    return found


def _described(directory: Path) -> dict[str, Any]:
    """What a run says of itself, as far as it can be read."""
    unknown = {"env_id": "?", "env_name": "?", "objective_label": "?", "steps": 0}
    try:
        info = store.read_run(directory)
    except ValueError:  # `state` says what is damaged
        info = {}
    return unknown | info | {"run_id": directory.name, "directory": directory}
