"""Which of many environments raised, in which call, and what is wrong with what it returned.

Looked for only once an exception is there, so that it costs nothing before.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import SyncVectorEnv

from repro.errors import TaskError

CALLS = ("reset", "step")
SHOWN = 6  # entries of an action; more would hide the rest of the sentence


def task_error(
    error: Exception, envs: SyncVectorEnv, actions: Any = None, rows: Sequence[int] | None = None
) -> TaskError:
    """What to raise instead of an exception from stepping or resetting environments.

    Args:
        error: where `envs` was interrupted.
        envs: as that left them.
        actions: of all environments, [N, ...]; None where they were reset.
        rows: the environments that were called, if not all.

    Returns:
        A sentence with the call, the action and the fault, and the environment's index.
    """
    index, call = _raised_in(error, envs)
    fault = f"{type(error).__name__}: {error}"
    if call is None:
        index, fault = _malformed(envs, index, fault)
    if index is None:
        index = rows[0] if rows else 0
    call = call or ("reset" if actions is None else "step")
    action = "" if actions is None else f" with action {_short(actions[index])}"
    return TaskError(f"its {call}{action} failed with {fault}", index)


def _raised_in(error: Exception, envs: SyncVectorEnv) -> tuple[int | None, str | None]:
    """The environment whose method was running, or else was being called; and which method."""
    places = {id(env): index for index, env in enumerate(envs.envs)}
    called = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner, call = frame.f_locals.get("self"), frame.f_code.co_name
        if owner is envs:
            called = frame.f_locals.get("i")
        if id(owner) in places and call in CALLS:
            return places[id(owner)], call
    return called, None


def _malformed(envs: SyncVectorEnv, last: int | None, fault: str) -> tuple[int | None, str]:
    """Whose observation does not fit, where no environment raised; else the last one's reward."""
    space = envs.single_observation_space
    for index, observation in enumerate(envs._env_obs):
        wrong = _misfit(observation, space)
        if wrong and (last is None or index <= last):
            return index, f"an observation of {wrong} where the task declares {space}"
    return last, f"what it returned: {fault}"


def _misfit(observation: Any, space: Any) -> str | None:
    """What is wrong with the form of an observation, if anything."""
    if observation is None or not isinstance(space, Box):
        return None
    try:
        array = np.asarray(observation)
    except ValueError:
        return "no array"
    if array.shape != space.shape:
        return f"shape {array.shape}"
    return None if array.dtype.kind in "biuf" else f"type {array.dtype}"


def _short(action: Any) -> str:
    """An action in a few digits."""
    values = np.asarray(action)
    if values.ndim == 0:
        return str(values)
    shown = ", ".join(f"{value:.4g}" for value in values.ravel()[:SHOWN])
    return f"[{shown}{', ...' if values.size > SHOWN else ''}]"
