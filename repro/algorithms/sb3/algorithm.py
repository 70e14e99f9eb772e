"""Stable-Baselines3 with the interface of this project's algorithms: one run, by iterations.

    for iteration = 1, 2, ...
        collect        model.collect_rollouts
        optimize       model.train
        measure        the columns of the progress table, defined as for our algorithms

These are the calls of its `learn`, in its order: the parameters equal those of `learn` to the bit
(`tests/algorithms/sb3/test_algorithm.py`). It cannot be resumed, so it saves no checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecNormalize

from repro.algorithms.iteration import Iteration
from repro.algorithms.sb3 import mapping
from repro.algorithms.sb3.measures import Measures
from repro.algorithms.sb3.recorder import Recorder, Stopwatch
from repro.config.schema import Config
from repro.engines.selection import TORCH


class StableBaselines3:
    """One run. State: that of `model`, and the episodes in progress in `recorder`."""

    engine = TORCH

    def __init__(self, config: Config, device: torch.device) -> None:
        """Make the environments and the model.

        Args:
            config: of an algorithm named sb3_*; `config.sb3.check` has accepted it.
            device: of the networks.

        Raises:
            ConfigError: a task that cannot be made.
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
            reason = self._what_is_not_finite() or self.measures.invalid_distribution()
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
        """Seconds of the update, and metrics; the body of `OnPolicyAlgorithm.learn`."""
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
        """The task's values are checked first: they can spoil parameters, never the reverse."""
        buffer = self.model.rollout_buffer
        values = map(np.asarray, (buffer.observations, buffer.rewards, self.model._last_obs))
        if not self.recorder.finite or not all(np.isfinite(x).all() for x in values):
            return self._complaint() or "its task returned a value that is not finite in float32"
        parameters = self.model.policy.parameters()
        if not all(bool(torch.isfinite(x).all()) for x in parameters):
            return "its parameters stopped being finite"
        if not self.measures.finite:
            return "its loss stopped being finite"
        return None

    def _complaint(self) -> str | None:
        found = (env.get_wrapper_attr("complaint") for env in self.recorder.monitors)
        return next((text for text in found if text is not None), None)

    def checkpoint(self, learner: int) -> None:
        """None: Stable-Baselines3 does not give access to its whole state."""

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Never: there are no checkpoints."""
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
    """Statistics by the names of `Collector.state`; none where nothing is normalized."""
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
