"""Proximal policy optimization: Algorithm 1 of the paper, for P learners in lockstep.

    for iteration = 1, 2, ...
        collect        N actors run pi_old for T steps
        advantages     truncated GAE, equations 11 and 12
        optimize       K epochs of minibatches of M: L_CLIP or L_KLPEN - c1 L_VF + c2 S, equation 9
        adapt          beta, section 4

Every tensor has the learners P in front. Losses are summed over P, so that a learner's gradient is
its own; everything else (shuffling, clipping, normalization, stopping) is per learner by its axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.base import Array, Batch, Learners, Metrics, by_rate, mean
from repro.config.schema import Config
from repro.engines import cuda, native
from repro.envs.vector import VectorEnv
from repro.learning import objectives, packed_objectives
from repro.learning.optimizers import Adam, clip_gradient, gradient_norm
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import DiagonalGaussian
from repro.networks.frames import FrameStacks
from repro.rollouts.collector import Rollout

ValueLoss = Callable[[Tensor, Mapping[str, Tensor]], Tensor]  # V and a minibatch -> L_VF, [P, M]
EARLY_STOP_SLACK = 1.5  # SB3: a minibatch with KL above 1.5 target_kl ends the update


class PPO(Learners):
    """State besides: `adam` and, where it adapts, `beta` [P]."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`.

        Raises:
            ConfigError: a task or an objective that does not fit.
        """
        super().__init__(configs, envs, device)
        self.adam = Adam(self.parameters.flat, self.recipe.adam_epsilon)
        self.surrogate = packed_objectives.PackedSurrogate([c.objective for c in configs], device)
        self.beta = self.surrogate.column("beta")
        self.target_kl = self.surrogate.column("target_kl")
        self.value_coef = self.column("value_coef")[:, None]
        self.entropy_coef = self.column("entropy_coef")[:, None]
        self.early_stop_limit: float | None = None
        if self.recipe.early_stop_kl is not None:
            self.early_stop_limit = EARLY_STOP_SLACK * self.recipe.early_stop_kl
        self.updater: native.Updater | None = None
        compiled = isinstance(self.networks, native.Networks) and self.surrogate.has_form
        if compiled and self.recipe.value_clip_schedule != "linear":
            assert isinstance(self.networks, native.Networks)
            self.updater = native.Updater(
                self.networks,
                self.adam,
                self.config.algorithm,
                self.recipe,
                self.early_stop_limit,
            )

    def make_networks(self) -> BoundPolicy | native.Networks:
        """Compiled where that can be had."""
        self.parameters = self.stack()
        return native.bind(self.config.engine, self.policy, self.parameters)

    def update(self, rollout: Rollout) -> Metrics:
        """Estimate advantages, optimize, adapt."""
        self.samples = self.estimate(rollout)
        metrics = self._optimize(self.samples) | self.measure(self.samples)
        kl = torch.from_numpy(metrics["kl"])
        self.beta = objectives.adapt_beta(self.beta, kl, self.target_kl)
        return metrics

    def estimate(self, rollout: Rollout) -> Batch:
        """The update's samples with their advantages."""
        estimate = self.generalized_advantages(rollout)
        batch = self.batch(rollout, estimate, estimate + rollout.values)
        if self.recipe.advantage_normalization in ("rollout", "actor"):
            batch.advantages = self.standardize(batch.advantages)
        return batch

    # -- optimization ----------------------------------------------------------------------------

    def _optimize(self, batch: Batch) -> Metrics:
        """K epochs of gradient steps on minibatches of M samples a learner."""
        rates = self.learning_rates(self.recipe.learning_rate_schedule)
        samples = batch.advantages.shape[1]
        # Permutations are drawn for all K epochs: a stream must not depend on when others stop.
        orders = np.stack([self.orders(samples) for _ in range(self.config.algorithm.epochs)])
        run = self._optimize_compiled if self.updater is not None else self._optimize_in_torch
        steps, norm = run(batch, orders, rates)
        return {
            "gradient_norm": np.where(steps > 0, norm, math.nan),
            "minibatches": steps,
            "learning_rate": np.array(rates),
            "beta": self.beta.numpy().copy(),
        }

    def _optimize_compiled(
        self, batch: Batch, orders: Array, rates: list[float]
    ) -> tuple[Array, Array]:
        """The method below in one call."""
        assert self.updater is not None and isinstance(batch.old, DiagonalGaussian)
        bounds = self.surrogate.bounds(self.epsilon_scale, self.beta)
        assert bounds is not None
        columns = bounds | {"value_coef": self.value_coef, "entropy_coef": self.entropy_coef}
        samples = _by_name(batch) | {"old_log_std": batch.old.log_std}
        return self.updater.update(samples, columns, rates, orders, self.active)

    def _optimize_in_torch(
        self, batch: Batch, orders: Array, rates: list[float]
    ) -> tuple[Array, Array]:
        """Minibatches that each learner took, and the norm of its first gradient; [P] both."""
        surrogate = self.surrogate.prepare(self.epsilon_scale, self.beta)
        value_loss = self._value_loss()
        running = list(self.active)
        steps = np.zeros(len(self.configs), np.int64)
        norm: Tensor | None = None
        packed, layout = _pack(_by_name(batch))

        def step(rows: Tensor) -> None:
            nonlocal running, norm
            loss, log_ratio = self._loss(_unpack(rows, layout), batch, surrogate, value_loss)
            running = self._keep_running(running, log_ratio)
            if not running:
                return
            gradient = self.parameters.gradient(loss)
            norm = gradient_norm(gradient) if norm is None else norm
            if self.recipe.max_grad_norm is not None:
                clip_gradient(gradient, self.recipe.max_grad_norm)
            self.adam.step(gradient, by_rate(rates, running))

        # A graph lives for one update: its step sizes and learners are as fixed as its samples.
        on_gpu = self.device.type == "cuda"
        repeated = cuda.Repeated(step, records=on_gpu and self.early_stop_limit is None)
        for rows in chain.from_iterable(self.minibatches(packed, order) for order in orders):
            repeated(rows)
            if not running:
                break
            steps[running] += 1
        unknown = np.full(len(self.configs), math.nan)
        return steps, unknown if norm is None else norm.cpu().double().numpy()

    def _loss(
        self,
        minibatch: Mapping[str, Tensor],
        batch: Batch,
        surrogate: objectives.Surrogate,
        value_loss: ValueLoss,
    ) -> tuple[Tensor, Tensor]:
        """-(surrogate - c1 L_VF + c2 S), equation 9, summed over learners; and log r, [P, M]."""
        inputs = minibatch["inputs"]
        if isinstance(batch.inputs, FrameStacks):
            inputs = batch.inputs.take(inputs.long())
        distribution, values = self.policy.evaluate(self.parameters.leaves, inputs)
        old = batch.old.with_statistics(minibatch["old"])
        log_prob, kl = distribution.compare(minibatch["actions"], old)
        log_ratio = log_prob - minibatch["log_prob"]
        estimate = minibatch["advantages"]
        if self.recipe.advantage_normalization == "minibatch":
            estimate = self.standardize(estimate)
        terms = surrogate(log_ratio.exp(), estimate, kl)
        objective = (
            terms
            - self.value_coef * value_loss(values, minibatch)
            + self.entropy_coef * distribution.entropy()
        )
        return -objective.sum() / terms.shape[-1], log_ratio

    def _value_loss(self) -> ValueLoss:
        """L_VF of one update, clipped where the recipe does."""
        recipe = self.recipe
        if recipe.value_clip is None:
            return lambda values, own: objectives.value_loss(values, own["targets"])
        linear = recipe.value_clip_schedule == "linear"
        limits = [recipe.value_clip * (1 - done if linear else 1.0) for done in self.progress]
        clip = torch.tensor(limits, device=self.device)[:, None]
        pessimistic = recipe.value_clip_pessimistic
        return lambda values, own: objectives.clipped_value_loss(
            values, own["values"], own["targets"], clip, pessimistic
        )

    def _keep_running(self, running: list[int], log_ratio: Tensor) -> list[int]:
        """Drop learners whose policy has moved too far, where the recipe stops early."""
        limit = self.early_stop_limit
        if limit is None:
            return running
        log_ratio = log_ratio.detach()
        kl = (log_ratio.exp() - 1 - log_ratio).mean(-1)  # Schulman's k3 estimator, as SB3
        stop = (kl > limit).tolist()
        return [p for p in running if not stop[p]]

    # -- measurement -----------------------------------------------------------------------------

    @torch.no_grad()
    def measure(self, batch: Batch) -> Metrics:
        """The surrogate, clipping, and d of section 4 besides."""
        distribution, values = self.networks.evaluate(batch.inputs)
        log_prob, kl = distribution.compare(batch.actions, batch.old)
        ratio = (log_prob - batch.log_prob).exp()
        scale = self.epsilon_scale
        terms = self.surrogate.prepare(scale, self.beta)(ratio, batch.advantages, kl)
        low, high = self.surrogate.clip_bounds(scale)
        return self.summarize(batch, distribution, values, kl) | {
            "surrogate": mean(terms),
            "clip_fraction": mean((ratio < low) | (ratio > high)),
            "epsilon": self.surrogate.column("epsilon").numpy() * np.array(scale),
        }

    @property
    def epsilon_scale(self) -> list[float]:
        """The schedule's factor of every epsilon in this iteration, [P]."""
        linear = self.recipe.epsilon_schedule == "linear"
        return [1 - done if linear else 1.0 for done in self.progress]

    # -- resuming --------------------------------------------------------------------------------

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {"adam": self.adam}

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """With beta where it adapts: elsewhere it is the configuration's, or none."""
        adapts = not math.isnan(self.target_kl[learner])
        return super().checkpoint(learner) | {"beta": float(self.beta[learner]) if adapts else None}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        super().restore(learner, state)
        if state["beta"] is not None:
            self.beta[learner] = state["beta"]


