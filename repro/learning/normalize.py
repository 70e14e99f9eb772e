"""Running statistics of each learner's observations and rewards, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from repro.config.schema import RecipeConfig

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class RunningMoments:
    """Mean and variance [P, D] of all samples so far, by Chan et al.'s (1979) parallel update."""

    def __init__(self, learners: int, size: int, count: float) -> None:
        """Start from mean 0 and variance 1, weighted as `count` samples."""
        self.mean = np.zeros((learners, size))
        self.variance = np.ones((learners, size))
        self.count = np.full((learners, 1), count)

    def update(self, samples: Array) -> None:
        """Add [P, M, D] samples."""
        n = samples.shape[1]
        mean = samples.mean(axis=1)
        variance = np.square(samples - mean[:, None]).mean(axis=1)
        delta = mean - self.mean
        total = self.count + n
        squares = self.variance * self.count + variance * n + delta**2 * (self.count * n / total)
        # In place: the compiled kernels hold the addresses of these arrays.
        self.mean += delta * (n / total)
        np.divide(squares, total, out=self.variance)
        self.count[:] = total

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """One learner's moments, in float64."""
        return {
            "mean": self.mean[learner].copy(),
            "variance": self.variance[learner].copy(),
            "count": self.count[learner].copy(),
        }

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self.mean[learner] = state["mean"]
        self.variance[learner] = state["variance"]
        self.count[learner] = state["count"]


class ObservationNormalizer:
    """(s - mean) / std, clipped: switches `observation_*` of the recipe.

    Attributes:
        enabled: whether observations are normalized at all.
        center: the mean in force, [P, D].
        scale: 1 / std in force, [P, D].
        clip: the largest absolute value after normalization.
        floor: the least variance.
        epsilon: added to the variance.
    """

    def __init__(self, learners: int, size: int, recipe: RecipeConfig) -> None:
        """Keep statistics for P learners' observations of `size` numbers."""
        self.moments = RunningMoments(learners, size, recipe.normalizer_count)
        self.each_step = recipe.observation_normalization == "step"
        self.each_rollout = recipe.observation_normalization == "rollout"
        self.enabled = self.each_step or self.each_rollout
        self.clip = recipe.observation_clip or np.inf
        self.floor = recipe.observation_variance_floor
        self.epsilon = recipe.observation_epsilon
        self.center, self.scale = np.zeros((learners, size)), np.ones((learners, size))
        self._refresh()

    def observe_step(self, observations: Array) -> None:
        """Update the statistics from one step's [P, N, D], where the recipe does so each step."""
        if self.each_step:
            self.moments.update(observations)
            self._refresh()

    def observe_rollout(self, observations: Array) -> None:
        """Update the statistics from a rollout's [P, T N, D], where the recipe does so."""
        if self.each_rollout:
            self.moments.update(observations)
            self._refresh()

    def apply(
        self, observations: Array, out: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    ) -> None:
        """Write normalized [P, M, D] float64 observations to `out`, float32."""
        if not self.enabled:
            with np.errstate(over="ignore"):  # the collector reports it
                out[...] = observations
            return
        scaled = (observations - self.center[:, None]) * self.scale[:, None]
        np.clip(scaled, -self.clip, self.clip, out=scaled)
        out[...] = scaled

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """One learner's statistics; empty where nothing is normalized."""
        normalizes = self.each_step or self.each_rollout
        return self.moments.checkpoint(learner) if normalizes else {}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        if state:
            self.moments.restore(learner, state)
            self._refresh()

    def _refresh(self) -> None:
        # In place: the compiled kernels hold the addresses of these arrays.
        self.center[:] = self.moments.mean
        variance = np.maximum(self.moments.variance, self.floor) + self.epsilon
        self.scale[:] = 0  # what has never varied becomes 0
        np.divide(1, np.sqrt(variance), out=self.scale, where=variance != 0)


class RewardScaler:
    """r / std of the discounted return so far, clipped: switches `reward_*` of the recipe.

    Attributes:
        enabled: whether rewards are scaled at all.
        returns: discounted, of each environment so far, [P, N].
        moments: of the returns.
        gamma: discount, [P].
        reset: when a return starts again at 0: never, termination or episode.
        clip: the largest absolute value after scaling.
        epsilon: added to the variance.
    """

    def __init__(self, num_envs: int, gamma: Array, recipe: RecipeConfig) -> None:
        """Keep discounted returns per environment, statistics per learner; `gamma` is [P]."""
        self.enabled = recipe.reward_scaling
        self.returns = np.zeros((len(gamma), num_envs))
        self.moments = RunningMoments(len(gamma), 1, recipe.normalizer_count)
        self.gamma = np.ascontiguousarray(gamma, np.float64)
        self.reset = recipe.reward_accumulator_reset
        self.clip = recipe.reward_clip or np.inf
        self.epsilon = recipe.observation_epsilon

    def apply(self, rewards: Array, terminated: Mask, truncated: Mask) -> Array:
        """Scaled rewards of one step; all [P, N]."""
        if not self.enabled:
            return rewards
        if self.reset == "termination":  # as Gymnasium: before the last reward is added
            self.returns[terminated] = 0
        self.returns[:] = self.returns * self.gamma[:, None] + rewards
        self.moments.update(self.returns[:, :, None])
        if self.reset == "episode":
            self.returns[terminated | truncated] = 0
        std = np.sqrt(self.moments.variance + self.epsilon)
        scaled = np.divide(rewards, std, out=np.zeros_like(self.returns), where=std != 0)
        return np.clip(scaled, -self.clip, self.clip)

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """One learner's statistics and discounted returns; empty where nothing is scaled."""
        if not self.enabled:
            return {}
        return {"returns": self.returns[learner].copy(), **self.moments.checkpoint(learner)}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        if state:
            self.returns[learner] = state["returns"]
            self.moments.restore(learner, state)
