"""ACER's parts against brute force: Retrace, truncated weights with bias correction, projection."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import torch

from repro.learning import off_policy

P, T, N, A = 2, 9, 3, 4


def brute_force_retrace(
    rewards: np.ndarray,
    q: np.ndarray,
    values: np.ndarray,
    ratios: np.ndarray,
    gamma: float,
    terminated: np.ndarray,
    cut_off: np.ndarray,
    decay: float,
) -> np.ndarray:
    """One actor. Munos et al. (2016), equation 3: a sum of TD errors times products of traces."""
    horizon, targets = len(rewards), np.zeros(len(rewards))
    for t in range(horizon):
        target, weight = q[t], 1.0
        for s in range(t, horizon):
            if s > t:
                weight *= gamma * decay * min(1.0, ratios[s])
            if cut_off[s]:  # the successor is not known: no TD error, and nothing after it
                break
            following = 0.0 if terminated[s] else values[s + 1]
            target += weight * (rewards[s] + gamma * following - q[s])
            if terminated[s]:
                break
        targets[t] = target
    return targets


@pytest.mark.parametrize("decay", [1.0, 0.8, 0.0])
def test_retrace_is_munos_sum_of_td_errors(decay: float) -> None:
    rng = np.random.default_rng(0)
    rewards, q = rng.normal(size=(2, P, T, N))
    values, ratios = rng.normal(size=(P, T + 1, N)), rng.exponential(size=(P, T, N))
    terminated = rng.random((P, T, N)) < 0.2
    cut_off = (rng.random((P, T, N)) < 0.2) & ~terminated
    assert terminated.any() and cut_off.any()
    gamma = np.array([0.9, 0.5])
    found = off_policy.retrace(
        *(torch.from_numpy(x) for x in (rewards, q, values, ratios)),
        torch.from_numpy(gamma[:, None, None] * ~terminated),
        torch.from_numpy(cut_off),
        decay,
    )
    for p in range(P):
        for n in range(N):
            own = (x[p, :, n] for x in (rewards, q, values, ratios))
            ends = (x[p, :, n] for x in (terminated, cut_off))
            expected = brute_force_retrace(*own, gamma[p], *ends, decay)
            np.testing.assert_allclose(found[p, :, n], expected, rtol=1e-12, atol=1e-12)


def test_retrace_of_the_last_step_bootstraps_from_v() -> None:
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    values = torch.tensor([[[5.0], [7.0]]], dtype=torch.float64)
    found = off_policy.retrace(
        3 * one, 100 * one, values, one, 0.5 * one, torch.zeros(1, 1, 1, dtype=torch.bool), 1.0
    )
    assert float(found) == 3 + 0.5 * 7


def test_the_projection_solves_its_program() -> None:
    generator = torch.Generator().manual_seed(0)
    g, k = torch.randn(2, 2, 5, 3, generator=generator, dtype=torch.float64)
    k[0, 0] = 0
    delta = torch.tensor([[0.1], [1.0]], dtype=torch.float64)
    z = off_policy.project(g, k, delta)
    inside = (k * g).sum(-1) <= delta
    assert inside.any() and (~inside).any()
    assert torch.equal(z[inside], g[inside])
    torch.testing.assert_close((k * z).sum(-1)[~inside], delta.expand(2, 5)[~inside])
    for p in range(2):
        for m in range(5):
            solution = scipy.optimize.minimize(
                lambda x, p=p, m=m: np.square(x - g[p, m].numpy()).sum() / 2,
                np.zeros(3),
                constraints={
                    "type": "ineq",
                    "fun": lambda x, p=p, m=m: float(delta[p]) - k[p, m].numpy() @ x,
                },
            )
            np.testing.assert_allclose(z[p, m], solution.x, atol=1e-6)


def simplex(generator: torch.Generator, *shape: int) -> torch.Tensor:
    logits = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return (0.7 * logits).softmax(-1)


@pytest.mark.parametrize("c", [0.1, 1.0, 2.0, np.inf])
def test_truncation_with_its_correction_has_the_expectation_of_whole_weights(c: float) -> None:
    """An MDP of one step from 5 states: every state and action under mu is enumerated.

    With Q right, and with targets that Q's expectation is, the sum is the exact gradient of
    E_pi[Q], whatever c is; without the correction it would not be.
    """
    generator = torch.Generator().manual_seed(1)
    states = 5
    pi, mu = simplex(generator, 1, states, A), simplex(generator, 1, states, A)
    q = torch.randn(1, states, A, generator=generator, dtype=torch.float64)
    values = (pi * q).sum(-1)
    if c < 2:
        assert (pi / mu > c).any()
    expected = torch.zeros_like(pi)
    for action in range(A):
        actions = torch.full((1, states), action)
        targets = q[..., action]
        g = off_policy.policy_gradient(pi, mu, actions, q, targets, values, c)
        expected += mu[..., action, None] * g
    # d/dphi of sum_a phi_a (Q_a - V) with V held.
    torch.testing.assert_close(expected, q - values[..., None], rtol=0, atol=1e-4)


def test_without_the_correction_truncation_is_biased() -> None:
    pi, mu = (torch.tensor([[x]], dtype=torch.float64) for x in ([0.9, 0.1], [0.1, 0.9]))
    q, values = torch.tensor([[[1.0, -1.0]]]).double(), torch.zeros(1, 1).double()
    zero = torch.zeros_like(q)
    total = torch.zeros_like(q)
    for action in range(2):
        target = q[..., action]
        chosen = torch.full((1, 1), action)
        total += mu[..., action, None] * off_policy.policy_gradient(
            pi, mu, chosen, zero, target, values, 1.0
        )
    assert float(total[0, 0, 0]) == pytest.approx(1 / 9, abs=1e-4)  # instead of 1
    assert float(total[0, 0, 1]) == pytest.approx(-1, abs=1e-4)


def test_the_gradients_are_those_of_autograd() -> None:
    generator = torch.Generator().manual_seed(2)
    pi, mu = simplex(generator, P, 6, A), simplex(generator, P, 6, A)
    q = torch.randn(P, 6, A, generator=generator, dtype=torch.float64)
    actions = torch.randint(A, (P, 6), generator=generator)
    targets = torch.randn(P, 6, generator=generator, dtype=torch.float64)
    values, c = (pi * q).sum(-1), 1.5
    phi = pi.clone().requires_grad_()
    rho, rho_of = pi / mu, (pi / mu).gather(-1, actions[..., None])[..., 0]
    log_of = phi.log().gather(-1, actions[..., None])[..., 0]
    objective = (rho_of.clamp(max=c) * (targets - values) * log_of).sum()
    excess = torch.relu(1 - c / rho) * pi * (q - values[..., None])
    objective = objective + (excess * phi.log()).sum()
    (expected,) = torch.autograd.grad(objective, phi)
    found = off_policy.policy_gradient(pi, mu, actions, q, targets, values, c)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    (of_entropy,) = torch.autograd.grad(-(phi * phi.log()).sum(), phi)
    torch.testing.assert_close(off_policy.entropy_gradient(pi), of_entropy, rtol=0, atol=1e-3)
