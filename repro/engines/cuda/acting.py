"""One environment step's decisions of a whole pack on a GPU: a copy in, a graph, a copy out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines.buffers import Buffers
from repro.engines.cuda.graphs import Repeated
from repro.learning.normalize import ObservationNormalizer
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import Categorical

Array = np.ndarray[Any, Any]


class Acting:
    """Normalizes, acts and fills the buffers, as `Collector` does in torch, on the device.

    The statistics of observations stay with the simulators on the host. They travel with the
    observations in one page-locked copy, so that a step waits for the device once, to fetch the
    actions.
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
        self._networks, self._normalizer, self._box = networks, normalizer, box
        self._buffers, self._device = buffers, buffers.actions.device
        learners, _, num_envs, size = buffers.raw.shape
        self._shapes = [(learners, num_envs, size), (learners, 1, size), (learners, 1, size)]
        self._sizes = [int(np.prod(shape)) for shape in self._shapes]
        self._staged = self._host((sum(self._sizes),), torch.float64)
        self._sent = torch.zeros_like(self._staged, device=self._device)
        self._time = torch.zeros(1, dtype=torch.int64, device=self._device)
        policy = networks.policy
        shape = (
            (learners, num_envs) if policy.discrete else (learners, num_envs, policy.action_size)
        )
        kind = torch.int64 if policy.discrete else torch.float32
        self._actions = torch.zeros(shape, dtype=kind, device=self._device)
        self._fetched = self._host(shape, kind)
        cuda = self._device.type == "cuda"
        self._step = Repeated(records=cuda)
        self._done: Any = torch.cuda.Event() if cuda else None  # type: ignore[no-untyped-call]

    def _host(self, shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
        """Zeros on the host; page-locked for copies from and to a GPU."""
        return torch.zeros(shape, dtype=kind, pin_memory=self._device.type == "cuda")

    @torch.no_grad()
    def __call__(self, t: int, observations: Array) -> Array:
        """Actions [P N, ...] at time t's observations [P, N, D]; overwritten by the next call.

        Times must run from 0 upwards: the device counts them itself.
        """
        self._buffers.raw[:, t] = observations
        if t == 0:
            self._time.zero_()
        parts = (observations, self._normalizer.center, self._normalizer.scale)
        np.concatenate([part.ravel() for part in parts], out=self._staged.numpy())
        self._sent.copy_(self._staged, non_blocking=True)
        self._step(self._decide, self._sent)
        self._fetched.copy_(self._actions, non_blocking=True)
        if self._done is not None:
            self._done.record()
            self._done.synchronize()
        return self._fetched.flatten(0, 1).numpy()

    def _decide(self, sent: Tensor) -> None:
        pieces = zip(torch.split(sent, self._sizes), self._shapes, strict=True)
        observations, center, scale = (piece.view(shape) for piece, shape in pieces)
        if self._normalizer.enabled:
            limit = self._normalizer.clip
            observations = ((observations - center) * scale).clamp_(-limit, limit)
        inputs = observations.float()
        distribution = self._networks.distribution(inputs)
        actions = distribution.sample(self._buffers.noise.index_select(1, self._time)[:, 0])
        kept = actions[..., None] if isinstance(distribution, Categorical) else actions
        self._keep(self._buffers.inputs, inputs)
        self._keep(self._buffers.statistics, distribution[0])
        self._keep(self._buffers.actions, kept.float())
        self._actions.copy_(actions if self._box is None else actions.clamp(*self._box))
        self._time += 1

    def _keep(self, buffer: Tensor, x: Tensor) -> None:
        buffer.index_copy_(1, self._time, x[:, None])
