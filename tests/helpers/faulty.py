"""Environments that fail after 40 steps: `env=gymnasium env.id=faulty:FaultyRaises-v0`.

The process that imports it needs this folder on its path.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

Observation = NDArray[np.float32]


class Faulty(gymnasium.Env[Observation, np.int64]):
    """Reward 1 a step, in episodes of 10 steps."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, fault: str) -> None:
        self.fault, self.steps = fault, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Observation, Any]:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps > 40:
            self.fail()
        return np.zeros(2, np.float32), 1.0, self.steps % 10 == 0, False, {}

    def fail(self) -> None:
        if self.fault == "raises":
            raise RuntimeError("the simulator broke")
        if self.fault == "dies":
            once = os.environ.get("FAULTY_ONCE")
            if once:
                if os.path.exists(once):
                    return
                open(once, "x").close()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("FAULTY_NAP", "0.02")))


for fault in ("raises", "dies", "dawdles"):
    gymnasium.register(f"Faulty{fault.title()}-v0", entry_point=Faulty, kwargs={"fault": fault})
