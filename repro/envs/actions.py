"""Actions of a task's space: which are supported, and how a policy's numbers become one of them.

A policy has a float32 for each entry of a Box, and an index from 0 for Discrete.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

from repro.errors import ConfigError

Bounds = NDArray[np.float32]


def check(env_id: str, space: Space[Any]) -> None:
    """Raise a ConfigError unless a space is Discrete, or a Box of floats with one axis."""
    if isinstance(space, Discrete):
        return
    if isinstance(space, Box) and len(space.shape) == 1 and space.shape[0]:
        if np.issubdtype(space.dtype, np.floating):
            return
        problem = "its entries are not floats"
    else:
        problem = "the gymnasium backend supports only Discrete or a flat Box (one axis) of floats"
    raise ConfigError(
        f"{env_id} has action space {space}, but {problem}: convert its actions from such a space "
        "with gymnasium.wrappers.TransformAction where the task is registered."
    )


def bounds(space: Space[Any]) -> tuple[Bounds, Bounds] | None:
    """The least and the largest action of a Box, float32 [A]; None for Discrete.

    Bounds that float32 cannot hold are rounded towards the inside of the box.
    """
    if not isinstance(space, Box):
        return None
    with np.errstate(over="ignore"):
        low, high = (bound.astype(np.float32) for bound in (space.low, space.high))
    up, down = np.float32(np.inf), np.float32(-np.inf)
    low = np.where(low < space.low, np.nextafter(low, up), low)
    high = np.where(high > space.high, np.nextafter(high, down), high)
    return np.ascontiguousarray(low), np.ascontiguousarray(high)


def to_task(actions: NDArray[Any], space: Space[Any]) -> NDArray[Any]:
    """Actions as the task's space has them: from its `start`, and of its dtype.

    Args:
        actions: of a policy, float32 [..., A]; or indices from 0, integers [...].
        space: the task's.
    """
    if isinstance(space, Discrete):
        actions = actions + space.start
    return actions.astype(space.dtype, copy=False)


def from_zero(space: Space[Any]) -> Space[Any]:
    """A policy's space: float32, or indices from 0."""
    if isinstance(space, Discrete):
        return Discrete(int(space.n))
    box = bounds(space)
    if box is None or space.dtype == np.float32:
        return space
    return Box(*box, dtype=np.float32)
