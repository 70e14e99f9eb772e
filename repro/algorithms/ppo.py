"""Proximal policy optimization: Algorithm 1 of the paper, for P learners in lockstep.

    for iteration = 1, 2, ...
        collect        N actors run pi_old for T steps
        advantages     truncated GAE, equations 11 and 12
        optimize       K epochs of minibatches of M: L_CLIP or L_KLPEN - c1 L_VF + c2 S, equation 9
        adapt          beta, section 4

Every tensor has the learners P in front. Losses are summed over P, so that each learner's gradient
is its own. Shuffling, clipping, normalization and early stopping are per learner too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.base import Array, Learners
from repro.algorithms.interpolation import interpolation
from repro.algorithms.limits import EarlyStop, ValueClip
from repro.algorithms.measured import Metrics, mean
from repro.algorithms.schedules import LogStd, StepSizes
from repro.config.algorithms import PPOSettings
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch
from repro.engines.epochs import Epochs
from repro.engines.native import Networks
from repro.envs.vector import VectorEnv
from repro.learning.optimizers import Adam, by_rate, clip_gradient
from repro.learning.packed_objectives import PackedSurrogate, UpdateSurrogate
from repro.networks.bound import BoundPolicy
from repro.rollouts.rollout import Rollout


class PPO(Learners):
    """State besides: `adam`, and `beta` and `step_size` where they adapt."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`.

        Raises:
            ConfigError: a task, an objective or an engine that does not fit.
        """
        self.surrogate = PackedSurrogate([config.objective for config in configs], device)
        super().__init__(configs, envs, device)
        self.settings: PPOSettings = self.config.algorithm
        self.adam = Adam(self.parameters.flat, self.recipe.adam_epsilon)
        self.step_sizes, self.log_std = StepSizes(configs), LogStd(self.config, self.policy)
        self.value_coef = self.column("value_coef")[:, None]
        self.entropy_coef = self.column("entropy_coef")[:, None]
        has_form = self.surrogate.has_form
        self.value_clip = ValueClip(self.recipe, len(configs), device)
        self.early_stop = EarlyStop(self.recipe)
        self.kernel = selection.updater(self.config, self.networks, self.adam, has_form)
        self.engine = selection.engine(self.networks, self.kernel)
        self.repeated = selection.repeated(device)

    def make_networks(self) -> BoundPolicy | Networks:
        """Compiled where `engine` and the machine allow it."""
        self.parameters, has_form = self.stack(), self.surrogate.has_form
        return selection.networks(self.config, self.policy, self.parts, self.views, has_form)

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {"adam": self.adam, "beta": self.surrogate, **self.step_sizes.state()}

    def begin(self) -> None:
        """Set what has a schedule: the standard deviations, the clipping of V."""
        self.log_std.set(self.views, self.progress)
        self.value_clip.set(self.annealed(self.recipe.value_clip_schedule))

    def update(self, rollout: Rollout) -> Metrics:
        """Advantages, and K epochs of minibatches."""
        batch = self.estimate(rollout)
        surrogate = self.surrogate.prepare(self.annealed(self.recipe.epsilon_schedule))
        rates = self.step_sizes.now(self.annealed(self.recipe.learning_rate_schedule))
        steps, norm = self.optimize(batch, surrogate, rates)
        if self.config.probe == "interpolation" and self.iteration == 1:
            found = interpolation(self.policy, self.parameters, self.before[0], batch)
            self.tables = {p: {"interpolation": found[p]} for p in self.active}
        return {
            **self.metrics(batch, surrogate),
            "gradient_norm": norm,
            "minibatches": steps,
            "learning_rate": np.array(rates),
            "beta": self.surrogate.beta.numpy().copy(),
        }

    def adapt(self, metrics: Mapping[str, Array]) -> None:
        """Beta of section 4, and step sizes that follow the KL."""
        self.surrogate.adapt(metrics["kl"])
        self.step_sizes.adapt(metrics["kl"])

    def estimate(self, rollout: Rollout) -> Batch:
        """The update's samples with their advantages."""
        estimate = self.generalized_advantages(rollout)
        batch = self.batch(rollout, estimate, estimate + rollout.values)
        if self.recipe.advantage_normalization in ("rollout", "actor"):
            batch.advantages = self.standardize(batch.advantages)
        return batch

    def optimize(
        self, batch: Batch, surrogate: UpdateSurrogate, rates: Sequence[float]
    ) -> tuple[Array | Tensor, Array | Tensor]:
        """K epochs: how many steps each learner took, and the norm of its first gradient, [P]."""
        samples = batch.advantages.shape[1]
        # All K permutations are drawn now: a stream must not depend on when others stop.
        orders = np.stack([self.orders(samples) for _ in range(self.settings.epochs)])
        if self.kernel is not None:  # what follows, compiled
            coefs = {"value_coef": self.value_coef, "entropy_coef": self.entropy_coef}
            steps, norms = self.kernel.update(batch, surrogate, coefs, rates, orders, self.active)
            return steps, np.where(steps > 0, norms, math.nan)
        epochs = Epochs(batch, self.config, self.repeated, rates, self.active)
        surrogate = surrogate.held(epochs.hold)

        def step(minibatch: Batch) -> None:
            loss, log_ratio = self.loss(minibatch, surrogate)
            self.early_stop.apply(epochs.running, log_ratio)
            if selection.none_left(epochs.running):
                return
            gradient = self.parameters.gradient(loss)
            self.log_std.hold(self.parameters)
            epochs.norm.copy_(clip_gradient(gradient, self.recipe.max_grad_norm))
            taking = epochs.running if self.early_stop.enabled else None
            self.adam.step(gradient, by_rate(epochs.rates, self.active), taking)
            epochs.steps.add_(epochs.running)

        return epochs.visit(orders, step)

    def loss(self, minibatch: Batch, surrogate: UpdateSurrogate) -> tuple[Tensor, Tensor]:
        """-(surrogate - c1 L_VF + c2 S), equation 9, summed over learners; and log r, [P, M]."""
        distribution, values = self.policy.evaluate(self.parameters.leaves, minibatch.inputs)
        log_prob, kl = distribution.compare(minibatch.actions, minibatch.old)
        log_ratio = log_prob - minibatch.log_prob
        advantages = minibatch.advantages
        if self.recipe.advantage_normalization == "minibatch":
            advantages = self.standardize(advantages)
        terms = surrogate(log_ratio.exp(), advantages, kl)
        value_loss = self.value_clip.loss(values, minibatch)
        objective = (
            terms - self.value_coef * value_loss + self.entropy_coef * distribution.entropy()
        )
        return -objective.sum() / terms.shape[-1], log_ratio

    @torch.no_grad()
    def metrics(self, batch: Batch, surrogate: UpdateSurrogate) -> Metrics:
        """The surrogate, clipping, and d of section 4 besides."""
        distribution, values = self.networks.evaluate(batch.inputs)
        log_prob, kl = distribution.compare(batch.actions, batch.old)
        ratio = (log_prob - batch.log_prob).exp()
        scale = np.array(self.annealed(self.recipe.epsilon_schedule))
        return self.summarize(batch, distribution, values, kl) | {
            "surrogate": mean(surrogate(ratio, batch.advantages, kl)),
            "clip_fraction": mean(surrogate.clipped(ratio)),
            "epsilon": self.surrogate.epsilon * scale,
        }
