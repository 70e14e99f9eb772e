"""Run directories -> runs, found and expected, and the reason for every hole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import yaml

from analysis.errors import AnalysisError
from analysis.scoring import run_return
from analysis.stats import FloatArray
from repro import store

T = TypeVar("T")
MISSING = "MISSING"
_REQUIRED = (
    "run_id",
    "config_hash",
    "algorithm",
    "env_id",
    "num_envs",
    "objective",
    "objective_value",
    "objective_label",
    "recipe",
    "seed",
    "total_timesteps",
)


@dataclass(frozen=True)
class Run:
    """One run, found or only expected.

    Attributes:
        info: run.json; for a run that never started, its entry in sweep.json.
        config: nested, or None where a run that never started left none.
        directory: None for a run that never started.
    """

    info: Mapping[str, Any]
    config: Mapping[str, Any] | None
    directory: Path | None

    @property
    def run_id(self) -> str:
        """Name of the run, and of its directory."""
        return str(self.info["run_id"])

    @property
    def task(self) -> str:
        """The environment's id, version included: `HalfCheetah-v4`."""
        return str(self.info["env_id"])

    @property
    def row(self) -> str:
        """The objective with its value: `clip_0.2`."""
        return str(self.info["objective_label"])

    @property
    def status(self) -> str:
        """What run.json says, or that there is none."""
        return MISSING if self.directory is None else str(self.info.get("status"))


@dataclass(frozen=True)
class Sweep:
    """Runs in the order of their ids, and what a reader of the results has to know about them."""

    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()


def load_sweep(*runs_dirs: Path) -> Sweep:
    """Every run under `runs_dirs`, and every run that a sweep.json there expects.

    Raises:
        AnalysisError: for a missing or empty directory, a damaged file, or a run found twice.
    """
    found: dict[str, Run] = {}
    expected: dict[str, Run] = {}
    for runs_dir in runs_dirs:
        if not runs_dir.is_dir():
            raise AnalysisError(
                f"--runs {runs_dir} is no directory: give the one that holds the runs."
            )
        here, listed = _found(runs_dir), _expected(runs_dir)
        if not here and not listed:
            raise AnalysisError(
                f"--runs {runs_dir} holds no run.json and no sweep.json: run a sweep first."
            )
        for run in here.values():
            _add(found, run)
        expected |= listed
    missing = {key: run for key, run in expected.items() if key not in found}
    runs = found | missing
    return Sweep(
        tuple(runs[key] for key in sorted(runs)), tuple(_sweep_notes(found.keys(), expected.keys()))
    )


def _found(runs_dir: Path) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    for directory in store.run_directories(runs_dir):
        info = _read(directory / "run.json", lambda path: store.read_run(path.parent))
        _check_fields(info, f"{directory / 'run.json'}")
        config = _read(directory / "config.yaml", lambda path: store.read_config(path.parent))
        _add(runs, Run(info, config, directory))
    return runs


def _add(runs: dict[str, Run], run: Run) -> None:
    """Put `run` among `runs`; the same directory by two names counts once."""
    other = runs.setdefault(run.run_id, run)
    assert run.directory is not None and other.directory is not None
    if other.directory.resolve() != run.directory.resolve():
        raise AnalysisError(
            f"{run.run_id} lies in {other.directory} and in {run.directory}: "
            "point --runs at the directory that holds one of them."
        )


def _expected(runs_dir: Path) -> dict[str, Run]:
    entries: dict[str, Run] = {}
    for path in sorted(runs_dir.rglob("sweep.json")):
        for entry in _read(path, lambda path: store.read_sweep(path.parent)):
            _check_fields(entry, str(path))
            entries[str(entry["run_id"])] = Run(entry, entry.get("config"), None)
    return entries


