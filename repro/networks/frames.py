"""Stacks of frames as samples, with each frame stored once.

A rollout of T steps of N actors has T N stacks of S frames, but only T + S - 1 frames per actor.
`FrameStacks` holds these frames and an index, and builds the stacks of a minibatch when they are
needed. Frames stay uint8 until a network reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class FrameStacks:
    """B = T N stacks of each of P learners, time-major, over frames [P, R, N, H, W], uint8."""

    def __init__(self, frames: Tensor, index: Tensor) -> None:
        """Take the frames, and which of a learner's R N frames make each stack, int64 [P, B, S]."""
        self._all, self.index = frames, index
        self._frames, self._size = frames.flatten(3).flatten(1, 2), frames.shape[3:]

    @classmethod
    def of(cls, stacks: Tensor) -> FrameStacks:
        """Stacks that are not stored as frames, uint8 [P, M, S, H, W]."""
        learners, samples, stack = stacks.shape[:3]
        index = torch.arange(samples * stack, device=stacks.device).view(samples, stack)
        return cls(stacks.contiguous(), index.expand(learners, -1, -1).contiguous())

    @property
    def frames(self) -> Tensor:
        """Each learner's frames in the order of `index`, uint8 [P, R N, H, W]."""
        return self._frames.view(*self._frames.shape[:2], *self._size)

    def with_index(self, index: Tensor) -> FrameStacks:
        """Other stacks of the same frames."""
        return FrameStacks(self._all, index)

    @property
    def count(self) -> int:
        """B, the number of stacks of each learner."""
        return self.index.shape[1]

    @property
    def device(self) -> torch.device:
        """The device of the frames."""
        return self._frames.device

    def select(self, samples: Tensor) -> FrameStacks:
        """Some stacks of each learner, not yet built: indices int64 [P, M]."""
        learner = torch.arange(len(samples), device=self.index.device)[:, None]
        return self.with_index(self.index[learner, samples])

    def take(self, samples: Tensor) -> Tensor:
        """Build some stacks of each learner: indices int64 [P, M] -> uint8 [P, M, S, H, W]."""
        learners, _, stack = self.index.shape
        learner = torch.arange(learners, device=self.index.device)[:, None]
        index = self.index[learner, samples] + learner[..., None] * self._frames.shape[1]
        pixels = self._frames.flatten(0, 1).index_select(0, index.flatten())
        return pixels.view(*samples.shape, stack, *self._size)

    def numbers(self) -> Tensor:
        """The indices 0 to B - 1 for `take`, as float32 (exact below 2^24): [P, B]."""
        number = torch.arange(self.count, dtype=torch.float32, device=self.index.device)
        return number.expand(len(self.index), -1)

    def chunks(self, size: int) -> Iterator[Tensor]:
        """All stacks in order, at most `size` of each learner at a time."""
        numbers = torch.arange(self.count, device=self.index.device)
        for part in torch.split(numbers, size):
            yield self.take(part.expand(len(self.index), -1))


Inputs = Tensor | FrameStacks
"""What networks read: vectors [P, M, D], frames uint8 [P, M, S, H, W], or `FrameStacks`."""
