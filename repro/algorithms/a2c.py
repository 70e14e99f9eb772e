"""Advantage actor-critic (the synchronous form of Mnih et al. 2016): one step every few steps.

    for iteration = 1, 2, ...
        collect        N actors run pi for T steps, T small
        advantages     sums of up to T rewards and V; GAE where lambda < 1
        optimize       one RMSProp step on L_PG - c1 L_VF + c2 S

Every tensor has the learners P in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.base import Learners, Metrics, mean
from repro.config.algorithms import A2CSettings
from repro.config.schema import Config
from repro.engines.batches import Batch
from repro.envs.vector import VectorEnv
from repro.learning import objectives
from repro.learning.optimizers import RMSProp, clip_gradient, gradient_norm
from repro.networks.distributions import Distribution
from repro.rollouts.rollout import Rollout


class A2C(Learners):
    """State besides: `rmsprop`."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        super().__init__(configs, envs, device)
        self.settings: A2CSettings = self.config.algorithm
        self.parameters = self.stack()
        self.rmsprop = RMSProp(
            self.parameters.flat, self.settings.rms_decay, self.settings.rms_epsilon
        )
        self.value_coef = self.column("value_coef")[:, None]
        self.entropy_coef = self.column("entropy_coef")[:, None]

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {"rmsprop": self.rmsprop.mean_square}

    def update(self, rollout: Rollout) -> Metrics:
        """One step."""
        estimate = self.generalized_advantages(rollout)
        batch = self.batch(rollout, estimate, estimate + rollout.values)
        distribution, values = self.policy.evaluate(self.parameters.leaves, batch.inputs)
        surrogate = self._policy_objective(batch, distribution)
        value_loss = objectives.value_loss(values, batch.targets)
        objective = surrogate - self.value_coef * value_loss
        gradient = self.parameters.gradient(-objective.sum() / objective.shape[-1])
        norm = gradient_norm(gradient)
        if self.settings.max_grad_norm is not None:
            clip_gradient(gradient, self.settings.max_grad_norm)
        rates = self.learning_rates(self.settings.learning_rate_schedule)
        self.rmsprop.step(gradient, rates, self.active)
        return self.measure(batch) | {
            "gradient_norm": norm.cpu().double().numpy(),
            "learning_rate": np.array(rates),
            "minibatches": np.ones(len(self.configs), np.int64),
        }

    def _policy_objective(self, batch: Batch, distribution: Distribution) -> Tensor:
        """Terms of L_PG + c2 S, [P, B]."""
        log_prob, _ = distribution.compare(batch.actions, batch.old)
        terms = objectives.policy_gradient(log_prob, batch.advantages)
        return terms + self.entropy_coef * distribution.entropy()

    @torch.no_grad()
    def measure(self, batch: Batch) -> Metrics:
        """L_PG under the new parameters besides."""
        distribution, values = self.networks.evaluate(batch.inputs)
        terms = objectives.policy_gradient(distribution.log_prob(batch.actions), batch.advantages)
        metrics = self.summarize(batch, distribution, values, distribution.kl_from(batch.old))
        return metrics | {"surrogate": mean(terms)}
