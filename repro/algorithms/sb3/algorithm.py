"""Stable-Baselines3 under the contract of our algorithms: one run, iteration by iteration.

    for iteration = 1, 2, ...
        collect        model.collect_rollouts
        optimize       model.train
        measure        the columns of our tables, by our definitions

These are the calls of its `learn`, in its order: parameters are those of `learn`, to the last bit
(`tests/algorithms/sb3/test_algorithm.py`). It cannot be resumed, so it saves no checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from repro.algorithms.iteration import Iteration
from repro.algorithms.sb3 import mapping
from repro.algorithms.sb3.measures import Measures
from repro.config.schema import Config
from repro.engines.selection import TORCH
from repro.rollouts.episodes import Episodes


class StableBaselines3:
    """One run. State: that of `model`, and the episodes under way in `recorder`."""

    engine = TORCH

    def __init__(self, config: Config, device: torch.device) -> None:
        """Make the environments and the model.

        Args:
            config: of an algorithm named sb3_*, with counterparts for all that it says.
            device: where networks live.

        Raises:
            ConfigError: a task that is not to be had.
        """
        self.config = config
        self.recorder = Recorder(mapping.make_envs(config))
        self.model = mapping.make_model(config, mapping.normalized(config, self.recorder), device)
        self.measures = Measures(config, self.model)
        self._forward = Stopwatch()
        self.model.policy.register_forward_pre_hook(lambda *_: self._forward.start())
        self.model.policy.register_forward_hook(lambda *_: self._forward.stop())
        self.iteration = 0

    @property
    def steps(self) -> int:
        """Environment steps so far, all actors together."""
        return int(self.model.num_timesteps)

    def train(self) -> Iterator[Iteration]:
        """Iterate until the run has finished or failed."""
        total = self.config.updates * self.config.batch_size
        total, callback = self.model._setup_learn(total)
        callback.on_training_start(locals(), globals())
        while self.model.num_timesteps < total:
            record = self._iterate(callback, total)
            yield record
            if record.failed:
                return

    def _iterate(self, callback: BaseCallback, total: int) -> Iteration:
        self.iteration += 1
        self.recorder.begin(self.iteration)
        self._forward.seconds = 0.0
        good = self._parameters()
        start = time.perf_counter()
        update, metrics, reason = 0.0, self.measures.unknown(), None
        try:
            update, metrics = self._learn(callback)
        except ValueError:  # torch refuses distributions whose parameters are not finite
            reason = self._what_is_not_finite() or self.measures.what_torch_refuses()
            if reason is None:
                raise
        reason = reason or self._what_is_not_finite()
        if reason is not None:
            self.model.policy.load_state_dict(good)
        seconds = {
            "env": self.recorder.clock.seconds,
            "forward": self._forward.seconds,
            "update": update,
        }
        seconds["other"] = time.perf_counter() - start - sum(seconds.values())
        return self._record(metrics, reason, seconds, over=self.model.num_timesteps >= total)

    def _learn(self, callback: BaseCallback) -> tuple[float, dict[str, Any]]:
        """Seconds of the update, and what it made; the body of `OnPolicyAlgorithm.learn`."""
        model = self.model
        assert model.env is not None
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        self.measures.before()
        schedule = self.config.schedule_updates * self.config.batch_size
        model._update_current_progress_remaining(model.num_timesteps, schedule)
        start = time.perf_counter()
        model.train()
        seconds = time.perf_counter() - start
        return seconds, self.measures.after()

    def _record(
        self, metrics: dict[str, Any], reason: str | None, seconds: dict[str, float], over: bool
    ) -> Iteration:
        text = f"{self.config.run_id} failed in iteration {self.iteration}: {reason}"
        return Iteration(
            number=self.iteration,
            step=self.model.num_timesteps,
            active=[] if reason else [0],
            metrics=metrics,
            episodes=[self.recorder.episodes],
            failed={0: text} if reason else {},
            finished=[0] if over and not reason else [],
            seconds=seconds,
        )

    def _parameters(self) -> dict[str, torch.Tensor]:
        return {name: x.clone() for name, x in self.model.policy.state_dict().items()}

    def _what_is_not_finite(self) -> str | None:
        """The task's values come first: they spoil parameters, never the reverse."""
        buffer = self.model.rollout_buffer
        theirs = map(np.asarray, (buffer.observations, buffer.rewards, self.model._last_obs))
        if not self.recorder.finite or not all(np.isfinite(x).all() for x in theirs):
            return "its task returned a value that is not finite"
        parameters = self.model.policy.parameters()
        if not all(bool(torch.isfinite(x).all()) for x in parameters):
            return "its parameters stopped being finite"
        if not self.measures.finite:
            return "its loss stopped being finite"
        return None

    def checkpoint(self, learner: int) -> None:
        """There is none: not all that the next iterations depend on can be taken out."""

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """There was nothing to put back."""
        raise ValueError(f"{self.config.algorithm.name} has no checkpoints")

    def state(self, learner: int) -> dict[str, Any]:
        """What `parameters.npz` keeps: SB3's `state_dict`, and the normalizer's statistics."""
        normalize = self.model.get_vec_normalize_env()
        return policy_state(self.model.policy) | normalizer_state(normalize)

    def close(self) -> None:
        """Close the environments."""
        self.recorder.close()


