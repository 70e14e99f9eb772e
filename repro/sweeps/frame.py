"""The runs of a sweep as one tidy table. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from repro.errors import ConfigError
from repro.runs import store
from repro.sweeps import summary, survey

IDENTITY = (
    "experiment",
    "budget",
    "algorithm",
    "env_id",
    "env_name",
    "num_envs",
    "objective",
    "objective_value",
    "objective_label",
    "recipe",
    "seed",
    "total_timesteps",
    "steps",
)
RESULTS = ("status", "final_return", "episodes", "error", "directory")


def status(directory: Path, expected: Mapping[str, Any] | None = None) -> tuple[str, str | None]:
    """DONE, RUNNING, PREEMPTED, FAILED, DAMAGED or MISSING; and why it is not done.

    PRUNED where `expected`, its entry in sweep.json, says that a search is done with it.
    """
    state, _, why = survey.state(directory, expected)
    return state.upper(), why


def of_directories(directories: Iterable[Path]) -> pd.DataFrame:
    """One row a run, by `run_id`.

    Args:
        directories: of runs, which need not have started.
    """
    return _frame({directory: {} for directory in directories})


def below(root: Path) -> pd.DataFrame:
    """One row for each run below a directory, and for each that a sweep there expects.

    Raises:
        ConfigError: no run and no sweep is there.
    """
    if not root.is_dir():
        raise ConfigError(f"{root} is not a directory: give the runs_dir of a sweep.")
    expected: dict[Path, Mapping[str, Any]] = {}
    for path in sorted(root.rglob("sweep.json")):
        try:
            entries = store.read_sweep(path.parent)
            expected |= {path.parent / entry["run_id"]: entry for entry in entries}
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
    found: dict[Path, Mapping[str, Any]] = {path: {} for path in store.run_directories(root)}
    if not expected and not found:
        raise ConfigError(f"{root} holds no run and no sweep: give the runs_dir of a sweep.")
    return _frame(expected | {path: each for path, each in found.items() if path not in expected})


def _frame(runs: Mapping[Path, Mapping[str, Any]]) -> pd.DataFrame:
    rows = [_row(directory, expected) for directory, expected in runs.items()]
    columns = ["run_id", *IDENTITY, *RESULTS]
    return pd.DataFrame(rows, columns=columns).set_index("run_id")


def _row(directory: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Of one run; `expected` is its entry in sweep.json, or empty."""
    state, why = status(directory, expected)
    info: Mapping[str, Any] = expected
    score, episodes = float("nan"), 0
    try:
        if (directory / "run.json").is_file():
            info = store.read_run(directory)
        if state == store.DONE:
            score, episodes = summary.final_return(directory)
    except (OSError, ValueError) as error:
        why = str(error)
    identity = {name: info.get(name) for name in IDENTITY}
    results = (state, score, episodes, why, str(directory))
    return {"run_id": directory.name} | identity | dict(zip(RESULTS, results, strict=True))
