"""Runs of Stable-Baselines3 that take a moment."""

from __future__ import annotations

from repro.config.schema import Config
from tests.helpers.configs import compose

NAMES = ("sb3_ppo", "sb3_a2c", "sb3_trpo")
SMALL = {
    "sb3_ppo": "algorithm.horizon=64 algorithm.minibatch_size=32 algorithm.epochs=2",
    "sb3_a2c": "env.num_envs=2 algorithm.horizon=16",
    "sb3_trpo": "algorithm.horizon=64 algorithm.minibatch_size=32 algorithm.epochs=2",
}
FILTER = "recipe.observation_normalization=step recipe.observation_clip=10"
FILTER += " recipe.reward_scaling=true recipe.reward_clip=10"
POLE = "env=inverted_pendulum"
CARTPOLE = "env=gymnasium env.id=CartPole-v1"


def small(name: str, *further: str) -> Config:
    words = f"algorithm={name} {SMALL[name]} total_timesteps=256 {' '.join(further)}"
    return compose(*words.split(), "progress=false")
