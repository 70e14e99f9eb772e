"""Tasks for fault tests: `env=gymnasium env.id=tests.helpers.tasks:Unsaveable-v0`.

Each has one fault, at the 70th step of an environment, counted across episodes. With FAULT_ONCE
naming a file, the fault happens only while that file does not exist, and creates it.
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
    """A random walk of 10 to 20 steps without a fault; its state can be saved."""

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


class Unsaveable(Walk):
    """Holds an object that cannot be saved."""

    def __init__(self) -> None:
        super().__init__()
        self.simulator = object()


class Raises(Walk):
    def fault(self, reward: float) -> float:
        raise RuntimeError("the simulator broke")


class AlwaysRaises(Walk):
    """Raises in every step from the 70th on, also after it was resumed."""

    def step(self, action: np.int64) -> Step:
        if self.steps >= FAULT_STEP - 1 and self.seeded % 2 == int(os.environ["FAULT_PARITY"]):
            raise RuntimeError("the simulator is broken")
        return super().step(action)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, Any]:
        if seed is not None:
            self.seeded = seed
        return super().reset(seed=seed)


class RaisesInReset(Walk):
    """Raises at its first reset after FAULT_STEP steps."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, Any]:
        if self.steps >= int(os.environ["FAULT_STEP"]) and not self.happened():
            raise RuntimeError("no room for another episode")
        return super().reset(seed=seed)


class NaNObservation(Walk):
    def fault(self, reward: float) -> float:
        self.where = float("nan")
        return reward


class InfiniteObservation(Walk):
    def fault(self, reward: float) -> float:
        self.where = float("inf")
        return reward


class InfiniteReward(Walk):
    def fault(self, reward: float) -> float:
        return float("inf")


class NaNReward(Walk):
    def fault(self, reward: float) -> float:
        return float("nan")


class NaNAtTruncation(Walk):
    """A time limit ends the episode of the 70th step, whose last observation is NaN."""

    def step(self, action: np.int64) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        if self.steps == FAULT_STEP:
            observation, terminated, truncated = observation * np.float32("nan"), False, True
        return observation, reward, terminated, truncated, info


class LargeReward(Walk):
    """A reward that float64 can hold and float32 cannot."""

    def fault(self, reward: float) -> float:
        return -1e39


class LargeObservation(Walk):
    """The same of an observation."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def fault(self, reward: float) -> float:
        self.where = 1e40
        return reward

    def observe(self) -> Any:
        return np.array([self.where, self.left / 10])


class LargeAtTruncation(LargeObservation):
    """The same of the last observation of an episode that a time limit ends."""

    def step(self, action: np.int64) -> Step:
        observation, reward, terminated, _, info = Walk.step(self, action)
        ends = self.steps == FAULT_STEP
        return observation, reward, terminated and not ends, ends, info


class Constant(Walk):
    """One step an episode, nothing to see, and always a reward of 1; a real action."""

    action_space = gymnasium.spaces.Box(-1, 1, (1,))  # type: ignore[assignment]

    def step(self, action: Any) -> Step:
        return self.observe(), 1.0, True, False, {}

    def observe(self) -> Observation:
        return np.zeros(2, np.float32)


class ShapelessInfos(Walk):
    """Reports what is not of one shape or type each step."""

    def step(self, action: np.int64) -> Step:
        *rest, _ = super().step(action)
        kinds: tuple[Any, ...] = (np.arange(self.steps % 4), "text", None, {"deep": [self.steps]})
        return *rest, {"seen": kinds[self.steps % 4], str(self.steps): 0}  # type: ignore[return-value]


class ArrayReward(Walk):
    def fault(self, reward: float) -> float:
        return np.array([1.0, 2.0])  # type: ignore[return-value]


class WrongForm(Walk):
    """Its observation at the 70th step does not fit the space."""

    wrong = False

    def fault(self, reward: float) -> float:
        self.wrong = True
        return reward

    def observe(self) -> Any:
        good, self.wrong = not self.wrong, False
        return super().observe() if good else self.misfit()

    def misfit(self) -> Any:
        raise NotImplementedError


class WrongShape(WrongForm):
    def misfit(self) -> Any:
        return np.zeros(3, np.float32)


class TextObservation(WrongForm):
    def misfit(self) -> Any:
        return np.array(["left", "right"])


class OutOfBounds(Walk):
    """The second entry of its observations exceeds its bound of 1.5."""

    observation_space = gymnasium.spaces.Box(
        np.array([-np.inf, 0], np.float32), np.array([np.inf, 1.5], np.float32)
    )


class Hangs(Walk):
    def fault(self, reward: float) -> float:
        time.sleep(1000)
        return reward


class HangsInC(Walk):
    """Hangs in C code that holds the interpreter's lock, so that no other thread runs."""

    def fault(self, reward: float) -> float:
        ctypes.PyDLL(None).sleep(1000)
        return reward


class Endless(Walk):
    """Its episodes never end."""

    def step(self, action: np.int64) -> Step:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, False, False, info


class Slow(Walk):
    """Takes 10 ms a step, in which Python can handle a signal."""

    def step(self, action: np.int64) -> Step:
        time.sleep(0.01)
        return super().step(action)


class Gated(Walk):
    """Waits at FAULT_STEP until the file that GATE names exists; Python can handle a signal."""

    def fault(self, reward: float) -> float:
        while not Path(os.environ["GATE"]).exists():
            time.sleep(0.01)
        return reward


for task in [each for each in vars().values() if isinstance(each, type) and issubclass(each, Walk)]:
    gymnasium.register(f"{task.__name__}-v0", entry_point=task)