def policy_state(policy: ActorCriticPolicy) -> dict[str, Any]:
    """Parameters by their names in SB3, as arrays."""
    return {name: x.cpu().numpy().copy() for name, x in policy.state_dict().items()}


def normalizer_state(normalize: VecNormalize | None) -> dict[str, Any]:
    """By the names of `Collector.state`; of what nothing normalizes there is nothing."""
    if normalize is None:
        return {}
    rewards = normalize.ret_rms
    state = {"rewards.variance": np.array(rewards.var), "rewards.count": np.array(rewards.count)}
    if not normalize.norm_obs:
        return state
    assert not isinstance(normalize.obs_rms, dict)
    observations = normalize.obs_rms
    return state | {
        "observations.mean": observations.mean.copy(),
        "observations.variance": observations.var.copy(),
        "observations.count": np.array(observations.count),
    }


class Recorder(VecEnvWrapper):
    """Below any normalizer: counts steps, keeps what episodes returned, and takes the time.

    Where an episode that counts has ended, its `infos` say so: a `Monitor`'s, which adds up rewards
    in float64 before they become float32, or those of a game, which tells games and scores from
    lives and clipped rewards.

    Attributes:
        episodes: that ended in this iteration.
        finite: whether all that the tasks returned is a number.
        clock: seconds in the simulators in this iteration.
    """

    def __init__(self, envs: DummyVecEnv) -> None:
        """Listen to environments that have `Monitor`s, or none of which has one."""
        super().__init__(envs)
        self.monitors = [env for env in envs.envs if isinstance(env, Monitor)]
        assert len(self.monitors) in (0, self.num_envs)
        self.steps, self.iteration = 0, 0
        self.episodes, self.clock, self.finite = Episodes(), Stopwatch(), True

    def begin(self, iteration: int) -> None:
        """A new iteration, from 1."""
        self.iteration = iteration
        self.episodes = Episodes()
        self.clock.seconds = 0.0

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """One step of every environment."""
        self.clock.start()
        observations, rewards, ends, infos = self.venv.step_wait()
        self.clock.stop()
        self.steps += self.num_envs
        seen = np.asarray(observations)
        self.finite &= bool(np.isfinite(rewards).all() and np.isfinite(seen).all())
        for actor, info in enumerate(infos):
            if "episode" in info:
                total, length = self._result(actor, info["episode"])
                self.episodes.add(self.iteration, self.steps, actor, total, length)
        return observations, rewards, ends, infos

    def _result(self, actor: int, told: Mapping[str, float]) -> tuple[float, int]:
        """Return and length; what a `Monitor` tells is rounded, what it keeps is not."""
        if not self.monitors:
            return float(told["r"]), int(told["l"])
        monitor = self.monitors[actor]
        return float(monitor.episode_returns[-1]), int(monitor.episode_lengths[-1])


class Stopwatch:
    """Adds up the seconds between `start` and `stop`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin at 0."""
        self.seconds, self._clock, self._since = 0.0, clock, 0.0

    def start(self) -> None:
        """Begin a stretch."""
        self._since = self._clock()

    def stop(self) -> None:
        """End it."""
        self.seconds += self._clock() - self._since
