"""Run directories and their tables: what lies where, how it is written and read.

    DIR/sweep.json                 the expected grid, written before a sweep starts
    DIR/<run_id>/config.yaml       the composed configuration
    DIR/<run_id>/run.json          identity, provenance, status
    DIR/<run_id>/episodes.parquet  one row a finished training episode
    DIR/<run_id>/progress.parquet  one row an iteration
    DIR/<run_id>/parameters.npz    final parameters and normalizer
    DIR/<run_id>/evaluations.parquet  one row an episode of `python -m repro.evaluate`
    DIR/<run_id>/checkpoints/      what an unfinished run goes on from (`repro.runs.checkpoint`)

Columns and units are in `repro.runs.schema`. Everything is written beside its place and renamed. Tables
carry page checksums, which `read_*` verifies: a flipped bit is an error, not a number. Nothing is
ever pickled.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from repro.config.schema import PLACEMENT
from repro.errors import CorruptError
from repro.runs.files import (
    read_json,
    read_table,
    table_bytes,
    write_atomically,
    write_json,
    write_table,
)
from repro.runs.schema import (
    DONE,
    EPISODES,
    EVALUATIONS,
    EVALUATIONS_FILE,
    FAILED,
    INTERPOLATION,
    LOCK,
    PREEMPTED,
    PROGRESS,
    RUNNING,
    SCHEMA_VERSION,
    TABLES,
)

__all__ = [
    "DONE",
    "EPISODES",
    "EVALUATIONS",
    "EVALUATIONS_FILE",
    "FAILED",
    "INTERPOLATION",
    "LOCK",
    "PLACEMENT",
    "PREEMPTED",
    "PROGRESS",
    "RUNNING",
    "SCHEMA_VERSION",
    "TABLES",
    "Rows",
    "RunWriter",
    "append_evaluation",
    "is_done",
    "read_config",
    "read_evaluations",
    "read_json",
    "read_parameters",
    "read_run",
    "read_sweep",
    "read_table",
    "run_directories",
    "set_aside",
    "table_bytes",
    "verify_parameters",
    "write_atomically",
    "write_json",
    "write_sweep",
    "write_table",
]


class Rows:
    """A growing table, kept as arrays; rows are only ever added at its end."""

    def __init__(
        self, schema: Mapping[str, tuple[str, str]], start: Mapping[str, Any] | None = None
    ) -> None:
        """Begin with the columns of `start`, or empty."""
        self._kinds = {name: kind for name, (kind, _) in schema.items()}
        self._old = {
            name: np.array([] if start is None else start[name], kind)
            for name, kind in self._kinds.items()
        }
        self._new: dict[str, list[Any]] = {name: [] for name in self._kinds}

    def __len__(self) -> int:
        """Rows so far."""
        return len(next(iter(self._old.values()))) + len(next(iter(self._new.values())))

    def extend(self, columns: Mapping[str, Iterable[Any]]) -> None:
        """Add rows; None is NaN."""
        for name, values in self._new.items():
            values.extend(columns[name])

    def columns(self, rows: int | None = None) -> dict[str, np.ndarray[Any, Any]]:
        """The first `rows`, all by default, as arrays by column."""
        for name, kind in self._kinds.items():
            if self._new[name]:
                self._old[name] = np.append(self._old[name], np.array(self._new[name], kind))
                self._new[name] = []
        return {name: column[:rows] for name, column in self._old.items()}


class RunWriter:
    """Writes one run's directory. Rows wait in memory between `flush`es."""

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        info: Mapping[str, Any],
        tables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Claim `directory`: what an earlier attempt left there is overwritten.

        Args:
            directory: `runs_dir / run_id`.
            config: nested plain dictionaries, written as config.yaml.
            info: the fields of run.json that are known at the start.
            tables: rows that a checkpoint holds, by table and column; later ones on disk are void.
        """
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("episodes.parquet", "progress.parquet", "parameters.npz", EVALUATIONS_FILE):
            (directory / name).unlink(missing_ok=True)
        for litter in directory.glob("*.tmp-????????"):  # of a process killed while it wrote
            litter.unlink()
        text = yaml.safe_dump(dict(config), sort_keys=False)
        write_atomically(directory / "config.yaml", lambda file: file.write(text.encode()))
        self._info = {"schema": SCHEMA_VERSION, **info, "status": RUNNING}
        write_json(directory / "run.json", self._info)
        tables = tables or {}
        self._episodes = Rows(EPISODES, tables.get("episodes"))
        self._progress = Rows(PROGRESS, tables.get("progress"))
        if tables:
            self.flush()

    def add(self, progress: Mapping[str, Any], episodes: Mapping[str, Iterable[Any]]) -> None:
        """One iteration: a value for each column of PROGRESS, a sequence for each of EPISODES."""
        self._progress.extend({name: [progress[name]] for name in PROGRESS})
        self._episodes.extend(episodes)

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {"episodes": len(self._episodes), "progress": len(self._progress)}

    def tables(self, counts: Mapping[str, int]) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
        """The first so many rows of each table, by table and column."""
        return {
            "episodes": self._episodes.columns(counts["episodes"]),
            "progress": self._progress.columns(counts["progress"]),
        }

    def flush(self) -> None:
        """Put the rows so far on disk."""
        write_table(self.directory / "episodes.parquet", self._episodes.columns(), EPISODES)
        write_table(self.directory / "progress.parquet", self._progress.columns(), PROGRESS)

    def finish(
        self,
        status: str,
        parameters: Mapping[str, np.ndarray[Any, Any]] | None = None,
        **info: Any,
    ) -> None:
        """Write what there is, then the status: a DONE run has all its files."""
        self.flush()
        if parameters is not None:
            path = self.directory / "parameters.npz"
            write_atomically(
                path, lambda file: np.savez(file, allow_pickle=False, **dict(parameters))
            )
            self._info["parameters_sha256"] = _sha256(path)
        self._info |= {**info, "status": status}
        write_json(self.directory / "run.json", self._info)


def read_run(directory: Path) -> dict[str, Any]:
    """run.json."""
    return read_json(directory / "run.json")


def read_config(directory: Path) -> dict[str, Any]:
    """config.yaml, as nested dictionaries.

    Raises:
        ValueError: naming the file, when it is damaged.
    """
    path = directory / "config.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CorruptError(f"{path} is damaged: run that configuration again.") from error
    if not isinstance(values, dict):
        raise CorruptError(f"{path} holds no configuration: run that configuration again.")
    return values


def read_parameters(directory: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Final parameters by name; the archive's checksums are verified.

    Raises:
        CorruptError: it holds anything but arrays of numbers.
    """
    path = directory / "parameters.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("it holds something besides arrays")
        return arrays
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise CorruptError(f"{path} is damaged ({error}): run that configuration again.") from error


