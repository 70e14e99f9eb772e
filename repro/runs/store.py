"""Run directories: what lies where, and how it is read.

    DIR/sweep.json                    the expected runs, written before a sweep starts
    DIR/<run_id>/config.yaml          the composed configuration
    DIR/<run_id>/run.json             identity, provenance, status
    DIR/<run_id>/episodes.parquet     one row per finished training episode
    DIR/<run_id>/progress.parquet     one row per iteration
    DIR/<run_id>/parameters.npz       final parameters and normalizer statistics
    DIR/<run_id>/evaluations.parquet  one row per episode of `python -m repro.evaluate`
    DIR/<run_id>/checkpoints/         where an unfinished run resumes (`repro.runs.checkpoint`)

Every file is written under a temporary name and renamed, so that readers see it whole or not at
all. Every file is verified before it is used, by the SHA-256 in `run.json`
(`repro.runs.seals.verify` does all of a run); tables have page checksums besides. Nothing is ever
pickled or unpickled.

`repro.runs.writer` writes what a training run leaves. `repro.runs.schema` defines statuses and
columns, `repro.runs.files` reads and writes single files; analysis imports this module alone, so
the names of both that a reader of results needs are public here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.config.schema import PLACEMENT
from repro.errors import CorruptError
from repro.runs import archive, seals
from repro.runs.files import (
    REMEDY,
    TABLE_BYTES,
    parse_table,
    read_bytes,
    read_json,
    read_table,
    read_yaml,
    sha256,
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
    PARAMETERS_FILE,
    PREEMPTED,
    PROGRESS,
    RUNNING,
    SCHEMA_VERSION,
)

__all__ = [
    "DONE",
    "EPISODES",
    "FAILED",
    "INTERPOLATION",
    "PLACEMENT",
    "PREEMPTED",
    "PROGRESS",
    "REMEDY",
    "RUNNING",
    "append_evaluation",
    "is_done",
    "read_commands",
    "read_config",
    "read_evaluations",
    "read_json",
    "read_parameters",
    "read_run",
    "read_run_numbers",
    "read_run_table",
    "read_sweep",
    "read_table",
    "run_directories",
    "set_aside",
    "table_bytes",
    "verify",
    "write_atomically",
    "write_json",
    "write_sweep",
    "write_table",
]
if TYPE_CHECKING:  # as in `files`
    import pandas as pd

RACES = 3  # a reader of evaluations may meet a writer: then it looks again
Array = np.ndarray[Any, Any]
verify = seals.verify


def read_run(directory: Path) -> dict[str, Any]:
    """run.json."""
    return read_json(directory / "run.json")


def read_config(directory: Path) -> dict[str, Any]:
    """config.yaml, as nested dictionaries.

    Raises:
        CorruptError: naming the file, when it is damaged.
    """
    return read_yaml(directory / "config.yaml")


def read_run_table(directory: Path, name: str) -> pd.DataFrame:
    """A table of a run: `episodes`, `progress`, or a probe's.

    Its SHA-256 is compared with the one in run.json; a run that has not ended has none yet.

    Raises:
        CorruptError: naming the file, when it is missing, damaged, or not what the run wrote.
    """
    return seals.read_table(directory, name, seals.read_run(directory))


def read_run_numbers(directory: Path, name: str, column: str) -> Array:
    """One column of such a table, without pandas; null becomes NaN. Errors as there."""
    return seals.read_numbers(directory, name, column, seals.read_run(directory))


def read_parameters(directory: Path) -> dict[str, Array]:
    """Final parameters and normalizer statistics of any run, by name.

    The file's SHA-256 is compared with the one in run.json before anything in it is parsed. Only
    arrays of numbers are accepted; a failed run may have left statistics that are not finite.

    Raises:
        CorruptError: naming the file, when it is missing, was changed after the run, or holds
            anything else.
    """
    try:
        return archive.unpack(seals.parameters_content(directory, read_run(directory)))
    except CorruptError as error:
        path = directory / PARAMETERS_FILE
        if str(path) in str(error) or "run.json" in str(error):
            raise
        raise CorruptError(f"{path} is damaged ({error}): {REMEDY}.") from error


def read_evaluations(directory: Path) -> pd.DataFrame:
    """All evaluations of a run, in the order in which they ended; no rows where there are none.

    Raises:
        CorruptError: naming the file, when it is damaged, or its SHA-256 is not in run.json.
    """
    import pandas as pd

    path = directory / EVALUATIONS_FILE
    remedy = "move it away, and evaluate again"
    for _ in range(RACES):
        if not path.exists():
            return pd.DataFrame({name: [] for name in EVALUATIONS})
        content = read_bytes(path, TABLE_BYTES, remedy)
        sums = read_run(directory).get("evaluations_sha256")
        if sums is None or sha256(content) in sums:
            break
    else:
        raise CorruptError(
            f"{path} is not the file that evaluations wrote (its SHA-256 is not in run.json): "
            f"{remedy}."
        )
    frame = parse_table(path, content, remedy)
    if "measures" not in frame:  # of a version that did not know them
        frame["measures"] = None
    if list(frame) != list(EVALUATIONS):
        raise CorruptError(f"{path} has other columns than an evaluation: {remedy}.")
    return frame


def append_evaluation(directory: Path, columns: Mapping[str, Sequence[Any]]) -> int:
    """Append one evaluation's rows to a run's evaluations.parquet, atomically.

    Args:
        directory: of the run. The caller holds its lock; otherwise rows of a concurrent evaluation
            may be lost.
        columns: those of EVALUATIONS except `evaluation`.

    Returns:
        The evaluation's number, from 1.
    """
    before = read_evaluations(directory)
    number = 1 + max(before["evaluation"].astype(int), default=0)
    rows = {"evaluation": [number] * len(columns["episode"]), **columns}
    joined = {name: [*before[name], *rows[name]] for name in EVALUATIONS}
    _replace_evaluations(directory, table_bytes(joined, EVALUATIONS))
    return number


def _replace_evaluations(directory: Path, content: bytes) -> None:
    """Write the table and its sum. Killed at any moment, run.json knows the file that is there."""
    path, info = directory / EVALUATIONS_FILE, read_run(directory)
    before = [sha256(path.read_bytes())] if path.exists() else []
    after = [sha256(content)]
    write_json(directory / "run.json", info | {"evaluations_sha256": before + after})
    write_atomically(path, lambda file: file.write(content))
    write_json(directory / "run.json", info | {"evaluations_sha256": after})


def is_done(directory: Path) -> bool:
    """Whether `directory` holds a finished run."""
    return (directory / "run.json").is_file() and read_run(directory).get("status") == DONE


def run_directories(runs_dir: Path) -> list[Path]:
    """Every run directory under `runs_dir`, at any depth, sorted by path.

    Hidden directories are skipped: `set_aside` moves abandoned attempts there. So are directories
    that another process removes meanwhile, such as those of checkpoints.
    """
    found = []
    for directory, names, files in os.walk(runs_dir):
        names[:] = [name for name in names if not name.startswith(".")]
        if "run.json" in files:
            found.append(Path(directory))
    return sorted(found)


def set_aside(directory: Path) -> Path:
    """Move a run directory's contents to `runs_dir/.set_aside/<run_id>.1`, .2 and so on.

    The directory itself and its lock stay.

    Returns:
        The new place.
    """
    number = 1
    while (aside := directory.parent / ".set_aside" / f"{directory.name}.{number}").exists():
        number += 1
    aside.mkdir(parents=True)
    for path in directory.iterdir():
        if path.name != LOCK:
            path.rename(aside / path.name)
    return aside


def write_sweep(runs_dir: Path, runs: Iterable[Mapping[str, Any]], command: str = "") -> None:
    """Add runs to `runs_dir/sweep.json`, one entry a `run_id`, and the command for them."""
    path = runs_dir / "sweep.json"
    expected = {run["run_id"]: run for run in read_sweep(runs_dir)}
    expected |= {run["run_id"]: dict(run) for run in runs}
    commands = dict.fromkeys([*read_commands(runs_dir), *([command] if command else [])])
    runs_dir.mkdir(parents=True, exist_ok=True)
    content = {"schema": SCHEMA_VERSION, "commands": [*commands], "runs": [*expected.values()]}
    write_json(path, content)


def read_sweep(runs_dir: Path) -> list[dict[str, Any]]:
    """The expected runs of `runs_dir`; empty when no sweep was started there."""
    path = runs_dir / "sweep.json"
    return list(read_json(path)["runs"]) if path.is_file() else []


def read_commands(runs_dir: Path) -> list[str]:
    """The commands that asked for the runs of `read_sweep`, the first one first."""
    path = runs_dir / "sweep.json"
    return list(read_json(path).get("commands", ())) if path.is_file() else []
