"""Runs that are done: what `evaluate` and `watch` take, and what they refuse without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from repro.runs import archive, store
from repro.config.schema import Config, hash_of
from repro.errors import ConfigError, CorruptError
from repro.config.validation import from_dict

PARAMETERS = "parameters.npz"
AGAIN = "run that configuration again"


class FinishedRun(NamedTuple):
    """A run that is DONE.

    Attributes:
        directory: where it is; it may have been moved or renamed.
        config: as in its `config.yaml`.
        info: its `run.json`.
    """

    directory: Path
    config: Config
    info: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The name that it was trained under."""
        return str(self.info["run_id"])


def open_run(directory: Path) -> FinishedRun:
    """Look at a run's directory.

    Raises:
        ConfigError: it holds no run, or one that is not done or whose `config.yaml` was changed.
        CorruptError: it holds files that are damaged.
    """
    if not (directory / "run.json").is_file():
        raise ConfigError(_no_run(directory))
    info = store.read_run(directory)
    missing = [name for name in ("run_id", "config_hash", "status") if name not in info]
    if missing:
        raise CorruptError(f"{directory / 'run.json'} has no {missing[0]}: {AGAIN}.")
    if info["status"] != store.DONE:
        raise ConfigError(
            f"{directory} is {info['status']}, not DONE: first finish it, by the command that "
            "began it."
        )
    return FinishedRun(directory, _config(directory, info), info)


def read_parameters(run: FinishedRun) -> dict[str, Any]:
    """What `parameters.npz` holds, by name. Only finite numbers are taken; nothing is unpickled.

    Raises:
        CorruptError: naming the file.
    """
    path = run.directory / PARAMETERS
    try:
        parameters = archive.unpack(path.read_bytes())
        archive.check_finite(parameters)
    except (CorruptError, ArithmeticError, OSError) as error:
        raise CorruptError(f"{path} is damaged ({error}): {AGAIN}.") from error
    return parameters


def _config(directory: Path, info: dict[str, Any]) -> Config:
    path = directory / "config.yaml"
    if not path.is_file():
        raise CorruptError(f"{path} is missing: {AGAIN}.")
    values = store.read_config(directory)
    found = hash_of(values)
    if found == info["config_hash"] and info["run_id"].endswith(found[:8]):
        return from_dict(values)
    raise ConfigError(
        f"{path} is not what {info['run_id']} was trained with (its hash is {found[:8]}, run.json "
        f"says {info['config_hash'][:8]}): put it back as it was."
    )


def _no_run(directory: Path) -> str:
    if not directory.is_dir():
        return f"{directory} is not a directory: give that of a finished run."
    below = store.run_directories(directory)
    if below:
        return f"{directory} is not a run but holds {len(below)}, such as {below[0]}: give those."
    return f"{directory} holds no run (no run.json): give the directory of a finished run."
