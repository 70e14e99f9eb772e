"""Collection: P learners run their policies for T steps in N environments each.

Buffers are [P, T, N, ...]: learners, time, actors. The environments of a pack are one `VectorEnv`
of P N members, so that a step is one call for any P.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import Config
from repro.engines import selection
from repro.engines.buffers import Buffers, FrameBuffers, Recorded, Valued
from repro.engines.cuda import sent
from repro.engines.native import Networks
from repro.envs import actions as task_actions
from repro.envs.vector import VectorEnv
from repro.errors import TaskError
from repro.learning.normalize import RewardScaler
from repro.learning.streams import Streams
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import Categorical
from repro.rollouts.diagnosis import bounds, first_outside, usable
from repro.rollouts.episodes import Episodes, EpisodeStatistics
from repro.rollouts.observations import FlatObservations, FrameObservations
from repro.rollouts.rollout import Rollout

Array = np.ndarray[Any, Any]


class Collector:
    """The environments, normalizers and action noise of a pack."""

    def __init__(
        self,
        configs: Sequence[Config],
        envs: VectorEnv,
        networks: BoundPolicy | Networks,
        streams: Sequence[Streams],
        device: torch.device,
    ) -> None:
        """Reset the environments, and allocate the buffers that every `collect` reuses."""
        config = configs[0]
        self.learners, self.num_envs = len(configs), config.env.num_envs
        self.horizon = config.algorithm.horizon
        self.policy, self._backend = networks.policy, config.env.backend
        self.envs, self.streams, self.device = envs, streams, device
        self.bootstrap = config.recipe.time_limit == "bootstrap"
        self.seconds = {"env": 0.0, "forward": 0.0}
        self.steps = 0  # of one learner, all its actors together
        self._declared = bounds(envs)
        self._action_box = _action_box(envs, device) if config.recipe.clip_actions else None
        self._seen = self._observations_of(config)
        gamma = np.array([c.algorithm.gamma for c in configs])
        self._reward_scaler = RewardScaler(self.num_envs, gamma, config.recipe)
        self._episode_statistics = EpisodeStatistics(
            (self.learners, self.num_envs), envs.keeps_scores
        )
        self._allocate()
        selection.quicken(envs, config)
        seeds = [seed for stream in streams for seed in stream.env_seeds(self.num_envs)]
        with self._naming_learners():
            self._observations = self._by_learner(envs.reset(seed=seeds)[0])
        self._seen.observe(self._observations)
        self.bind(networks)

    def _observations_of(self, config: Config) -> FlatObservations | FrameObservations:
        shape = (self.learners, self.horizon, self.num_envs)
        if config.env.atari is None:
            size = self.policy.observation_size
            return FlatObservations(shape, size, config.recipe, self.device, self.bootstrap)
        stack, zeros = self.envs.observations.shape[1:], config.env.atari.stack_padding == "zero"
        return FrameObservations(shape, stack, self.device, zeros)

    def _allocate(self) -> None:
        p, t, n, a = self.learners, self.horizon, self.num_envs, self.policy.action_size
        self._rewards = np.zeros((p, t, n))
        self._terminated, self._truncated = np.zeros((2, p, t, n), np.bool_)
        discrete = self.policy.discrete
        self._noise = torch.zeros((p, t, n) if discrete else (p, t, n, a), device=self.device)
        self._drawn = self._noise if self.device.type == "cpu" else self._noise.cpu().pin_memory()
        self._drawn_by_learner = list(self._drawn.numpy())
        self._actions = torch.zeros((p, t, n, 1 if discrete else a), device=self.device)
        self._statistics = torch.zeros((p, t, n, a), device=self.device)
        # Filled while acting: frames only.
        self._values = torch.zeros((p, t, n), device=self.device)
        self._final_values = torch.zeros((p, t, n), device=self.device)

    def bind(self, networks: BoundPolicy | Networks) -> None:
        """Act with these networks from now on, by compiled kernels where they cover that."""
        self.networks, seen, episodes = networks, self._seen, self._episode_statistics
        self._fast_act: selection.Act | None = None
        self._many_steps = None
        self._evaluate: Callable[[Array], Valued] = self._valued
        if isinstance(seen, FrameObservations):
            kept = (seen.frames, self._values, self._noise, self._statistics, self._actions)
            self._fast_act = selection.frame_acting(networks, FrameBuffers(*kept), seen.place)
            return
        buffers = Buffers(seen.raw, seen.inputs, self._noise, self._statistics, self._actions)
        self._fast_act = selection.acting(networks, seen.normalizer, buffers, self._action_box)
        steps = (self._rewards, self._terminated, self._truncated)
        recorded = Recorded(*steps, episodes.returns, episodes.lengths)
        self._many_steps = selection.collecting(
            *(self._fast_act, seen.normalizer, self._reward_scaler, self.envs, recorded),
            backend=self._backend,
        )
        self._evaluate = seen.bind(networks, self._rewards, self._truncated) or self._valued

    @torch.no_grad()
    def collect(self, iteration: int) -> Rollout:
        """Run the policies for T steps. The tensors returned are overwritten by the next call.

        Raises:
            TaskError: a task raised; its index is the learner's.
        """
        with self._naming_learners():
            return self._collect(iteration)

    def _collect(self, iteration: int) -> Rollout:
        self.seconds = {"env": 0.0, "forward": 0.0}
        episodes = [Episodes() for _ in range(self.learners)]
        self._episode_statistics.finished_steps[:] = 0
        self._draw_noise()
        many, t = self._many_steps, 0
        while t < self.horizon:
            taken, infos = many(t, self.seconds) if many else self._step(t)
            self.steps += (taken - t) * self.num_envs
            t = taken
            ended = bool(infos)
            if ended:
                self._record_ends(t - 1, infos, iteration, episodes)
            self._observations = self._by_learner(self.envs.observations)
            if ended or not many:  # the kernels have shown it to the normalizer
                self._seen.observe(self._observations)
        return self._rollout(episodes)

    def _step(self, t: int) -> tuple[int, dict[str, Any]]:
        """Take the step at time t. Returns t + 1, and the step's infos if an episode ended."""
        start = time.perf_counter()
        actions = task_actions.to_task(self._act(t), self.envs.single_action_space)
        acted = time.perf_counter()
        _, rewards, terminated, truncated, infos = self.envs.step(actions)
        self.seconds["forward"] += acted - start
        self.seconds["env"] += time.perf_counter() - acted
        self._record(t, rewards, terminated, truncated)
        return t + 1, infos if terminated.any() or truncated.any() else {}

    def _draw_noise(self) -> None:
        for noise, stream in zip(self._drawn_by_learner, self.streams, strict=True):
            stream.draw_noise(noise, uniform=self.policy.discrete)
        if self._drawn is not self._noise:
            self._noise.copy_(self._drawn, non_blocking=True)

    def _act(self, t: int) -> Array:
        """The policies' actions [P N, ...], clipped; fills the buffers at time t."""
        if self._fast_act is not None:
            return self._fast_act(t, self._observations)
        inputs = self._seen.store(t, self._observations)
        if self._seen.values_while_acting:
            distribution, self._values[:, t] = self.networks.evaluate(inputs)
        else:
            distribution = self.networks.distribution(inputs)
        actions = distribution.sample(self._noise[:, t])
        self._statistics[:, t] = distribution[0]
        if isinstance(distribution, Categorical):
            self._actions[:, t, :, 0] = actions
        else:
            self._actions[:, t] = actions
            if self._action_box is not None:
                actions = torch.clamp(actions, *self._action_box)
        return np.asarray(actions.flatten(0, 1).cpu().numpy())

    def _record(self, t: int, rewards: Array, terminated: Array, truncated: Array) -> None:
        rewards, self._terminated[:, t], self._truncated[:, t] = (
            self._by_learner(x) for x in (rewards, terminated, truncated)
        )
        self._episode_statistics.add_step(rewards)
        self._rewards[:, t] = self._reward_scaler.apply(
            rewards, self._terminated[:, t], self._truncated[:, t]
        )

    def _record_ends(
        self, t: int, infos: dict[str, Any], iteration: int, episodes: list[Episodes]
    ) -> None:
        ends = self._terminated[:, t] | self._truncated[:, t]
        self._episode_statistics.record_ends(ends, infos, iteration, self.steps, episodes)
        finals = self._by_learner(infos["final_obs"]) if self.bootstrap else None
        self._seen.store_ends(t, ends, finals)
        if finals is not None and self._seen.values_while_acting and self._truncated[:, t].any():
            self._final_values[:, t] = self.networks.value(self._seen.encode(finals))

    def _rollout(self, episodes: list[Episodes]) -> Rollout:
        samples = (self.learners, self.horizon * self.num_envs)
        old = self.networks.as_distribution(self._statistics.view(*samples, -1)).snapshot()
        valued = self._evaluate(self._observations)
        return Rollout(
            inputs=self._seen.all_inputs(),
            actions=self._actions.view(*samples, -1),
            old=old,
            terminated=sent(self._terminated, self.device),
            truncated=sent(self._truncated, self.device),
            episodes=episodes,
            finished_steps=self._episode_statistics.finished_steps.copy(),
            **valued._asdict(),
        )

    def _valued(self, observations: Array) -> Valued:
        """What `native.Valuation` returns, by NumPy and the networks."""
        seen, while_acting = self._seen, self._seen.values_while_acting
        values = self._values if while_acting else self.networks.value(seen.all_inputs())
        values = values.view(self._values.shape)
        current_values = self.networks.value(seen.encode(observations))
        next_values = torch.cat([values[:, 1:], current_values[:, None]], dim=1)
        if self.bootstrap and self._truncated.any():
            truncated = sent(self._truncated, self.device)
            next_values = torch.where(truncated, self._all_final_values(), next_values)
        finite = seen.usable(self._truncated, observations) & usable(self._rewards).all((1, 2))
        rewards = sent(self._rewards.astype(np.float32), self.device)
        return Valued(rewards, values.clone(), next_values, np.asarray(finite))

    def _all_final_values(self) -> Tensor:
        """V of episodes' last observations, [P, T, N]; arbitrary where no episode ended."""
        finals = self._seen.all_finals()
        if finals is None:
            return self._final_values
        # Always the full shape: the bits must not depend on how often other learners truncate.
        return self.networks.value(finals).view(self._values.shape)

    def not_finite(self, learner: int) -> str:
        """Names the first value of the last rollout that is not usable, and its environment."""
        found = self._seen.first_bad_value(
            learner, self._rewards, self._truncated, self._observations
        )
        step = self.steps // self.num_envs - self.horizon + found.step
        when = f"in step {step}" if step else "at its reset"
        place = self._environment(learner, found.environment)
        return f"{place} returned a value that is {found.complaint} {when}: its {found.field}"

    def outside(self) -> dict[int, str]:
        """Learner -> a sentence on its task, where an observation is outside the declared bounds.

        Only a pack's first such observation is reported, since no result depends on the bounds.
        """
        if self._declared is None or isinstance(self._seen, FrameObservations):
            return {}
        found = first_outside(self._seen.raw, self._declared)
        if found is None:
            return {}
        self._declared = None
        learner, n, text = found
        return {learner: f"{self._environment(learner, n)} returned {text}"}

    def _environment(self, learner: int, n: int) -> str:
        """Names an environment by its number and the seed of its first episode."""
        seed = self.streams[learner].env_seeds(self.num_envs)[n]
        return f"environment {n} of {self.num_envs} (seed {seed})"

    @contextlib.contextmanager
    def _naming_learners(self) -> Iterator[None]:
        """Add the learner, its environment and the step to a task's error."""
        try:
            yield
        except TaskError as error:
            learner, n = divmod(error.index, self.num_envs)
            step = f"in step {self.steps // self.num_envs + 1}"
            text = f"{self._environment(learner, n)}: {error}, {step}"
            raise TaskError(text, learner) from error

    def renormalize(self, rollout: Rollout) -> None:
        """Update the observation statistics with the rollout, and normalize it with them.

        Only where the recipe normalizes once a rollout, as Baselines' ppo1.
        """
        inputs = self._seen.renormalize()
        if inputs is not None:
            rollout.inputs = inputs

    def newest(self) -> Array:
        """x_0 to x_T of the last rollout, unnormalized, [P, T + 1, N, ...]; of stacks one frame."""
        return self._seen.newest(self._observations)

    def encode(self, observations: Array) -> Tensor:
        """Observations as the networks read them: [P, M, D] normalized, or stacks of frames."""
        return self._seen.encode(observations)

    def state(self, learner: int) -> dict[str, Array]:
        """One learner's normalizer statistics by name, for `parameters.npz`."""
        rewards = self._reward_scaler.moments
        return self._seen.state(learner) | {
            "rewards.variance": rewards.variance[learner],
            "rewards.count": rewards.count[learner],
        }

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """What one learner's next rollouts depend on, besides parameters and streams.

        Without `envs` where the simulators' state cannot be saved.
        """
        state: dict[str, Any] = {
            "steps": self.steps,
            "observations": self._seen.checkpoint(learner),
            "rewards": self._reward_scaler.checkpoint(learner),
        }
        envs = self.envs.state(self._rows(learner))
        if envs is None:
            return state
        return state | {"envs": envs} | self._episode_statistics.checkpoint(learner)

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned.

        Without `envs`, new episodes begin, from seeds that no earlier episode used.
        """
        self.steps = state["steps"]
        self._seen.restore(learner, state.get("observations", {}))
        self._reward_scaler.restore(learner, state.get("rewards", {}))
        if "envs" in state:
            self.envs.set_state(state["envs"], self._rows(learner))
            self._episode_statistics.restore(learner, state)
        else:
            seeds = self.streams[learner].restart_seeds(self.num_envs, self.steps)
            with self._naming_learners():
                self.envs.restart(self._rows(learner), seeds)
            self._episode_statistics.restart(learner)
        self._observations = self._by_learner(self.envs.observations)

    def _rows(self, learner: int) -> slice:
        """The learner's environments in the pack."""
        return slice(learner * self.num_envs, (learner + 1) * self.num_envs)

    def _by_learner(self, array: Array) -> Array:
        return array.reshape(self.learners, self.num_envs, *array.shape[1:])


def _action_box(envs: VectorEnv, device: torch.device) -> tuple[Tensor, Tensor] | None:
    box = task_actions.bounds(envs.single_action_space)
    if box is None:
        return None
    low, high = box
    return torch.from_numpy(low).to(device), torch.from_numpy(high).to(device)
