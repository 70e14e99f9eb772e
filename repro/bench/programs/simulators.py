"""N simulators alone in a process: `simulators.py dummy_vec_env|gymnasium|envpool ID N`.

An iteration is 3,200 steps of all together under random actions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np

STEPS = 3200  # in an iteration, of all simulators together


def dummy_vec_env(task: str, size: int) -> Callable[[Any], object]:
    """Stable-Baselines3's."""
    from stable_baselines3.common.vec_env import DummyVecEnv

    envs = DummyVecEnv([partial(gymnasium.make, task)] * size)
    envs.reset()
    return envs.step


def sync_vector_env(task: str, size: int) -> Callable[[Any], object]:
    """Gymnasium's."""
    envs = gymnasium.make_vec(task, size, vectorization_mode="sync")
    envs.reset(seed=0)
    return envs.step


def envpool(task: str, size: int) -> Callable[[Any], object]:
    """EnvPool's, on one thread."""
    import envpool

    envs = envpool.make(task, env_type="gymnasium", num_envs=size, num_threads=1)
    envs.reset()
    return lambda actions: envs.step(actions)


KINDS = {"dummy_vec_env": dummy_vec_env, "gymnasium": sync_vector_env, "envpool": envpool}

if __name__ == "__main__":
    kind, task, number = sys.argv[1:]
    size = int(number)
    space = gymnasium.make(task).action_space
    space.seed(0)
    actions = [np.stack([space.sample() for _ in range(size)]) for _ in range(STEPS // size)]
    step = KINDS[kind](task, size)
    while True:
        for each in actions:
            step(each)
        print("SPS:", flush=True)
