"""What the commands beside `python -m repro` share: their arguments, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from repro.console import say
from repro.errors import (
    EXIT_BAD_INPUT,
    EXIT_CORRUPT,
    EXIT_CRASHED,
    EXIT_NUMERICAL,
    EXIT_PREEMPTED,
    ConfigError,
    CorruptError,
    LockedError,
    NumericalError,
    RunsFailedError,
    StorageError,
)

_CODES: dict[type[BaseException], int] = {
    ConfigError: EXIT_BAD_INPUT,
    CorruptError: EXIT_CORRUPT,
    StorageError: EXIT_CRASHED,
    NumericalError: EXIT_NUMERICAL,
    LockedError: EXIT_PREEMPTED,
}
NOT_KEPT = "Interrupted: what was not finished is not kept."


class Parser(argparse.ArgumentParser):
    """One whose complaints are one sentence, raised as a ConfigError."""

    def error(self, message: str) -> NoReturn:
        """Of argparse."""
        raise ConfigError(f"{self.prog}: {message}: see --help.")


def at_least(least: int, limit: int = 1 << 63) -> Callable[[str], int]:
    """For `type=` of an argument: a whole number from `least` to below `limit`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value < limit:
            most = f" and below {limit}" if value >= limit else ""
            raise argparse.ArgumentTypeError(
                f"{text} must be a whole number of {least} or more{most}"
            )
        return value

    return parse


def finish(command: Callable[[], int | None], interrupted: str = NOT_KEPT) -> int:
    """Run a command; what is wrong becomes one sentence on stderr and an exit code.

    Args:
        command: returns its exit code; None is 0.
        interrupted: the sentence after Ctrl-C or SIGTERM.
    """
    try:
        return command() or 0
    except RunsFailedError as error:
        say(str(error), sys.stderr)
        return error.exit_code
    except tuple(_CODES) as error:
        say(" ".join(str(error).split()), sys.stderr)
        return next(code for kind, code in _CODES.items() if isinstance(error, kind))
    except KeyboardInterrupt:
        say(interrupted, sys.stderr)
        return EXIT_PREEMPTED
