"""Collection: P learners run their policies in N environments each for T steps.

Buffers are [P, T, N, ...]: learners, time, actors. All environments of a pack are one vector
environment of P N members, so a step costs one call whatever P is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from repro import gpu, native
from repro.config import Config
from repro.distributions import Categorical, Distribution
from repro.envs.vector import VectorEnv
from repro.native import Buffers, Networks
from repro.normalize import ObservationNormalizer, RewardScaler
from repro.policies import Bound
from repro.population import Streams
from repro.records import Episodes

Array = np.ndarray[Any, Any]


@dataclass
class Rollout:
    """One iteration's samples. B = T N, the samples of a learner, time-major.

    Attributes:
        inputs: [P, B, D] observations as the networks see them.
        actions: [P, B, A], or [P, B, 1] for discrete ones; before any clipping to the box.
        old: the distribution the actions were drawn from, over [P, B].
        rewards: [P, T, N], scaled where the recipe scales them.
        values: V(s_t), [P, T, N].
        next_values: V of the true next observation, [P, T, N].
        terminated: [P, T, N] bool.
        truncated: [P, T, N] bool.
        episodes: [P], finished episodes.
        finite: [P] bool: whether everything that the tasks returned is a number.
    """

    inputs: Tensor
    actions: Tensor
    old: Distribution
    rewards: Tensor
    values: Tensor
    next_values: Tensor
    terminated: Tensor
    truncated: Tensor
    episodes: list[Episodes]
    finite: Array


class Collector:
    """Owns the environments, the normalizers and the action noise of a pack."""

    def __init__(
        self,
        configs: Sequence[Config],
        envs: VectorEnv,
        networks: Bound | Networks,
        streams: Sequence[Streams],
        device: torch.device,
    ) -> None:
        """Reset the environments and allocate the buffers; reused by every `collect`."""
        config = configs[0]
        self.learners, self.num_envs = len(configs), config.env.num_envs
        self.horizon = config.algorithm.horizon
        self.networks, self.policy = networks, networks.policy
        self.envs, self.streams, self.device = envs, streams, device
        self.bootstrap = config.recipe.time_limit == "bootstrap"
        self.seconds = {"env": 0.0, "forward": 0.0}
        self.steps = 0  # of one learner, all its actors together
        self._action_box = _action_box(envs, device) if config.recipe.clip_actions else None
        self._normalizer = ObservationNormalizer(
            self.learners, self.policy.observation_size, config.recipe
        )
        gamma = np.array([c.algorithm.gamma for c in configs])
        self._reward_scaler = RewardScaler(self.num_envs, gamma, config.recipe)
        self._allocate()
        seeds = [seed for stream in streams for seed in stream.env_seeds(self.num_envs)]
        self._observations = self._by_learner(envs.reset(seed=seeds)[0])
        self._normalizer.observe_step(self._observations)
        self._returns = np.zeros((self.learners, self.num_envs))
        self._lengths = np.zeros((self.learners, self.num_envs), np.int64)

    def _allocate(self) -> None:
        p, t, n = self.learners, self.horizon, self.num_envs
        d, a = self.policy.observation_size, self.policy.action_size
        self._raw = np.zeros((p, t, n, d))
        self._inputs = torch.zeros((p, t, n, d), device=self.device)
        self._final_inputs = torch.zeros(p, t, n, d) if self.bootstrap else None
        self._rewards = np.zeros((p, t, n), np.float32)
        self._terminated = np.zeros((p, t, n), np.bool_)
        self._truncated = np.zeros((p, t, n), np.bool_)
        discrete = self.policy.discrete
        self._noise = torch.zeros((p, t, n) if discrete else (p, t, n, a), device=self.device)
        self._drawn = self._noise if self.device.type == "cpu" else self._noise.cpu().pin_memory()
        self._actions = torch.zeros((p, t, n, 1 if discrete else a), device=self.device)
        self._statistics = torch.zeros((p, t, n, a), device=self.device)
        self._whole_act = self._bind_act()

    def _bind_act(self) -> native.Acting | gpu.Acting | None:
        """What acts in one call, where there is such a thing for these networks and this device."""
        buffers = Buffers(self._raw, self._inputs, self._noise, self._statistics, self._actions)
        if isinstance(self.networks, Networks):
            return native.Acting(self.networks, self._normalizer, buffers, self._action_box)
        if self.device.type == "cuda":
            return gpu.Acting(self.networks, self._normalizer, buffers, self._action_box)
        return None

    @torch.no_grad()
    def collect(self, iteration: int) -> Rollout:
        """Run the policies for T steps. The tensors returned are overwritten by the next call."""
        self.seconds = {"env": 0.0, "forward": 0.0}
        episodes = [Episodes() for _ in range(self.learners)]
        self._draw_noise()
        for t in range(self.horizon):
            start = time.perf_counter()
            actions = self._act(t)
            acted = time.perf_counter()
            observations, rewards, terminated, truncated, infos = self.envs.step(actions)
            self.seconds["forward"] += acted - start
            self.seconds["env"] += time.perf_counter() - acted
            self.steps += self.num_envs
            self._record(t, rewards, terminated, truncated)
            if terminated.any() or truncated.any():
                self._record_ends(t, infos, iteration, episodes)
            self._observations = self._by_learner(observations)
            self._normalizer.observe_step(self._observations)
        return self._rollout(episodes)

    def _draw_noise(self) -> None:
        for noise, stream in zip(self._drawn, self.streams, strict=True):
            if self.policy.discrete:
                stream.action.random(dtype=np.float32, out=noise.numpy())
            else:
                stream.action.standard_normal(dtype=np.float32, out=noise.numpy())
        if self._drawn is not self._noise:
            self._noise.copy_(self._drawn, non_blocking=True)

    def _act(self, t: int) -> Array:
        """Actions [P N, ...] for the environments; keeps what led to them."""
        if self._whole_act is not None:
            return self._whole_act(t, self._observations)
        self._raw[:, t] = self._observations
        self._normalizer.apply(self._observations, out=self._inputs[:, t].numpy())
        distribution = self.networks.distribution(self._inputs[:, t])
        actions = distribution.sample(self._noise[:, t])
        self._statistics[:, t] = distribution[0]
        if isinstance(distribution, Categorical):
            self._actions[:, t, :, 0] = actions
        else:
            self._actions[:, t] = actions
            if self._action_box is not None:
                actions = torch.clamp(actions, *self._action_box)
        return np.asarray(actions.flatten(0, 1).numpy())

    def _record(self, t: int, rewards: Array, terminated: Array, truncated: Array) -> None:
        rewards, self._terminated[:, t], self._truncated[:, t] = (
            self._by_learner(x) for x in (rewards, terminated, truncated)
        )
        self._returns += rewards
        self._lengths += 1
        self._rewards[:, t] = self._reward_scaler.apply(
            rewards, self._terminated[:, t], self._truncated[:, t]
        )

    def _record_ends(
        self, t: int, infos: dict[str, Any], iteration: int, episodes: list[Episodes]
    ) -> None:
        ends = self._terminated[:, t] | self._truncated[:, t]
        for p, n in np.argwhere(ends):
            episode = episodes[p]
            episode.iteration.append(iteration)
            episode.step.append(self.steps)
            episode.actor.append(int(n))
            episode.returns.append(float(self._returns[p, n]))
            episode.length.append(int(self._lengths[p, n]))
        self._returns[ends] = 0
        self._lengths[ends] = 0
        if self._final_inputs is not None:
            final = self._by_learner(infos["final_obs"])
            self._normalizer.apply(final, out=self._final_inputs[:, t].numpy())

    def _rollout(self, episodes: list[Episodes]) -> Rollout:
        samples = (self.learners, self.horizon * self.num_envs)
        values = self._value(self._inputs)
        current = torch.empty(self._observations.shape, dtype=torch.float32)
        self._normalizer.apply(self._observations, out=current.numpy())
        current_values = self.networks.value(current.to(self.device))
        next_values = torch.cat([values[:, 1:], current_values[:, None]], dim=1)
        truncated = torch.from_numpy(self._truncated).to(self.device)
        if self._final_inputs is not None and self._truncated.any():
            # Always the full shape: a learner's values must not hang on how often others truncate.
            final_values = self._value(self._final_inputs.to(self.device))
            next_values = torch.where(truncated, final_values, next_values)
        return Rollout(
            inputs=self._inputs.view(*samples, -1),
            actions=self._actions.view(*samples, -1),
            old=self.networks.as_distribution(self._statistics.view(*samples, -1)).snapshot(),
            rewards=torch.from_numpy(self._rewards).to(self.device),
            values=values,
            next_values=next_values,
            terminated=torch.from_numpy(self._terminated).to(self.device),
            truncated=truncated,
            episodes=episodes,
            finite=self._finite(),
        )

    def _value(self, inputs: Tensor) -> Tensor:
        return self.networks.value(inputs.flatten(1, 2)).view(inputs.shape[:3])

    def _finite(self) -> Array:
        finite = np.isfinite(self._raw).all((1, 2, 3)) & np.isfinite(self._rewards).all((1, 2))
        return np.asarray(finite & np.isfinite(self._observations).all((1, 2)))

    def renormalize(self, rollout: Rollout) -> None:
        """Take the rollout into the observations' statistics, and normalize it by the new ones.

        Does nothing unless the recipe normalizes once a rollout, as Baselines' ppo1.
        """
        if not self._normalizer.each_rollout:
            return
        raw = self._raw.reshape(self.learners, -1, self._raw.shape[-1])
        self._normalizer.observe_rollout(raw)
        inputs = self._inputs.view(raw.shape)
        host = inputs if self.device.type == "cpu" else torch.empty(raw.shape)
        self._normalizer.apply(raw, out=host.numpy())
        rollout.inputs = inputs.copy_(host) if host is not inputs else inputs

    def state(self, learner: int) -> dict[str, Array]:
        """One learner's normalizer statistics by name, for `parameters.npz`."""
        observations, rewards = self._normalizer.moments, self._reward_scaler.moments
        return {
            "observations.mean": observations.mean[learner],
            "observations.variance": observations.variance[learner],
            "observations.count": observations.count[learner],
            "rewards.variance": rewards.variance[learner],
            "rewards.count": rewards.count[learner],
        }

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """All that one learner's next rollouts depend on besides its parameters and streams.

        Without `envs` where the simulators' state cannot be taken out.
        """
        state: dict[str, Any] = {
            "steps": self.steps,
            "observations": self._normalizer.checkpoint(learner),
            "rewards": self._reward_scaler.checkpoint(learner),
        }
        envs = self.envs.state(self._rows(learner))
        if envs is None:
            return state
        episodes = {
            "return": self._returns[learner].copy(),
            "length": self._lengths[learner].copy(),
        }
        return state | {"envs": envs, "episodes": episodes}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned.

        Without `envs`, new episodes begin, from seeds that no other episode began from.
        """
        self.steps = state["steps"]
        self._normalizer.restore(learner, state.get("observations", {}))
        self._reward_scaler.restore(learner, state.get("rewards", {}))
        if "envs" in state:
            self.envs.set_state(state["envs"], self._rows(learner))
            self._returns[learner] = state["episodes"]["return"]
            self._lengths[learner] = state["episodes"]["length"]
        else:
            seeds = self.streams[learner].restart_seeds(self.num_envs, self.steps)
            self.envs.restart(self._rows(learner), seeds)
            self._returns[learner], self._lengths[learner] = 0, 0
        self._observations = self._by_learner(self.envs.observations)

    def _rows(self, learner: int) -> slice:
        """The learner's environments among those of the pack."""
        return slice(learner * self.num_envs, (learner + 1) * self.num_envs)

    def _by_learner(self, array: Array) -> Array:
        return array.reshape(self.learners, self.num_envs, *array.shape[1:])


def _action_box(envs: VectorEnv, device: torch.device) -> tuple[Tensor, Tensor] | None:
    space = envs.single_action_space
    if not isinstance(space, gymnasium.spaces.Box):
        return None
    return torch.as_tensor(space.low, device=device), torch.as_tensor(space.high, device=device)
