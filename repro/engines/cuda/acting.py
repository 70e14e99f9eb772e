"""One environment step's decisions of a whole pack on a GPU: a copy in, a graph, a copy out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines.buffers import Buffers, FrameBuffers
from repro.engines.cuda.graphs import Repeated
from repro.engines.cuda.transfers import sent
from repro.learning.normalize import ObservationNormalizer
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import Categorical, Distribution

Array = np.ndarray[Any, Any]


class _RoundTrip:
    """What both kinds of acting share: one page-locked copy in, a recorded step, one copy out.

    A step waits for the device once, to fetch the actions.
    """

    def __init__(
        self, networks: BoundPolicy, buffers: Buffers | FrameBuffers, size: int, kind: torch.dtype
    ) -> None:
        """Reserve memory for what travels in, `size` numbers of one kind, and for the actions."""
        self._networks, self._kept = networks, buffers
        self._device = buffers.actions.device
        self._staged = self._host((size,), kind)
        self._sent = torch.zeros_like(self._staged, device=self._device)
        self._time = torch.zeros(1, dtype=torch.int64, device=self._device)
        learners, _, num_envs, entries = buffers.actions.shape
        discrete = networks.policy.discrete
        shape = (learners, num_envs) if discrete else (learners, num_envs, entries)
        kind = torch.int64 if discrete else torch.float32
        self._actions = torch.zeros(shape, dtype=kind, device=self._device)
        self._fetched = self._host(shape, kind)
        cuda = self._device.type == "cuda"
        self._step = Repeated(records=cuda)
        self._done: Any = torch.cuda.Event() if cuda else None  # type: ignore[no-untyped-call]

    def _host(self, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
        """Zeros on the host; page-locked for copies from and to a GPU."""
        return torch.zeros(shape, dtype=kind, pin_memory=self._device.type == "cuda")

    def _travel(self, t: int, decide: Callable[[Tensor], None]) -> Array:
        """The actions [P N, ...] that `decide` makes of what is staged.

        Times must run from 0 upwards: the device counts them itself.
        """
        if t == 0:
            self._time.zero_()
        self._sent.copy_(self._staged, non_blocking=True)
        self._step(decide, self._sent)
        self._fetched.copy_(self._actions, non_blocking=True)
        if self._done is not None:
            self._done.record()
            self._done.synchronize()
        return self._fetched.flatten(0, 1).numpy()

    def _sample(self, distribution: Distribution) -> Tensor:
        """Draw the actions, and keep them and the policy's statistics."""
        actions = distribution.sample(self._kept.noise.index_select(1, self._time)[:, 0])
        kept = actions[..., None] if isinstance(distribution, Categorical) else actions
        self._keep(self._kept.statistics, distribution[0])
        self._keep(self._kept.actions, kept.float())
        return actions

    def _keep(self, buffer: Tensor, x: Tensor) -> None:
        buffer.index_copy_(1, self._time, x[:, None])


class Acting(_RoundTrip):
    """Normalizes, acts and fills the buffers, as `Collector` does in torch, on the device.

    The statistics of observations stay with the simulators on the host, and travel with the
    observations.
    """

    def __init__(
        self,
        networks: BoundPolicy,
        normalizer: ObservationNormalizer,
        buffers: Buffers,
        box: tuple[Tensor, Tensor] | None,
    ) -> None:
        """Bind tensors whose memory must not move; all but `raw` are on the device.

        Args:
            networks: pi of P learners.
            normalizer: of their observations; each step uses its current statistics.
            buffers: [P, T, N, ...].
            box: bounds that clip the environments' actions.
        """
        self._normalizer, self._box, self._buffers = normalizer, box, buffers
        learners, _, num_envs, size = buffers.raw.shape
        self._shapes = [(learners, num_envs, size), (learners, 1, size), (learners, 1, size)]
        self._sizes = [int(np.prod(shape)) for shape in self._shapes]
        super().__init__(networks, buffers, sum(self._sizes), torch.float64)

    @torch.no_grad()
    def __call__(self, t: int, observations: Array) -> Array:
        """Actions [P N, ...] at time t's observations [P, N, D]; overwritten by the next call."""
        self._buffers.raw[:, t] = observations
        parts = (observations, self._normalizer.center, self._normalizer.scale)
        np.concatenate([part.ravel() for part in parts], out=self._staged.numpy())
        return self._travel(t, self._decide)

    def _decide(self, sent: Tensor) -> None:
        pieces = zip(torch.split(sent, self._sizes), self._shapes, strict=True)
        observations, center, scale = (piece.view(shape) for piece, shape in pieces)
        if self._normalizer.enabled:
            limit = self._normalizer.clip
            observations = ((observations - center) * scale).clamp_(-limit, limit)
        inputs = observations.float()
        self._keep(self._buffers.inputs, inputs)
        actions = self._sample(self._networks.distribution(inputs))
        self._actions.copy_(actions if self._box is None else actions.clamp(*self._box))
        self._time += 1


class FrameActing(_RoundTrip):
    """The same for stacks of frames: the newest frame of each travels, and which make a stack.

    The device has the older frames from the steps before. A rollout's first step alone sends them.
    """

    def __init__(
        self, networks: BoundPolicy, buffers: FrameBuffers, place: Callable[[int], Array]
    ) -> None:
        """Bind tensors whose memory must not move.

        Args:
            networks: pi and V of P learners.
            buffers: on the device.
            place: time -> the rows of `frames` that make the stacks at that time, [P, N, S].
        """
        self._buffers, self._place = buffers, place
        learners, rows, num_envs, *size = buffers.frames.shape
        self._stack = rows - buffers.values.shape[1]  # R = S - 1 + T + 1
        self._shape = (learners, num_envs, self._stack, *size)
        self._pictures = buffers.frames.flatten(0, 2)  # [P R N, H, W]
        self._first = np.arange(learners)[:, None, None] * rows
        self._actor = np.arange(num_envs)[:, None]
        count = learners * num_envs * self._stack
        self._split = count * np.dtype(np.int64).itemsize
        new = learners * num_envs * int(np.prod(size))
        super().__init__(networks, buffers, self._split + new, torch.uint8)
        staged = self._staged.numpy()
        self._index = staged[: self._split].view(np.int64).reshape(self._shape[:3])
        self._newest = staged[self._split :].reshape(learners, num_envs, *size)

    @torch.no_grad()
    def __call__(self, t: int, observations: Array) -> Array:
        """Actions [P N] at time t's stacks [P, N, S, H, W]; overwritten by the next call."""
        if t == 0 and self._stack > 1:
            older = sent(observations[:, :, :-1].copy(), self._device)
            self._buffers.frames[:, : self._stack - 1] = older.transpose(1, 2)
        rows = self._place(t)
        self._index[:] = (self._first + rows) * len(self._actor) + self._actor
        self._newest[:] = observations[:, :, -1]
        return self._travel(t, self._decide)

    def _decide(self, sent: Tensor) -> None:
        index, newest = sent[: self._split].view(torch.int64), sent[self._split :]
        learners, num_envs, _, *size = self._shape
        newest = newest.view(learners, 1, num_envs, *size)
        self._buffers.frames.index_copy_(1, self._time + self._stack - 1, newest)
        stacks = self._pictures.index_select(0, index).view(self._shape)
        distribution, values = self._networks.evaluate(stacks)
        self._keep(self._buffers.values, values)
        self._actions.copy_(self._sample(distribution))
        self._time += 1
