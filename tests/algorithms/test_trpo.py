"""Trust regions against explicit matrices, dense solutions and sb3-contrib."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import TRPO as SB3TRPO
from torch import Tensor

from repro.algorithms.trpo import TRPO, conjugate_gradient, fisher_product
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners
from tests.helpers.sb3_twins import share_rollouts, to_sb3, twin

SMALL = ("algorithm=trpo", "algorithm.epochs=1", "algorithm.horizon=256")
TASKS = ("env=hopper", "env=gymnasium env.id=CartPole-v1")


def plain_outputs(weights: dict[str, Tensor], x: Tensor, layers: int) -> Tensor:
    for layer in range(layers):
        x = torch.tanh(x @ weights[f"actor.{layer}.weight"] + weights[f"actor.{layer}.bias"])
    return x @ weights["policy.weight"] + weights["policy.bias"]


def explicit_fisher(trpo: TRPO, learner: int, inputs: Tensor) -> dict[tuple[str, str], Tensor]:
    """E[J' H J] over states, by blocks: J of the network's outputs, H of their distribution."""
    weights = {k: torch.from_numpy(v).double() for k, v in trpo.weights(learner).items()}
    names = [n for n in weights if n.startswith(("actor.", "policy."))]

    def outputs(*values: Tensor) -> Tensor:
        return plain_outputs(dict(zip(names, values, strict=True)), inputs[learner].double(), 1)

    jacobians = torch.autograd.functional.jacobian(outputs, tuple(weights[n] for n in names))
    jacobian = {n: j.flatten(2) for n, j in zip(names, jacobians, strict=True)}  # [M, A, n]
    out = outputs(*(weights[n] for n in names))
    if "log_std" in weights:
        h = torch.diag_embed(torch.exp(-2 * weights["log_std"]).expand_as(out))
    else:
        p = torch.softmax(out, -1)
        h = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    blocks = {
        (a, b): torch.einsum("mai,mab,mbj->ij", jacobian[a], h, jacobian[b]) / len(out)
        for a in names
        for b in names
    }
    if "log_std" in weights and not trpo.settings.freeze_log_std:
        blocks["log_std", "log_std"] = 2 * torch.eye(weights["log_std"].numel()).double()
    return blocks


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("frozen", ["true", "false"])
def test_fisher_vector_products_equal_the_explicit_matrix(
    config: Compose, learners: Learners, task: str, frozen: str
) -> None:
    small = ("policy.hidden_sizes=[5]", f"algorithm.freeze_log_std={frozen}", *task.split())
    trpo = learners([config(*SMALL, *small, f"seed={seed}") for seed in range(2)])
    trpo.iterate()
    inputs = trpo.collector.collect(2).inputs[:, :40].contiguous()
    product = fisher_product(trpo, inputs)
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(trpo.actor.flat.shape, generator=generator, dtype=torch.float64)
    found = product(v)
    for learner in range(2):
        fisher = explicit_fisher(trpo, learner, inputs)
        vectors, products = ({k: x[learner] for k, x in named(trpo, y).items()} for y in (v, found))
        assert ("log_std" in vectors) == (frozen == "false" and not trpo.policy.discrete)
        scale = max(float(x.abs().max()) for x in products.values())
        for name, own in products.items():
            expected = sum(
                block @ vectors[b].flatten() for (a, b), block in fisher.items() if a == name
            )
            assert isinstance(expected, Tensor)
            torch.testing.assert_close(own.flatten(), expected, rtol=1e-3, atol=1e-4 * scale)


def named(trpo: TRPO, flat: Tensor) -> dict[str, Tensor]:
    """Unpadded views [P, ...] into a flat tensor, by name."""
    views = zip(trpo.actor.views, trpo.actor.split(flat), strict=True)
    shapes = trpo.policy.shapes
    return {name: x[:, : shapes[name][0], : shapes[name][1]] for name, x in views}


def test_padding_never_moves(config: Compose, learners: Learners) -> None:
    trpo = learners([config(*SMALL, "env=hopper", "policy.hidden_sizes=[5]")])
    for _ in range(2):
        trpo.iterate()
    trimmed = trpo.weights(0)
    for part in trpo.parts:
        real = sum(trimmed[name].astype(bool).sum() for name in part.views)
        assert int((part.flat != 0).sum()) == real


def test_conjugate_gradient_equals_a_dense_solve() -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4, 12, 12, generator=generator, dtype=torch.float64)
    matrix = root @ root.mT + 0.5 * torch.eye(12)
    matrix[1] = 3 * torch.eye(12)  # done after one step: it waits for the others
    b = torch.randn(4, 12, generator=generator, dtype=torch.float64)
    b[2] = 0  # done before the first

    def product(v: Tensor) -> Tensor:
        return (matrix @ v[..., None])[..., 0]

    found = conjugate_gradient(product, b, iterations=40, tolerance=1e-24)
    expected = torch.linalg.solve(matrix, b)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
    assert torch.equal(found[2], torch.zeros(12, dtype=torch.float64))
    # Few iterations give the best x of a Krylov space: A-norm errors that only fall.
    errors = []
    for iterations in range(1, 12):
        error = conjugate_gradient(product, b, iterations, 0.0)[0] - expected[0]
        errors.append(float(error @ matrix[0] @ error))
    assert all(later <= earlier for earlier, later in itertools.pairwise(errors))


@pytest.mark.parametrize("slack", [1.0, 1.5])
def test_accepted_steps_improve_within_the_trust_region(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch, slack: float
) -> None:
    deltas = (1e-4, 1e-2, 0.3)
    trpo = learners(
        [
            config("env=hopper", *SMALL, f"algorithm.delta={delta}", f"algorithm.kl_slack={slack}")
            for delta in deltas
        ]
    )
    seen: list[tuple[Any, Tensor]] = []
    search = trpo._line_search

    def observed(batch: Any, step: Tensor) -> Tensor:
        before = trpo._surrogate_and_kl(batch)[0].mean(1)
        found = search(batch, step)
        after, kl = (x.mean(1) for x in trpo._surrogate_and_kl(batch))
        assert ((after > before) | ~found).all()
        assert ((kl <= slack * torch.tensor(deltas)) | ~found).all()
        seen.append((found, kl))
        return found

    monkeypatch.setattr(trpo, "_line_search", observed)
    for _ in range(6):
        row = trpo.iterate()
        assert (row.metrics["minibatches"] == seen[-1][0].numpy()).all()
    found, kl = (torch.stack(x) for x in zip(*seen, strict=True))
    assert found.float().mean() > 0.9
    # The step is meant to use the region, damping and all: not a thousandth of it.
    assert (kl[found] > 0).all() and (kl.mean(0) > 0.2 * torch.tensor(deltas)).all()


def test_who_finds_no_step_stays(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch
) -> None:
    trpo = learners([config("env=hopper", *SMALL, f"seed={seed}") for seed in range(3)])
    trpo.iterate()
    full = trpo._full_step
    sign = torch.tensor([1.0, -1.0, 1.0])[:, None]
    monkeypatch.setattr(trpo, "_full_step", lambda *each: sign * full(*each))
    before = trpo.actor.flat.clone()
    row = trpo.iterate()
    assert row.metrics["minibatches"].tolist() == [1, 0, 1]
    assert torch.equal(trpo.actor.flat[1], before[1])
    assert row.metrics["kl"][1] == pytest.approx(0, abs=1e-6)
    assert not torch.equal(trpo.actor.flat[0], before[0])


def test_a_frozen_standard_deviation_stays_and_the_other_does_not(
    config: Compose, learners: Learners
) -> None:
    for frozen in ("true", "false"):
        trpo = learners([config("env=reacher", *SMALL, f"algorithm.freeze_log_std={frozen}")])
        before = trpo.weights(0)
        trpo.iterate()
        after = trpo.weights(0)
        assert before.keys() == after.keys()
        assert np.array_equal(before["log_std"], after["log_std"]) == (frozen == "true")
        assert not np.array_equal(before["policy.weight"], after["policy.weight"])


@pytest.mark.parametrize(
    "task",
    [
        "env=inverted_pendulum",
        "env=half_cheetah",
        "env=hopper env.num_envs=2",
        "env=reacher",
        "env=gymnasium env.id=CartPole-v1 env.num_envs=4",
    ],
)
def test_the_step_equals_sb3_contribs(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    same = "recipe=sb3 algorithm.horizon=512 algorithm.cg_iterations=15 algorithm.fisher_fraction=1"
    search = "algorithm.backtrack_factor=0.8 algorithm.epochs=2"
    trpo = learners([config("algorithm=trpo", *f"{same} {search} {task}".split())])
    # sb3-contrib takes the mean over the dimensions of a Gaussian action where the KL is their sum:
    # its delta and its damping are those of a KL so many times as large.
    dimensions = 1 if trpo.policy.discrete else trpo.policy.action_size
    trpo.delta *= dimensions
    trpo.damping *= dimensions
    trpo.iterate()
    before = to_sb3(trpo.weights(0))
    own = trpo.settings
    model = twin(
        SB3TRPO,
        trpo,
        learning_rate=own.value_learning_rate,
        batch_size=trpo.config.algorithm.minibatch_size,
        cg_max_steps=own.cg_iterations,
        cg_damping=own.damping,
        line_search_shrinking_factor=own.backtrack_factor,
        line_search_max_iter=own.backtracks,
        n_critic_updates=own.epochs,
        target_kl=own.delta,
    )
    share_rollouts(model, trpo, monkeypatch)
    row = trpo.iterate()
    model.train()
    after, theirs = to_sb3(trpo.weights(0)), model.policy.state_dict()
    actor = [n for n in before if "policy_net" in n or "action_net" in n or n == "log_std"]
    ours, other = (
        torch.cat([(x[n] - before[n]).flatten() for n in actor]).double() for x in (after, theirs)
    )
    assert float(ours.norm()) > 1e-3
    assert float(torch.cosine_similarity(ours, other, dim=0)) > 0.999
    assert float(ours.norm() / other.norm()) == pytest.approx(1, rel=0.02)
    # They report KL(new, old): the same direction is taken here for both.
    observations = torch.from_numpy(model.rollout_buffer.observations)
    new = model.policy.get_distribution(observations).distribution
    model.policy.load_state_dict(before)
    old = model.policy.get_distribution(observations).distribution
    kl = torch.distributions.kl_divergence(old, new).reshape(len(observations), -1).sum(1).mean()
    assert row.metrics["kl"][0] == pytest.approx(float(kl), rel=0.05)
