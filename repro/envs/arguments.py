"""`env.kwargs`: which arguments a registered task takes."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from repro.config.names import nearest
from repro.errors import ConfigError

OF_MAKE = ("max_episode_steps",)  # arguments of `gymnasium.make` itself that a user may set
OURS = {  # and those that are set here
    "render_mode": "python -m repro.watch makes videos",
    "disable_env_checker": "it is on here, for speed",
}
# A class that passes an argument on by itself has no place for another of that name.
_UNEXPECTED = re.compile(
    r"(?:unexpected keyword argument|multiple values for (?:keyword )?argument) '(\w+)'"
)


def check(env_id: str, kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that a task does not name. It imports the task's module.

    A task whose signature ends in `**kwargs` with nothing behind it may take any.

    Raises:
        ConfigError: the first, with the nearest name that there is.
    """
    for name in set(kwargs) & set(OURS):
        raise ConfigError(f"env.kwargs.{name} cannot be set: {OURS[name]}.")
    if not kwargs:
        return
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)  # it registers the task
    entry = gymnasium.spec(name).entry_point
    names = _names(load_env_creator(entry) if isinstance(entry, str) else entry)
    if names is None:
        return
    for name in kwargs:
        if name not in (*names, *OF_MAKE):
            raise ConfigError(_unknown(env_id, name, names))


def refuse_unexpected(env_id: str, kwargs: Mapping[str, Any], error: BaseException) -> None:
    """Raise a ConfigError where a task's code has no use for one of `kwargs`."""
    match = _UNEXPECTED.search(str(error))
    if isinstance(error, TypeError) and match and match[1] in kwargs:
        raise ConfigError(_unknown(env_id, match[1], ())) from error


def _unknown(env_id: str, name: str, names: Iterable[str]) -> str:
    known = sorted({*names, *OF_MAKE} - set(OURS))
    has = f": it has {', '.join(known)}" if names else ""
    return f"env.kwargs.{name} is not an argument of {env_id}{nearest(name, known)}{has}."


def _names(creator: Callable[..., Any] | None) -> list[str] | None:
    """The arguments of a class or function by name; None where it may take any."""
    if creator is None:
        return None
    if not inspect.isclass(creator):
        own, takes_any = _signature(creator)
        return None if takes_any else own
    names: list[str] = []
    for kind in creator.__mro__[:-1]:  # without `object`
        if "__init__" in vars(kind):
            own, takes_any = _signature(vars(kind)["__init__"])
            names += own
            if not takes_any:
                return names
    return None


def _signature(function: Callable[..., Any]) -> tuple[list[str], bool]:
    """The named arguments of a function, and whether it takes others too."""
    parameters = inspect.signature(function).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [each.name for each in parameters if each.kind in named and each.name != "self"]
    return names, any(each.kind is each.VAR_KEYWORD for each in parameters)
