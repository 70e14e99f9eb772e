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

from repro.algorithms.base import Array, Learners
from repro.algorithms.measured import Metrics, mean
from repro.config.algorithms import A2CSettings
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch, visit_all
from repro.engines.native import Networks
from repro.envs.vector import VectorEnv
from repro.learning import objectives
from repro.learning.optimizers import RMSProp, clip_gradient
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import Distribution
from repro.rollouts.rollout import Rollout


class A2C(Learners):
    """State besides: `rmsprop`."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        super().__init__(configs, envs, device)
        self.settings: A2CSettings = self.config.algorithm
        self.rmsprop = RMSProp(
            self.parameters.flat, self.settings.rms_decay, self.settings.rms_epsilon
        )
        self.value_coef = self.column("value_coef")[:, None]
        self.entropy_coef = self.column("entropy_coef")[:, None]
        coefs = {"value_coef": self.value_coef, "entropy_coef": self.entropy_coef}
        self.kernel = selection.policy_gradient(
            self.networks, self.rmsprop, self.settings.max_grad_norm, coefs | self.region()
        )
        self.engine = selection.engine(self.networks, self.kernel)
        self.blocks = selection.blocks(self.columns, self.networks, self.config, len(configs))
        self.repeated = selection.repeated(device)

    def make_networks(self) -> BoundPolicy | Networks:
        """Compiled where `engine` and the machine allow it."""
        self.parameters = self.stack()
        return selection.networks(self.config, self.policy, self.parts, self.views)

    def region(self) -> dict[str, Tensor]:
        """`delta` of a trust region, [P, 1]; none here."""
        return {}

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {"rmsprop": self.rmsprop.mean_square}

    def update(self, rollout: Rollout) -> Metrics:
        """One step."""
        estimate = self.generalized_advantages(rollout)
        batch = self.batch(rollout, estimate, estimate + rollout.values)
        rates = self.learning_rates(self.settings.learning_rate_schedule)
        norm = self.optimize(batch, rates)
        return {
            **self.measure_later(batch),
            "gradient_norm": norm,
            "learning_rate": np.array(rates),
            "minibatches": np.ones(len(self.configs), np.int64),
        }

    def optimize(self, batch: Batch, rates: Sequence[float]) -> Array | Tensor:
        """One step; the norm of its gradient before clipping, [P]."""
        if self.kernel is not None:  # what follows, compiled
            return self.kernel.update(batch, rates, self.active, self.reference(batch))
        hold = self.repeated.hold
        norm = hold("norm", torch.zeros_like(self.gamma))
        step_sizes = selection.rate_column(self.repeated, rates, self.active, self.device)
        all_train = len(self.active) == len(self.configs)
        training = None if all_train else hold("training", self.mask())

        def step(batch: Batch) -> None:
            distribution, values = self.policy.evaluate(self.parameters.leaves, batch.inputs)
            surrogate = self._policy_objective(batch, distribution)
            value_loss = objectives.value_loss(values, batch.targets)
            objective = surrogate - self.value_coef * value_loss
            gradient = self.parameters.gradient(-objective.sum() / objective.shape[-1])
            norm.copy_(clip_gradient(gradient, self.settings.max_grad_norm))
            self.rmsprop.step(gradient, step_sizes, training)

        visit_all(batch, step, self.repeated)
        return norm.double()

    def reference(self, batch: Batch) -> Distribution:
        """The policy around which a trust region is, at the samples."""
        return batch.old

    def _policy_objective(self, batch: Batch, distribution: Distribution) -> Tensor:
        """Terms of L_PG + c2 S, [P, B]."""
        log_prob, _ = distribution.compare(batch.actions, batch.old)
        terms = objectives.policy_gradient(log_prob, batch.advantages)
        return terms + self.entropy_coef * distribution.entropy()

    @torch.no_grad()
    def measure_later(self, batch: Batch) -> Metrics:
        """Means over the whole rollout with the new parameters, many iterations' at once."""
        return self.blocks(batch, *self.networks.evaluate(batch.inputs))

    def columns(
        self, batch: Batch, distribution: Distribution, values: Tensor
    ) -> dict[str, Tensor]:
        """L_PG under the new parameters besides."""
        terms = objectives.policy_gradient(distribution.log_prob(batch.actions), batch.advantages)
        metrics = self.summarize(batch, distribution, values, distribution.kl_from(batch.old))
        return metrics | {"surrogate": mean(terms)}
