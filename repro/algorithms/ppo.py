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
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro import advantages, native, objectives
from repro.config import Config, RecipeConfig
from repro.distributions import Categorical, DiagonalGaussian, Distribution
from repro.envs.vector import VectorEnv
from repro.policies import MLPActorCritic
from repro.population import Adam, StackedParameters, Streams, clip_gradient, gradient_norm
from repro.records import Iteration
from repro.rollout import Collector, Rollout

Array = np.ndarray[Any, Any]
EARLY_STOP_SLACK = 1.5  # SB3: a minibatch with KL above 1.5 target_kl ends the update


class PPO:
    """P learners: their parameters, optimizers, environments and schedules."""

    def __init__(
        self,
        configs: Sequence[Config],
        envs: VectorEnv,
        device: torch.device,
    ) -> None:
        """Initialize every learner from its own seed.

        Args:
            configs: [P], equal but for `config.BATCHABLE`.
            envs: one vector environment of P N members, learner by learner.
            device: where networks and rollouts live.

        Raises:
            ConfigError: a task or an objective that does not fit.
        """
        self.configs, self.config, self.device = list(configs), configs[0], device
        self.recipe = self.config.recipe
        self.policy = MLPActorCritic(
            envs.single_observation_space, envs.single_action_space, self.config.policy
        )
        self.streams = [Streams(config.seed) for config in configs]
        initial = [self.policy.initialize(stream.init, self.recipe) for stream in self.streams]
        self.parameters = StackedParameters(initial, device)
        self.adam = Adam(self.parameters.flat, self.recipe.adam_epsilon)
        self.networks = native.bind(self.config.engine, self.policy, self.parameters)
        self.collector = Collector(configs, envs, self.networks, self.streams, device)
        self.surrogate = objectives.PackedSurrogate([c.objective for c in configs], device)
        self.beta = self.surrogate.column("beta")
        self.target_kl = self.surrogate.column("target_kl")
        self.value_coef = self._column([c.algorithm.value_coef for c in configs])[:, None]
        self.entropy_coef = self._column([c.algorithm.entropy_coef for c in configs])[:, None]
        self.gamma = self._column([c.algorithm.gamma for c in configs])
        self.gae_lambda = self._column([c.algorithm.gae_lambda for c in configs])
        self.updater: native.Updater | None = None
        if isinstance(self.networks, native.Networks) and self.surrogate.has_form:
            limit = _early_stop_limit(self.recipe)
            self.updater = native.Updater(
                self.networks, self.adam, self.config.algorithm, self.recipe, limit
            )
        self.active = list(range(len(configs)))
        self.finished_steps = np.zeros(len(configs), np.int64)
        self.iteration = 0

    def train(self) -> Iterator[Iteration]:
        """Iterate until every learner has finished or failed."""
        while self.active:
            yield self.iterate()

    def iterate(self) -> Iteration:
        """Collect, estimate advantages, optimize, adapt."""
        start = time.perf_counter()
        self.iteration += 1
        taking_part = list(self.active)
        progress = self._progress()
        self.old_flat = self.parameters.flat.clone()

        rollout = self.collector.collect(self.iteration)
        failed = self._fail(rollout.finite, "its task returned a value that is not finite")
        collected = time.perf_counter()
        self.batch = self._batch(rollout)
        metrics = self._optimize(progress) | self._measure(rollout, progress)
        self.beta = objectives.adapt_beta(
            self.beta, torch.from_numpy(metrics["kl"]), self.target_kl
        )
        finite = torch.isfinite(self.parameters.flat).all(1).cpu().numpy()
        failed |= self._fail(finite, "its parameters stopped being finite")
        updated = time.perf_counter()
        seconds = self.collector.seconds | {"update": updated - collected}
        seconds["other"] = updated - start - sum(seconds.values())
        return Iteration(
            number=self.iteration,
            step=self.collector.steps,
            active=[p for p in taking_part if p not in failed],
            metrics=metrics,
            episodes=rollout.episodes,
            failed=failed,
            finished=self._finish(rollout),
            seconds=seconds,
        )

    # -- advantages ------------------------------------------------------------------------------

    @torch.no_grad()
    def _batch(self, rollout: Rollout) -> dict[str, Tensor]:
        """Samples of the update by name, [P, B, ...]; B = T N. Sets `old`: pi_old at them."""
        ends = rollout.terminated | rollout.truncated
        terminal = ends if self.recipe.time_limit == "terminal" else rollout.terminated
        estimate = advantages.gae(
            rollout.rewards,
            rollout.values,
            rollout.next_values,
            discounts=self.gamma[:, None, None] * ~terminal,
            ends=ends,
            gae_lambda=self.gae_lambda,
        ).flatten(1)
        values = rollout.values.flatten(1)
        targets = estimate + values
        if self.recipe.advantage_normalization == "rollout":
            estimate = self._standardize(estimate)
        self.collector.renormalize(rollout)
        self.old: Distribution = rollout.old
        if self.recipe.old_policy == "recomputed":
            self.old = self.networks.distribution(rollout.inputs).snapshot()
        batch = {
            "inputs": rollout.inputs,
            "actions": rollout.actions,
            "old": self.old[0],
            "advantages": estimate,
            "targets": targets,
            "values": values,
        }
        return batch | {"log_prob": self.old.log_prob(self.actions(batch))}

    def actions(self, batch: Mapping[str, Tensor]) -> Tensor:
        """A batch's actions as its distribution takes them: discrete ones are stored [P, M, 1]."""
        return batch["actions"].squeeze(-1) if self.policy.discrete else batch["actions"]

    def _standardize(self, estimate: Tensor) -> Tensor:
        if estimate.shape[-1] == 1:
            return estimate
        unbiased = self.recipe.advantage_std == "unbiased"
        return advantages.standardize(estimate, unbiased, self.recipe.advantage_epsilon)

    # -- optimization ----------------------------------------------------------------------------

    def _optimize(self, progress: list[float]) -> dict[str, Any]:
        """K epochs of gradient steps on minibatches of M samples a learner."""
        rates = self._learning_rates(progress)
        # Permutations are drawn for all K epochs: a stream must not depend on when others stop.
        orders = np.stack([self._orders() for _ in range(self.config.algorithm.epochs)])
        run = self._optimize_compiled if self.updater is not None else self._optimize_in_torch
        steps, norm = run(orders, rates, self._epsilon_scale(progress))
        return {
            "gradient_norm": np.where(steps > 0, norm, math.nan),
            "minibatches": steps,
            "learning_rate": np.array(rates),
            "beta": self.beta.numpy().copy(),
        }

    def _orders(self) -> Array:
        """A fresh permutation of each learner's samples, [P, B]."""
        samples = self.batch["advantages"].shape[1]
        orders = [stream.shuffle.permutation(samples) for stream in self.streams]
        return np.stack(orders).astype(np.int32)

    def _optimize_compiled(
        self, orders: Array, rates: list[float], epsilon_scale: list[float]
    ) -> tuple[Array, Array]:
        """The method below in one call."""
        assert self.updater is not None and isinstance(self.old, DiagonalGaussian)
        bounds = self.surrogate.bounds(epsilon_scale, self.beta)
        assert bounds is not None
        batch = self.batch | {"old_log_std": self.old.log_std}
        weights = {"value_coef": self.value_coef, "entropy_coef": self.entropy_coef}
        return self.updater.update(batch, bounds | weights, rates, orders, self.active)

    def _optimize_in_torch(
        self, orders: Array, rates: list[float], epsilon_scale: list[float]
    ) -> tuple[Array, Array]:
        """Minibatches that each learner took, and the norm of its first gradient; [P] both."""
        surrogate = self.surrogate.prepare(epsilon_scale, self.beta)
        running = list(self.active)
        steps = np.zeros(len(self.configs), np.int64)
        norm: Tensor | None = None
        packed, layout = _pack(self.batch)
        for minibatch in self._minibatches(packed, layout, orders):
            loss, log_ratio = self._loss(minibatch, surrogate)
            running = self._keep_running(running, log_ratio)
            if not running:
                break
            gradient = self.parameters.gradient(loss)
            norm = gradient_norm(gradient) if norm is None else norm
            if self.recipe.max_grad_norm is not None:
                clip_gradient(gradient, self.recipe.max_grad_norm)
            self.adam.step(gradient, _by_rate(rates, running))
            steps[running] += 1
        unknown = np.full(len(self.configs), math.nan)
        return steps, unknown if norm is None else norm.cpu().double().numpy()

    def _loss(
        self, minibatch: Mapping[str, Tensor], surrogate: objectives.Surrogate
    ) -> tuple[Tensor, Tensor]:
        """-(surrogate - c1 L_VF + c2 S), equation 9, summed over learners; and log r, [P, M]."""
        distribution, values = self.policy.evaluate(self.parameters.leaves, minibatch["inputs"])
        old = self.old.with_statistics(minibatch["old"])
        log_prob, kl = distribution.compare(self.actions(minibatch), old)
        log_ratio = log_prob - minibatch["log_prob"]
        estimate = minibatch["advantages"]
        if self.recipe.advantage_normalization == "minibatch":
            estimate = self._standardize(estimate)
        terms = surrogate(log_ratio.exp(), estimate, kl)
        value_loss = self._value_loss(values, minibatch)
        objective = (
            terms - self.value_coef * value_loss + self.entropy_coef * distribution.entropy()
        )
        return -objective.sum() / terms.shape[-1], log_ratio

    def _value_loss(self, values: Tensor, minibatch: Mapping[str, Tensor]) -> Tensor:
        if self.recipe.value_clip is None:
            return objectives.value_loss(values, minibatch["targets"])
        return objectives.clipped_value_loss(
            values,
            minibatch["values"],
            minibatch["targets"],
            self.recipe.value_clip,
            self.recipe.value_clip_pessimistic,
        )

    def _minibatches(
        self, packed: Tensor, layout: dict[str, tuple[int, int]], orders: Array
    ) -> Iterator[dict[str, Tensor]]:
        """Epoch by epoch, each learner's samples in their order, M at a time."""
        learners, samples, width = packed.shape
        size = self.config.algorithm.minibatch_size
        kept = samples - samples % size if self.recipe.partial_minibatch == "drop" else samples
        for order in orders:
            rows = order.astype(np.int64) + np.arange(learners)[:, None] * samples
            index = torch.from_numpy(rows.ravel()).to(self.device)
            shuffled = packed.view(-1, width).index_select(0, index).view(packed.shape)
            for start in range(0, kept, size):
                part = shuffled[:, start : start + size]
                yield {
                    name: part[..., first] if last is None else part[..., first:last]
                    for name, (first, last) in layout.items()
                }

    def _keep_running(self, running: list[int], log_ratio: Tensor) -> list[int]:
        """Drop learners whose policy has moved too far, where the recipe stops early."""
        limit = _early_stop_limit(self.recipe)
        if limit is None:
            return running
        log_ratio = log_ratio.detach()
        kl = (log_ratio.exp() - 1 - log_ratio).mean(-1)  # Schulman's k3 estimator, as SB3
        stop = (kl > limit).tolist()
        return [p for p in running if not stop[p]]

    # -- measurement -----------------------------------------------------------------------------

    @torch.no_grad()
    def _measure(self, rollout: Rollout, progress: list[float]) -> dict[str, Any]:
        """Means over the whole rollout under the new parameters; d of section 4 among them."""
        batch = self.batch
        distribution, values = self.networks.evaluate(batch["inputs"])
        log_prob, kl = distribution.compare(self.actions(batch), self.old)
        ratio = (log_prob - batch["log_prob"]).exp()
        scale = self._epsilon_scale(progress)
        terms = self.surrogate.prepare(scale, self.beta)(ratio, batch["advantages"], kl)
        low, high = self.surrogate.clip_bounds(scale)
        entropy = distribution.entropy()
        columns = {
            "surrogate": terms,
            "value_loss": objectives.value_loss(values, batch["targets"]),
            "entropy": entropy,
            "kl": kl,
            "clip_fraction": ((ratio < low) | (ratio > high)).double(),
        }
        metrics = {name: x.double().mean(-1).cpu().numpy() for name, x in columns.items()}
        explained = advantages.explained_variance(rollout.values.flatten(1), batch["targets"])
        epsilon = self.surrogate.column("epsilon").numpy() * np.array(scale)
        return metrics | {
            "explained_variance": explained.cpu().numpy(),
            "std": self._std(distribution),
            "epsilon": epsilon,
        }

    def _std(self, distribution: Distribution) -> Any:
        if isinstance(distribution, Categorical):
            return np.full(len(self.configs), math.nan)
        return distribution.log_std.double().exp().mean((-2, -1)).cpu().numpy()

    # -- schedules and the end of a run ----------------------------------------------------------

    def _progress(self) -> list[float]:
        """Share of each run that is done before this iteration, [P]."""
        if self.recipe.end_of_run == "finished_episodes":
            return [min(1.0, s / self.config.total_timesteps) for s in self.finished_steps]
        return [(self.iteration - 1) / self.config.updates] * len(self.configs)

    def _epsilon_scale(self, progress: list[float]) -> list[float]:
        linear = self.recipe.epsilon_schedule == "linear"
        return [1 - done if linear else 1.0 for done in progress]

    def _learning_rates(self, progress: list[float]) -> list[float]:
        linear = self.recipe.learning_rate_schedule == "linear"
        return [
            config.algorithm.learning_rate * (1 - done if linear else 1.0)
            for config, done in zip(self.configs, progress, strict=True)
        ]

    def _finish(self, rollout: Rollout) -> list[int]:
        """Learners whose run is over; they take no part from now on."""
        self.finished_steps += [sum(episodes.length) for episodes in rollout.episodes]
        if self.recipe.end_of_run == "finished_episodes":
            over = self.finished_steps >= self.config.total_timesteps
        else:
            over = np.full(len(self.configs), self.iteration >= self.config.updates)
        finished = [p for p in self.active if over[p]]
        self.active = [p for p in self.active if not over[p]]
        return finished

    def _fail(self, finite: Any, reason: str) -> dict[int, str]:
        """Freeze active learners that are not finite at their last good parameters."""
        failed = {
            p: f"{self.configs[p].run_id} failed in iteration {self.iteration}: {reason}"
            for p in self.active
            if not finite[p]
        }
        for p in failed:
            self.parameters.flat[p] = self.old_flat[p]
        self.active = [p for p in self.active if p not in failed]
        return failed

    # -- resuming --------------------------------------------------------------------------------

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """Everything that a learner's coming iterations depend on; schedules follow from it."""
        adapts = not math.isnan(self.target_kl[learner])
        return {
            "iteration": self.iteration,
            "finished_steps": int(self.finished_steps[learner]),
            "beta": float(self.beta[learner]) if adapts else None,
            "parameters": self.parameters.checkpoint(learner),
            "adam": self.adam.checkpoint(learner),
            "streams": self.streams[learner].checkpoint(),
            "collector": self.collector.checkpoint(learner),
        }

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned; all learners of a pack are at one iteration."""
        self.iteration = state["iteration"]
        self.finished_steps[learner] = state["finished_steps"]
        if state["beta"] is not None:
            self.beta[learner] = state["beta"]
        self.parameters.restore(learner, state["parameters"])
        self.adam.restore(learner, state["adam"])
        self.streams[learner].restore(state["streams"])
        self.collector.restore(learner, state["collector"])

    def _column(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def state(self, learner: int) -> dict[str, Any]:
        """What `parameters.npz` keeps of a learner: parameters and normalizers by name."""
        return self.weights(learner) | self.collector.state(learner)

    def weights(self, learner: int) -> dict[str, Any]:
        """A learner's parameters by name, without padding."""
        return self.policy.trim(self.parameters.numpy(learner))


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


def _early_stop_limit(recipe: RecipeConfig) -> float | None:
    return None if recipe.early_stop_kl is None else EARLY_STOP_SLACK * recipe.early_stop_kl


def _by_rate(rates: list[float], learners: list[int]) -> dict[float, list[int]]:
    groups: dict[float, list[int]] = {}
    for p in learners:
        groups.setdefault(rates[p], []).append(p)
    return groups
