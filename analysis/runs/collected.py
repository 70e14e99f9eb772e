"""Many runs in three tables: what `collect` writes, and what stands for run directories everywhere.

    DIR/runs.parquet      one row a run; expected ones that never started have one, too
    DIR/episodes.parquet  every training episode of the runs that ended, to the last bit
    DIR/progress.parquet  some iterations of the same runs, each as it was, none averaged
    DIR/SHA256SUMS        their sums, as `sha256sum --check` takes them

`run` numbers the rows of runs.parquet, in the order of the ids, and joins the tables. Nothing is
rounded and no episode is left out, so what is computed from these tables is what is computed from
the run directories, to the last bit. Only progress.parquet is thinned (`thinned`).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from repro.runs import store

SUMS = "SHA256SUMS"
FILES = ("runs.parquet", "episodes.parquet", "progress.parquet", SUMS)
# What is copied out of run.json for readers with a data frame: name -> type.
_FIELDS = {
    "run_id": "string",
    "config_hash": "string",
    "experiment": "string",
    "budget": "string",
    "algorithm": "string",
    "env_id": "string",
    "num_envs": "int64",
    "objective": "string",
    "objective_value": "float64",
    "objective_label": "string",
    "recipe": "string",
    "seed": "int64",
    "total_timesteps": "int64",
    "steps": "int64",
    "status": "string",
    "error": "string",
    "failed_iteration": "int64",
    "time_wall_s": "float64",
    "started_at": "string",
    "finished_at": "string",
    "git_revision": "string",
    "git_dirty": "bool",
    "host": "string",
    "cpu": "string",
    "cores": "int64",
    "device": "string",
    "engine": "string",
    "threads": "int64",
    "pack_size": "int64",
    "approximate": "bool",
    "digest": "string",
}
TIMES = ("time_env", "time_forward", "time_update", "time_other")
RUNS: dict[str, tuple[str, str]] = {
    "run": ("int32", "number of the run in all three tables"),
    "listed": ("bool", "whether a sweep.json expected it"),
    "found": ("bool", "whether it left a directory; a run without one never started"),
    **{name: (kind, "as in run.json; null where it has none") for name, kind in _FIELDS.items()},
    "episodes": ("int64", "its rows in episodes.parquet"),
    "iterations": ("int64", "how many it had; progress.parquet holds some of them"),
    **{name: ("float64", "sum over all its iterations, seconds") for name in TIMES},
    "run_json": ("string", "run.json whole, as JSON; of a run never started, its expected fields"),
    "config_json": ("string", "config.yaml whole, as JSON; null where there is none"),
}
_NUMBER = {"run": RUNS["run"]}
EPISODES = _NUMBER | {name: store.EPISODES[name] for name in ("step", "return", "length")}
PROGRESS = _NUMBER | store.PROGRESS
KEPT = 50  # iterations of a run, unless told otherwise
_ENDED = (store.DONE, store.FAILED)


@dataclass(frozen=True)
class Entry:
    """One row of runs.parquet, as `load.Run` has it."""

    COLUMNS: ClassVar = ("run", "listed", "found", "run_json", "config_json")

    number: int
    listed: bool
    found: bool
    info: Mapping[str, Any]
    config: Mapping[str, Any] | None


class Collected:
    """The tables of a directory; episodes are read when they are first asked for."""

    def __init__(self, directory: Path) -> None:
        """Name the directory; nothing is read yet."""
        self.directory = directory

    def entries(self) -> list[Entry]:
        """All runs.

        Raises:
            ValueError: naming the file, when it is damaged.
        """
        table = read(self.directory, "runs.parquet")
        return [_entry(line) for line in table[list(Entry.COLUMNS)].itertuples(index=False)]

    def episodes(self, number: int) -> pd.DataFrame:
        """The episodes of one run: `step, return, length`.

        Raises:
            ValueError: naming the file, when it is damaged.
        """
        table, numbers = self._episodes
        first, last = np.searchsorted(numbers, [number, number + 1])
        return table.iloc[first:last]

    def times(self, number: int) -> dict[str, float]:
        """Seconds of one run by phase: its share of its pack's. Zero for an unfinished run.

        Raises:
            ValueError: naming the file, when it is damaged.
        """
        line = self._times.iloc[number]
        return {name: float(line[name]) for name in TIMES}

    def progress(self, number: int) -> pd.DataFrame:
        """The iterations that were kept of one run, with the columns of `store.PROGRESS`.

        Raises:
            ValueError: naming the file, when it is damaged.
        """
        table = self._progress
        return table[table["run"] == number]

    @functools.cached_property
    def _progress(self) -> pd.DataFrame:
        return read(self.directory, "progress.parquet")

    @functools.cached_property
    def _times(self) -> pd.DataFrame:
        return read(self.directory, "runs.parquet")[list(TIMES)].fillna(0.0)

    @functools.cached_property
    def _episodes(self) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
        table = read(self.directory, "episodes.parquet")
        return table.drop(columns="run"), table["run"].to_numpy()


def is_collected(directory: Path) -> bool:
    """Whether `directory` holds the tables rather than run directories."""
    return (directory / "runs.parquet").is_file()


def read(directory: Path, name: str) -> pd.DataFrame:
    """A table of `directory`, verified against SHA256SUMS.

    The checksums of the pages leave out the file's own index, where a flipped bit can change
    numbers, too.

    Raises:
        ValueError: naming the file, when it is damaged or of another collection.
        OSError: when it cannot be read.
    """
    path, sums = directory / name, directory / SUMS
    if not sums.is_file():
        raise ValueError(f"{sums} is missing: restore it, or collect again.")
    content = path.read_bytes()
    if f"{hashlib.sha256(content).hexdigest()}  {name}" not in sums.read_text("utf-8").splitlines():
        raise ValueError(f"{path} is not the file whose sum is in {sums}: restore both.")
    return store.read_table(path)


def _entry(line: Any) -> Entry:
    config = None if pd.isna(line.config_json) else json.loads(line.config_json)
    info = json.loads(line.run_json)
    return Entry(int(line.run), bool(line.listed), bool(line.found), info, config)


def thinned(rows: int, kept: int) -> np.ndarray[Any, Any]:
    """Which of a run's iterations progress.parquet keeps: first, last, the rest evenly spaced.

    Args:
        rows: how many there are.
        kept: how many to keep; all where there are no more.

    Returns:
        `[min(rows, kept)]` row numbers, ascending.
    """
    if rows <= kept:
        return np.arange(rows)
    return np.unique(np.rint(np.linspace(0, rows - 1, kept)).astype(np.int64))


def has_tables(found: bool, info: Mapping[str, Any]) -> bool:
    """Whether a run's tables are collected: an unfinished run's may change while they are read."""
    return found and info.get("status") in _ENDED


def encode(
    entries: Sequence[Entry],
    episodes: Mapping[int, pd.DataFrame],
    progress: Mapping[int, pd.DataFrame],
    kept: int,
) -> dict[str, bytes]:
    """The files by name.

    Args:
        entries: numbered 0, 1, ... in this order.
        episodes: columns of `store.EPISODES` by the number of the run, for those that ended.
        progress: columns of `store.PROGRESS`, likewise.
        kept: rows of progress to keep for each run.
    """
    lines = [_line(e, episodes.get(e.number), progress.get(e.number)) for e in entries]
    runs = {name: [line[name] for line in lines] for name in RUNS}
    thin = {number: table.iloc[thinned(len(table), kept)] for number, table in progress.items()}
    files = {
        "runs.parquet": store.table_bytes(runs, RUNS, compact=True),
        "episodes.parquet": store.table_bytes(_joined(episodes, EPISODES), EPISODES, compact=True),
        "progress.parquet": store.table_bytes(_joined(thin, PROGRESS), PROGRESS, compact=True),
    }
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()]
    return files | {SUMS: "".join(sums).encode()}


def _line(
    entry: Entry, episodes: pd.DataFrame | None, progress: pd.DataFrame | None
) -> dict[str, Any]:
    config = None if entry.config is None else json.dumps(entry.config)
    return {
        "run": entry.number,
        "listed": entry.listed,
        "found": entry.found,
        **{name: entry.info.get(name) for name in _FIELDS},
        "episodes": 0 if episodes is None else len(episodes),
        "iterations": 0 if progress is None else len(progress),
        **{name: None if progress is None else float(progress[name].sum()) for name in TIMES},
        "run_json": json.dumps(entry.info),
        "config_json": config,
    }


def _joined(
    tables: Mapping[int, pd.DataFrame], schema: Mapping[str, tuple[str, str]]
) -> dict[str, np.ndarray[Any, Any]]:
    if not tables:
        return {name: np.array([]) for name in schema}
    numbers = sorted(tables)
    whole = pd.concat([tables[number] for number in numbers], ignore_index=True)
    lengths = [len(tables[number]) for number in numbers]
    columns = {name: whole[name].to_numpy() for name in schema if name != "run"}
    return {"run": np.repeat(np.array(numbers, np.int32), lengths), **columns}
