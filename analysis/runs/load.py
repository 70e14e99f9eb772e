"""Run directories, or their collected tables -> runs, their tables, and one line a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError, reading
from analysis.runs.collected import KEPT, TIMES, Collected, is_collected, thinned
from analysis.runs.run import Run, Sweep, hole_in, hole_of
from analysis.statistics.bootstrap import FloatArray
from analysis.statistics.scoring import run_return
from repro.runs import store

P = ParamSpec("P")
T = TypeVar("T")
_REQUIRED = (
    *("run_id", "config_hash", "algorithm", "env_id", "num_envs", "objective", "objective_value"),
    *("objective_label", "recipe", "seed", "total_timesteps"),
)


def load_sweep(*runs_dirs: Path) -> Sweep:
    """Every run under `runs_dirs`, and every run that a sweep.json there expects.

    A run that one directory expects and another holds is one run; so is one that lies in two with
    the same digest, or that ended in one of them only.

    Args:
        runs_dirs: with run directories at any depth, or the tables that `collect` made of them.

    Raises:
        AnalysisError: for a missing or empty directory, a damaged file, or a run found twice.
    """
    runs: dict[str, Run] = {}
    for runs_dir in runs_dirs:
        for run in runs_in(Path(runs_dir)):
            _add(runs, run)
    ordered = tuple(runs[key] for key in sorted(runs))
    extra = [run.run_id for run in ordered if not run.listed]
    note = f"Not listed in sweep.json, but found and counted as expected: {', '.join(extra)}."
    if len(extra) == len(ordered):
        note = (
            "There is no sweep.json: the expected runs are the ones found, so a run that never "
            "started cannot be seen."
        )
    commands = dict.fromkeys(
        str(command)
        for runs_dir in runs_dirs
        for path in sorted(Path(runs_dir).rglob("sweep.json"))
        for command in _read(path, store.read_commands, path.parent)
    )
    return Sweep(ordered, (note,) if extra else (), tuple(commands))


def runs_in(runs_dir: Path, required: Sequence[str] = _REQUIRED) -> list[Run]:
    """The runs of one directory, whose run.json has `required` fields; errors as `load_sweep`.

    Where it is no collection, one that was expected and found is there twice.
    """
    if not runs_dir.is_dir():
        raise AnalysisError(f"--runs {runs_dir} is no directory: give the one that holds the runs.")
    if is_collected(runs_dir):
        path = runs_dir / "runs.parquet"
        collected = _read(path, Collected(runs_dir).runs)
        for run in collected:
            _check_fields(run.info, path, required)
        return collected
    runs = [*_expected(runs_dir, required), *_found(runs_dir, required)]
    if not runs:
        raise AnalysisError(
            f"--runs {runs_dir} holds no run.json and no sweep.json: run a sweep first."
        )
    return runs


def _add(runs: dict[str, Run], run: Run) -> None:
    """One of the two where a run is there already: the one that ended, or else has files."""
    other = runs.get(run.run_id, run)
    places = {each.directory.resolve() for each in (run, other) if each.directory}
    same = run.info.get("digest") == other.info.get("digest") is not None
    begun = not run.ended and (run.collected or other.collected)  # tables hold its beginning
    if len(places) > 1 and run.ended == other.ended and not same and not begun:
        raise AnalysisError(
            f"{run.run_id} lies in {other.directory} and in {run.directory}: "
            "point --runs at the directory that holds one of them."
        )
    better = other.directory is None or (run.ended and not other.ended)
    runs[run.run_id] = replace(run if better else other, listed=run.listed or other.listed)


def _found(runs_dir: Path, required: Sequence[str]) -> Iterator[Run]:
    for directory in store.run_directories(runs_dir):
        path = directory / "run.json"
        _check_fields(_read(path, store.read_run, directory), path, required)
        info = _read(path, store.verify, directory)
        yield Run(info, _read(directory / "config.yaml", store.read_config, directory), directory)


def _expected(runs_dir: Path, required: Sequence[str]) -> Iterator[Run]:
    for path in sorted(runs_dir.rglob("sweep.json")):
        for entry in _read(path, store.read_sweep, path.parent):
            _check_fields(entry, path, required)
            info = {key: value for key, value in entry.items() if key != "config"}
            yield Run(info, entry.get("config"), None, listed=True)


def _read(path: Path, read: Callable[P, T], *args: P.args, **how: P.kwargs) -> T:
    """What `read` makes of the file `path`."""
    with reading(path, "restore it, or remove its run and run it again", own=True):
        return read(*args, **how)


def _check_fields(info: object, where: Path, required: Sequence[str]) -> None:
    if not isinstance(info, dict):
        raise AnalysisError(f"{where} holds something other than runs: remove it and run again.")
    lacking = [name for name in required if name not in info]
    if lacking:
        raise AnalysisError(
            f"{where} lacks {', '.join(lacking)}: it was not written by this version of repro."
        )


def read_evaluations(run: Run) -> pd.DataFrame:
    """A run's evaluations; an AnalysisError if the file is not what evaluations wrote."""
    assert run.directory is not None
    return _read(run.directory / "evaluations.parquet", store.read_evaluations, run.directory)


