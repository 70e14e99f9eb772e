"""A2C against Stable-Baselines3's, and the trust region of ACER against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

from repro.algorithms.a2c_tr import A2CTrustRegion, flatten
from repro.learning.optimizers import RMSProp
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners
from tests.helpers.sb3_twins import a2c_twin, share_rollouts, to_sb3

CARTPOLE = "env=gymnasium env.id=CartPole-v1"


@pytest.mark.parametrize(
    "task",
    [
        "env=half_cheetah",
        "env=reacher env.num_envs=4 algorithm.horizon=20 algorithm.gae_lambda=0.9",
        "env=inverted_pendulum algorithm.entropy_coef=0.01 algorithm.max_grad_norm=0.1",
        f"{CARTPOLE} algorithm.entropy_coef=0.01 algorithm.value_coef=0.3",
    ],
)
def test_updates_equal_stable_baselines3(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    rate = "algorithm.learning_rate_schedule=constant algorithm.learning_rate=5e-3"
    a2c = learners([config(*f"algorithm=a2c recipe=sb3 {rate} {task}".split())])
    model = a2c_twin(a2c)
    share_rollouts(model, a2c, monkeypatch)
    start = to_sb3(a2c.weights(0))
    for _ in range(12):
        a2c.iterate()
        model.train()
        ours, theirs = to_sb3(a2c.weights(0)), model.policy.state_dict()
        for name, value in ours.items():
            np.testing.assert_allclose(value, theirs[name], atol=1e-5, rtol=0, err_msg=name)
    moved = max(float((ours[name] - start[name]).abs().max()) for name in ours)
    assert moved > 1e-3, "updates that move nothing prove nothing"


def test_rmsprop_equals_tensorflows_for_each_row_and_skips_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(3, 48, generator=generator)
    rows = [torch.nn.Parameter(row.clone()) for row in flat]
    rates = torch.tensor([1e-3, 1e-3, 1e-2])
    oracles = [
        RMSpropTFLike([row], lr=rate, alpha=0.9, eps=1e-5)
        for row, rate in zip(rows, rates.tolist(), strict=True)
    ]
    rmsprop = RMSProp(flat, decay=0.9, epsilon=1e-5)
    for step in range(20):
        gradient = torch.randn(3, 48, generator=generator)
        taking_part = [p for p in range(3) if step % 4 == 0 or (step + p) % 3]
        for p in set(range(3)) - set(taking_part):
            gradient[p] = torch.nan  # what a learner that has failed would bring
        where = torch.tensor([p in taking_part for p in range(3)])
        rmsprop.step(gradient, rates, None if where.all() else where)
        for p in taking_part:
            rows[p].grad = gradient[p].clone()
            oracles[p].step()
    torch.testing.assert_close(flat, torch.stack([row.data for row in rows]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("task", ["env=half_cheetah", CARTPOLE])
def test_far_from_its_bound_the_trust_region_is_not_there(
    config: Compose, learners: Learners, task: str
) -> None:
    common = f"{task} env.num_envs=4 algorithm.entropy_coef=0.01"
    free = learners([config("algorithm=a2c", *common.split())])
    bound = learners([config("algorithm=a2c_tr", "algorithm.delta=1e6", *common.split())])
    for _ in range(5):
        free.iterate(), bound.iterate()
    for name, value in free.weights(0).items():
        np.testing.assert_allclose(value, bound.weights(0)[name], atol=2e-6, err_msg=name)


@pytest.mark.parametrize("task", ["env=half_cheetah", CARTPOLE])
def test_the_trust_region_holds_every_sample(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    tight = learners(
        [
            config("algorithm=a2c_tr", f"algorithm.delta={delta}", *f"{task} {small}".split())
            for small in ("env.num_envs=4 algorithm.learning_rate=0.01",)
            for delta in (1e-4, 10.0)
        ]
    )
    for _ in range(20):
        tight.iterate()  # away from the average
    rollout = tight.collector.collect(21)
    estimate = tight.generalized_advantages(rollout)
    batch = tight.batch(rollout, estimate, estimate + rollout.values)
    distribution = tight.policy.distribution(tight.views, batch.inputs)
    average = tight.reference(batch)
    phi = flatten(distribution)
    steps = tight._projected(batch, distribution)
    # By finite differences: the KL from the average policy grows along z by delta at most.
    h = 1e-6
    kl = [kl_at(tight, phi + sign * h * steps, distribution, average) for sign in (1, -1)]
    growth = (kl[0] - kl[1]) / (2 * h)
    limit = tight.delta.double()
    assert (growth <= limit * 1.05 + 2e-4).all()
    at_bound = (growth[0] - limit[0]).abs() < 5e-5
    assert at_bound.any(), "the tight bound was never reached"


def kl_at(pack: A2CTrustRegion, phi: torch.Tensor, like: object, average: object) -> torch.Tensor:
    from repro.algorithms.a2c_tr import unflatten
    from repro.networks.distributions import Categorical, DiagonalGaussian

    current = unflatten(phi.double(), like)
    if isinstance(average, DiagonalGaussian):
        reference = DiagonalGaussian(average.mean.double(), average.log_std.double())
    else:
        reference = Categorical(average.logits.double())
    return current.kl_from(reference)


def test_the_average_follows(config: Compose, learners: Learners) -> None:
    pack = learners([config("algorithm=a2c_tr", "env=hopper", "algorithm.average_decay=0.75")])
    average = pack.parameters.flat.clone()
    assert torch.equal(pack.average, average)
    for _ in range(4):
        pack.iterate()
        average = 0.75 * average + 0.25 * pack.parameters.flat
        torch.testing.assert_close(pack.average, average)
    assert not torch.equal(pack.average, pack.parameters.flat)
