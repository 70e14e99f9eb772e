"""Learners whose value function is fitted by itself, after the policy's own step: VPG and TRPO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from repro.algorithms.base import Learners
from repro.config.schema import Config
from repro.engines.batches import Batch, Minibatches
from repro.envs.vector import VectorEnv
from repro.learning import objectives
from repro.learning.optimizers import Adam

ACTOR = ("actor.", "policy.", "log_std")
CRITIC = ("critic.", "value.")


class CriticLearners(Learners):
    """An actor and a critic without common parameters. State besides: `critic_adam`."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        super().__init__(configs, envs, device)
        self.actor = self.stack(self.actor_names())
        self.critic = self.stack(CRITIC)
        self.critic_adam = Adam(self.critic.flat, self.recipe.adam_epsilon)

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {"critic_adam": self.critic_adam}

    def actor_names(self) -> Sequence[str]:
        """How the names begin of the parameters that the policy's step may change."""
        return ACTOR

    def standardize(self, estimate: Tensor) -> Tensor:
        """As the recipe says. The policy takes its step on one batch, which is all the rollout."""
        if self.recipe.advantage_normalization == "none":
            return estimate
        return super().standardize(estimate)

    def fit_critic(self, batch: Batch) -> None:
        """Epochs of Adam on L_VF = (V - V_targ)^2, in minibatches."""
        rate: float = self.config.algorithm.value_learning_rate
        assert isinstance(batch.inputs, Tensor)  # networks of frames share their trunk
        samples = Minibatches({"inputs": batch.inputs, "targets": batch.targets}, self.config)
        for _ in range(self.config.algorithm.epochs):
            for minibatch in samples.epoch(self.orders(batch.targets.shape[1])):
                values = self.policy.value(self.critic.leaves, minibatch["inputs"])
                terms = objectives.value_loss(values, minibatch["targets"])
                gradient = self.critic.gradient(terms.sum() / terms.shape[1])
                self.critic_adam.step(gradient, {rate: self.active})
