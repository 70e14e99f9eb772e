"""Actor-critic with experience replay (Wang et al. 2016), algorithms 1 and 2, discrete actions.

    for iteration = 1, 2, ...
        collect        N actors run mu = pi for T steps; the segment joins the replay
        step           on that segment, then on n ~ Poisson(ratio) segments of the replay:
            targets        Q^ret by Retrace, equation 5
            direction      g = the policy gradient with truncated weights and bias correction,
                           equation 9, with respect to the probabilities pi(.|x)
                           z = g projected to k'z <= delta, equation 12, where
                           k = d KL(average policy, pi) / d pi(.|x)
            optimize       one RMSProp step along z'pi - c1 (Q^ret - Q)^2 / 2
            average        theta_average <- alpha theta_average + (1 - alpha) theta

Every tensor has the learners P in front. How often a learner replays, and what, comes from a stream
of its own: in a pack, learners that replay less often sit out the last steps of an iteration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from repro.algorithms.base import Array, Learners
from repro.algorithms.measured import Metrics, mean
from repro.config.algorithms import ACERSettings
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch
from repro.engines.cuda import sent
from repro.engines.native import Networks
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError
from repro.learning import objectives, off_policy
from repro.learning.optimizers import RMSProp, clip_gradient
from repro.networks.action_values import CNNActionValues, MLPActionValues
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import Categorical
from repro.rollouts.replay import Observation, Replay
from repro.rollouts.rollout import Rollout


@dataclass(frozen=True)
class Segment:
    """T steps of N actors, x_0 to x_T. B = T N samples, time-major.

    Attributes:
        inputs: x_0 to x_T as the networks read them, [P, (T + 1) N, ...].
        actions: [P, B].
        mu: of the policy that acted, over [P, B].
        rewards: [P, T, N].
        discounts: gamma, or 0 where the episode terminated, [P, T, N].
        cut_off: where the next observation is of another episode, and this one went on, [P, T, N].
    """

    inputs: Tensor
    actions: Tensor
    mu: Categorical
    rewards: Tensor
    discounts: Tensor
    cut_off: Tensor


class ACER(Learners):
    """State besides: `rmsprop`, `average` [P, n] and `replay`."""

    policy: MLPActionValues

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`.

        Raises:
            ConfigError: continuous actions.
        """
        super().__init__(configs, envs, device)
        self.settings: ACERSettings = self.config.algorithm
        self.rmsprop = RMSProp(
            self.parameters.flat, self.settings.rms_decay, self.settings.rms_epsilon
        )
        self.average = self.parameters.flat.clone()
        self.delta, self.value_coef, self.entropy_coef = (
            self.column(name)[:, None] for name in ("delta", "value_coef", "entropy_coef")
        )
        self.replay = self.make_replay(envs)
        self.engine = selection.engine(self.networks, None)
        self.notice = (
            f"The replay takes {self.replay.nbytes / 2**30:.2f} GiB a run when it is full: "
            f"algorithm.replay_size={self.settings.replay_size} steps of each of "
            f"{self.config.env.num_envs} actors."
            if self.settings.replay_ratio
            else ""
        )

    @classmethod
    def make_policy(cls, config: Config, envs: VectorEnv) -> MLPActionValues:
        """pi(.|x) and Q(x, .)."""
        observations, actions = envs.single_observation_space, envs.single_action_space
        if not isinstance(actions, gymnasium.spaces.Discrete):
            raise ConfigError(
                f"algorithm=acer takes discrete actions, not {actions}: choose another task, or "
                "algorithm=a2c_tr, which has ACER's trust region."
            )
        kind = CNNActionValues if config.policy.convolutions is not None else MLPActionValues
        return kind(observations, actions, config.policy)

    def make_networks(self) -> BoundPolicy | Networks:
        """Over the only part; of frames compiled, where `engine` and the machine allow it."""
        self.parameters = self.stack()
        return selection.networks(self.config, self.policy, self.parts, self.views)

    def make_replay(self, envs: VectorEnv) -> Replay:
        """Of `replay_size` steps of each actor; without replays, of the newest segment."""
        space, atari = envs.single_observation_space, self.config.env.atari
        assert space.shape is not None
        if atari is None:
            observation = Observation(space.shape, np.float64)
        else:
            stack, *frame = space.shape
            zeros = atari.stack_padding == "zero"
            observation = Observation(tuple(frame), np.uint8, stack, zeros)
        horizon = self.config.algorithm.horizon
        shape = (len(self.configs), horizon, self.config.env.num_envs)
        replays = self.settings.replay_ratio > 0
        capacity = self.settings.replay_size // horizon if replays else 1
        generators = [stream.replay for stream in self.streams]
        return Replay(shape, self.policy.action_size, capacity, observation, generators)

    def own_state(self) -> dict[str, Any]:
        """For resuming."""
        return {
            "rmsprop": self.rmsprop.mean_square,
            "average": self.average,
            "replay": self.replay,
        }

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """As `Learners`. Where new episodes begin, so does the replay: its x_T has no successor."""
        if "envs" not in state["collector"]:
            state = {**state, "replay": {"generator": state["replay"]["generator"]}}
        super().restore(learner, state)

    def update(self, rollout: Rollout) -> Metrics:
        """A step on the rollout, then on segments of the replay."""
        self.collector.renormalize(rollout)
        self.replay.add(rollout, self.collector.newest())
        rates = self.learning_rates(self.settings.learning_rate_schedule)
        newest = np.full((len(self.configs), self.config.env.num_envs), self.replay.count - 1)
        segment = self.load(newest)
        batch, norm = self.step(segment, rates, self.active)
        steps = np.ones(len(self.configs), np.int64)
        for members, numbers in self.draw(newest):
            self.step(self.load(numbers), rates, members)
            steps[members] += 1
        return self.measure(batch) | {
            "gradient_norm": norm.double(),
            "learning_rate": np.array(rates),
            "minibatches": steps,
        }

    def draw(self, newest: Array) -> Iterator[tuple[list[int], Array]]:
        """The replays of an iteration: who takes part, and the numbers of the segments, [P, N].

        Each actor's segment is drawn by itself. Who sits out reads its newest ones, in vain.
        """
        settings = self.settings
        if self.replay.size < settings.replay_start // settings.horizon:
            return
        drawn = {p: self.replay.draw(p, settings.replay_ratio) for p in self.active}
        for i in range(max(map(len, drawn.values()), default=0)):
            members = [p for p in self.active if i < len(drawn[p])]
            numbers = newest.copy()
            for p in members:
                numbers[p] = drawn[p][i]
            yield members, numbers

    def load(self, numbers: Array) -> Segment:
        """Segments of the replay, one of each actor; `numbers` is [P, N]."""
        found = self.replay.take(numbers)
        actions, rewards, logits, terminated, truncated = (
            sent(getattr(found, name), self.device)
            for name in ("actions", "rewards", "logits", "terminated", "truncated")
        )
        terminal = terminated
        if self.recipe.time_limit == "terminal":
            terminal = terminated | truncated
        return Segment(
            inputs=self.collector.encode(found.observations),
            actions=actions.flatten(1),
            mu=Categorical(logits.flatten(1, 2)),
            rewards=rewards,
            discounts=self.gamma[:, None, None] * ~terminal,
            cut_off=truncated & ~terminal,
        )

    def step(
        self, segment: Segment, rates: Sequence[float], members: Sequence[int]
    ) -> tuple[Batch, Tensor]:
        """One step of some learners.

        Returns:
            The samples with Q^ret as targets and Q as values; the norm of the gradient, [P].
        """
        batch, loss = self.loss(segment)
        gradient = self.parameters.gradient(loss)
        norm = clip_gradient(gradient, self.settings.max_grad_norm)
        step_sizes, taking = sent(torch.tensor(rates), self.device), self.mask(members)
        self.rmsprop.step(gradient, step_sizes, taking)
        following = self.average.lerp(self.parameters.flat, 1 - self.settings.average_decay)
        self.average.copy_(torch.where(taking[:, None], following, self.average))
        return batch, norm

    def loss(self, segment: Segment) -> tuple[Batch, Tensor]:
        """The samples, and -(z'pi - c1 (Q^ret - Q)^2 / 2), summed over learners."""
        policy, q = self.policy.action_values(self.parameters.leaves, segment.inputs)
        samples = segment.actions.shape[1]
        pi, q_of = policy.logits.softmax(-1), segment.actions[..., None]
        taken = q[:, :samples].gather(-1, q_of).squeeze(-1)
        with torch.no_grad():
            values = (pi * q).sum(-1)  # V(x_0) to V(x_T)
            targets = self.targets(segment, pi[:, :samples], taken, values)
            values = values[:, :samples]
            z = self.direction(segment, pi[:, :samples], q[:, :samples], targets, values)
        surrogate = (pi[:, :samples] * z).sum(-1)
        objective = surrogate - self.value_coef * 0.5 * (targets - taken).square()
        batch = Batch(
            inputs=segment.inputs[:, :samples],
            actions=segment.actions,
            old=segment.mu,
            advantages=targets - values,
            targets=targets,
            values=taken.detach(),
        )
        return batch, -objective.sum() / samples

    def targets(self, segment: Segment, pi: Tensor, taken: Tensor, values: Tensor) -> Tensor:
        """Q^ret, [P, B], from pi [P, B, A], Q(x, a) of the actions taken, and V [P, (T + 1) N]."""
        shape, index = segment.rewards.shape, segment.actions[..., None]
        mu = segment.mu.logits.softmax(-1)
        ratios = (pi / (mu + off_policy.EPSILON)).gather(-1, index)
        return off_policy.retrace(
            segment.rewards,
            taken.view(shape),
            values.view(len(values), -1, shape[2]),
            ratios.view(shape),
            segment.discounts,
            segment.cut_off,
            self.settings.retrace_lambda,
        ).flatten(1)

    def direction(
        self, segment: Segment, pi: Tensor, q: Tensor, targets: Tensor, values: Tensor
    ) -> Tensor:
        """z, [P, B, A]: the policy's and the entropy's gradient inside the trust region."""
        mu, c = segment.mu.logits.softmax(-1), self.settings.truncation
        g = off_policy.policy_gradient(pi, mu, segment.actions, q, targets, values, c)
        g = g + self.entropy_coef[..., None] * off_policy.entropy_gradient(pi)
        if not self.settings.trust_region:
            return g
        named = zip(self.parameters.views, self.parameters.split(self.average), strict=True)
        inputs = segment.inputs[:, : pi.shape[1]]
        average, _ = self.policy.action_values(dict(named), inputs)
        k = -average.logits.softmax(-1) / (pi + off_policy.EPSILON)
        return off_policy.project(g, k, self.delta)

    @torch.no_grad()
    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """On the rollout, with the new parameters; targets are those of its own step."""
        policy, q = self.policy.action_values(self.views, batch.inputs)
        taken = q.gather(-1, batch.actions[..., None]).squeeze(-1)
        terms = objectives.policy_gradient(policy.log_prob(batch.actions), batch.advantages)
        metrics = self.summarize(batch, policy, taken, policy.kl_from(batch.old))
        return metrics | {"surrogate": mean(terms)}
