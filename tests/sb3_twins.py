"""A model of Stable-Baselines3 with our parameters, and one rollout for both."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv

from repro.algorithms.learners import Learners
from repro.config import Config
from repro.rollout import Rollout
from tests.test_ppo_update import by_step, to_sb3


def twin(kind: type[OnPolicyAlgorithm], pack: Learners, **settings: Any) -> OnPolicyAlgorithm:
    """A model of one kind with the parameters of the pack's first learner."""
    config = pack.config
    env = DummyVecEnv([lambda: gymnasium.make(config.env.id)] * config.env.num_envs)
    model = kind(
        "MlpPolicy",
        env,
        n_steps=config.algorithm.horizon,
        gamma=config.algorithm.gamma,
        gae_lambda=config.algorithm.gae_lambda,
        device="cpu",
        **settings,
    )
    model.policy.load_state_dict(to_sb3(pack.weights(0)))
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def share_rollouts(model: OnPolicyAlgorithm, pack: Learners, monkeypatch: Any) -> None:
    """Let the model have what the pack collects; it estimates the advantages by itself."""
    collect = pack.collector.collect

    def collect_for_both(*arguments: Any) -> Rollout:
        rollout = collect(*arguments)
        _fill(model, rollout, pack.policy.discrete, pack.config)
        return rollout

    monkeypatch.setattr(pack.collector, "collect", collect_for_both)


def _fill(model: OnPolicyAlgorithm, rollout: Rollout, discrete: bool, config: Config) -> None:
    actions = rollout.actions.squeeze(-1) if discrete else rollout.actions
    inputs, stored, log_prob = (
        by_step(x, config) for x in (rollout.inputs, rollout.actions, rollout.old.log_prob(actions))
    )
    rewards, values, next_values = (
        x[0].numpy().copy() for x in (rollout.rewards, rollout.values, rollout.next_values)
    )
    terminated, truncated = rollout.terminated[0].numpy(), rollout.truncated[0].numpy()
    timeouts = truncated & ~terminated
    rewards[timeouts] += config.algorithm.gamma * next_values[timeouts]
    starts = np.ones(config.env.num_envs)
    model.rollout_buffer.reset()
    for t in range(config.algorithm.horizon):
        model.rollout_buffer.add(
            inputs[t],
            stored[t],
            rewards[t],
            starts,
            torch.from_numpy(values[t]),
            torch.from_numpy(log_prob[t]),
        )
        starts = (terminated[t] | truncated[t]).astype(float)
    model.rollout_buffer.compute_returns_and_advantage(
        torch.from_numpy(next_values[-1]), starts.astype(bool)
    )
