"""What the commands share: their arguments, and how they end."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from repro.console import say
from repro.errors import EXIT_PREEMPTED, ConfigError, ReproError

CONTINUES = "Interrupted: the same command again continues."
NOT_KEPT = "Interrupted: what was not finished is not kept."


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are ConfigErrors of one sentence."""

    def error(self, message: str) -> NoReturn:
        """Part of argparse's interface."""
        raise ConfigError(f"{self.prog}: {message}: see --help.")


def at_least(least: int, limit: int = 1 << 63) -> Callable[[str], int]:
    """The `type=` of an argument that is a whole number from `least` to below `limit`."""

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


def listed(groups: Mapping[str, Sequence[str]]) -> str:
    """Groups and their choices for a help text, in lines of a terminal."""
    lines = [
        textwrap.fill(
            ", ".join(choices),
            width=79,
            initial_indent=f"  {group:<11}",
            subsequent_indent=" " * 13,
            break_on_hyphens=False,
        )
        for group, choices in groups.items()
    ]
    return "\n".join([*lines, ""])


def start(run: Callable[[Sequence[str]], int]) -> int:
    """A command in a process of its own, from `sys.argv` to its exit code.

    Python looks for garbage again and again while modules make objects that stay, and once more
    through all of them at its end: with torch a third of a second. What was made since `loaded` is
    collected: an emulator that is left to the end of Python complains there.
    """
    gc.disable()
    code = run(sys.argv[1:])
    if gc.isenabled():
        gc.collect()
    gc.freeze()
    return code


def loaded() -> None:
    """What a command needs is loaded: from here on garbage is collected as ever."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def finish(command: Callable[[], int | None], interrupted: str = NOT_KEPT) -> int:
    """Run a command; an error that the user can mend becomes one sentence on stderr.

    With HYDRA_FULL_ERROR=1 in the environment, its traceback comes first. Any other exception is a
    bug, and passes.

    Args:
        command: returns its exit code; None is 0.
        interrupted: the sentence after Ctrl-C or SIGTERM.

    Returns:
        The exit code.
    """
    try:
        return command() or 0
    except ReproError as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            say(traceback.format_exc(), sys.stderr)
        say(" ".join(str(error).split()), sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        say(interrupted, sys.stderr)
        return EXIT_PREEMPTED
