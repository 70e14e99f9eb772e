"""What the algorithms share: P learners that collect, update, and end, each on its own terms.

An algorithm is a subclass with one method, `update`: everything from the rollout to the new
parameters. State that a run needs to go on, all of it with the learners P in front:

    parts           list of `StackedParameters`: flat [P, n] each, all parameters between them
    streams         [P] `Streams`
    collector       environments, normalizers, returns and lengths of the episodes under way
    finished_steps  [P], steps of the episodes that have ended
    active          learners that take part
    iteration       from 1

`before` holds the flat parameters of each part as they were when the iteration began.

A subclass adds its optimizers and schedules, and names them in `own_state`.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.iteration import Iteration
from repro.config.schema import Config
from repro.engines.native import Networks
from repro.envs.vector import VectorEnv
from repro.learning import advantages, objectives
from repro.learning.parameters import StackedParameters
from repro.learning.streams import Streams
from repro.networks.bound import BoundPolicy
from repro.networks.cnn import CNNActorCritic
from repro.networks.distributions import Categorical, Distribution
from repro.networks.frames import Inputs
from repro.networks.mlp import MLPActorCritic
from repro.rollouts.collector import Collector, Rollout
from repro.runs.store import PROGRESS

Array = np.ndarray[Any, Any]
Metrics = dict[str, Array]
MEASURED = [  # columns that an algorithm fills, or leaves unknown
    name
    for name in list(PROGRESS)[list(PROGRESS).index("return_mean") + 1 :]
    if not name.startswith("time_")
]


@dataclass
class Batch:
    """An iteration's samples, B = T N of each learner.

    Attributes:
        inputs: [P, B, D], normalized; or B stacks of frames.
        actions: as their distribution takes them, [P, B, A] or [P, B].
        old: pi_old at the samples.
        log_prob: log pi_old(a|s), [P, B].
        advantages: A or another weight of the gradient, [P, B].
        targets: V_targ, [P, B].
        values: V(s) at collection, [P, B].
    """

    inputs: Inputs
    actions: Tensor
    old: Distribution
    log_prob: Tensor
    advantages: Tensor
    targets: Tensor
    values: Tensor


class Learners(ABC):
    """P learners in lockstep: their parameters, environments and ends."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """Make every learner from its own seed.

        Args:
            configs: [P], equal but for `config.BATCHABLE`.
            envs: one vector environment of P N members, learner by learner.
            device: where networks and rollouts live.

        Raises:
            ConfigError: a task that does not fit.
        """
        self.configs, self.config, self.device = list(configs), configs[0], device
        self.recipe = self.config.recipe
        self.policy = self.make_policy(self.config, envs)
        self.streams = [Streams(config.seed) for config in configs]
        self._initial = [self.policy.initialize(each.init, self.recipe) for each in self.streams]
        self.parts: list[StackedParameters] = []
        self.views: dict[str, Tensor] = {}
        self.networks = self.make_networks()
        self.collector = self.make_collector(envs)
        self.gamma = self.column("gamma")
        self.active = list(range(len(configs)))
        self.finished_steps = np.zeros(len(configs), np.int64)
        self.iteration = 0

    # -- what a subclass is made of --------------------------------------------------------------

    @abstractmethod
    def update(self, rollout: Rollout) -> Metrics:
        """New parameters from a rollout; columns of `store.PROGRESS`, [P] each."""

    @classmethod
    def make_policy(cls, config: Config, envs: VectorEnv) -> MLPActorCritic:
        """The networks, of which a trained run's parameters are enough to act."""
        kind = CNNActorCritic if config.policy.convolutions is not None else MLPActorCritic
        return kind(envs.single_observation_space, envs.single_action_space, config.policy)

    def make_networks(self) -> BoundPolicy | Networks:
        """The policy over `views`, of which it sees what `stack` adds later."""
        return BoundPolicy(self.policy, self.views)

    def make_collector(self, envs: VectorEnv) -> Collector:
        """What runs the policies."""
        return Collector(self.configs, envs, self.networks, self.streams, self.device)

    def stack(self, names: Sequence[str] = ("",)) -> StackedParameters:
        """Stack the initial parameters whose names begin so, as one more of `parts`."""
        chosen = [
            {key: value for key, value in each.items() if key.startswith(tuple(names))}
            for each in self._initial
        ]
        part = StackedParameters(chosen, self.device)
        self.parts.append(part)
        self.views |= part.views
        return part

    def column(self, name: str) -> Tensor:
        """[P]: a setting of the algorithm that may differ between learners."""
        values = [getattr(config.algorithm, name) for config in self.configs]
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    # -- one iteration ---------------------------------------------------------------------------

    def train(self) -> Iterator[Iteration]:
        """Iterate until every learner has finished or failed."""
        while self.active:
            yield self.iterate()

    def iterate(self) -> Iteration:
        """Collect and update."""
        start = time.perf_counter()
        self.iteration += 1
        taking_part = list(self.active)
        self.before = [part.flat.clone() for part in self.parts]
        rollout = self.collector.collect(self.iteration)
        failed = self._fail(rollout.finite, self.collector.not_finite)
        collected = time.perf_counter()
        unknown = {name: np.full(len(self.configs), math.nan) for name in MEASURED}
        metrics = unknown | self.update(rollout)
        failed |= self._fail(self._finite(), lambda p: "its parameters stopped being finite")
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
            remarks=self.collector.outside(),
        )

    @property
    def steps(self) -> int:
        """Environment steps of one learner so far, all its actors together."""
        return self.collector.steps

    @property
    def progress(self) -> list[float]:
        """Share of each run's schedules that is over before this iteration, [P]."""
        if self.recipe.end_of_run == "finished_episodes":
            end = self.config.schedule_timesteps or self.config.total_timesteps
            return [min(1.0, s / end) for s in self.finished_steps]
        return [(self.iteration - 1) / self.config.schedule_updates] * len(self.configs)

    def _finish(self, rollout: Rollout) -> list[int]:
        """Learners whose run is over; they take no part from now on."""
        self.finished_steps += rollout.finished_steps
        if self.recipe.end_of_run == "finished_episodes":
            over = self.finished_steps >= self.config.total_timesteps
        else:
            over = np.full(len(self.configs), self.iteration >= self.config.updates)
        finished = [p for p in self.active if over[p]]
        self.active = [p for p in self.active if not over[p]]
        return finished

    def _finite(self) -> Array:
        finite = [torch.isfinite(part.flat).all(1) for part in self.parts]
        return torch.stack(finite).all(0).cpu().numpy()

    def _fail(self, finite: Array, reason: Callable[[int], str]) -> dict[int, str]:
        """Freeze active learners that are not finite at their last good parameters."""
        failed = {
            p: f"{self.configs[p].run_id} failed in iteration {self.iteration}: {reason(p)}"
            for p in self.active
            if not finite[p]
        }
        for p in failed:
            for part, good in zip(self.parts, self.before, strict=True):
                part.flat[p] = good[p]
        self.active = [p for p in self.active if p not in failed]
        return failed

    # -- what updates are made of ----------------------------------------------------------------

    @torch.no_grad()
    def batch(self, rollout: Rollout, weights: Tensor, targets: Tensor) -> Batch:
        """Normalize a rollout as the recipe does, and join it with what was made of its rewards.

        Args:
            rollout: `renormalize`d here, where the recipe normalizes once a rollout.
            weights: A, or what else multiplies grad log pi, [P, T, N].
            targets: V_targ, [P, T, N].
        """
        self.collector.renormalize(rollout)
        old = rollout.old
        if self.recipe.old_policy == "recomputed":
            old = self.networks.distribution(rollout.inputs).snapshot()
        actions = rollout.actions.squeeze(-1) if self.policy.discrete else rollout.actions
        return Batch(
            inputs=rollout.inputs,
            actions=actions,
            old=old,
            log_prob=old.log_prob(actions),
            advantages=weights.flatten(1),
            targets=targets.flatten(1),
            values=rollout.values.flatten(1),
        )

    def generalized_advantages(self, rollout: Rollout) -> Tensor:
        """Equations 11 and 12, [P, T, N]."""
        ends = rollout.terminated | rollout.truncated
        terminal = ends if self.recipe.time_limit == "terminal" else rollout.terminated
        return advantages.gae(
            rollout.rewards,
            rollout.values,
            rollout.next_values,
            discounts=self.gamma[:, None, None] * ~terminal,
            ends=ends,
            gae_lambda=self.column("gae_lambda"),
        )

    def standardize(self, estimate: Tensor) -> Tensor:
        """As the recipe says; a single sample is left as it is. [P, M] -> [P, M]."""
        if self.recipe.advantage_normalization == "actor":
            actors = estimate.reshape(len(estimate), -1, self.config.env.num_envs).mT
            return self._standardized(actors).mT.flatten(-2)
        return self._standardized(estimate)

    def _standardized(self, estimate: Tensor) -> Tensor:
        """Over the last axis."""
        if estimate.shape[-1] == 1:
            return estimate
        unbiased = self.recipe.advantage_std == "unbiased"
        return advantages.standardize(estimate, unbiased, self.recipe.advantage_epsilon)

    def learning_rates(self, schedule: str) -> list[float]:
        """Step sizes of this iteration, [P]: `constant` or `linear`."""
        return [
            config.algorithm.learning_rate * (1 - done if schedule == "linear" else 1.0)
            for config, done in zip(self.configs, self.progress, strict=True)
        ]

    def orders(self, count: int) -> Array:
        """A fresh permutation of each learner's `count` samples, int32 [P, B]."""
        orders = [stream.shuffle.permutation(count) for stream in self.streams]
        return np.stack(orders).astype(np.int32)

    def minibatches(self, samples: Tensor, order: Array) -> Iterator[Tensor]:
        """One epoch: each learner's samples [P, B, width] in its `order`, M at a time."""
        learners, count, width = samples.shape
        size = self.config.algorithm.minibatch_size
        rows = order.astype(np.int64) + np.arange(learners)[:, None] * count
        index = torch.from_numpy(rows.ravel()).to(self.device)
        shuffled = samples.view(-1, width).index_select(0, index).view(samples.shape)
        kept = count - count % size if self.recipe.partial_minibatch == "drop" else count
        for start in range(0, kept, size):
            yield shuffled[:, start : start + size]

    @torch.no_grad()
    def measure(self, batch: Batch) -> Metrics:
        """Means over the whole rollout under the new parameters."""
        distribution, values = self.networks.evaluate(batch.inputs)
        return self.summarize(batch, distribution, values, distribution.kl_from(batch.old))

    def summarize(
        self, batch: Batch, distribution: Distribution, values: Tensor, kl: Tensor
    ) -> Metrics:
        """What is measured of every algorithm, from its networks at the batch."""
        columns = {
            "value_loss": objectives.value_loss(values, batch.targets),
            "entropy": distribution.entropy(),
            "kl": kl,
        }
        metrics = {name: mean(x) for name, x in columns.items()}
        explained = advantages.explained_variance(batch.values, batch.targets)
        metrics["explained_variance"] = explained.cpu().numpy()
        if not isinstance(distribution, Categorical):
            std = distribution.log_std.double().exp().mean((-2, -1))
            metrics["std"] = std.cpu().numpy()
        return metrics

    def close(self) -> None:
        """Close the environments."""
        self.collector.envs.close()

    # -- what is kept ----------------------------------------------------------------------------

    def state(self, learner: int) -> dict[str, Any]:
        """What `parameters.npz` keeps of a learner: parameters and normalizers by name."""
        return self.weights(learner) | self.collector.state(learner)

    def weights(self, learner: int) -> dict[str, Any]:
        """A learner's parameters by name, without padding."""
        named: dict[str, Any] = {}
        for part in self.parts:
            named |= part.numpy(learner)
        return self.policy.trim(named)

    # -- resuming --------------------------------------------------------------------------------

    def own_state(self) -> dict[str, Any]:
        """What a subclass adds to the state above: arrays [P, ...], or objects that keep theirs."""
        return {}

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """Everything that a learner's coming iterations depend on; schedules follow from it."""
        return {
            "iteration": self.iteration,
            "finished_steps": int(self.finished_steps[learner]),
            "parameters": {str(i): part.checkpoint(learner) for i, part in enumerate(self.parts)},
            "streams": self.streams[learner].checkpoint(),
            "collector": self.collector.checkpoint(learner),
        } | {name: _saved(part, learner) for name, part in self.own_state().items()}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned; all learners of a pack are at one iteration."""
        self.iteration = state["iteration"]
        self.finished_steps[learner] = state["finished_steps"]
        for i, part in enumerate(self.parts):
            part.restore(learner, state["parameters"][str(i)])
        self.streams[learner].restore(state["streams"])
        self.collector.restore(learner, state["collector"])
        for name, part in self.own_state().items():
            _put_back(part, learner, state[name])


def _saved(part: Any, learner: int) -> Any:
    if isinstance(part, Tensor):
        return part[learner].cpu().numpy().copy()
    return part[learner].copy() if isinstance(part, np.ndarray) else part.checkpoint(learner)


def _put_back(part: Any, learner: int, saved: Any) -> None:
    if isinstance(part, Tensor):
        part[learner] = torch.from_numpy(saved)
    elif isinstance(part, np.ndarray):
        part[learner] = saved
    else:
        part.restore(learner, saved)


def mean(x: Tensor) -> Array:
    """Over the samples, in float64: [P, B] -> [P]."""
    return x.double().mean(-1).cpu().numpy()


def by_rate(rates: Iterable[float], learners: Sequence[int]) -> dict[float, list[int]]:
    """Step size -> those of `learners` that take it, for `optimizers.Adam`."""
    rates, groups = list(rates), dict[float, list[int]]()
    for p in learners:
        groups.setdefault(float(rates[p]), []).append(p)
    return groups
