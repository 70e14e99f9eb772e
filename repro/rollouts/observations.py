"""Storage of a rollout's observations, as environments return them and as networks read them.

`FlatObservations` normalizes vectors. `FrameObservations` stores each Atari frame once, as uint8 on
the device of the networks.

Axes: P learners, T steps, N environments of a learner, D entries of an observation; S frames of
H x W pixels in a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import RecipeConfig
from repro.engines import selection
from repro.engines.cuda import sent
from repro.engines.native import Networks, RolloutArrays, Valuation
from repro.learning.normalize import ObservationNormalizer
from repro.networks.bound import BoundPolicy
from repro.networks.frames import FrameStacks, Inputs
from repro.rollouts.diagnosis import (
    FLOAT32_MAX,
    FLOAT64_MAX,
    BadValue,
    first_bad_value,
    usable,
)

Array = np.ndarray[Any, Any]
Shape = tuple[int, int, int]  # P, T, N


class FlatObservations:
    """Vectors, normalized as the recipe says.

    Attributes:
        normalizer: of all learners.
        raw: as the environments return them, float64 [P, T, N, D].
        inputs: as the networks read them, float32 [P, T, N, D], on the device.
    """

    values_while_acting = False  # one pass over the whole rollout is cheaper

    def __init__(
        self, shape: Shape, size: int, recipe: RecipeConfig, device: torch.device, finals: bool
    ) -> None:
        """Allocate the buffers.

        Args:
            shape: (P, T, N).
            size: D.
            recipe: how observations are normalized.
            device: of the networks.
            finals: whether to store the last observations of episodes, which bootstrapping needs.
        """
        self.normalizer = ObservationNormalizer(shape[0], size, recipe)
        self.raw = np.zeros((*shape, size))
        self.inputs = torch.zeros((*shape, size), device=device)
        self._finals = torch.zeros(*shape, size) if finals else None
        self._raw_finals = np.zeros((*shape, size)) if finals else None
        # What is normalized is computed in float64 first.
        self._largest = FLOAT64_MAX if self.normalizer.enabled else FLOAT32_MAX
        self._device = device
        self._renormalization: Callable[[], None] | None = None

    def bind(
        self, networks: BoundPolicy | Networks, rewards: Array, truncated: Array
    ) -> Valuation | None:
        """Compile what can be, beside these networks; returns what evaluates whole rollouts.

        Args:
            networks: which read the rollouts.
            rewards: of the rollout in progress, float64 [P, T, N].
            truncated: likewise, bool.
        """
        normalizer, raw, inputs = self.normalizer, self.raw, self.inputs
        self._renormalization = selection.renormalization(networks, normalizer, raw, inputs)
        arrays = RolloutArrays(raw, inputs, rewards, truncated, self._raw_finals, self._finals)
        return selection.valuation(networks, normalizer, arrays, self._largest)

    def observe(self, observations: Array) -> None:
        """Update a normalizer that learns at every step with the observations [P, N, D]."""
        self.normalizer.observe_step(observations)

    def store(self, t: int, observations: Array) -> Tensor:
        """Store the observations at time t of the rollout; returns them normalized, [P, N, D].

        For the CPU. On a GPU, `repro.engines.cuda.Acting` does this.
        """
        self.raw[:, t] = observations
        self.normalizer.apply(observations, out=self.inputs[:, t].numpy())
        return self.inputs[:, t]

    def store_ends(self, t: int, ends: Array, finals: Array | None) -> None:
        """Store the last observations [P, N, D] of the episodes that ended at time t, [P, N]."""
        if self._finals is not None and self._raw_finals is not None and finals is not None:
            self._raw_finals[:, t] = finals
            self.normalizer.apply(finals, out=self._finals[:, t].numpy())

    def newest(self, current: Array) -> Array:
        """The rollout's observations and those after it, float64 [P, T + 1, N, D]."""
        return np.concatenate([self.raw, current[:, None]], axis=1)

    def encode(self, observations: Array) -> Tensor:
        """Normalize observations [P, M, D] without storing them."""
        encoded = torch.empty(observations.shape, dtype=torch.float32)
        self.normalizer.apply(observations, out=encoded.numpy())
        return sent(encoded, self._device)

    def all_inputs(self) -> Inputs:
        """The networks' inputs of the rollout, [P, T N, D]."""
        return self.inputs.flatten(1, 2)

    def all_finals(self) -> Tensor | None:
        """The last observations of episodes, [P, T N, D]; arbitrary where none ended."""
        return None if self._finals is None else sent(self._finals, self._device).flatten(1, 2)

    def usable(self, truncated: Array, current: Array) -> Array:
        """Whether the networks can read all of each learner's observations, [P] bool.

        Last observations of truncated episodes count too, since values are computed from them.

        Args:
            truncated: [P, T, N] bool.
            current: observations after the rollout, [P, N, D].
        """
        good = usable(self.raw, self._largest).all((1, 2, 3))
        good = np.asarray(good & usable(current, self._largest).all((1, 2)))
        for p in np.flatnonzero(good & truncated.any((1, 2))).tolist():
            good[p] = usable(self._last(p, truncated), self._largest).all()
        return good

    def first_bad_value(
        self, learner: int, rewards: Array, truncated: Array, current: Array
    ) -> BadValue:
        """The first value of a learner's rollout that is not usable. There must be one.

        Args:
            learner: which of the P.
            rewards: [P, T, N].
            truncated: [P, T, N] bool.
            current: observations after the rollout, [P, N, D].
        """
        observations = np.concatenate([self.raw[learner], current[learner][None]])
        last = self._last(learner, truncated)
        return first_bad_value(rewards[learner], last, observations, self._largest)

    def _last(self, learner: int, truncated: Array) -> Array:
        """Last observations of truncated episodes as returned, [T, N, D]; 0 elsewhere."""
        if self._raw_finals is None:
            return np.zeros(self.raw.shape[1:])
        return np.where(truncated[learner, :, :, None], self._raw_finals[learner], 0)

    def renormalize(self) -> Tensor | None:
        """Update the normalizer with the rollout, and normalize the rollout again.

        Returns:
            The new inputs, [P, T N, D]; None where the recipe does not normalize once a rollout.
        """
        if not self.normalizer.each_rollout:
            return None
        if self._renormalization is not None:  # what follows, compiled
            self._renormalization()
            return self.inputs.flatten(1, 2)
        raw = self.raw.reshape(len(self.raw), -1, self.raw.shape[-1])
        self.normalizer.observe_rollout(raw)
        inputs = self.inputs.view(raw.shape)
        host = inputs if self._device.type == "cpu" else torch.empty(raw.shape)
        self.normalizer.apply(raw, out=host.numpy())
        return inputs if host is inputs else inputs.copy_(sent(host, self._device))

    def state(self, learner: int) -> dict[str, Array]:
        """One learner's statistics by name, for `parameters.npz`."""
        moments = self.normalizer.moments
        return {
            "observations.mean": moments.mean[learner],
            "observations.variance": moments.variance[learner],
            "observations.count": moments.count[learner],
        }

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """The state of one learner's normalizer."""
        return self.normalizer.checkpoint(learner)

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self.normalizer.restore(learner, state)


