"""Figure 7: steps of equal KL, and the steps that TRPO, PPO and a plain gradient really take.

Contours are exact. The steps are the project's algorithms on a task with one state, where the
policy's two parameters are the mean and the log standard deviation of its action.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from repro.algorithms.base import Learners
from repro.explain import learners, tasks
from repro.explain.tables import SEEDS, Table, mean_and_error
from repro.networks.distributions import Categorical, DiagonalGaussian, Distribution

DELTAS = (0.01, 0.05, 0.2)
SIGMAS = (0.1, 0.3, 1.0)
DIRECTIONS = 73  # of a contour
START = (0.0, 0.3)  # mean and standard deviation before the steps

_TASK = (
    *("env=gymnasium", f"env.id={tasks.BANDIT}", "policy.hidden_sizes=[]", "recipe=paper"),
    *("recipe.observation_normalization=none", f"recipe.initial_log_std={np.log(START[1])}"),
)
# The baseline of a one-step task is a number: the same simple critic for all.
STEPS = {
    "trpo": (*_TASK, "algorithm=trpo", "algorithm.horizon=1024"),
    "ppo": (*_TASK, "algorithm=ppo", "algorithm.horizon=1024"),
    "adam_0.1": (
        *(*_TASK, "algorithm=vpg", "algorithm.horizon=1024", "algorithm.learning_rate=0.1"),
        "algorithm.adaptive_step_size=false",
    ),
}
ITERATIONS = 12


def measure(seeds: int = SEEDS) -> list[Table]:
    """`trust_region_contours`, exact, and `trust_region_steps`, by the algorithms."""
    lines = []
    for name, overrides in STEPS.items():
        made = learners.make(*overrides, seeds=range(seeds))
        for iteration in range(1, ITERATIONS + 1):
            before = _policy(made)
            record = made.iterate()
            lines += list(_steps(made, name, iteration, before, record.metrics["kl"]))
        made.close()
    units = {
        "algorithm": "trpo (delta 0.01), ppo (epsilon 0.2), adam_0.1 "
        "(vpg with a constant step size of 0.1)",
        "iteration": "from 0, the start",
        "measure": "mean and log_std of the policy; kl: nats, of the iteration's update",
        "value": "mean over seeds",
        "error": "standard error of value over seeds",
        "seeds": "count",
    }
    table = mean_and_error(pd.DataFrame(lines), ["algorithm", "iteration", "measure"])
    return [contours(), Table("trust_region_steps", table, units)]


def contours() -> Table:
    """Points at KL = delta from a policy: exact, and by the Fisher information. One a direction."""
    parts = []
    for delta in DELTAS:
        for sigma in SIGMAS:
            old = torch.tensor([0.0, float(np.log(sigma))], dtype=torch.float64)
            fisher = torch.diag(torch.tensor([sigma**-2, 2.0], dtype=torch.float64))
            parts.append(_contour("gaussian", f"sigma {sigma}", old, fisher, delta))
        for logits in ((0.0, 0.0), (2.0, 0.0)):
            old = torch.tensor(logits, dtype=torch.float64)
            p = torch.softmax(torch.cat([old, torch.zeros(1)]), 0)[:2]
            fisher = torch.diag(p) - torch.outer(p, p)
            parts.append(_contour("categorical", f"logits {logits}", old, fisher, delta))
    units = {
        "policy": "gaussian: x mean, y log standard deviation; categorical: x, y the first two of "
        "three logits, the third is 0",
        "at": "the old policy",
        "delta": "KL[old, new], nats",
        "kind": "exact, or the ellipse of the Fisher information",
        "direction": "radians, in the units of the ellipse",
        "x": "of the new policy",
        "y": "of the new policy",
    }
    return Table("trust_region_contours", pd.concat(parts, ignore_index=True), units)


def distribution(policy: str, x: torch.Tensor) -> Distribution:
    """The policy with parameters x, [..., 2]."""
    if policy == "gaussian":
        return DiagonalGaussian(x[..., :1], x[..., 1:])
    return Categorical(torch.cat([x, torch.zeros_like(x[..., :1])], -1))


def _contour(
    policy: str, at: str, old: torch.Tensor, fisher: torch.Tensor, delta: float
) -> pd.DataFrame:
    angle = np.linspace(0, 2 * np.pi, DIRECTIONS)
    circle = torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], -1))
    # x' F x / 2 = delta on the ellipse.
    ellipse = circle @ torch.linalg.inv(torch.linalg.cholesky(fisher)) * np.sqrt(2 * delta)
    reference = distribution(policy, old)

    def kl(scale: torch.Tensor) -> torch.Tensor:
        return distribution(policy, old + scale[:, None] * ellipse).kl_from(reference)

    low, high = torch.zeros(DIRECTIONS).double(), torch.full((DIRECTIONS,), 20.0).double()
    for _ in range(60):  # the KL grows along each ray
        middle = (low + high) / 2
        inside = kl(middle) < delta
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    exact = old + high[:, None] * ellipse
    row = {"policy": policy, "at": at, "delta": delta}
    kinds = {"exact": exact.numpy(), "fisher": (old + ellipse).numpy()}
    return pd.concat(
        pd.DataFrame(row | {"kind": kind, "direction": angle, "x": xy[:, 0], "y": xy[:, 1]})
        for kind, xy in kinds.items()
    )


def _policy(made: Learners) -> dict[str, np.ndarray]:
    """Mean and log standard deviation of each learner, [P]."""
    views = made.views
    return {
        "mean": views["policy.bias"][:, 0, 0].numpy().copy(),
        "log_std": views["log_std"][:, 0, 0].numpy().copy(),
    }


def _steps(
    made: Learners, name: str, iteration: int, before: dict[str, np.ndarray], kl: np.ndarray
) -> Iterator[dict[str, object]]:
    after = _policy(made)
    for seed in range(len(made.configs)):
        row = {"algorithm": name, "seed": seed}
        if iteration == 1:
            for measure, values in before.items():
                yield row | {"iteration": 0, "measure": measure, "value": float(values[seed])}
        found = {"mean": after["mean"], "log_std": after["log_std"], "kl": kl}
        for measure, values in found.items():
            yield row | {"iteration": iteration, "measure": measure, "value": float(values[seed])}
