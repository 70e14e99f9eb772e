"""Figure 3: the seven steps to the policy gradient, each as a number that can be checked.

A task with 3 states, 2 actions and 4 steps has so few trajectories that all can be listed. So every
expectation on the way is a sum, and every gradient exact: the steps must agree to rounding, and the
estimate of the last one must approach them as 1 / sqrt n.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import jacrev

from repro.explain.tables import Table
from repro.learning import advantages, objectives
from repro.networks.distributions import Categorical

STATES, ACTIONS, HORIZON = 3, 2, 4
COUNTS = (10, 100, 1000, 10000)
REPETITIONS = 100


@dataclass(frozen=True)
class Trajectories:
    """All of them, K: states and actions [K, T], and what does not depend on the policy."""

    states: Tensor
    actions: Tensor
    dynamics: Tensor  # rho(s_0) times the transitions' probabilities, [K]
    rewards: Tensor  # [K, T]

    def log_policy(self, theta: Tensor) -> Tensor:
        """log pi(a_t|s_t), [K, T], of logits theta [S, A]."""
        return Categorical(theta[self.states]).log_prob(self.actions)

    def probability(self, theta: Tensor) -> Tensor:
        """Step 1: P(tau), [K]."""
        return self.dynamics * self.log_policy(theta).sum(1).exp()


def measure(repetitions: int = REPETITIONS) -> list[Table]:
    """`derivation`, one row a step, and `derivation_errors`, of the estimate of step 7."""
    theta, paths = _problem()
    exact = steps(theta, paths)
    gradient = _gradient(theta, paths)
    meanings = {
        1: "sum of P(tau)",
        2: "largest difference of the gradient of J from differences of J",
        3: "largest difference from step 2's gradient",
        4: "largest difference of grad log P(tau) from the sum of grad log pi",
        5: "largest difference from step 2's gradient",
        6: "largest difference from step 2's gradient",
        7: "n times the mean square error over that of one trajectory, at the largest n",
    }
    errors = _estimates(theta, paths, gradient, repetitions)
    by_count = errors[errors["signal"] == "advantage"].set_index("trajectories")["value"]
    last = float((by_count[COUNTS[-1]] / by_count[COUNTS[0]]) ** 2 * COUNTS[-1] / COUNTS[0])
    rows = [*exact.items(), (7, last)]
    table = pd.DataFrame([{"step": k, "meaning": meanings[k], "value": v} for k, v in rows])
    units = {"step": "of the page", "meaning": "of value", "value": "1 for 1 and 7, else 0"}
    error_units = {
        "signal": "return, or the exact advantage",
        "trajectories": "n of one estimate",
        "value": "root mean square length of the error of the gradient",
        "error": "standard error of value over repetitions",
        "repetitions": "count",
    }
    return [
        Table("derivation", table, units),
        Table("derivation_errors", errors, error_units),
    ]


def _problem() -> tuple[Tensor, Trajectories]:
    """Logits of the policy, and all trajectories of a task drawn once."""
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.dirichlet(np.ones(STATES)))
    moves = torch.from_numpy(rng.dirichlet(np.ones(STATES), (STATES, ACTIONS)))
    reward = torch.from_numpy(rng.standard_normal((STATES, ACTIONS)))
    theta = torch.from_numpy(rng.standard_normal((STATES, ACTIONS)))
    states, actions = (
        torch.tensor(list(itertools.product(range(size), repeat=HORIZON)))
        for size in (STATES, ACTIONS)
    )
    many, few = len(states), len(actions)
    states, actions = states.repeat_interleave(few, 0), actions.repeat(many, 1)
    transitions = moves[states[:, :-1], actions[:, :-1], states[:, 1:]].prod(1)
    dynamics = start[states[:, 0]] * transitions
    return theta, Trajectories(states, actions, dynamics, reward[states, actions])


def steps(theta: Tensor, paths: Trajectories) -> dict[int, float]:
    """The number that confirms each of the steps 1 to 6."""
    exact, total = _gradient(theta, paths), paths.rewards.sum(1)
    probability = paths.probability(theta)
    score = _scores(theta, paths)  # [K, T, S, A]
    whole = _jacobian(lambda x: paths.probability(x).log(), theta)
    difference = 1e-6
    numeric = torch.zeros_like(theta)
    for place in np.ndindex(*theta.shape):
        shift = torch.zeros_like(theta)
        shift[place] = difference
        high, low = ((paths.probability(theta + s * shift) * total).sum() for s in (1, -1))
        numeric[place] = (high - low) / (2 * difference)

    def expected(terms: Tensor) -> Tensor:
        return (probability.view(-1, *[1] * (terms.dim() - 1)) * terms).sum(0)

    weighted = score.sum(1) * total[:, None, None]
    advantage = exact_advantages(theta, paths)
    found = {
        2: numeric - exact,
        3: expected(whole * total[:, None, None]) - exact,
        4: whole - score.sum(1),
        5: expected(weighted) - exact,
        6: expected((score * advantage[..., None, None]).sum(1)) - exact,
    }
    return {1: float(probability.sum())} | {k: float(v.abs().max()) for k, v in found.items()}


def _gradient(theta: Tensor, paths: Trajectories) -> Tensor:
    """Step 2: the gradient of J = sum P(tau) R(tau), by differentiating P."""
    leaf = theta.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((paths.probability(leaf) * paths.rewards.sum(1)).sum(), leaf)
    return gradient


def _scores(theta: Tensor, paths: Trajectories) -> Tensor:
    """grad log pi(a_t|s_t), [K, T, S, A]."""
    return _jacobian(paths.log_policy, theta)


def _jacobian(function: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    """Derivatives of all outputs by theta, [..., S, A]."""
    found: Tensor = jacrev(function)(theta)
    return found


def exact_advantages(theta: Tensor, paths: Trajectories) -> Tensor:
    """Q - V of each step of each trajectory, [K, T]: conditional means of the reward to go."""
    to_go = rewards_to_go(paths.rewards)
    probability = paths.probability(theta)
    found = torch.zeros_like(to_go)
    for t in range(HORIZON):
        key = paths.states[:, t] * ACTIONS + paths.actions[:, t]
        q, v = (_conditional(k, probability, to_go[:, t]) for k in (key, paths.states[:, t]))
        found[:, t] = q - v
    return found


def _conditional(key: Tensor, probability: Tensor, x: Tensor) -> Tensor:
    """E[x | key] at each trajectory, [K]."""
    size = int(key.max()) + 1
    mass = torch.zeros(size, dtype=x.dtype).index_add_(0, key, probability)
    total = torch.zeros(size, dtype=x.dtype).index_add_(0, key, probability * x)
    return (total / mass)[key]


def rewards_to_go(rewards: Tensor) -> Tensor:
    """[K, T], by the project's own sum."""
    ends = torch.zeros(rewards.shape[1], len(rewards), dtype=torch.bool)[None]
    discounts = torch.ones(1, 1, 1, dtype=torch.float64)
    return advantages.reward_to_go(rewards.T[None].contiguous(), discounts, ends)[0].T


