"""Stage 3: PPO at the level of tokens, against a reward model, near a reference.

    for iteration = 1, 2, ...
        collect        responses of pi_old to new prompts; their scores
        advantages     reward of a token: -beta KL, and the score at the last one; GAE
        optimize       K epochs of minibatches: L_CLIP or L_KLPEN - c1 L_VF + c2 S, equation 9
        adapt          beta of the KL to the reference

Objectives and advantages are those of `repro.algorithms.ppo`; so are the learners P in front of
every tensor, whose losses are summed. A token is a time step, a response an episode.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.language import responses, returns
from repro.language.config import LanguageConfig
from repro.language.controllers import KLController
from repro.language.networks import Weights
from repro.language.policy import PolicyStage, Rollout
from repro.language.stage import Array, Metrics, mean, parent_parameters
from repro.learning import objectives
from repro.learning.advantages import explained_variance
from repro.learning.optimizers import ADAM_BETAS
from repro.learning.packed_objectives import PackedSurrogate, UpdateSurrogate
from repro.networks.distributions import Categorical

CRITIC = "critic."  # prefix of the value network's parameters, where it is a network of its own


@dataclass
class Batch:
    """Responses to train on: [P, B, ...] each; a minibatch has fewer of them."""

    prompts: Tensor
    tokens: Tensor
    mask: Tensor
    states: Tensor
    logits: Tensor
    log_prob: Tensor
    reference: Tensor
    advantages: Tensor
    values: Tensor
    targets: Tensor

    def rows(self, index: Tensor) -> Batch:
        """Those at `index`, [P, M]."""
        learner = torch.arange(len(index), device=index.device)[:, None]
        return Batch(*(x[learner, index] for x in vars(self).values()))


class PPO(PolicyStage):
    """State besides: the controller's beta, and the surrogate's where it adapts."""

    def __init__(self, configs: Sequence[LanguageConfig], device: torch.device) -> None:
        """As `Stage`.

        Raises:
            ConfigError: an objective that does not fit.
        """
        self.surrogate = PackedSurrogate([config.objective for config in configs], device)
        self.controller = KLController([config.kl for config in configs])
        self.settings, self.adam_epsilon = configs[0].algorithm, configs[0].recipe.adam_epsilon
        super().__init__(configs, device)
        in_loss = [config.kl.place == "loss" for config in configs]
        self.in_loss = torch.tensor(in_loss, device=device)
        self.k3 = torch.tensor([config.kl.estimator == "k3" for config in configs], device=device)
        self.compares = bool((~torch.isnan(self.surrogate.beta)).any()) or (
            not self.surrogate.has_form
        )

    def initial(self, learner: int) -> dict[str, Array]:
        """The base model, and a value network as the recipe says."""
        weights, recipe = super().initial(learner), self.config.recipe
        if recipe.value_network == "shared":
            return weights
        config = self.configs[learner]
        critic = weights
        if recipe.value_init == "reward_model":
            critic = parent_parameters(config, "reward")
        return weights | {CRITIC + name: critic[name] for name in weights}

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {"controller": self.controller, "beta": self.surrogate}

    def update(self) -> Metrics:
        """Collect, estimate, optimize, adapt."""
        rollout = self.collect(
            self.parameters.views, self.settings.batch_size, self.settings.group_size
        )
        begin, kl_coef = time.perf_counter(), self.controller.beta.copy()
        batch = self.estimate(rollout)
        surrogate = self.surrogate.prepare([1.0] * len(self.configs))
        rates = self.learning_rates()
        norm = self.optimize(batch, surrogate, rates)
        metrics = self.measured(rollout) | self.after(batch, surrogate)
        metrics |= {
            "kl_coef": kl_coef,
            "gradient_norm": norm,
            "learning_rate": np.array(rates),
            "beta": self.surrogate.beta.numpy().copy(),
        }
        self.controller.adapt(metrics["kl"], self.settings.batch_size)
        self.surrogate.adapt(metrics["kl_old"])
        if self.looks:
            self.keep(rollout, advantage=batch.advantages, value=batch.values)
        self.seconds["update"] += time.perf_counter() - begin
        return metrics

    @torch.no_grad()
    def estimate(self, rollout: Rollout) -> Batch:
        """Rewards, advantages and value targets of tokens."""
        recipe, made = self.recipe, rollout.made
        values = self.old_values(rollout)
        kl = returns.kl_estimate(made.log_prob, rollout.reference, self.k3[:, None, None])
        beta = torch.where(self.in_loss, 0.0, self.beta)
        rewards = returns.token_rewards(rollout.score, kl, beta, rollout.mask, rollout.at)
        unbiased = recipe.whitening_variance == "unbiased"
        if recipe.whiten_rewards:
            rewards = returns.whiten(rewards, rollout.states, shift=False, unbiased=unbiased)
        if self.settings.advantage == "gae":
            estimate = returns.token_advantages(
                rewards,
                values,
                self.settings.gamma,
                self.column("algorithm", "gae_lambda"),
                rollout.states,
            )
        else:
            whole = returns.group_advantages(
                rewards.sum(-1), self.settings.group_size, self.settings.advantage
            )
            estimate = torch.where(rollout.states, whole[..., None], 0)
        advantages = estimate
        if self.settings.whiten_advantages:
            advantages = returns.whiten(estimate, rollout.mask, shift=True, unbiased=unbiased)
        return Batch(
            prompts=made.prompts,
            tokens=rollout.tokens,
            mask=rollout.mask,
            states=rollout.states,
            logits=made.logits,
            log_prob=made.log_prob,
            reference=rollout.reference,
            advantages=advantages,
            values=torch.where(rollout.states, values, 0),
            targets=torch.where(rollout.states, estimate + values, 0),
        )

    @property
    def beta(self) -> Tensor:
        """The controller's coefficients, [P]."""
        return torch.from_numpy(self.controller.beta).to(self.device, torch.float32)

    def old_values(self, rollout: Rollout) -> Tensor:
        """V of the state before each token, [P, B, T]."""
        if self.recipe.value_network == "separate":
            return self.criticize(self.parameters.views, rollout.made.prompts, rollout.tokens)
        if self.recipe.tokens_after_end == "masked":
            return rollout.made.values
        return self.evaluate(self.parameters.views, rollout.made.prompts, rollout.tokens)[1]

    def evaluate(self, weights: Weights, prompts: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [P, M, T, V] and values [P, M, T] of each token."""
        if self.recipe.value_network == "separate":
            logits = self._logits(weights, prompts, tokens)
            return logits, self.criticize(weights, prompts, tokens)
        states = responses.response_states(self.network, weights, prompts, tokens[..., :-1])
        logits = self.network.logits(weights, states) / self.recipe.temperature
        return logits, self.network.value(weights, states)

    def criticize(self, weights: Weights, prompts: Tensor, tokens: Tensor) -> Tensor:
        """Values of each token by a value network of its own, [P, M, T]."""
        cut = len(CRITIC)
        own = {name[cut:]: w for name, w in weights.items() if name.startswith(CRITIC)}
        states = responses.response_states(self.network, own, prompts, tokens[..., :-1])
        return self.network.value(own, states)

    def optimize(self, batch: Batch, surrogate: UpdateSurrogate, rates: Sequence[float]) -> Array:
        """K epochs of minibatches; the norm of the first gradient, [P]."""
        episodes, first = batch.tokens.shape[1], None
        for _ in range(self.settings.epochs):
            orders = [stream.shuffle.permutation(episodes) for stream in self.streams]
            order = torch.from_numpy(np.stack(orders)).to(self.device)
            for index in order.chunk(self.settings.minibatches, dim=1):
                self._place_epsilon()
                loss = self.loss(batch.rows(index), surrogate)
                norm = self.descend(loss, rates, self.recipe.max_grad_norm)
                first = norm.double().cpu().numpy() if first is None else first
        assert first is not None
        return first

    def loss(self, minibatch: Batch, surrogate: UpdateSurrogate) -> Tensor:
        """-(surrogate - c1 L_VF + c2 S), equation 9, summed over learners."""
        logits, values = self.evaluate(self.weights, minibatch.prompts, minibatch.tokens)
        terms, log_prob = self.terms(logits, minibatch, surrogate)
        if self.settings.entropy_coef:
            terms = terms + self.settings.entropy_coef * Categorical(logits).entropy()
        if self.in_loss.any():
            k3 = returns.kl_estimate(log_prob, minibatch.reference, torch.ones_like(terms).bool())
            terms = terms - torch.where(self.in_loss, self.beta, 0.0)[:, None, None] * k3
        by_response = self.settings.mean_over == "responses"
        objective = returns.masked_mean(terms, minibatch.mask, by_response)
        if self.settings.advantage == "gae":
            value_loss = self.value_loss(values, minibatch)
            loss = returns.masked_mean(value_loss, minibatch.states)
            objective = objective - self.settings.value_coef * loss
        return -objective.sum()

    def terms(
        self, logits: Tensor, batch: Batch, surrogate: UpdateSurrogate
    ) -> tuple[Tensor, Tensor]:
        """The surrogate of each token and log pi, [P, M, T] both."""
        log_prob = responses.log_probs(logits, batch.tokens)
        ratio = (log_prob - batch.log_prob).exp()
        kl = torch.zeros_like(ratio)
        if self.compares:
            kl = Categorical(logits).kl_from(Categorical(batch.logits))
        flat = surrogate(ratio.flatten(1), batch.advantages.flatten(1), kl.flatten(1))
        return flat.view(ratio.shape), log_prob

    def value_loss(self, values: Tensor, batch: Batch) -> Tensor:
        """L_VF of each state, with the recipe's clipping, [P, M, T]."""
        if self.recipe.value_clip is None:
            return objectives.value_loss(values, batch.targets)
        return objectives.clipped_value_loss(
            values, batch.values, batch.targets, self.recipe.value_clip, pessimistic=True
        )

    @torch.no_grad()
    def after(self, batch: Batch, surrogate: UpdateSurrogate) -> Metrics:
        """The whole batch with the new policy; the value function is measured as it was."""
        logits = self._logits(self.parameters.views, batch.prompts, batch.tokens)
        terms, log_prob = self.terms(logits, batch, surrogate)
        kl = Categorical(logits).kl_from(Categorical(batch.logits))
        ratio = (log_prob - batch.log_prob).exp().flatten(1)
        outside = surrogate.clipped(ratio).view(log_prob.shape)
        explained = [
            explained_variance(old[states][None], target[states][None]).item()
            for old, target, states in zip(batch.values, batch.targets, batch.states, strict=True)
        ]
        return {
            "surrogate": mean(terms, batch.mask),
            "value_loss": mean(objectives.value_loss(batch.values, batch.targets), batch.states),
            "kl_old": mean(kl, batch.mask),
            "clip_fraction": mean(outside, batch.mask),
            "explained_variance": np.array(explained),
        }

    def learning_rates(self) -> list[float]:
        """Step sizes of this iteration, [P]."""
        linear = self.recipe.learning_rate_schedule == "linear"
        factor = 1 - (self.iteration - 1) / self.config.updates if linear else 1.0
        return [config.algorithm.learning_rate * factor for config in self.configs]

    def _place_epsilon(self) -> None:
        """TensorFlow's Adam adds epsilon to a root without bias correction.

        That is torch's with epsilon / sqrt(1 - beta2^t), which is larger in the first steps.
        """
        if self.recipe.adam_form == "tensorflow":
            correction = 1 - ADAM_BETAS[1] ** (float(self.adam.steps[self.active[0]]) + 1)
            self.adam.epsilon = self.recipe.adam_epsilon / math.sqrt(correction)
