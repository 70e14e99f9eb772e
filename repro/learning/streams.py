"""One learner's random generators: all draws of a run follow from its seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Streams:
    """One learner's independent random generators, all derived from its seed."""

    def __init__(self, seed: int) -> None:
        """Spawn one generator a use."""
        init, action, shuffle, env, replay = np.random.SeedSequence(seed).spawn(5)
        self.init = np.random.default_rng(init)
        self.action = np.random.default_rng(action)
        self.shuffle = np.random.default_rng(shuffle)
        self.replay = np.random.default_rng(replay)  # its user saves it
        self._env = env

    def draw_noise(self, out: np.ndarray[Any, Any], uniform: bool) -> None:
        """Fill a float32 array with the noise of actions: uniform in [0, 1), or standard normal."""
        draw = self.action.random if uniform else self.action.standard_normal
        draw(dtype=np.float32, out=out)

    def env_seeds(self, num_envs: int) -> list[int]:
        """A seed for each of the learner's N environments."""
        return [int(seed) for seed in self._env.generate_state(num_envs, np.uint32)]

    def restart_seeds(self, num_envs: int, step: int) -> list[int]:
        """Other seeds, for environments that restart after `step` steps."""
        key = (*self._env.spawn_key, step)
        again = np.random.SeedSequence(self._env.entropy, spawn_key=key)
        return [int(seed) for seed in again.generate_state(num_envs, np.uint32)]

    def checkpoint(self) -> dict[str, Any]:
        """The states of the generators that are used after initialization."""
        return {
            "action": [self.action.bit_generator.state],
            "shuffle": [self.shuffle.bit_generator.state],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        (self.action.bit_generator.state,) = state["action"]
        (self.shuffle.bit_generator.state,) = state["shuffle"]
