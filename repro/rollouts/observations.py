"""What becomes of observations during a rollout: kept, and made into what networks read.

`FlatObservations` normalizes vectors; `FrameObservations` keeps every frame of Atari once, as uint8
on the device of the networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import RecipeConfig
from repro.learning.normalize import ObservationNormalizer
from repro.networks.frames import FrameStacks, Inputs
from repro.rollouts.diagnosis import Oddity, first_not_finite

Array = np.ndarray[Any, Any]
Shape = tuple[int, int, int]  # P, T, N


class FlatObservations:
    """Float64 vectors [P, N, D] of the environments, normalized as the recipe says.

    Attributes:
        normalizer: of all learners.
        raw: as the environments gave them, float64 [P, T, N, D].
        inputs: as the networks see them, float32 [P, T, N, D], on the device.
    """

    values_while_acting = False  # one pass over the whole rollout is cheaper

    def __init__(
        self, shape: Shape, size: int, recipe: RecipeConfig, device: torch.device, finals: bool
    ) -> None:
        """Allocate for D = `size`, and for the last observations of episodes where they count."""
        self.normalizer = ObservationNormalizer(shape[0], size, recipe)
        self.raw = np.zeros((*shape, size))
        self.inputs = torch.zeros((*shape, size), device=device)
        self._finals = torch.zeros(*shape, size) if finals else None
        self._device = device

    def see(self, observations: Array) -> None:
        """The environments stand here now."""
        self.normalizer.observe_step(observations)

    def keep(self, t: int, observations: Array) -> Tensor:
        """Time t of the rollout begins with these; as the networks see them, [P, N, D].

        On a CPU: `repro.engines.cuda.Acting` does it elsewhere.
        """
        self.raw[:, t] = observations
        self.normalizer.apply(observations, out=self.inputs[:, t].numpy())
        return self.inputs[:, t]

    def keep_ends(self, t: int, ends: Array, finals: Array | None) -> None:
        """Episodes ended at time t, [P, N]; `finals` are their last observations, [P, N, D]."""
        if self._finals is not None and finals is not None:
            self.normalizer.apply(finals, out=self._finals[:, t].numpy())

    def encode(self, observations: Array) -> Tensor:
        """As the networks see them, [P, N, D]; nothing is kept."""
        encoded = torch.empty(observations.shape, dtype=torch.float32)
        self.normalizer.apply(observations, out=encoded.numpy())
        return encoded.to(self._device)

    def all_inputs(self) -> Inputs:
        """The rollout's, [P, T N, D]."""
        return self.inputs.flatten(1, 2)

    def all_finals(self) -> Tensor | None:
        """Last observations of episodes, [P, T N, D]; meaningless where none ended."""
        return None if self._finals is None else self._finals.to(self._device).flatten(1, 2)

    def finite(self, truncated: Array) -> Array:
        """Of the rollout, [P]; with the last observations that a truncated episode's value is of.

        Args:
            truncated: [P, T, N] bool.
        """
        finite = np.asarray(np.isfinite(self.raw).all((1, 2, 3)))
        if self._finals is not None:
            for p in np.flatnonzero(finite & truncated.any((1, 2))).tolist():
                finite[p] = self._last_is_finite(p, truncated).all()
        return finite

    def first_not_finite(
        self, learner: int, rewards: Array, truncated: Array, current: Array
    ) -> Oddity:
        """The first value of a learner's rollout, of which there is one, that is no number.

        Args:
            learner: which.
            rewards: [P, T, N].
            truncated: [P, T, N] bool.
            current: observations after the rollout, [P, N, D].
        """
        observations = np.concatenate([self.raw[learner], current[learner][None]])
        last = np.where(self._last_is_finite(learner, truncated), 0.0, np.nan)
        return first_not_finite(rewards[learner], last, observations)

    def _last_is_finite(self, learner: int, truncated: Array) -> Array:
        """[T, N, D]: whether those that a truncated episode's value is of are numbers."""
        if self._finals is None:
            return np.ones(self.raw.shape[1:], np.bool_)
        finite = np.isfinite(self._finals[learner].numpy())
        return np.asarray(finite | ~truncated[learner, :, :, None])

    def renormalize(self) -> Tensor | None:
        """Take the rollout into the statistics, and normalize it by the new ones.

        None, and nothing done, unless the recipe normalizes once a rollout.
        """
        if not self.normalizer.each_rollout:
            return None
        raw = self.raw.reshape(len(self.raw), -1, self.raw.shape[-1])
        self.normalizer.observe_rollout(raw)
        inputs = self.inputs.view(raw.shape)
        host = inputs if self._device.type == "cpu" else torch.empty(raw.shape)
        self.normalizer.apply(raw, out=host.numpy())
        return inputs if host is inputs else inputs.copy_(host)

    def state(self, learner: int) -> dict[str, Array]:
        """One learner's statistics by name."""
        moments = self.normalizer.moments
        return {
            "observations.mean": moments.mean[learner],
            "observations.variance": moments.variance[learner],
            "observations.count": moments.count[learner],
        }

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """For resuming."""
        return self.normalizer.checkpoint(learner)

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self.normalizer.restore(learner, state)


