"""One environment step's decisions of a whole pack in one call of rollout.cpp."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from torch import Tensor

from repro.engines.buffers import Buffers
from repro.engines.native.kernels import check_layout, library, pointer
from repro.engines.native.networks import Candidates, Networks
from repro.learning.normalize import ObservationNormalizer

Array = np.ndarray[Any, Any]


class _Acting(ctypes.Structure):
    """`Acting` of acting.h, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        ("actor", ctypes.c_void_p),
        ("activation", ctypes.c_int64),
        ("parameter_count", ctypes.c_int64),
        ("own", ctypes.c_int64),
        ("parameters", ctypes.c_void_p),
        ("log_std", ctypes.c_void_p),
        ("log_std_stride", ctypes.c_int64),
        ("learners", ctypes.c_int64),
        ("horizon", ctypes.c_int64),
        ("num_envs", ctypes.c_int64),
        ("center", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("clip", ctypes.c_double),
        ("raw", ctypes.c_void_p),
        ("inputs", ctypes.c_void_p),
        ("discrete", ctypes.c_int64),
        ("noise", ctypes.c_void_p),
        ("statistics", ctypes.c_void_p),
        ("actions", ctypes.c_void_p),
        ("box_low", ctypes.c_void_p),
        ("box_high", ctypes.c_void_p),
    ]


class Acting:
    """Normalizes, acts and fills the buffers: one call in place of some twenty torch calls.

    Attributes:
        action_size: A.
        address: of the structure that the kernels read.
    """

    def __init__(
        self,
        networks: Networks | Candidates,
        normalizer: ObservationNormalizer,
        buffers: Buffers,
        box: tuple[Tensor, Tensor] | None,
    ) -> None:
        """Bind arrays whose memory must not move; `box` clips the environments' actions."""
        check_layout(_Acting, library().acting_size())
        learners, horizon, num_envs = buffers.raw.shape[:3]
        std = networks.log_stds
        low, high = box if box is not None else (None, None)
        self.action_size, self._discrete = networks.action_size, networks.policy.discrete
        self._networks, self._buffers = networks, buffers
        self._alive = (normalizer, box)
        self._struct = _Acting(
            actor=pointer(networks.actor, "int64"),
            activation=networks.activation,
            parameter_count=networks.parameter_count,
            own=isinstance(networks, Candidates),
            parameters=pointer(networks.actor_parameters),
            log_std=None if std is None else std.data_ptr(),
            log_std_stride=0 if std is None else std.stride(0),
            learners=learners,
            horizon=horizon,
            num_envs=num_envs,
            center=pointer(normalizer.center, "float64") if normalizer.enabled else None,
            scale=pointer(normalizer.scale, "float64") if normalizer.enabled else None,
            clip=normalizer.clip,
            raw=pointer(buffers.raw, "float64"),
            inputs=pointer(buffers.inputs),
            discrete=self._discrete,
            noise=pointer(buffers.noise),
            statistics=pointer(buffers.statistics),
            actions=pointer(buffers.actions),
            box_low=pointer(low),
            box_high=pointer(high),
        )
        self.address = ctypes.addressof(self._struct)
        self._act = library().act
        size = () if self._discrete else (networks.action_size,)
        self._out = np.zeros((learners * num_envs, *size), np.float32)
        self._out_address = pointer(self._out)

    def __call__(self, t: int, observations: Array) -> Array:
        """Actions at time t's observations [P, N, D]; overwritten by the next call.

        Returns:
            Floats [P N, A], or indices [P N] where actions are discrete.
        """
        observations = np.ascontiguousarray(observations, np.float64)  # a copy only of other types
        close = self._act(self.address, t, observations.ctypes.data, self._out_address)
        if not self._discrete:
            return self._out
        return self._draw(t) if close else self._out.astype(np.int64)

    def _draw(self, t: int) -> Array:
        """Draw discrete actions by torch, which defines them to the last bit."""
        statistics, noise = self._buffers.statistics[:, t], self._buffers.noise[:, t]
        actions = self._networks.as_distribution(statistics).sample(noise)
        self._buffers.actions[:, t, :, 0] = actions
        return np.asarray(actions.flatten().numpy())
