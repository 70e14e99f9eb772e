"""A task of any spaces, whose reward is 1 for an action that is a member of its space."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Space

LENGTH = 10
FLAT = Box(-3, 3, (2,), np.float32)


class Checks(gymnasium.Env[Any, Any]):
    """Episodes of ten steps; observations are samples of their space, whatever was done."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}
    render_mode = "rgb_array"

    def __init__(
        self,
        observation_space: Space[Any] = FLAT,
        action_space: Space[Any] = FLAT,
        render_mode: str | None = None,
    ) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        member = self.action_space.contains(action) and action.dtype == self.action_space.dtype
        ends = self.steps == LENGTH
        return self.observation_space.sample(), float(member), ends, False, {}

    def render(self) -> Any:
        return np.zeros((32, 32, 3), np.uint8)


def register(name: str, entry_point: Any = Checks, **arguments: Any) -> str:
    """The id of a task, which replaces one of the same name."""
    env_id = f"{name}-v0"
    gymnasium.registry.pop(env_id, None)
    gymnasium.register(env_id, entry_point, kwargs=arguments)
    return env_id
