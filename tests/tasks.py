"""Tasks for fault tests: `env=gymnasium env.id=tests.tasks:Opaque-v0`.

What goes wrong does so at the 70th step that an environment takes, counted through its resets; with
FAULT_ONCE naming a file, only until that file is there.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

Observation = NDArray[np.float32]
FAULT_STEP = 70


class Walk(gymnasium.Env[Observation, np.int64]):
    """A random walk of 10 to 20 steps; its state is plain."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self) -> None:
        self.steps, self.left, self.where = 0, 0, 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, Any]:
        super().reset(seed=seed)
        self.left, self.where = int(self.np_random.integers(10, 20)), 0.0
        return self.observe(), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.left -= 1
        self.where += float(self.np_random.normal()) + 0.1 * float(action)
        reward = self.where
        if self.steps == FAULT_STEP and not self.happened():
            reward = self.fault(reward)
        return self.observe(), reward, self.left <= 0, False, {}

    def observe(self) -> Observation:
        return np.array([self.where, self.left / 10], np.float32)

    def happened(self) -> bool:
        name = os.environ.get("FAULT_ONCE")
        if name is None:
            return False
        happened = Path(name).exists()
        Path(name).touch()
        return happened

    def fault(self, reward: float) -> float:
        return reward


class Opaque(Walk):
    """Holds something that cannot be saved."""

    def __init__(self) -> None:
        super().__init__()
        self.simulator = object()


class Raises(Walk):
    def fault(self, reward: float) -> float:
        raise RuntimeError("the simulator broke")


class NotANumber(Walk):
    def fault(self, reward: float) -> float:
        self.where = float("nan")
        return reward


class Priceless(Walk):
    def fault(self, reward: float) -> float:
        return float("inf")


class Misshapen(Walk):
    def observe(self) -> Observation:
        wrong = self.steps == FAULT_STEP
        return np.zeros(3, np.float32) if wrong else super().observe()


class Slow(Walk):
    """10 ms a step, and an interruption of Python in the middle of each."""

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        time.sleep(0.01)
        return super().step(action)


for task in (Walk, Opaque, Raises, NotANumber, Priceless, Misshapen, Slow):
    gymnasium.register(f"{task.__name__}-v0", entry_point=task)
