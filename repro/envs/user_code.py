"""Exceptions of a task's own code: how they are named."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from repro.console import say
from repro.errors import ConfigError, ReproError

SHOWN_ENTRIES = 6  # of an action in an error message; more would hide the rest of the sentence


class Closeable(Protocol):
    """An environment, or several."""

    def close(self) -> None:
        """Free what it holds."""


@contextlib.contextmanager
def naming(env_id: str, call: str) -> Iterator[None]:
    """Turn an exception into a sentence that names the task and the call.

    Raises:
        ConfigError: in place of any other exception.
    """
    try:
        yield
    except ReproError:
        raise
    except Exception as error:
        raise ConfigError(f"{env_id}: {call} failed with {described(error)}.") from error


def close(env: Closeable, env_id: str) -> None:
    """Close an environment that has done its work: a failure is only reported."""
    try:
        env.close()
    except Exception as error:
        cause = error.__cause__ if isinstance(error, ReproError) else error
        say(f"{env_id}: its close failed with {described(cause or error)}.", sys.stderr)


def described(error: BaseException) -> str:
    """The type and the text of an exception, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")


def called(action: Any = None) -> str:
    """The subject of an error message: a step, or a reset where there is no action."""
    return "its reset" if action is None else f"its step with action {_short(action)}"


def _short(action: Any) -> str:
    """An action in a few digits."""
    values = np.asarray(action)
    if values.ndim == 0:
        return str(values)
    shown = ", ".join(f"{value:.4g}" for value in values.ravel()[:SHOWN_ENTRIES])
    return f"[{shown}{', ...' if values.size > SHOWN_ENTRIES else ''}]"