def _read(path: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of a file, with every way in which it can be damaged as one error."""
    if not path.is_file():
        raise AnalysisError(f"{path} is missing: run that configuration again.")
    try:
        return read(path)
    except OSError as error:
        raise AnalysisError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        text = str(error)
        raise AnalysisError(
            text if str(path) in text else f"{path} is damaged ({text}): remove it and run again."
        ) from error


def _check_fields(info: object, where: str) -> None:
    if not isinstance(info, dict):
        raise AnalysisError(f"{where} holds something other than runs: remove it and run again.")
    lacking = [name for name in _REQUIRED if name not in info]
    if lacking:
        raise AnalysisError(
            f"{where} lacks {', '.join(lacking)}: it was not written by this version of repro."
        )


def _sweep_notes(found: Iterable[str], expected: Iterable[str]) -> list[str]:
    names, listed = set(found), set(expected)
    if not listed:
        return [
            "There is no sweep.json: the expected runs are the ones found, so a run that never "
            "started cannot be seen."
        ]
    extra = sorted(names - listed)
    if not extra:
        return []
    return [f"Not listed in sweep.json, but found and counted as expected: {', '.join(extra)}."]


def read_columns(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of a table of the store.

    Raises:
        AnalysisError: for a damaged table.
    """
    return _read(path, lambda path: store.read_table(path)[list(columns)])


def read_episodes(run: Run) -> tuple[FloatArray, FloatArray]:
    """Steps and returns of a run's training episodes, in the order in which they ended.

    Raises:
        AnalysisError: for a damaged table.
    """
    assert run.directory is not None
    table = read_columns(run.directory / "episodes.parquet", ("step", "return"))
    ordered = table.sort_values("step", kind="stable")
    return ordered["step"].to_numpy(np.float64), ordered["return"].to_numpy(np.float64)


def frame(runs: Iterable[Run], episodes: int) -> pd.DataFrame:
    """One line a run, with its score's raw material.

    Returns:
        Columns `run_id, task, row, objective, value, seed, hole, return, episodes`: `hole` is the
        reason why the run enters no score, or ""; `return` is the mean of the last `episodes`
        training episodes, NaN in a hole; `episodes` how many it had to offer.
    """
    columns = ("run_id", "task", "row", "objective", "value", "seed", "hole", "return", "episodes")
    return pd.DataFrame([_line(run, episodes) for run in runs], columns=list(columns))


def _line(run: Run, episodes: int) -> dict[str, Any]:
    hole, mean, count = hole_of(run), float("nan"), 0
    if not hole:
        _, returns = read_episodes(run)
        mean, count = run_return(returns, episodes), len(returns)
        hole = hole_in(returns)
    value = run.info["objective_value"]
    return {
        "run_id": run.run_id,
        "task": run.task,
        "row": run.row,
        "objective": str(run.info["objective"]),
        "value": float("nan") if value is None else float(value),
        "seed": int(run.info["seed"]),
        "hole": hole,
        "return": float("nan") if hole else mean,
        "episodes": count,
    }


def hole_of(run: Run) -> str:
    """Why a run cannot enter a score, by its status; "" for a finished run."""
    if run.status == store.DONE:
        return ""
    if run.status == store.FAILED:
        return _failure(run.info)
    reasons = {
        MISSING: "never started",
        store.RUNNING: "still running, or killed while it ran",
        store.PREEMPTED: "stopped before its end",
    }
    return reasons.get(run.status, f"has the unknown status {run.status}")


def hole_in(returns: FloatArray) -> str:
    """Why a finished run's episodes cannot enter a score; "" when they can."""
    if not len(returns):
        return "finished without completing an episode"
    return "" if np.isfinite(returns).all() else "holds returns that are not finite"


def _failure(info: Mapping[str, Any]) -> str:
    iteration, error = info.get("failed_iteration"), info.get("error")
    place = "" if iteration is None else f" in iteration {iteration}"
    lines = str(error or "").strip().splitlines()
    return f"failed{place}" + (f": {lines[-1].strip()[:160]}" if lines else "")
