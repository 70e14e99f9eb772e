"""Gymnasium's MuJoCo environments stepped one by one, to compare the batched ones with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from repro.envs.mujoco.vector import MujocoVectorEnv

Array = NDArray[Any]


def action_stream(env_id: str, num_envs: int, seed: int = 0) -> Iterator[Array]:
    """Blocks of small, unclipped and extreme actions, in both dtypes."""
    rng = np.random.default_rng(seed)
    size = gymnasium.spec(env_id).make(disable_env_checker=True).action_space.shape
    assert size is not None
    while True:
        for scale in (0.1, 1.0, 100.0):
            for dtype in (np.float32, np.float64):
                for _ in range(11):
                    yield (scale * rng.standard_normal((num_envs, *size))).astype(dtype)


class Solo:
    """Gymnasium's environments, each made, stepped and reset alone."""

    def __init__(self, env_id: str, num_envs: int, kwargs: Mapping[str, Any] | None = None) -> None:
        own = {"disable_env_checker": True, **(kwargs or {})}
        self.envs = [gymnasium.make(env_id, **own) for _ in range(num_envs)]
        self.terminations = self.truncations = 0

    def reset(self, seeds: list[int | None]) -> Array:
        return np.array(
            [env.reset(seed=seed)[0] for env, seed in zip(self.envs, seeds, strict=True)]
        )

    def check_step(self, batched: MujocoVectorEnv, actions: Array) -> None:
        """Step both; every number of every environment must be equal to the last bit."""
        observations, rewards, terminated, truncated, infos = batched.step(actions)
        for i, env in enumerate(self.envs):
            last, reward, ended, cut, _ = env.step(actions[i])
            if ended or cut:
                self.terminations += ended
                self.truncations += cut
                assert infos["_final_obs"][i]
                assert np.array_equal(infos["final_obs"][i], last)
                last = env.reset()[0]
            else:
                assert "_final_obs" not in infos or not infos["_final_obs"][i]
            assert np.array_equal(observations[i], last)
            assert np.array_equal(rewards[i], np.float64(float(reward)), equal_nan=True)
            assert (terminated[i], truncated[i]) == (ended, cut)