def verify_parameters(directory: Path) -> None:
    """Check, before anything reads it, that parameters.npz is the file that its run wrote.

    Raises:
        CorruptError: it is another, is missing, or run.json does not tell.
    """
    path = directory / "parameters.npz"
    expected = read_run(directory).get("parameters_sha256")
    found = _sha256(path) if path.is_file() else None
    if expected is None or found != expected:
        what = "missing" if found is None else "not the file that its run wrote"
        raise CorruptError(f"{path} is {what}, by run.json: run that configuration again.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_evaluations(directory: Path) -> pd.DataFrame:
    """Every evaluation so far, in the order in which they ended; no rows where there was none.

    Raises:
        ValueError: naming the file, when it is damaged.
    """
    path = directory / EVALUATIONS_FILE
    if not path.exists():
        return pd.DataFrame({name: [] for name in EVALUATIONS})
    remedy = "move it away, and evaluate again"
    frame = read_table(path, remedy)
    if list(frame) != list(EVALUATIONS):
        raise CorruptError(f"{path} has other columns than an evaluation: {remedy}.")
    return frame


def append_evaluation(directory: Path, columns: Mapping[str, Sequence[Any]]) -> int:
    """Add an evaluation's rows to those that are there, atomically.

    Args:
        directory: of a run; the caller has its lock, or rows of another evaluation may be lost.
        columns: those of EVALUATIONS but its number.

    Returns:
        Its number.
    """
    before = read_evaluations(directory)
    number = 1 + max(before["evaluation"].astype(int), default=0)
    rows = {"evaluation": [number] * len(columns["episode"]), **columns}
    joined = {name: [*before[name], *rows[name]] for name in EVALUATIONS}
    write_table(directory / EVALUATIONS_FILE, joined, EVALUATIONS)
    return number


def is_done(directory: Path) -> bool:
    """Whether a finished run lies in `directory`."""
    return (directory / "run.json").is_file() and read_run(directory)["status"] == DONE


def run_directories(runs_dir: Path) -> list[Path]:
    """Every run directory under `runs_dir`, at any depth, in the order of their names.

    Not those in hidden directories, where `set_aside` puts attempts that were given up.
    """
    return sorted(
        path.parent
        for path in runs_dir.rglob("run.json")
        if not any(part.startswith(".") for part in path.relative_to(runs_dir).parts)
    )


def set_aside(directory: Path) -> Path:
    """Move what is in a run directory to `runs_dir/.set_aside/<run_id>.1`, .2 and so on.

    The directory itself stays, and so does a lock in it.
    """
    number = 1
    while (aside := directory.parent / ".set_aside" / f"{directory.name}.{number}").exists():
        number += 1
    aside.mkdir(parents=True)
    for path in directory.iterdir():
        if path.name != LOCK:
            path.rename(aside / path.name)
    return aside


def write_sweep(runs_dir: Path, runs: Iterable[Mapping[str, Any]]) -> None:
    """Add to the expected grid of `runs_dir`: one entry a run, keyed by `run_id`."""
    path = runs_dir / "sweep.json"
    expected = {run["run_id"]: run for run in read_sweep(runs_dir)}
    expected |= {run["run_id"]: dict(run) for run in runs}
    runs_dir.mkdir(parents=True, exist_ok=True)
    write_json(path, {"schema": SCHEMA_VERSION, "runs": list(expected.values())})


def read_sweep(runs_dir: Path) -> list[dict[str, Any]]:
    """The expected runs of `runs_dir`; empty when no sweep was started there."""
    path = runs_dir / "sweep.json"
    return list(read_json(path)["runs"]) if path.is_file() else []
