"""Run directories, or their collected tables -> runs, and the reason for every hole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import yaml

from analysis.errors import AnalysisError
from analysis.runs.collected import KEPT, TIMES, Collected, Entry, has_tables, is_collected, thinned
from analysis.statistics.bootstrap import FloatArray
from analysis.statistics.scoring import run_return
from repro.runs import store

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
        directory: where its files are, or the collected tables that hold it; None for a run that
            never started.
        listed: whether a sweep.json expects it.
        collected: the tables that hold it, and its number there; None for a run directory.
        until: the last step whose episodes count; None for all.
    """

    info: Mapping[str, Any]
    config: Mapping[str, Any] | None
    directory: Path | None
    listed: bool = False
    collected: tuple[Collected, int] | None = None
    until: int | None = None

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

    Args:
        runs_dirs: with run directories at any depth, or the tables that `collect` made of them.

    Raises:
        AnalysisError: for a missing or empty directory, a damaged file, or a run found twice.
    """
    runs: dict[str, Run] = {}
    for runs_dir in runs_dirs:
        for run in _runs_in(runs_dir):
            _add(runs, run)
    ordered = [runs[key] for key in sorted(runs)]
    return Sweep(tuple(ordered), tuple(_sweep_notes(ordered)))


def _runs_in(runs_dir: Path) -> list[Run]:
    if not runs_dir.is_dir():
        raise AnalysisError(f"--runs {runs_dir} is no directory: give the one that holds the runs.")
    runs = _collected(runs_dir) if is_collected(runs_dir) else _scattered(runs_dir)
    if not runs:
        raise AnalysisError(
            f"--runs {runs_dir} holds no run.json and no sweep.json: run a sweep first."
        )
    return runs


def _scattered(runs_dir: Path) -> list[Run]:
    """Runs of run directories, and those that a sweep.json there expects."""
    runs = _expected(runs_dir)
    for run in _found(runs_dir):
        _add(runs, run)
    return list(runs.values())


def _add(runs: dict[str, Run], run: Run) -> None:
    """Put `run` among `runs`: one that is found takes the place of one that is only expected.

    The same directory by two names counts once.
    """
    other = runs.get(run.run_id, run)
    if None not in (run.directory, other.directory) and not _same(run, other):
        raise found_twice(other, run)
    found = run if other.directory is None else other
    runs[run.run_id] = replace(found, listed=run.listed or other.listed)


def _same(run: Run, other: Run) -> bool:
    assert run.directory is not None and other.directory is not None
    return run.directory.resolve() == other.directory.resolve()


def _collected(directory: Path) -> list[Run]:
    """Runs of collected tables, in the order of their ids."""
    tables = Collected(directory)
    path = directory / "runs.parquet"
    entries = _read(path, lambda path: tables.entries())
    for entry in entries:
        _check_fields(entry.info, str(path))
    return [_of_entry(tables, entry) for entry in entries]


def _of_entry(tables: Collected, entry: Entry) -> Run:
    directory = tables.directory if entry.found else None
    return Run(entry.info, entry.config, directory, entry.listed, (tables, entry.number))


def _found(runs_dir: Path) -> list[Run]:
    runs = []
    for directory in store.run_directories(runs_dir):
        info = _read(directory / "run.json", lambda path: store.read_run(path.parent))
        _check_fields(info, f"{directory / 'run.json'}")
        config = _read(directory / "config.yaml", lambda path: store.read_config(path.parent))
        runs.append(Run(info, config, directory))
    return runs


def found_twice(one: Run, other: Run) -> AnalysisError:
    """The error for one run in two places."""
    return AnalysisError(
        f"{one.run_id} lies in {one.directory} and in {other.directory}: "
        "point --runs at the directory that holds one of them."
    )


def _expected(runs_dir: Path) -> dict[str, Run]:
    entries: dict[str, Run] = {}
    for path in sorted(runs_dir.rglob("sweep.json")):
        for entry in _read(path, lambda path: store.read_sweep(path.parent)):
            _check_fields(entry, str(path))
            info = {key: value for key, value in entry.items() if key != "config"}
            entries[str(entry["run_id"])] = Run(info, entry.get("config"), None, listed=True)
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


def _sweep_notes(runs: Sequence[Run]) -> list[str]:
    if not any(run.listed for run in runs):
        return [
            "There is no sweep.json: the expected runs are the ones found, so a run that never "
            "started cannot be seen."
        ]
    extra = [run.run_id for run in runs if not run.listed]
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
    """Steps and returns of a run's training episodes until `run.until`, in the order of their ends.

    Raises:
        AnalysisError: for a damaged table.
    """
    table = _episodes(run)
    if run.until is not None:
        table = table[table["step"] <= run.until]
    ordered = table.sort_values("step", kind="stable")
    return ordered["step"].to_numpy(np.float64), ordered["return"].to_numpy(np.float64)


def _episodes(run: Run) -> pd.DataFrame:
    assert run.directory is not None
    path = run.directory / "episodes.parquet"
    if run.collected is None:
        return read_columns(path, ("step", "return"))
    tables, number = run.collected
    return _read(path, lambda path: tables.episodes(number))


def read_times(run: Run) -> dict[str, float]:
    """Seconds of a run by phase (`collected.TIMES`): its share of its pack's, zero if unfinished.

    Raises:
        AnalysisError: for a damaged table.
    """
    if run.directory is None or not has_tables(True, run.info):
        return dict.fromkeys(TIMES, 0.0)
    if run.collected is None:
        table = read_columns(run.directory / "progress.parquet", TIMES)
        return {name: float(table[name].sum()) for name in TIMES}
    tables, number = run.collected
    return _read(run.directory / "runs.parquet", lambda path: tables.times(number))


def read_progress(run: Run, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of the iterations of a finished run that `collect` keeps, collected or not.

    Raises:
        AnalysisError: for a damaged table.
    """
    assert run.directory is not None
    path = run.directory / "progress.parquet"
    if run.collected is None:
        table = read_columns(path, columns)
        return table.iloc[thinned(len(table), KEPT)]
    tables, number = run.collected
    return _read(path, lambda path: tables.progress(number)[list(columns)])


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