def read_rows(run: Run, name: str, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """A table of a run, from its directory or the collected tables that hold it, or its `columns`.

    Raises:
        AnalysisError: naming a file that is not what the run wrote.
    """

    def rows(directory: Path) -> pd.DataFrame:
        if run.collected is None:
            whole = store.read_run_table(directory, name)
        else:
            tables, number = run.collected
            whole = tables.rows(name, number)
        return whole if columns is None else whole[list(columns)]

    assert run.directory is not None
    return _read(run.directory / f"{name}.parquet", rows, run.directory)


def read_episodes(run: Run) -> tuple[FloatArray, FloatArray]:
    """Steps and returns of a run's episodes until `run.until`, in the order of their ends."""
    table = read_rows(run, "episodes", ("step", "return"))
    if run.until is not None:
        table = table[table["step"] <= run.until]
    ordered = table.sort_values("step", kind="stable")
    return ordered["step"].to_numpy(np.float64), ordered["return"].to_numpy(np.float64)


def read_progress(run: Run, columns: Sequence[str]) -> pd.DataFrame:
    """Columns of the iterations of a finished run that `collect` keeps, collected or not."""
    table = read_rows(run, "progress", columns)
    return table.iloc[thinned(len(table), KEPT)]


def read_times(run: Run) -> dict[str, float]:
    """Seconds of a run by `TIMES`: its share of its pack's, zero if unfinished."""
    if run.directory is None or not run.ended:
        return dict.fromkeys(TIMES, 0.0)
    if run.collected is not None:
        tables, number = run.collected
        path = run.directory / "runs.parquet"
        line: pd.Series = _read(path, tables.table, "runs")[list(TIMES)].iloc[number]
    else:
        line = read_rows(run, "progress", TIMES).sum()
    return {name: float(line[name]) for name in TIMES}


COLUMNS = (
    *("run_id", "task", "row", "objective", "value", "seed", "hole"),
    *("return", "mean", "episodes"),
)


def frame(
    runs: Iterable[Run], episodes: int, row: Callable[[Run], str] = lambda run: run.row
) -> pd.DataFrame:
    """`COLUMNS`, one line an expected run of `runs`, with what its score is made of.

    `row` says what a run is a row of. `hole` is the reason why it enters no score, or "". `return`
    is the mean return of its last `episodes` training episodes and `mean` that of all, NaN in a
    hole; the column `episodes` is how many there are.
    """
    lines = []
    for run in runs:
        hole, _, returns = finished_episodes(run)
        means = (np.nan, np.nan) if hole else (run_return(returns, episodes), returns.mean())
        line = (run.run_id, run.task, row(run), *run.objective, int(run.info["seed"]), hole)
        lines.append((*line, *means, len(returns)))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def finished_episodes(run: Run) -> tuple[str, FloatArray, FloatArray]:
    """Why a run enters no score, or "", then what `read_episodes` finds of a finished run."""
    if hole := hole_of(run):
        return hole, np.empty(0), np.empty(0)
    steps, returns = read_episodes(run)
    return hole_in(returns), steps, returns
