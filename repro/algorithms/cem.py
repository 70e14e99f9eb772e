"""Noisy cross-entropy method (Szita & Lorincz 2006): search by sampling, without a gradient.

    until the steps are spent
        ask            a candidate: theta ~ N(mean, var + extra)
        evaluate       one episode of its deterministic policy; its score is the return
        tell           after C scores, the mean and variance of the best become the next ones

Each of a learner's N environments runs one candidate, and gets the next when its episode ends. A
generation is the next C episodes to end; with N > 1, up to N - 1 candidates that were drawn in one
generation count in the next.

In the tables an episode belongs to a candidate: its return is that of sampled parameters, not of
the mean. An iteration is T steps in each of N environments, as for the other algorithms; any number
of generations may end in it (`minibatches`). Every tensor has the learners P in front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.algorithms.base import Learners
from repro.algorithms.measured import Metrics
from repro.config.algorithms import CEMSettings
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.cuda import sent
from repro.envs.vector import VectorEnv
from repro.learning.parameters import StackedParameters
from repro.learning.streams import Streams
from repro.networks.distributions import Categorical, DiagonalGaussian, Distribution
from repro.networks.frames import Inputs
from repro.networks.initialization import Array
from repro.networks.mlp import MLPActorCritic
from repro.rollouts.collector import Collector
from repro.rollouts.episodes import Episodes
from repro.rollouts.rollout import Rollout


class CEM(Learners):
    """State besides: that of `search`, whose mean is in `parts`, and `candidates` [P, N, n]."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        self._generations = np.zeros(len(configs), np.int64)
        super().__init__(configs, envs, device)
        mean, policy, collector = self.stack(), self.policy, self.collector
        assert isinstance(policy, CandidatePolicy) and isinstance(collector, CandidateCollector)
        self.search = Search(mean, policy.real(), self.config.algorithm, self.streams)
        rows = [[self.search.ask(p) for _ in range(self.config.env.num_envs)] for p in self.active]
        self.candidates = torch.stack([torch.stack(row) for row in rows])
        flat = self.candidates.view(-1, mean.flat.shape[1])
        networks = selection.candidates(self.config, policy, mean, flat)
        collector.bind(networks)
        self.engine = selection.engine(networks, None)

    def update(self, rollout: Rollout) -> Metrics:
        """Generations have ended during collection; only the observation filter is updated."""
        self.collector.renormalize(rollout)
        generations = self.search.generations - self._generations
        self._generations = self.search.generations.copy()
        return {"minibatches": generations}

    @classmethod
    def make_policy(cls, config: Config, envs: VectorEnv) -> CandidatePolicy:
        """Deterministic policies."""
        spaces = (envs.single_observation_space, envs.single_action_space)
        return CandidatePolicy(*spaces, config.policy)

    def make_collector(self, envs: VectorEnv) -> CandidateCollector:
        """Runs one candidate in each environment."""
        return CandidateCollector(
            self._ended, self.configs, envs, self.networks, self.streams, self.device
        )

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {
            "candidates": self.candidates,
            "generations_before": self._generations,
            "variance": self.search.variance,
            "scored": self.search.scored,
            "scores": self.search.scores,
            "count": self.search.count,
            "generations": self.search.generations,
        }

    def _ended(self, p: int, n: int, score: float) -> None:
        """An episode of environment n ended, which gets the next candidate."""
        if p in self.active:
            self.search.tell(p, self.candidates[p, n], score)
            self.candidates[p, n] = self.search.ask(p)


