"""A2C with ACER's trust region (Wang et al. 2016, section 3.3) on the policy's statistics.

    for iteration = 1, 2, ...
        collect, advantages    as A2C
        optimize               along z = g - max(0, (k'g - delta) / |k|^2) k, where
                                   g = d (L_PG + c2 S) / d phi,  phi(s) the policy's statistics
                                   k = d KL(average policy, pi) / d phi
        average                theta_average <- alpha theta_average + (1 - alpha) theta

z is the closest vector to g with k'z <= delta, equation 12: one projection a sample replaces TRPO's
linear system. Every tensor has the learners P in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from repro.algorithms.a2c import A2C
from repro.algorithms.measured import Metrics
from repro.config.schema import Config
from repro.engines.batches import Batch
from repro.engines.native import Networks
from repro.envs.vector import VectorEnv
from repro.learning import objectives
from repro.learning.off_policy import project
from repro.networks.distributions import Categorical, DiagonalGaussian, Distribution
from repro.rollouts.rollout import Rollout


class A2CTrustRegion(A2C):
    """State besides: `average` [P, n], the parameters of the average policy."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        super().__init__(configs, envs, device)
        self.decay = self.config.algorithm.average_decay
        self.average = self.parameters.flat.clone()

    def region(self) -> dict[str, Tensor]:
        """`delta`, [P, 1]."""
        self.delta = self.column("delta")[:, None]
        return {"delta": self.delta}

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return super().own_state() | {"average": self.average}

    def update(self, rollout: Rollout) -> Metrics:
        """One step, then the average's."""
        metrics = super().update(rollout)
        self.average.lerp_(self.parameters.flat, 1 - self.decay)
        return metrics

    def _policy_objective(self, batch: Batch, distribution: Distribution) -> Tensor:
        """Terms [P, B] whose gradient with respect to the statistics is z."""
        statistics = flatten(distribution)
        z = self._projected(batch, distribution)
        return (statistics * z).sum(-1)

    def _projected(self, batch: Batch, distribution: Distribution) -> Tensor:
        """z: [P, B, statistics], a constant."""
        phi = flatten(distribution).detach().requires_grad_()
        current = unflatten(phi, distribution)
        log_prob = current.log_prob(batch.actions)
        terms = objectives.policy_gradient(log_prob, batch.advantages)
        terms = terms + self.entropy_coef * current.entropy()
        (g,) = torch.autograd.grad(terms.sum(), phi, retain_graph=True)
        (k,) = torch.autograd.grad(current.kl_from(self.reference(batch)).sum(), phi)
        return project(g, k, self.delta)

    @torch.no_grad()
    def reference(self, batch: Batch) -> Distribution:
        """The average policy at the samples."""
        if isinstance(self.networks, Networks):
            return self.networks.distribution_with(self.average, batch.inputs)
        named = zip(self.parameters.views, self.parameters.split(self.average), strict=True)
        return self.policy.distribution(dict(named), batch.inputs)


def flatten(distribution: Distribution) -> Tensor:
    """phi(s): logits [P, B, A], or mean and log std side by side [P, B, 2 A]."""
    if isinstance(distribution, Categorical):
        return distribution.logits
    log_std = distribution.log_std.expand_as(distribution.mean)
    return torch.cat([distribution.mean, log_std], dim=-1)


def unflatten(phi: Tensor, like: Distribution) -> Distribution:
    """The distribution with the statistics `phi`."""
    if isinstance(like, Categorical):
        return Categorical(phi)
    mean, log_std = phi.chunk(2, dim=-1)
    return DiagonalGaussian(mean, log_std)
