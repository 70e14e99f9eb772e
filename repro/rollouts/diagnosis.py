"""What a task returned that it should not have: looked for after a rollout, and named.

Axes: T steps, N environments of a learner, D entries of an observation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np

from repro.envs.vector import VectorEnv

Array = np.ndarray[Any, Any]


class Oddity(NamedTuple):
    """One value.

    Attributes:
        step: of the rollout in which it was returned; 0 is the step (or reset) before the first.
        environment: which of the N.
        field: `reward`, or an observation's entry.
    """

    step: int
    environment: int
    field: str


def first_not_finite(rewards: Array, last: Array, observations: Array) -> Oddity:
    """The first value of a rollout, of which there is one, that is no number.

    Args:
        rewards: [T, N].
        last: of episodes that were truncated, finite elsewhere, [T, N, D].
        observations: [T + 1, N, D], each before its step.
    """
    found = []
    for name, values in (("reward", rewards[..., None]), ("observation", observations)):
        found += [_oddity(name, values)]
    found += [_oddity("last observation", last)]
    return min(oddity for oddity in found if oddity is not None)


def _oddity(name: str, values: Array) -> Oddity | None:
    for t, n, entry in np.argwhere(~np.isfinite(values))[:1]:
        step = int(t) + (name != "observation")
        return Oddity(step, int(n), name if name == "reward" else f"{name}[{entry}]")
    return None


def bounds(envs: VectorEnv) -> tuple[Array, Array] | None:
    """What a task declares of its observations, [D] each, if it declares anything."""
    space = envs.single_observation_space
    if not isinstance(space, gymnasium.spaces.Box):
        return None
    bounded = np.isfinite(space.low).any() or np.isfinite(space.high).any()
    return (space.low, space.high) if bounded else None
