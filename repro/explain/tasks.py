"""Two small tasks whose policies can be drawn on paper, registered with Gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

Observation = np.ndarray[Any, np.dtype[np.float64]]
TARGET = 1.0


class Bandit(gymnasium.Env[Observation, Observation]):
    """One step, one state: the reward of an action a is -(a - TARGET)^2.

    A policy without hidden layers is then a Gaussian with two parameters, and its expected return
    is -((mu - TARGET)^2 + sigma^2).
    """

    def __init__(self) -> None:
        self.observation_space = Box(-1, 1, (1,), np.float64)
        self.action_space = Box(-np.inf, np.inf, (1,), np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """The one state."""
        super().reset(seed=seed)
        return np.zeros(1), {}

    def step(self, action: Observation) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """End with the action's reward."""
        return np.zeros(1), -float((action[0] - TARGET) ** 2), True, False, {}


class TwoGains(gymnasium.ObservationWrapper[Observation, Observation, Observation]):
    """InvertedPendulum seen by its pole alone: angle and angular velocity, of 200 steps at most.

    A policy without hidden layers is then a controller with two gains.
    """

    def __init__(self) -> None:
        super().__init__(gymnasium.make("InvertedPendulum-v5", max_episode_steps=STEPS))
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float64)

    def observation(self, observation: Observation) -> Observation:
        """Position and velocity of the cart are left out."""
        return observation[[1, 3]]


STEPS = 200
BANDIT, TWO_GAINS = "repro/Bandit-v0", "repro/TwoGains-v0"
gymnasium.register(
    BANDIT, entry_point=lambda **_: Bandit(), order_enforce=False, disable_env_checker=True
)
gymnasium.register(TWO_GAINS, entry_point=lambda **_: TwoGains(), disable_env_checker=True)
