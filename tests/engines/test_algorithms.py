"""The kernels of every algorithm against the plain torch code, alone and in a pack."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.algorithms.trpo import fisher_product
from repro.learning.parameters import StackedParameters
from tests.helpers.configs import compose
from tests.helpers.engines import CARTPOLE, compare_metrics, iterate_on_the_same_rollout, twins
from tests.helpers.learners import make_learners


@pytest.mark.parametrize(
    "overrides",
    [
        "env=hopper algorithm=a2c algorithm.entropy_coef=0.01 policy.shared=true",
        "discrete algorithm=a2c algorithm.entropy_coef=0.01 algorithm.max_grad_norm=0.1",
        "env=hopper algorithm=a2c_tr algorithm.entropy_coef=0.01 algorithm.delta=0.001",
        "discrete algorithm=a2c_tr algorithm.entropy_coef=0.01 algorithm.delta=0.0001",
        "env=hopper algorithm=vpg algorithm.horizon=512",
        "discrete algorithm=vpg algorithm.horizon=512",
        "env=hopper algorithm=trpo algorithm.horizon=512",
        "env=hopper algorithm=trpo algorithm.freeze_log_std=true algorithm.horizon=512",
        "discrete algorithm=trpo algorithm.horizon=512 policy.activation=relu",
    ],
)
def test_other_algorithms_agree_to_rounding(overrides: str) -> None:
    """Three iterations, so that A2C's average policy is not the current one."""
    given = overrides.replace("discrete", " ".join(CARTPOLE)).split()
    compiled, plain = twins(*given, pack=("seed=0", "seed=1"), base=())
    for _ in range(3):
        records = iterate_on_the_same_rollout(compiled, plain)
        for before, found, expected in zip(plain.before, compiled.parts, plain.parts, strict=True):
            moved = float((expected.flat - before).abs().max())
            torch.testing.assert_close(found.flat, expected.flat, rtol=0, atol=2e-3 * moved)
            found.flat.copy_(expected.flat)
        compare_metrics(records)


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "a2c_tr", "vpg", "trpo"])
@pytest.mark.parametrize("task", ["env=hopper", " ".join(("discrete", "policy.shared=true"))])
def test_no_kernel_knows_the_pack(algorithm: str, task: str) -> None:
    if algorithm in ("vpg", "trpo"):
        task = task.replace("policy.shared=true", "")
    given = task.replace("discrete", " ".join(CARTPOLE)).split()
    given += ["engine=native", f"algorithm={algorithm}"]
    own = [compose(*given, f"seed={seed}") for seed in range(3)]
    pack, solo = make_learners(own), make_learners(own[2:])
    for _ in range(2):
        pack.iterate(), solo.iterate()
    for one, other in zip(pack.parts, solo.parts, strict=True):
        assert torch.equal(one.flat[2], other.flat[0])


@pytest.mark.parametrize(
    "overrides",
    [
        "env=hopper policy.hidden_sizes=[10,33,7]",
        "env=hopper policy.hidden_sizes=[20] policy.activation=relu algorithm.freeze_log_std=true",
        "env=hopper policy.hidden_sizes=[]",
        " ".join((*CARTPOLE, "recipe.policy_gain=1")),
    ],
)
def test_fisher_products_equal_those_by_double_differentiation(overrides: str) -> None:
    """At more samples than the kernel takes at once, and for a vector of its own each learner."""
    compiled, _ = twins("algorithm=trpo", *overrides.split(), pack=("seed=0", "seed=1"), base=())
    inputs = torch.randn(2, 200, compiled.policy.observation_size)
    v = torch.randn_like(compiled.actor.flat, dtype=torch.float64)
    policy, names = compiled.policy, list(compiled.actor.views)
    ones = policy.pad({name: np.ones(policy.shapes[name], np.float32) for name in names})
    v *= StackedParameters([ones, ones], torch.device("cpu")).flat  # what is padded does not move
    found = compiled.kernel.fisher_product(inputs)(v)
    expected = fisher_product(compiled, inputs)(v)
    assert float(expected.abs().max()) > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
