"""Tasks for fault tests: `env=gymnasium env.id=tests.helpers.tasks:Opaque-v0`.

What goes wrong does so at the 70th step that an environment takes, counted through its resets; with
FAULT_ONCE naming a file, only until that file is there.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

Observation = NDArray[np.float32]
Step = tuple[Observation, float, bool, bool, dict[str, Any]]
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

    def step(self, action: np.int64) -> Step:
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


class AlwaysRaises(Walk):
    """From the 70th step on, also when it is taken up again."""

    def step(self, action: np.int64) -> Step:
        if self.steps >= FAULT_STEP - 1 and self.seeded % 2 == int(os.environ["FAULT_PARITY"]):
            raise RuntimeError("the simulator is broken")
        return super().step(action)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, Any]:
        if seed is not None:
            self.seeded = seed
        return super().reset(seed=seed)


class RaisesInReset(Walk):
    """At its first reset with FAULT_STEP=0, else at the first after so many steps."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, Any]:
        if self.steps >= int(os.environ["FAULT_STEP"]) and not self.happened():
            raise RuntimeError("no room for another episode")
        return super().reset(seed=seed)


class NotANumber(Walk):
    def fault(self, reward: float) -> float:
        self.where = float("nan")
        return reward


class Endless(Walk):
    def fault(self, reward: float) -> float:
        self.where = float("inf")
        return reward


class Priceless(Walk):
    def fault(self, reward: float) -> float:
        return float("inf")


class Worthless(Walk):
    def fault(self, reward: float) -> float:
        return float("nan")


class CutShort(Walk):
    """A time limit ends the episode of the 70th step, whose last observation is no number."""

    def step(self, action: np.int64) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        if self.steps == FAULT_STEP:
            observation, terminated, truncated = observation * np.float32("nan"), False, True
        return observation, reward, terminated, truncated, info


class Twofold(Walk):
    def fault(self, reward: float) -> float:
        return np.array([1.0, 2.0])  # type: ignore[return-value]


class Malformed(Walk):
    wrong = False

    def fault(self, reward: float) -> float:
        self.wrong = True
        return reward

    def observe(self) -> Any:
        good, self.wrong = not self.wrong, False
        return super().observe() if good else self.nonsense()

    def nonsense(self) -> Any:
        raise NotImplementedError


class Misshapen(Malformed):
    def nonsense(self) -> Any:
        return np.zeros(3, np.float32)


class Wordy(Malformed):
    def nonsense(self) -> Any:
        return np.array(["left", "right"])


class Outside(Walk):
    """Its second entry is at most 2."""

    observation_space = gymnasium.spaces.Box(
        np.array([-np.inf, 0], np.float32), np.array([np.inf, 1.5], np.float32)
    )


class Hangs(Walk):
    def fault(self, reward: float) -> float:
        time.sleep(1000)
        return reward


class HangsHard(Walk):
    """In C code that keeps the interpreter's lock: no other thread of the process runs."""

    def fault(self, reward: float) -> float:
        ctypes.PyDLL(None).sleep(1000)
        return reward


class Slow(Walk):
    """10 ms a step, and an interruption of Python in the middle of each."""

    def step(self, action: np.int64) -> Step:
        time.sleep(0.01)
        return super().step(action)


TASKS: tuple[type[Walk], ...] = (Walk, Opaque, Raises, AlwaysRaises, RaisesInReset, NotANumber)
TASKS += (Endless, Priceless, Worthless, CutShort, Twofold, Misshapen, Wordy, Outside)
TASKS += (Hangs, HangsHard, Slow)
for task in TASKS:
    gymnasium.register(f"{task.__name__}-v0", entry_point=task)
