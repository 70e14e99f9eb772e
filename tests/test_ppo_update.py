"""One update against independent oracles: Stable-Baselines3's PPO, and the definitions."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO as SB3PPO
from stable_baselines3.common.logger import Logger

from repro.algorithms.ppo import PPO
from repro.config import Config
from repro.rollout import Rollout
from tests.conftest import Compose, Learners

BASE = ("recipe=sb3", "algorithm.horizon=96", "algorithm.minibatch_size=32", "total_timesteps=9600")
CARTPOLE = ("env=gymnasium", "env.id=CartPole-v1", "env.num_envs=4")

# name in ours -> name in SB3's state_dict; ours are [in, out], torch's [out, in]
NAMES = {
    "actor.0": "mlp_extractor.policy_net.0",
    "actor.1": "mlp_extractor.policy_net.2",
    "critic.0": "mlp_extractor.value_net.0",
    "critic.1": "mlp_extractor.value_net.2",
    "policy": "action_net",
    "value": "value_net",
}


def to_sb3(parameters: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    state = {}
    for ours, theirs in NAMES.items():
        state[f"{theirs}.weight"] = torch.from_numpy(parameters[f"{ours}.weight"].T.copy())
        state[f"{theirs}.bias"] = torch.from_numpy(parameters[f"{ours}.bias"][0].copy())
    if "log_std" in parameters:
        state["log_std"] = torch.from_numpy(parameters["log_std"][0].copy())
    return state


def sb3_twin(config: Config, parameters: dict[str, np.ndarray]) -> SB3PPO:
    import gymnasium
    from stable_baselines3.common.vec_env import DummyVecEnv

    algorithm, recipe = config.algorithm, config.recipe
    env = DummyVecEnv([lambda: gymnasium.make(config.env.id)] * config.env.num_envs)
    model = SB3PPO(
        "MlpPolicy",
        env,
        n_steps=algorithm.horizon,
        batch_size=algorithm.minibatch_size,
        n_epochs=algorithm.epochs,
        learning_rate=algorithm.learning_rate,
        gamma=algorithm.gamma,
        gae_lambda=algorithm.gae_lambda,
        ent_coef=algorithm.entropy_coef,
        vf_coef=algorithm.value_coef,
        clip_range=config.objective["epsilon"],
        clip_range_vf=recipe.value_clip,
        max_grad_norm=recipe.max_grad_norm,
        target_kl=recipe.early_stop_kl,
        device="cpu",
    )
    model.policy.load_state_dict(to_sb3(parameters))
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def by_step(x: torch.Tensor, config: Config) -> np.ndarray:
    """[1, B, ...] of one learner -> [T, N, ...]."""
    return x[0].reshape(config.algorithm.horizon, config.env.num_envs, *x.shape[2:]).numpy()


def fill_buffer(model: SB3PPO, ppo: PPO, rollout: Rollout, config: Config) -> None:
    """Give SB3 the same rollout, and let it estimate the advantages by itself."""
    log_prob = rollout.old.log_prob(ppo.actions({"actions": rollout.actions}))
    steps = {
        "inputs": by_step(rollout.inputs, config),
        "actions": by_step(rollout.actions, config),
        "log_prob": by_step(log_prob, config),
    }
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
            steps["inputs"][t],
            steps["actions"][t],
            rewards[t],
            starts,
            torch.from_numpy(values[t]),
            torch.from_numpy(steps["log_prob"][t]),
        )
        starts = (terminated[t] | truncated[t]).astype(float)
    model.rollout_buffer.compute_returns_and_advantage(
        torch.from_numpy(next_values[-1]), starts.astype(bool)
    )


def sb3_orders(ppo: PPO, config: Config) -> list[np.ndarray]:
    """Our coming permutations in SB3's numbering, which goes through an actor's steps first."""
    stream = copy.deepcopy(ppo.streams[0].shuffle)
    orders = [stream.permutation(config.batch_size) for _ in range(config.algorithm.epochs)]
    n = config.env.num_envs
    return [(order % n) * config.algorithm.horizon + order // n for order in orders]


@pytest.mark.parametrize("engine", ["auto", "torch"])
@pytest.mark.parametrize(
    "overrides",
    [
        ("env=half_cheetah",),
        ("env=hopper", "env.num_envs=2", "recipe.value_clip=0.2", "algorithm.gamma=0.9"),
        ("env=reacher", "algorithm.entropy_coef=0.01"),  # episodes of 50 steps: truncations
        ("env=hopper", "algorithm.minibatch_size=36", "objective.epsilon=0.05"),  # 36, 36, 24
        (*CARTPOLE, "algorithm.entropy_coef=0.01", "algorithm.learning_rate=2e-3"),
        (*CARTPOLE, "recipe.early_stop_kl=0.002", "algorithm.learning_rate=2e-3"),
    ],
)
def test_one_update_equals_stable_baselines3(
    config: Compose,
    learners: Learners,
    monkeypatch: pytest.MonkeyPatch,
    overrides: tuple[str, ...],
    engine: str,
) -> None:
    own = config(*BASE, *overrides, f"engine={engine}")
    ppo = learners([own])
    ppo.iterate()  # away from the zero biases and the tiny head of the start
    before = ppo.weights(0)
    moments = ppo.adam
    moments.mean.zero_(), moments.variance.zero_(), moments.steps.zero_()
    model = sb3_twin(own, before)
    orders = iter(sb3_orders(ppo, own))

    collect = ppo.collector.collect

    def collect_for_both(*arguments: Any) -> Rollout:
        rollout = collect(*arguments)
        fill_buffer(model, ppo, rollout, own)
        return rollout

    monkeypatch.setattr(ppo.collector, "collect", collect_for_both)
    record = ppo.iterate()
    monkeypatch.setattr(np.random, "permutation", lambda size: next(orders))
    model.train()

    theirs = {name: value.numpy() for name, value in model.policy.state_dict().items()}
    ours = to_sb3(ppo.weights(0))
    assert ours.keys() <= theirs.keys()
    start = to_sb3(before)
    for name, value in ours.items():
        np.testing.assert_allclose(value.numpy(), theirs[name], atol=1e-5, rtol=0, err_msg=name)
    moved = max(float((ours[name] - start[name]).abs().max()) for name in ours)
    assert moved > 1e-3, "an update that moves nothing proves nothing"
    planned = own.algorithm.epochs * -(-own.batch_size // own.algorithm.minibatch_size)
    stopped = own.recipe.early_stop_kl is not None
    assert (record.metrics["minibatches"][0] < planned) == stopped


def test_the_first_minibatch_has_ratio_one_and_no_kl(config: Compose, learners: Learners) -> None:
    for recipe in ("paper", "ppo2"):
        ppo = learners([config("env=hopper", f"recipe={recipe}", "algorithm.horizon=128")])
        ppo.iterate()
        rollout = ppo.collector.collect(2)
        batch = ppo._batch(rollout)
        distribution = ppo.policy.distribution(ppo.parameters.views, batch["inputs"])
        ratio = (distribution.log_prob(ppo.actions(batch)) - batch["log_prob"]).exp()
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=2e-5)
        assert float(distribution.kl_from(ppo.old).abs().max()) < 1e-6


def test_an_update_raises_its_own_objective(config: Compose, learners: Learners) -> None:
    pack = [
        config("env=half_cheetah", f"objective={kind}", "algorithm.horizon=512")
        for kind in ("none", "clip", "clip_log", "kl_fixed", "kl_adaptive")
    ]
    metrics = learners(pack).iterate().metrics
    assert (metrics["surrogate"] > 0.01).all()
    assert (metrics["kl"] > 0).all()
    assert metrics["kl"][3] < metrics["kl"][0], "a penalty keeps the policy closer than none"
    assert (metrics["clip_fraction"][[0, 3, 4]] == 0).all() and metrics["clip_fraction"][1] > 0
