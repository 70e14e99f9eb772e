"""Vanilla policy gradient: one step on L_PG a batch, and a step size that follows the KL.

    for iteration = 1, 2, ...
        collect        N actors run pi_old for T steps
        advantages     A, or a plainer signal (REINFORCE)
        optimize       one Adam step on L_PG = E[log pi(a|s) A], equation 2
        adapt          the step size, footnote 3: "a rule similar to" section 4's
        critic         epochs of minibatches on L_VF

Every tensor has the learners P in front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.base import Array
from repro.algorithms.fitted_critic import CriticLearners
from repro.algorithms.measured import Metrics, mean
from repro.config.algorithms import VPGSettings
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch
from repro.envs.vector import VectorEnv
from repro.learning import advantages, objectives
from repro.learning.optimizers import Adam, adapt_step_size, by_rate, gradient_norm
from repro.rollouts.rollout import Rollout


class VPG(CriticLearners):
    """State besides: `adam` and `step_size` [P]."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        super().__init__(configs, envs, device)
        self.settings: VPGSettings = self.config.algorithm
        self.adam = Adam(self.actor.flat, self.recipe.adam_epsilon)
        self.kernel = selection.policy_gradient(self.networks, self.adam)
        self.step_size = np.array([c.algorithm.learning_rate for c in configs], np.float64)
        self.target_kl = np.array([c.algorithm.target_kl for c in configs], np.float64)

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return super().own_state() | {"adam": self.adam, "step_size": self.step_size}

    def update(self, rollout: Rollout) -> Metrics:
        """One step of the policy, then the critic's epochs."""
        estimate = self.generalized_advantages(rollout)
        targets = estimate + rollout.values
        batch = self.batch(rollout, self.signal(rollout, estimate), targets)
        batch.advantages = self.standardize(batch.advantages)
        surrogate, norm = self.optimize(batch, self.step_size)
        if self.has_critic:
            self.fit_critic(batch)
        metrics = self.measure(batch)
        if not self.has_critic:
            unknown = torch.full_like(metrics["kl"], math.nan)
            metrics |= {"value_loss": unknown, "explained_variance": unknown}
        return metrics | {
            "surrogate": surrogate,
            "gradient_norm": norm,
            "learning_rate": self.step_size.copy(),
            "minibatches": np.ones(len(self.configs), np.int64),
        }

    def adapt(self, metrics: Mapping[str, Array]) -> None:
        """The step size of footnote 3."""
        if self.settings.adaptive_step_size:
            adapted = adapt_step_size(self.step_size, metrics["kl"], self.target_kl)
            # Without a gradient the KL says nothing of the step size, which would grow for ever.
            self.step_size = np.where(metrics["gradient_norm"] > 0, adapted, self.step_size)

    @property
    def has_critic(self) -> bool:
        """Whether the signal uses a value function."""
        return self.settings.signal in ("q", "advantage")

    def signal(self, rollout: Rollout, estimate: Tensor) -> Tensor:
        """The weight of grad log pi(a|s), [P, T, N], in the order of falling variance.

        return        R(tau), the sum of the episode's discounted rewards
        reward_to_go  the sum from t on: an action does not change earlier rewards
        q             the lambda-return: later rewards are partly replaced by V
        advantage     the lambda-return minus V(s_t): generalized advantage estimation
        """
        ends = rollout.terminated | rollout.truncated
        rewards, discounts = rollout.rewards, self.gamma[:, None, None]
        match self.settings.signal:
            case "return":
                return advantages.episode_return(rewards, discounts, ends)
            case "reward_to_go":
                return advantages.reward_to_go(rewards, discounts, ends)
            case "q":
                return estimate + rollout.values
        return estimate

    def optimize(self, batch: Batch, rates: Array) -> tuple[Tensor, Array | Tensor]:
        """One step; L_PG before it, and the norm of its gradient, [P] both."""
        if self.kernel is not None:
            now = self.networks.distribution(batch.inputs)
            terms = objectives.policy_gradient(now.log_prob(batch.actions), batch.advantages)
            return mean(terms), self.kernel.update(batch, rates.tolist(), self.active, batch.old)
        before, gradient = self.gradient(batch)
        self.adam.step(gradient, by_rate(rates, self.active))
        return before, gradient_norm(gradient).double()

    def gradient(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """L_PG [P], and the gradient of -L_PG, [P, n]."""
        distribution = self.policy.distribution(self.actor.leaves, batch.inputs)
        log_prob, _ = distribution.compare(batch.actions, batch.old)
        terms = objectives.policy_gradient(log_prob, batch.advantages)
        return mean(terms.detach()), self.actor.gradient(-terms.sum() / terms.shape[-1])
