"""One update against independent oracles: Stable-Baselines3's PPO, and the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO as SB3PPO

from repro.algorithms.ppo import PPO
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners
from tests.helpers.sb3_twins import sb3_orders, share_rollouts, to_sb3, twin

BASE = ("recipe=sb3", "algorithm.horizon=96", "algorithm.minibatch_size=32", "total_timesteps=9600")
CARTPOLE = ("env=gymnasium", "env.id=CartPole-v1", "env.num_envs=4")


def sb3_twin(ppo: PPO) -> SB3PPO:
    config = ppo.config
    algorithm, recipe = config.algorithm, config.recipe
    model = twin(
        SB3PPO,
        ppo,
        batch_size=algorithm.minibatch_size,
        n_epochs=algorithm.epochs,
        learning_rate=algorithm.learning_rate,
        ent_coef=algorithm.entropy_coef,
        vf_coef=algorithm.value_coef,
        clip_range=config.objective["epsilon"],
        clip_range_vf=recipe.value_clip,
        max_grad_norm=recipe.max_grad_norm,
        target_kl=recipe.early_stop_kl,
    )
    assert isinstance(model, SB3PPO)
    return model


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
    model = sb3_twin(ppo)
    orders = iter(sb3_orders(ppo, own))

    share_rollouts(model, ppo, monkeypatch)
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
        batch = ppo.estimate(rollout)
        distribution = ppo.policy.distribution(ppo.parameters.views, batch.inputs)
        ratio = (distribution.log_prob(batch.actions) - batch.log_prob).exp()
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=2e-5)
        assert float(distribution.kl_from(batch.old).abs().max()) < 1e-6


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