class FrameObservations:
    """Stacks of S frames, uint8 [P, N, S, H, W], of which only the newest frame is new.

    Row S - 1 + t of the frames is the newest at time t; the rows before are the rest of the stack
    at time 0. At the start of an episode a stack's older frames are copies of its first, or zeros:
    whichever the environment's own stack has is what the index points to.
    """

    values_while_acting = True  # the convolutions have been paid for

    def __init__(
        self, shape: Shape, frame_shape: tuple[int, ...], device: torch.device, zeros: bool
    ) -> None:
        """Allocate for stacks [S, H, W]; `zeros` says how episodes begin."""
        learners, horizon, num_envs = shape
        stack, *size = frame_shape
        rows = stack - 1 + horizon + 1  # the last stays black
        self._frames = torch.zeros(
            (learners, rows, num_envs, *size), dtype=torch.uint8, device=device
        )
        self._rows = np.zeros((learners, horizon, num_envs, stack), np.int64)
        self._first = np.zeros((learners, num_envs), np.int64)
        self._zeros, self._device = zeros, device

    def see(self, observations: Array) -> None:
        """Nothing is learned from them."""

    def keep(self, t: int, observations: Array) -> Tensor:
        """Time t of the rollout begins with these stacks; on the device, [P, N, S, H, W]."""
        stacks = torch.from_numpy(observations).to(self._device)
        stack = observations.shape[2]
        if t == 0:
            self._first[:] = 0
            self._frames[:, :stack] = stacks.transpose(1, 2)
        else:
            self._frames[:, stack - 1 + t] = stacks[:, :, -1]
        rows = t + np.arange(stack)
        first = self._first[..., None]
        outside = self._frames.shape[1] - 1 if self._zeros else first
        self._rows[:, t] = np.where(rows < first, outside, rows)
        return stacks

    def keep_ends(self, t: int, ends: Array, finals: Array | None) -> None:
        """Episodes ended at time t, [P, N]: the next begin with the frames that come then."""
        stack = self._rows.shape[-1]
        self._first[ends] = stack - 1 + t + 1

    def encode(self, observations: Array) -> Tensor:
        """On the device, [P, N, S, H, W]; nothing is kept."""
        return torch.from_numpy(observations).to(self._device)

    def all_inputs(self) -> Inputs:
        """The rollout's, P x T N stacks."""
        learners, _, num_envs, stack = self._rows.shape
        index = self._rows * num_envs + np.arange(num_envs)[:, None]
        index = index.reshape(learners, -1, stack)
        return FrameStacks(self._frames, torch.from_numpy(index).to(self._device))

    def all_finals(self) -> Tensor | None:
        """Never: `Collector` evaluates the few that count as they come."""
        return None

    def finite(self, truncated: Array) -> Array:
        """They are whole numbers: [P]."""
        return np.ones(len(self._rows), np.bool_)

    def first_not_finite(
        self, learner: int, rewards: Array, truncated: Array, current: Array
    ) -> Oddity:
        """A reward: frames are whole numbers. Arguments as in `FlatObservations`."""
        _, horizon, num_envs, _ = self._rows.shape
        nothing = np.zeros((horizon + 1, num_envs, 0))
        return first_not_finite(rewards[learner], nothing[1:], nothing)

    def renormalize(self) -> Tensor | None:
        """Frames are divided by 255, and no more."""
        return None

    def state(self, learner: int) -> dict[str, Array]:
        """No statistics."""
        return {}

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """Nothing: the environments hold the stacks that the next rollout begins with."""
        return {}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Nothing."""
