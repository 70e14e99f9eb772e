"""What can go wrong, and the exit code each leaves behind (0 is done)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

EXIT_CRASHED = 1
EXIT_BAD_INPUT = 2
EXIT_CORRUPT = 3
EXIT_NUMERICAL = 4
EXIT_PREEMPTED = 75  # EX_TEMPFAIL of sysexits.h: schedulers may queue the same command again


class ConfigError(ValueError):
    """Bad input: one sentence that names the culprit and the fix (exit code 2)."""


class CorruptError(ValueError):
    """A file that is not what was once written: names it and what to do (exit code 3)."""


class NumericalError(ArithmeticError):
    """A run stopped being finite (exit code 4)."""


class LockedError(RuntimeError):
    """Another process has the run (exit code 75): the same command, later."""


class TaskError(RuntimeError):
    """A task raised, or returned what is no step of its spaces.

    Attributes:
        index: whose it is, from 0: an environment of a `VectorEnv`, a learner of a pack.
    """

    def __init__(self, text: str, index: int) -> None:
        """Say what happened to which one."""
        super().__init__(text)
        self.index = index


class StorageError(OSError):
    """A result could not be written, as on a full disk; what was saved before is whole."""


class RunsFailedError(RuntimeError):
    """Runs that are not done, in one sentence.

    Attributes:
        exit_code: what the command ends with.
        runs: all runs of the call, done or not, where it came from Python.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        """Say which or how many."""
        super().__init__(text)
        self.exit_code = exit_code
        self.runs: Sequence[Any] = ()


class PreemptedError(KeyboardInterrupt):
    """SIGTERM, SIGINT or SIGHUP: save and leave (exit code 75).

    Not an `Exception`, so that nothing that takes care of errors takes it for one.
    """


def installation(extra: str) -> str:
    """The command that installs an extra of this project, from a checkout or a wheel."""
    return f"pip install 'ppo-repro[{extra}]'"
