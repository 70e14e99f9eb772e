"""Values of a rollout that a task should not have returned: where the first one is.

Axes: T steps, N environments of a learner, D entries of an observation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from repro.envs.vector import VectorEnv

FLOAT32_MAX = float(np.finfo(np.float32).max)
FLOAT64_MAX = float(np.finfo(np.float64).max)


class BadValue(NamedTuple):
    """A value that is infinite or NaN, or too large for the type that it is computed in.

    Attributes:
        step: of the rollout, counted from 1; 0 is the step (or reset) before the rollout.
        environment: index of the environment, from 0 to N - 1.
        field: `reward`, or an entry of an observation such as `observation[3]`.
        complaint: what is wrong with it, which completes "a value that is".
    """

    step: int
    environment: int
    field: str
    complaint: str


def usable(values: NDArray[Any], largest: float = FLOAT32_MAX) -> NDArray[Any]:
    """Whether each value is a number of at most `largest` in absolute value."""
    return np.asarray(np.abs(values) <= largest)


def first_bad_value(
    rewards: NDArray[Any],
    final_observations: NDArray[Any],
    observations: NDArray[Any],
    largest: float,
) -> BadValue:
    """The first value of a rollout that is not usable. There must be one.

    Args:
        rewards: [T, N].
        final_observations: of truncated episodes, any usable value elsewhere, [T, N, D].
        observations: [T + 1, N, D], each before its step.
        largest: absolute value of an observation; that of a reward is float32's.
    """
    found = [
        _first(rewards[..., None], "reward", 1, FLOAT32_MAX),
        _first(observations, "observation", 0, largest),
        _first(final_observations, "last observation", 1, largest),
    ]
    return min(value for value in found if value is not None)


def _first(values: NDArray[Any], name: str, first_step: int, largest: float) -> BadValue | None:
    for t, n, entry in np.argwhere(~usable(values, largest))[:1]:
        field = name if name == "reward" else f"{name}[{entry}]"
        finite = np.isfinite(values[t, n, entry])
        complaint = "too large for float32" if finite else "not finite"
        return BadValue(int(t) + first_step, int(n), field, complaint)
    return None


def bounds(envs: VectorEnv) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """The bounds of a task's observations, [D] each; None where all of them are infinite."""
    space = envs.single_observation_space
    if not isinstance(space, gymnasium.spaces.Box):
        return None
    bounded = np.isfinite(space.low).any() or np.isfinite(space.high).any()
    return (space.low, space.high) if bounded else None


def first_outside(
    observations: NDArray[Any], declared: tuple[NDArray[Any], NDArray[Any]]
) -> tuple[int, int, str] | None:
    """The first value of P learners, [P, T, N, D], that is outside of what a task declares.

    Returns:
        The learner, its environment, and the value in words; None where there is no such value.
    """
    low, high = declared
    for p, t, n, d in np.argwhere((observations < low) | (observations > high))[:1]:
        value = f"observation[{d}] = {observations[p, t, n, d]:g}"
        limits = f"[{low[d]:g}, {high[d]:g}], which its task declares"
        return int(p), int(n), f"{value}, outside of {limits}"
    return None
