"""Learners whose value function is fitted by itself, after the policy's own step: VPG and TRPO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.base import Learners
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch, Minibatches, Samples
from repro.engines.native import Networks
from repro.envs.vector import VectorEnv
from repro.learning import objectives
from repro.learning.optimizers import Adam, by_rate
from repro.networks.bound import BoundPolicy

ACTOR = ("actor.", "policy.", "log_std")
CRITIC = ("critic.", "value.")


class CriticLearners(Learners):
    """An actor and a critic without common parameters. State besides: `critic_adam`."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        super().__init__(configs, envs, device)
        self.critic_adam = Adam(self.critic.flat, self.recipe.adam_epsilon)
        self.critic_kernel = selection.critic_fit(self.config, self.networks, self.critic_adam)
        self.engine = selection.engine(self.networks, self.critic_kernel)
        self.critic_repeated = selection.repeated(device)

    def make_networks(self) -> BoundPolicy | Networks:
        """Compiled where `engine` and the machine allow it."""
        self.actor = self.stack(self.actor_names())
        self.critic = self.stack(CRITIC)
        frozen = [name for name in ACTOR if name not in self.actor_names()]
        if frozen:
            self.stack(frozen)
        return selection.networks(self.config, self.policy, self.parts, self.views)

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
        epochs, count = self.config.algorithm.epochs, batch.targets.shape[1]
        orders = np.stack([self.orders(count) for _ in range(epochs)])
        if self.critic_kernel is not None:  # what follows, compiled
            self.critic_kernel.update(batch, rate, orders, self.active)
            return
        assert isinstance(batch.inputs, Tensor)  # networks of frames share their trunk
        samples = Minibatches({"inputs": batch.inputs, "targets": batch.targets}, self.config)
        rates = [rate] * len(self.configs)
        step_sizes = selection.step_sizes(self.critic_repeated, rates, self.active, self.device)

        def step(minibatch: Samples) -> None:
            values = self.policy.value(self.critic.leaves, minibatch["inputs"])
            terms = objectives.value_loss(values, minibatch["targets"])
            gradient = self.critic.gradient(terms.sum() / terms.shape[1])
            self.critic_adam.step(gradient, by_rate(step_sizes, self.active))

        for _ in samples.visit(orders, step, self.critic_repeated):
            pass
