"""A model of Stable-Baselines3 with our parameters, and one rollout for both."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import DummyVecEnv

from repro.algorithms.base import Learners
from repro.algorithms.sb3.networks import network_keywords
from repro.config.schema import Config
from repro.envs.atari.single import AtariGame
from repro.networks.frames import FrameStacks
from repro.rollouts.rollout import Rollout

# name in ours -> name in SB3's state_dict; ours are [in, out], torch's [out, in]
NAMES = {
    "actor.0": "mlp_extractor.policy_net.0",
    "actor.1": "mlp_extractor.policy_net.2",
    "critic.0": "mlp_extractor.value_net.0",
    "critic.1": "mlp_extractor.value_net.2",
    "policy": "action_net",
    "value": "value_net",
}


# SB3's NatureCNN has its layers under three names.
EXTRACTORS = ("features_extractor", "pi_features_extractor", "vf_features_extractor")


def to_sb3(parameters: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    if "conv.0.weight" in parameters:
        return _cnn_to_sb3(parameters)
    state = {}
    for ours, theirs in NAMES.items():
        state[f"{theirs}.weight"] = torch.from_numpy(parameters[f"{ours}.weight"].T.copy())
        state[f"{theirs}.bias"] = torch.from_numpy(parameters[f"{ours}.bias"][0].copy())
    if "log_std" in parameters:
        state["log_std"] = torch.from_numpy(parameters["log_std"][0].copy())
    return state


def _cnn_to_sb3(parameters: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Ours flatten an image pixel by pixel, torch's do channel by channel."""
    features: dict[str, np.ndarray] = {}
    layers = sum(name.startswith("conv.") and name.endswith("weight") for name in parameters)
    for layer in range(layers):
        features[f"cnn.{2 * layer}.weight"] = parameters[f"conv.{layer}.weight"]
        features[f"cnn.{2 * layer}.bias"] = parameters[f"conv.{layer}.bias"]
    flat, units = parameters["shared.0.weight"].shape
    channels = len(parameters[f"conv.{layers - 1}.bias"])
    side = round((flat / channels) ** 0.5)
    dense = parameters["shared.0.weight"].reshape(side, side, channels, units)
    features["linear.0.weight"] = dense.transpose(3, 2, 0, 1).reshape(units, flat)
    features["linear.0.bias"] = parameters["shared.0.bias"][0]
    state = {f"{name}.{key}": value for name in EXTRACTORS for key, value in features.items()}
    for ours, theirs in (("policy", "action_net"), ("value", "value_net")):
        state[f"{theirs}.weight"] = parameters[f"{ours}.weight"].T
        state[f"{theirs}.bias"] = parameters[f"{ours}.bias"][0]
    return {name: torch.from_numpy(value.copy()) for name, value in state.items()}


def sb3_orders(pack: Learners, config: Config) -> list[np.ndarray]:
    """Our coming permutations in SB3's numbering, which goes through an actor's steps first."""
    stream = copy.deepcopy(pack.streams[0].shuffle)
    orders = [stream.permutation(config.batch_size) for _ in range(config.algorithm.epochs)]
    n = config.env.num_envs
    return [(order % n) * config.algorithm.horizon + order // n for order in orders]


def twin(kind: type[OnPolicyAlgorithm], pack: Learners, **settings: Any) -> OnPolicyAlgorithm:
    """A model of one kind with the parameters of the pack's first learner."""
    config = pack.config
    env = DummyVecEnv([lambda: _task(config)] * config.env.num_envs)
    keywords = settings.pop("policy_kwargs", {})
    if config.policy.convolutions is not None:
        keywords |= network_keywords(config.policy)
    model = kind(
        "MlpPolicy" if config.env.game is None else "CnnPolicy",
        env,
        n_steps=config.algorithm.horizon,
        gamma=config.algorithm.gamma,
        gae_lambda=config.algorithm.gae_lambda,
        device="cpu",
        policy_kwargs=keywords,
        **settings,
    )
    model.policy.load_state_dict(to_sb3(pack.weights(0)))
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def a2c_twin(pack: Learners) -> OnPolicyAlgorithm:
    """A2C with the settings and parameters of the pack's first learner, at a constant step size."""
    own = pack.config.algorithm
    return twin(
        A2C,
        pack,
        learning_rate=own.learning_rate,
        ent_coef=own.entropy_coef,
        vf_coef=own.value_coef,
        max_grad_norm=own.max_grad_norm,
        use_rms_prop=False,
        policy_kwargs={
            "optimizer_class": RMSpropTFLike,
            "optimizer_kwargs": {"alpha": own.rms_decay, "eps": own.rms_epsilon},
        },
    )


def _task(config: Config) -> gymnasium.Env:
    if config.env.atari is None:
        return gymnasium.make(config.env.id)
    return AtariGame(config.env.id, config.env.atari)


def by_step(x: torch.Tensor, config: Config) -> np.ndarray:
    """[1, B, ...] of one learner -> [T, N, ...]."""
    return x[0].reshape(config.algorithm.horizon, config.env.num_envs, *x.shape[2:]).numpy()


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
    seen = rollout.inputs
    if isinstance(seen, FrameStacks):
        seen = seen.take(torch.arange(seen.count)[None])
    inputs, stored, log_prob = (
        by_step(x, config) for x in (seen, rollout.actions, rollout.old.log_prob(actions))
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
