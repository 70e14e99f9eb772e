"""PPO of Stable-Baselines3 or SBX, alone in a process: `stable_baselines.py sb3|sbx ID`.

Settings are the packages' defaults, which are Table 3's sizes (2,048 steps, minibatches of 64, ten
epochs, two layers of 64 units), with observations and rewards normalized as their zoo has them.
"""

from __future__ import annotations

import sys
from functools import partial

import gymnasium
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize


class Report(BaseCallback):
    """A line after each iteration: before every rollout but the first."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            print("SPS:", flush=True)


if __name__ == "__main__":
    package, task = sys.argv[1:]
    if package == "sbx":
        from sbx import PPO
    else:
        from stable_baselines3 import PPO
    envs = VecNormalize(DummyVecEnv([partial(gymnasium.make, task)]))
    PPO("MlpPolicy", envs, device="cpu").learn(sys.maxsize // 2, Report())
