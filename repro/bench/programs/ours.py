"""This project: `ours train TASK P` trains a pack of P, `ours step TASK N` steps N simulators.

TASK is an override such as `env=hopper`; several have spaces between them. An iteration is one of
PPO's, or 3,200 steps of the simulators together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch

from repro import envs
from repro.bench.contenders import Pack
from repro.config.compose import compose

STEPS = 3200  # in an iteration, of all simulators together


def train(task: Sequence[str], size: int) -> Callable[[], object]:
    """PPO with the settings of Table 1."""
    env, *rest = task
    return Pack(env.removeprefix("env="), size, rest).measure


def step(task: Sequence[str], size: int) -> Callable[[], object]:
    """Simulators under random actions."""
    config = compose(*task).env
    vector = envs.make(config.id, config.backend, size, config.switches, config.kwargs)
    vector.reset(seed=list(range(size)))
    vector.action_space.seed(0)
    actions = [np.asarray(vector.action_space.sample()) for _ in range(STEPS // size)]

    def iterate() -> None:
        for each in actions:
            vector.step(each)

    return iterate


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, task, size = sys.argv[1:]
    iterate = {"train": train, "step": step}[what](task.split(), int(size))
    while True:
        iterate()
        print("SPS:", flush=True)
