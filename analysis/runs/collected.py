"""Many runs in three tables: what `collect` writes, and what stands for run directories everywhere.

    DIR/runs.parquet      one row a run; expected ones that never started have one, too
    DIR/episodes.parquet  every training episode of the runs that ended, to the last bit; or the
                          last so many of each run, where `--last-episodes` asked for that
    DIR/progress.parquet  some iterations of the same runs, each as it was, none averaged
    DIR/SHA256SUMS        their sums, as `sha256sum --check` takes them

`run` numbers the rows of runs.parquet, in the order of the ids, and joins the tables. Nothing is
rounded, and by default no episode is left out, so what is computed from these tables is what is
computed from the run directories, to the last bit. Only progress.parquet is thinned (`thinned`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.runs.run import Run
from repro.runs import store

SUMS = "SHA256SUMS"
FILES = ("runs.parquet", "episodes.parquet", "progress.parquet", SUMS)
# What is copied out of run.json into columns: text, except for the numbers and flags below.
_NAMES = (
    *("run_id", "config_hash", "experiment", "budget", "algorithm", "env_id", "num_envs"),
    *("objective", "objective_value", "objective_label", "recipe", "seed", "total_timesteps"),
    *("steps", "status", "error", "failed_iteration", "time_wall_s", "started_at", "finished_at"),
    *("git_revision", "git_dirty", "host", "cpu", "cores", "device", "engine", "threads"),
    *("pack_size", "approximate", "digest"),
)
_INTEGERS = (
    *("num_envs", "seed", "total_timesteps", "steps", "failed_iteration", "cores", "threads"),
    "pack_size",
)
_FIELDS = dict.fromkeys(_NAMES, "string") | dict.fromkeys(_INTEGERS, "int64")
_FIELDS |= dict.fromkeys(("objective_value", "time_wall_s"), "float64")
_FIELDS |= dict.fromkeys(("git_dirty", "approximate"), "bool")
TIMES = ("time_env", "time_forward", "time_update", "time_other")
Schema = Mapping[str, tuple[str, str]]  # column -> type, meaning
RUNS: Schema = {
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
KEPT = 50  # iterations of a run, by default


class Collected:
    """The tables of a directory; each is read when it is first used.

    Every method raises a ValueError that names the file when one is damaged.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._tables: dict[str, pd.DataFrame] = {}

    def runs(self) -> list[Run]:
        """All runs, in the order of their numbers."""
        return [
            Run(
                json.loads(line["run_json"]),
                None if pd.isna(line.get("config_json")) else json.loads(line["config_json"]),
                self.directory if line.get("found", True) else None,
                bool(line["listed"]),
                (self, number),
            )
            for number, line in enumerate(self.table("runs").to_dict("records"))
        ]

    def rows(self, name: str, number: int) -> pd.DataFrame:
        """The rows of one run in the table `name`."""
        table = self.table(name)
        first, last = np.searchsorted(table["run"].to_numpy(), [number, number + 1])
        return table.iloc[first:last].drop(columns="run").reset_index(drop=True)

    def table(self, name: str) -> pd.DataFrame:
        """All rows of the table `name`."""
        if name not in self._tables:
            self._tables[name] = read(self.directory, f"{name}.parquet")
        return self._tables[name]


def is_collected(directory: Path) -> bool:
    """Whether `directory` holds the tables rather than run directories."""
    return (directory / "runs.parquet").is_file()


def read(directory: Path, name: str) -> pd.DataFrame:
    """A table of `directory`, verified against SHA256SUMS.

    The checksums of parquet's pages leave out the file's own index, where a flipped bit can change
    numbers, too.

    Raises:
        ValueError: naming the file, when it is damaged or of another collection.
    """
    path, sums = directory / name, directory / SUMS
    if not sums.is_file():
        raise ValueError(f"{sums} is missing: restore it, or collect again.")
    content = path.read_bytes()
    if f"{hashlib.sha256(content).hexdigest()}  {name}" not in sums.read_text("utf-8").splitlines():
        raise ValueError(f"{path} is not the file whose sum is in {sums}: restore both.")
    return store.read_table(path)


def thinned(rows: int, kept: int) -> np.ndarray[Any, Any]:
    """Which `kept` of a run's `rows` iterations stay: the first, the last, the rest evenly spaced.

    `[min(rows, kept)]` row numbers, ascending.
    """
    return np.unique(np.rint(np.linspace(0, rows - 1, min(rows, kept))).astype(np.int64))


def encode(
    runs: Sequence[Run],
    episodes: Mapping[int, pd.DataFrame],
    progress: Mapping[int, pd.DataFrame],
    kept: int,
) -> dict[str, bytes]:
    """The files of `runs` by name; their tables by place among them, of the runs that ended."""
    lines = [_line(n, run, episodes.get(n), progress.get(n)) for n, run in enumerate(runs)]
    thin = {number: table.iloc[thinned(len(table), kept)] for number, table in progress.items()}
    tables = {
        "runs": ({name: [line[name] for line in lines] for name in RUNS}, RUNS),
        "episodes": (joined(episodes, EPISODES), EPISODES),
        "progress": (joined(thin, PROGRESS), PROGRESS),
    }
    return files(tables)


def files(tables: Mapping[str, tuple[Mapping[str, Any], Schema]]) -> dict[str, bytes]:
    """Tables, each as its columns, as the files of a directory with their sums."""
    made = {
        f"{name}.parquet": store.table_bytes(*table, compact=True) for name, table in tables.items()
    }
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in made.items()]
    return made | {SUMS: "".join(sums).encode()}


def _line(
    number: int, run: Run, episodes: pd.DataFrame | None, progress: pd.DataFrame | None
) -> dict[str, Any]:
    return {
        "run": number,
        "listed": run.listed,
        "found": run.directory is not None,
        **{name: run.info.get(name) for name in _FIELDS},
        "episodes": 0 if episodes is None else len(episodes),
        **_counted(run, progress),
        "run_json": json.dumps(run.info),
        "config_json": None if run.config is None else json.dumps(run.config),
    }


def _counted(run: Run, progress: pd.DataFrame | None) -> dict[str, Any]:
    """Iterations, and seconds by phase; of collected tables as they were before some were kept."""
    if progress is None:
        return {"iterations": 0} | dict.fromkeys(TIMES)
    if run.collected is None:
        return {"iterations": len(progress)} | {name: float(progress[name].sum()) for name in TIMES}
    tables, number = run.collected
    return {name: tables.table("runs")[name].iloc[number] for name in ("iterations", *TIMES)}


def joined(tables: Mapping[int, pd.DataFrame], columns: Iterable[str]) -> dict[str, Any]:
    """Columns of tables by number of their run, one below the other; their first is `run`."""
    if not tables:
        return {name: [] for name in columns}
    whole = pd.concat(dict(sorted(tables.items())), names=["run"]).reset_index("run")
    whole = whole.reindex(columns=list(columns))
    return {name: whole[name].to_numpy() for name in columns}
