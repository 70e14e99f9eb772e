"""What the algorithms share: P learners that collect, update and end, each independently.

An algorithm is a subclass with one method, `update`: from a rollout to new parameters. What a run
needs to continue, all with the learners P in front:

    parts           list of `StackedParameters`, flat [P, n] each: together all parameters
    streams         random generators, [P]
    collector       environments, normalizers, episodes in progress
    finished_steps  steps of the episodes that have ended, [P]
    active          learners that still train
    iteration       from 1

A subclass adds its optimizers and adaptive coefficients, and names them in `own_state`. `before`
holds the flat parameters of each part at the start of the iteration.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.iteration import Iteration, Tables
from repro.algorithms.measured import MEASURED, Metrics, fetch, mean
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch
from repro.engines.cuda import fetched, sent
from repro.engines.native import Networks
from repro.envs.vector import VectorEnv
from repro.learning import advantages, objectives, packed_state
from repro.learning.parameters import StackedParameters
from repro.learning.streams import Streams
from repro.networks.bound import BoundPolicy
from repro.networks.cnn import CNNActorCritic
from repro.networks.distributions import Categorical, Distribution
from repro.networks.mlp import MLPActorCritic
from repro.rollouts.collector import Collector
from repro.rollouts.rollout import Rollout

Array = np.ndarray[Any, Any]


class Learners(ABC):
    """P learners in lockstep.

    Attributes:
        engine: what computes rollouts and updates, for run.json and for exact resume.
        notice: what the user should know at the start, such as the memory of a replay.
        tables: further tables of this iteration by learner and name, such as a probe's.
    """

    engine = selection.TORCH
    notice = ""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """Make every learner from its own seed.

        Args:
            configs: [P]; they differ only in keys of `config.schema.BATCHABLE`.
            envs: P N environments, N of each learner in a row.
            device: of networks and rollouts.

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
        if hasattr(self.config.algorithm, "gae_lambda"):
            self.gae_lambda = self.column("gae_lambda")
        self.active = list(range(len(configs)))
        self.tables: dict[int, Tables] = {}
        self.finished_steps = np.zeros(len(configs), np.int64)
        self.iteration = 0
        self._unmeasured = dict.fromkeys(MEASURED, np.full(len(configs), math.nan))
        self._on_host: dict[str, Any] | None = None  # what checkpoints of this iteration take from

    # -- what a subclass is made of --------------------------------------------------------------

    @abstractmethod
    def update(self, rollout: Rollout) -> Metrics:
        """Change the parameters; returns columns of `runs.schema.PROGRESS`."""

    def adapt(self, metrics: Mapping[str, Array]) -> None:  # noqa: B027  (most have none)
        """Set the coefficients of the next update by what this one measured."""

    @classmethod
    def make_policy(cls, config: Config, envs: VectorEnv) -> MLPActorCritic:
        """The networks: with the parameters of a finished run, all that acting needs."""
        kind = CNNActorCritic if config.policy.convolutions is not None else MLPActorCritic
        return kind(envs.single_observation_space, envs.single_action_space, config.policy)

    def make_networks(self) -> BoundPolicy | Networks:
        """The policy over `views`, to which `stack` may add later."""
        return BoundPolicy(self.policy, self.views)

    def make_collector(self, envs: VectorEnv) -> Collector:
        """Collects rollouts."""
        return Collector(self.configs, envs, self.networks, self.streams, self.device)

    def stack(self, names: Sequence[str] = ("",)) -> StackedParameters:
        """Stack initial parameters into a new part: those whose names begin with one of `names`."""
        chosen = [
            {key: value for key, value in each.items() if key.startswith(tuple(names))}
            for each in self._initial
        ]
        part = StackedParameters(chosen, self.device)
        self.parts.append(part)
        self.views |= part.views
        return part

    def column(self, name: str) -> Tensor:
        """An algorithm's setting that may differ between learners, [P]."""
        values = [getattr(config.algorithm, name) for config in self.configs]
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def begin(self) -> None:  # noqa: B027  (most algorithms set nothing)
        """What a subclass sets at the start of an iteration, before it collects."""

    # -- one iteration ---------------------------------------------------------------------------

    def train(self) -> Iterator[Iteration]:
        """Iterate until every learner has finished or failed."""
        while self.active:
            yield self.iterate()

    def iterate(self) -> Iteration:
        """Collect and update."""
        start = time.perf_counter()
        self.iteration += 1
        self._on_host = None
        training = list(self.active)
        self.before = [part.flat.clone() for part in self.parts]
        self.tables = {}
        self.begin()
        rollout = self.collector.collect(self.iteration)
        failed = self._fail(rollout.finite, self.collector.not_finite)
        collected = time.perf_counter()
        metrics, finite = fetch(self.update(rollout), self.parts)
        self.adapt(metrics)
        failed |= self._fail(finite, lambda p: "its parameters stopped being finite")
        updated = time.perf_counter()
        seconds = self.collector.seconds | {"update": updated - collected}
        seconds["other"] = updated - start - sum(seconds.values())
        return Iteration(
            number=self.iteration,
            step=self.collector.steps,
            active=[p for p in training if p not in failed],
            metrics=self._unmeasured | metrics,
            episodes=rollout.episodes,
            failed=failed,
            finished=self._finish(rollout),
            seconds=seconds,
            remarks=self.collector.outside(),
            tables=self.tables,
        )

    @property
    def steps(self) -> int:
        """Environment steps of one learner so far, all its actors together."""
        return self.collector.steps

    @property
    def progress(self) -> list[float]:
        """How far each run's schedules are at the start of this iteration, [P], from 0 to 1."""
        if self.recipe.end_of_run == "finished_episodes":
            end = self.config.schedule_timesteps or self.config.total_timesteps
            return [min(1.0, s / end) for s in self.finished_steps]
        return [(self.iteration - 1) / self.config.schedule_updates] * len(self.configs)

    def _finish(self, rollout: Rollout) -> list[int]:
        """Learners whose run ends with this iteration; they train no more."""
        self.finished_steps += rollout.finished_steps
        if self.recipe.end_of_run == "finished_episodes":
            over = (self.finished_steps >= self.config.total_timesteps).tolist()
        else:
            over = [self.iteration >= self.config.updates] * len(self.configs)
        finished = [p for p in self.active if over[p]]
        self.active = [p for p in self.active if not over[p]]
        return finished

    def mask(self, learners: Sequence[int] | None = None) -> Tensor:
        """True for some learners, by default for those that still train: bool [P]."""
        members = self.active if learners is None else learners
        return sent(torch.tensor([p in members for p in range(len(self.configs))]), self.device)

    def _fail(self, finite: Array, reason: Callable[[int], str]) -> dict[int, str]:
        """Stop active learners that are not finite, at the parameters before this iteration."""
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

    # -- parts of updates ------------------------------------------------------------------------

    @torch.no_grad()
    def batch(self, rollout: Rollout, weights: Tensor, targets: Tensor) -> Batch:
        """A rollout's samples, normalized as the recipe says.

        Args:
            rollout: its observations are normalized here where the recipe does so once a rollout.
            weights: A, or another weight of grad log pi, [P, T, N].
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
            advantages=weights.flatten(1),
            targets=targets.flatten(1),
            values=rollout.values.flatten(1),
        )

    def generalized_advantages(self, rollout: Rollout) -> Tensor:
        """Equations 11 and 12, [P, T, N]."""
        ends = rollout.terminated | rollout.truncated
        terminal = ends if self.recipe.time_limit == "terminal" else rollout.terminated
        return selection.estimator(self.networks)(
            rollout.rewards,
            rollout.values,
            rollout.next_values,
            discounts=self.gamma[:, None, None] * ~terminal,
            ends=ends,
            gae_lambda=self.gae_lambda,
        )

    def standardize(self, estimate: Tensor) -> Tensor:
        """Standardize or center advantages as the recipe says; one alone stays as it is. [P, M]."""
        if self.recipe.advantage_normalization == "actor":
            actors = estimate.reshape(len(estimate), -1, self.config.env.num_envs).mT
            return self._standardized(actors).mT.flatten(-2)
        return self._standardized(estimate)

    def _standardized(self, estimate: Tensor) -> Tensor:
        """Over the last axis."""
        if estimate.shape[-1] == 1:
            return estimate
        if self.recipe.advantage_std == "none":
            return advantages.center(estimate)
        unbiased = self.recipe.advantage_std == "unbiased"
        return advantages.standardize(estimate, unbiased, self.recipe.advantage_epsilon)

    def annealed(self, schedule: str | None) -> list[float]:
        """A schedule's factor in this iteration, [P]: `linear` from 1 to 0, else 1."""
        return [1 - done if schedule == "linear" else 1.0 for done in self.progress]

    def learning_rates(self, schedule: str) -> list[float]:
        """Step sizes of this iteration, [P]."""
        return [
            config.algorithm.learning_rate * factor
            for config, factor in zip(self.configs, self.annealed(schedule), strict=True)
        ]

    def orders(self, count: int) -> Array:
        """A new permutation of each learner's `count` samples, int32 [P, B]."""
        orders = [stream.shuffle.permutation(count) for stream in self.streams]
        return np.stack(orders).astype(np.int32)

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """Means over the whole rollout with the new parameters."""
        distribution, values = self.networks.evaluate(batch.inputs)
        return self.summarize(batch, distribution, values, distribution.kl_from(batch.old))

    def summarize(
        self, batch: Batch, distribution: Distribution, values: Tensor, kl: Tensor
    ) -> dict[str, Tensor]:
        """Metrics that all algorithms share, from the networks' outputs at the batch."""
        columns = {
            "value_loss": objectives.value_loss(values, batch.targets),
            "entropy": distribution.entropy(),
            "kl": kl,
        }
        metrics = {name: mean(x) for name, x in columns.items()}
        metrics["explained_variance"] = advantages.explained_variance(batch.values, batch.targets)
        if not isinstance(distribution, Categorical):
            metrics["std"] = distribution.log_std.double().exp().mean((-2, -1))
        return metrics

    def close(self) -> None:
        """Close the environments."""
        self.collector.envs.close()

    # -- what a finished run keeps ---------------------------------------------------------------

    def state(self, learner: int) -> dict[str, Any]:
        """A learner's parameters and normalizer statistics by name, for `parameters.npz`."""
        return self.weights(learner) | self.collector.state(learner)

    def weights(self, learner: int) -> dict[str, Any]:
        """A learner's parameters by name, without padding."""
        named = {k: v for part in self.parts for k, v in part.numpy(learner).items()}
        return self.policy.trim(named)

    # -- resuming --------------------------------------------------------------------------------

    def own_state(self) -> dict[str, Any]:
        """A subclass's state: arrays [P, ...], or objects with `checkpoint` and `restore`."""
        return {}

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """Everything that a learner's next iterations depend on; schedules follow from it."""
        parts, own = {str(i): part for i, part in enumerate(self.parts)}, self.own_state()
        if self.device.type != "cpu":  # one copy an iteration brings all of it for all P
            self._on_host = self._on_host or packed_state.on_host(parts | own, fetched)
            parts, own = ({name: self._on_host[name] for name in each} for each in (parts, own))
        return {
            "iteration": self.iteration,
            "finished_steps": int(self.finished_steps[learner]),
            "parameters": {name: part.checkpoint(learner) for name, part in parts.items()},
            "streams": self.streams[learner].checkpoint(),
            "collector": self.collector.checkpoint(learner),
        } | {name: packed_state.take(part, learner) for name, part in own.items()}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned; all learners of a pack are at one iteration."""
        self._on_host = None
        self.iteration = state["iteration"]
        self.finished_steps[learner] = state["finished_steps"]
        for i, part in enumerate(self.parts):
            part.restore(learner, state["parameters"][str(i)])
        self.streams[learner].restore(state["streams"])
        self.collector.restore(learner, state["collector"])
        for name, part in self.own_state().items():
            packed_state.put(part, learner, state[name])