class Search:
    """The distributions of P searches, and the scored candidates of their current generations.

    State: `mean` and `variance` [P, n]; the first `count` [P] of `scored` [P, C, n] and `scores`
    [P, C]; `generations` [P]; and the streams.
    """

    def __init__(
        self,
        mean: StackedParameters,
        real: Mapping[str, Array],
        settings: CEMSettings,
        streams: Sequence[Streams],
    ) -> None:
        """Start from the initial parameters of each learner.

        Args:
            mean: changed in place.
            real: 1 at parameters and 0 at padding, by name.
            settings: of the search.
            streams: [P].
        """
        self.mean, self.settings, self.streams = mean.flat, settings, streams
        self._real = StackedParameters([real], mean.flat.device).flat
        self.variance = settings.initial_std**2 * self._real.expand_as(self.mean)
        learners, size = self.mean.shape
        self.scored = torch.zeros(learners, settings.candidates, size, device=self.mean.device)
        self.scores = np.zeros((learners, settings.candidates))
        self.count = np.zeros(learners, np.int64)
        self.generations = np.zeros(learners, np.int64)
        self._elites = max(1, round(settings.candidates * settings.elite_fraction))

    def ask(self, p: int) -> Tensor:
        """A candidate [n] of learner p."""
        remaining = 1 - self.generations[p] / self.settings.extra_std_generations
        extra = self.settings.extra_std**2 * max(float(remaining), 0.0) * self._real[0]
        noise = self.streams[p].shuffle.standard_normal(self.mean.shape[1], np.float32)
        std = (self.variance[p] + extra).sqrt()
        return self.mean[p] + std * sent(noise, std.device)

    def tell(self, p: int, candidate: Tensor, score: float) -> None:
        """Record a candidate's score; the last of a generation updates the distribution."""
        self.scored[p, self.count[p]] = candidate
        self.scores[p, self.count[p]] = score
        self.count[p] += 1
        if self.count[p] < self.settings.candidates:
            return
        best = np.argsort(-self.scores[p], kind="stable")[: self._elites]
        elites = self.scored[p, sent(best, self.mean.device)]
        self.mean[p] = elites.mean(0)
        self.variance[p] = elites.var(0, unbiased=False)
        self.count[p] = 0
        self.generations[p] += 1


class CandidatePolicy(MLPActorCritic):
    """One deterministic actor an environment: a Gaussian of zero width, or the likeliest action."""

    stochastic = False

    def _shapes(self, config: Any) -> dict[str, tuple[int, ...]]:
        shapes = super()._shapes(config)
        return {k: shape for k, shape in shapes.items() if k.startswith(("actor.", "policy."))}

    def real(self) -> dict[str, Array]:
        """1 at every parameter, with the padding of parameters."""
        return {k: self._pad(k, np.ones(shape, np.float32)) for k, shape in self.shapes.items()}

    def distribution(self, parameters: Mapping[str, Tensor], observations: Inputs) -> Distribution:
        """pi(.|s): parameters of P N candidates, [P, N, D] -> over [P, N]."""
        assert isinstance(observations, Tensor)
        rows = observations.reshape(-1, 1, observations.shape[-1])
        out = self._network(parameters, rows, "policy")
        return self.as_distribution(parameters, out.reshape(*observations.shape[:2], -1))

    def as_distribution(self, parameters: Mapping[str, Tensor], out: Tensor) -> Distribution:
        """The distribution with outputs [P, M, A]."""
        out = out[..., : self.action_size]
        if self.discrete:
            best = torch.arange(self.action_size, device=out.device) == out.argmax(-1, keepdim=True)
            return Categorical(torch.where(best, 0.0, -math.inf))
        return DiagonalGaussian(out, out.new_full((1, 1, self.action_size), -math.inf))

    def value(self, parameters: Mapping[str, Tensor], observations: Inputs) -> Tensor:
        """Zeros: there is no value function."""
        assert isinstance(observations, Tensor)
        return observations.new_zeros(observations.shape[:2])


class CandidateCollector(Collector):
    """Runs P N candidates, and reports the ends of their episodes."""

    def __init__(self, ended: Any, *arguments: Any) -> None:
        """`ended(learner, actor, return)` may change the actor's candidate in place."""
        super().__init__(*arguments)
        self._ended = ended

    def _record_ends(
        self, t: int, infos: dict[str, Any], iteration: int, episodes: list[Episodes]
    ) -> None:
        ends = np.argwhere(self._terminated[:, t] | self._truncated[:, t])
        scores = [float(self._episode_statistics.returns[p, n]) for p, n in ends]
        super()._record_ends(t, infos, iteration, episodes)
        for (p, n), score in zip(ends, scores, strict=True):
            self._ended(int(p), int(n), score)
