"""Errors that users can mend, and the exit codes of the commands (0 is done)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

EXIT_CRASHED = 1
EXIT_BAD_INPUT = 2
EXIT_CORRUPT = 3
EXIT_NUMERICAL = 4
EXIT_PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: schedulers may queue the same command again


class ReproError(Exception):
    """An error whose text is one sentence for the user.

    Attributes:
        exit_code: of a command that ends with it.
    """

    exit_code = EXIT_CRASHED


class ConfigError(ReproError, ValueError):
    """Bad input; the sentence names the culprit and the fix."""

    exit_code = EXIT_BAD_INPUT


class CorruptError(ReproError, ValueError):
    """A file is damaged; the sentence names it and says what to do."""

    exit_code = EXIT_CORRUPT


class NumericalError(ReproError, ArithmeticError):
    """A number is not finite."""

    exit_code = EXIT_NUMERICAL


class LockedError(ReproError, RuntimeError):
    """Another process has the run; the same command works later."""

    exit_code = EXIT_PREEMPTED


class StorageError(ReproError, OSError):
    """A result could not be written, as on a full disk; earlier saves are complete."""


class RunsFailedError(ReproError, RuntimeError):
    """Some runs are not done.

    Attributes:
        runs: all runs of a call from Python, done or not.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        """Say which or how many, and what the command ends with."""
        super().__init__(text)
        self.exit_code = exit_code
        self.runs: Sequence[Any] = ()


class TaskError(RuntimeError):
    """A task raised, or returned something that is no step of its spaces.

    Attributes:
        index: the environment of a `VectorEnv` or the learner of a pack that it belongs to, from 0.
    """

    def __init__(self, text: str, index: int) -> None:
        """Say what happened, and in which one."""
        super().__init__(text)
        self.index = index


class PreemptedError(KeyboardInterrupt):
    """SIGTERM, SIGINT or SIGHUP: save and leave (exit code 75).

    Not an `Exception`, so that code which handles errors lets it pass.
    """


def installation(extra: str) -> str:
    """The command that installs an extra of this project, from a checkout or a wheel."""
    return f"pip install 'ppo-repro[{extra}]'"
