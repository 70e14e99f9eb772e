"""Values of a rollout that a task should not have returned: where the first one is.

Axes: T steps, N environments of a learner, D entries of an observation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from numpy.typing import NDArray

from repro.envs.vector import VectorEnv


class NonFinite(NamedTuple):
    """A value that is infinite or NaN.

    Attributes:
        step: of the rollout, counted from 1; 0 is the step (or reset) before the rollout.
        environment: index of the environment, from 0 to N - 1.
        field: `reward`, or an entry of an observation such as `observation[3]`.
    """

    step: int
    environment: int
    field: str


def first_non_finite(
    rewards: NDArray[Any], final_observations: NDArray[Any], observations: NDArray[Any]
) -> NonFinite:
    """The first value of a rollout that is not finite. There must be one.

    Args:
        rewards: [T, N].
        final_observations: of truncated episodes, any finite value elsewhere, [T, N, D].
        observations: [T + 1, N, D], each before its step.
    """
    found = [
        _first(rewards[..., None], "reward", 1),
        _first(observations, "observation", 0),
        _first(final_observations, "last observation", 1),
    ]
    return min(value for value in found if value is not None)


def _first(values: NDArray[Any], name: str, first_step: int) -> NonFinite | None:
    for t, n, entry in np.argwhere(~np.isfinite(values))[:1]:
        field = name if name == "reward" else f"{name}[{entry}]"
        return NonFinite(int(t) + first_step, int(n), field)
    return None


def bounds(envs: VectorEnv) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """The bounds of a task's observations, [D] each; None where all of them are infinite."""
    space = envs.single_observation_space
    if not isinstance(space, gymnasium.spaces.Box):
        return None
    bounded = np.isfinite(space.low).any() or np.isfinite(space.high).any()
    return (space.low, space.high) if bounded else None
