"""Gymnasium's own MuJoCo environment of an id, from which model and constants are read."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import mujoco
import numpy as np

from repro.config.names import nearest
from repro.envs.gymnasium import make_one
from repro.errors import ConfigError

_log = logging.getLogger(__name__)


def parse_id(env_id: str, known: list[str]) -> tuple[str, int]:
    """Split an id such as "HalfCheetah-v4" into its task's name and its version.

    Raises:
        ConfigError: if the id is not among the `known` ones.
    """
    if env_id not in known:
        raise ConfigError(
            f"the mujoco backend has no environment {env_id!r}{nearest(env_id, known)}: it has "
            f"{', '.join(known)}"
        )
    name, _, version = env_id.rpartition("-v")
    return name, int(version)


def make_prototype(env_id: str, kwargs: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """Make Gymnasium's own environment, which holds the compiled model and the constants.

    Raises:
        ConfigError: an unknown argument, or a package that Gymnasium's MuJoCo environments need is
            missing.
    """
    with warnings.catch_warnings():
        # Gymnasium warns that v4 is old. It is the default here as the closest to the paper's v1.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return make_one(env_id, kwargs)
        except ConfigError as error:
            if not isinstance(error.__cause__, ImportError):
                raise
            raise ConfigError(
                f"{env_id} needs a package that is missing ({error.__cause__}): "
                'pip install "gymnasium[mujoco]"'
            ) from error


def constructor_settings(prototype: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Arguments of the environment's constructor: its defaults, then the registered ones."""
    parameters = inspect.signature(type(prototype.unwrapped)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    registered = prototype.spec.kwargs if prototype.spec else {}
    return defaults | registered


def episode_steps(prototype: gymnasium.Env[Any, Any]) -> int:
    """Steps after which an episode is truncated, as registered with Gymnasium."""
    limit = prototype.spec.max_episode_steps if prototype.spec else None
    return np.iinfo(np.int64).max if limit is None else limit


def route_mujoco_warnings() -> None:
    """Send MuJoCo's warnings to the `logging` module, at level DEBUG.

    MuJoCo would print them and append them to MUJOCO_LOG.TXT in the working directory, once for
    every simulation that diverges. The handler is set for the whole process, unless there is one
    already.
    """
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_log.debug)