def _by_name(batch: Batch) -> dict[str, Tensor]:
    """What a loss takes of a batch, [P, B] or [P, B, ...]: of pi_old its means or logits.

    Of frames the numbers of the samples, by which the loss finds them.
    """
    inputs = batch.inputs
    return {
        "inputs": inputs if isinstance(inputs, Tensor) else inputs.numbers(),
        "actions": batch.actions,
        "old": batch.old[0],
        "log_prob": batch.log_prob,
        "advantages": batch.advantages,
        "targets": batch.targets,
        "values": batch.values,
    }


def _pack(batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, tuple[int, Any]]]:
    """Samples side by side in one [P, B, width] tensor, so that an epoch shuffles with one gather.

    Returns also where each name lies: (first, last), or (column, None) for a [P, B] entry.
    """
    layout: dict[str, tuple[int, Any]] = {}
    parts, width = [], 0
    for name, x in batch.items():
        part = x[..., None] if x.dim() == 2 else x
        layout[name] = (width, None) if x.dim() == 2 else (width, width + part.shape[-1])
        width += part.shape[-1]
        parts.append(part)
    return torch.cat(parts, dim=-1), layout


def _unpack(rows: Tensor, layout: dict[str, tuple[int, Any]]) -> dict[str, Tensor]:
    """Some rows of `_pack`'s tensor by name again."""
    return {
        name: rows[..., first] if last is None else rows[..., first:last]
        for name, (first, last) in layout.items()
    }