def _terms(theta: Tensor, paths: Trajectories, signal: Tensor) -> Tensor:
    """Gradient of each trajectory's L_PG: its term of the estimate, [K, S A]."""

    def objective(x: Tensor) -> Tensor:
        return objectives.policy_gradient(paths.log_policy(x), signal).sum(1)

    return _jacobian(objective, theta).flatten(1)


def _estimates(theta: Tensor, paths: Trajectories, exact: Tensor, repetitions: int) -> pd.DataFrame:
    """Step 7: the error of the mean over n sampled trajectories, by the project's L_PG."""
    rng = np.random.default_rng(1)
    probability = paths.probability(theta).numpy()
    whole = paths.rewards.sum(1, keepdim=True).expand(-1, HORIZON)
    signals = {"return": whole, "advantage": exact_advantages(theta, paths)}
    lines = []
    for name, signal in signals.items():
        terms = _terms(theta, paths, signal)
        for count in COUNTS:
            drawn = rng.multinomial(count, probability / probability.sum(), repetitions)
            estimate = torch.from_numpy(drawn / count) @ terms
            square = (estimate - exact.flatten()).square().sum(1).numpy()
            rms = float(np.sqrt(square.mean()))
            error = float(square.std(ddof=1) / np.sqrt(repetitions) / (2 * rms))
            row = {"signal": name, "trajectories": count, "value": rms, "error": error}
            lines.append(row | {"repetitions": repetitions})
    return pd.DataFrame(lines)
