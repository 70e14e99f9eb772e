"""Opening a finished run: the files that belong together, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from repro.config.schema import Config
from repro.config.validation import from_dict
from repro.errors import ConfigError, CorruptError, NumericalError
from repro.runs import archive, committed, seals, store
from repro.runs.schema import DONE, PARAMETERS_FILE


class FinishedRun(NamedTuple):
    """A run whose status is DONE.

    Attributes:
        directory: where it is now; it may have been moved or renamed since it was trained.
        config: the configuration in its `config.yaml`.
        info: its `run.json`.
    """

    directory: Path
    config: Config
    info: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The name it was trained under."""
        return str(self.info["run_id"])

    def parameters(self) -> dict[str, store.Array]:
        """Its trained parameters and normalizer statistics by name: finite numbers.

        Raises:
            CorruptError: the file is damaged or was changed after the run.
        """
        parameters = store.read_parameters(self.directory)
        try:
            archive.check_finite(parameters)
        except NumericalError as error:
            path = self.directory / PARAMETERS_FILE
            raise CorruptError(f"{path} is damaged ({error}): {store.REMEDY}.") from error
        return parameters


def open_run(directory: Path) -> FinishedRun:
    """Open a finished run, all of whose files are those that it wrote.

    Args:
        directory: of the run; or the name of a committed policy, such as half_cheetah/clip_0.2/3.

    Raises:
        ConfigError: the directory holds no run, an unfinished run, or a `config.yaml` that was
            changed.
        CorruptError: a file is damaged, missing, or not what the run wrote.
    """
    directory = committed.locate(directory)
    if not (directory / "run.json").is_file():
        raise ConfigError(_no_run(directory))
    info = seals.read_run(directory)
    if info["status"] != DONE:
        raise ConfigError(
            f"{directory} is {info['status']}, not DONE: finish it first, with the command that "
            "started it."
        )
    seals.verify(directory)
    return FinishedRun(directory, from_dict(store.read_config(directory)), info)


def _no_run(directory: Path) -> str:
    if not directory.is_dir():
        hint = committed.hint(directory)
        return f"{directory} is not a directory: give the directory of a finished run{hint}."
    below = store.run_directories(directory)
    if below:
        return f"{directory} is not a run but holds {len(below)}, such as {below[0]}: give those."
    return f"{directory} holds no run (no run.json): give the directory of a finished run."