class FrameObservations:
    """Stacks of S frames, uint8 [P, N, S, H, W], of which only the newest frame is stored.

    `frames` are uint8 [P, S + T, N, H, W], on the device.

    Rows 0 to S - 1 of the frames are the stack at time 0; row S - 1 + t is the newest frame at time
    t. At the start of an episode the older frames of a stack are copies of its first frame, or
    zeros. The index of each stack points to the frames that the environment's own stack holds.
    """

    values_while_acting = True  # acting computes the convolutions, so that values cost little more

    def __init__(
        self, shape: Shape, frame_shape: tuple[int, ...], device: torch.device, zeros: bool
    ) -> None:
        """Allocate the buffers.

        Args:
            shape: (P, T, N).
            frame_shape: (S, H, W).
            device: of the networks.
            zeros: whether stacks are padded with zeros at the start of an episode.
        """
        learners, horizon, num_envs = shape
        stack, *size = frame_shape
        rows = stack - 1 + horizon + 1  # the last one stays zero, for padding
        self.frames = torch.zeros(
            (learners, rows, num_envs, *size), dtype=torch.uint8, device=device
        )
        self._rows = np.zeros((learners, horizon, num_envs, stack), np.int64)
        self._first = np.zeros((learners, num_envs), np.int64)
        self._zeros, self._device = zeros, device

    def observe(self, observations: Array) -> None:
        """Does nothing: frames have no normalizer."""

    def store(self, t: int, observations: Array) -> Tensor:
        """Store the stacks at time t of the rollout; returns them.

        For the CPU. On a GPU, `repro.engines.cuda.FrameActing` does this.
        """
        stacks = torch.from_numpy(observations)
        stack = observations.shape[2]
        if t == 0:
            self.frames[:, :stack] = stacks.transpose(1, 2)
        else:
            self.frames[:, stack - 1 + t] = stacks[:, :, -1]
        self.place(t)
        return stacks

    def place(self, t: int) -> Array:
        """The rows of `frames` that make the stacks at time t, [P, N, S]; stores them."""
        if t == 0:
            self._first[:] = 0
        rows = t + np.arange(self._rows.shape[-1])
        first = self._first[..., None]
        padding = self.frames.shape[1] - 1 if self._zeros else first
        self._rows[:, t] = np.where(rows < first, padding, rows)
        return self._rows[:, t]

    def store_ends(self, t: int, ends: Array, finals: Array | None) -> None:
        """Start the next episodes at time t + 1 where episodes ended at time t, [P, N]."""
        stack = self._rows.shape[-1]
        self._first[ends] = stack - 1 + t + 1

    def newest(self, current: Array) -> Array:
        """The newest frames of the rollout's stacks and of those after it, [P, T + 1, N, H, W]."""
        stack = self._rows.shape[-1]
        frames = self.frames[:, stack - 1 : -1].cpu().numpy()
        return np.concatenate([frames, current[:, None, :, -1]], axis=1)

    def encode(self, observations: Array) -> Tensor:
        """Move stacks [P, M, S, H, W] to the device without storing them."""
        return sent(observations, self._device)

    def all_inputs(self) -> Inputs:
        """The rollout's stacks, T N of each learner."""
        learners, _, num_envs, stack = self._rows.shape
        index = self._rows * num_envs + np.arange(num_envs)[:, None]
        index = index.reshape(learners, -1, stack)
        return FrameStacks(self.frames, sent(index, self._device))

    def all_finals(self) -> Tensor | None:
        """None: `Collector` computes values of last stacks when episodes end."""
        return None

    def usable(self, truncated: Array, current: Array) -> Array:
        """All true, [P]: frames are integers."""
        return np.ones(len(self._rows), np.bool_)

    def first_bad_value(
        self, learner: int, rewards: Array, truncated: Array, current: Array
    ) -> BadValue:
        """The first reward that is not usable; arguments as in `FlatObservations`."""
        _, horizon, num_envs, _ = self._rows.shape
        no_observations = np.zeros((horizon + 1, num_envs, 0))
        nothing, before = no_observations[1:], no_observations
        return first_bad_value(rewards[learner], nothing, before, FLOAT32_MAX)

    def renormalize(self) -> Tensor | None:
        """None: the networks divide frames by 255, and no statistics are kept."""
        return None

    def state(self, learner: int) -> dict[str, Array]:
        """Empty: there are no statistics."""
        return {}

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """Empty: the next rollout starts from the stacks that the environments hold."""
        return {}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Does nothing."""
