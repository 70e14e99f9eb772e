"""What an iteration computes between its rollout and its update, by the kernels of estimates.cpp.

Each call stands for dozens of NumPy's and torch's, which cost more than the arithmetic where a
rollout has a few samples. The bits are the same.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from repro.engines.buffers import Valued
from repro.engines.native.kernels import check_layout, library, pointer
from repro.engines.native.networks import Networks
from repro.engines.native.recording import (
    Normalizer,
    addresses,
    bound_normalizer,
    numbers,
    reals,
)
from repro.learning import advantages
from repro.learning.normalize import ObservationNormalizer

Array = np.ndarray[Any, Any]


class _Valuation(ctypes.Structure):
    """`Valuation` of estimates.cpp, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *addresses("critic"),
        *numbers("activation", "parameter_count"),
        *addresses("parameters"),
        *numbers("learners", "horizon", "num_envs", "features"),
        *addresses("inputs", "raw", "observations", "center", "scale"),
        *reals("clip", "largest"),
        *addresses("rewards", "truncated", "finals", "raw_finals"),
        *addresses("rounded", "values", "next_values", "finite"),
    ]


class _Renormalization(ctypes.Structure):
    """`Renormalization` of estimates.cpp, field by field."""

    _fields_ = [
        ("normalizer", Normalizer),
        *reals("clip"),
        *addresses("raw", "inputs"),
        *numbers("learners", "rows", "features"),
    ]


class RolloutArrays(NamedTuple):
    """A rollout in progress.

    Attributes:
        raw: observations, float64 [P, T, N, D].
        inputs: the same, normalized, float32.
        rewards: float64 [P, T, N].
        truncated: bool [P, T, N].
        raw_finals: the last observations of episodes, like `raw`; None unless values of truncated
            episodes count.
        finals: the same, normalized.
    """

    raw: Array
    inputs: Tensor
    rewards: Array
    truncated: Array
    raw_finals: Array | None
    finals: Tensor | None


class Valuation:
    """Values of a rollout's observations and of those after it, and whether all are usable."""

    def __init__(
        self,
        networks: Networks,
        normalizer: ObservationNormalizer,
        arrays: RolloutArrays,
        largest: float,
    ) -> None:
        """Bind arrays whose memory must not move.

        Args:
            networks: of which the critic is evaluated.
            normalizer: of the observations after the rollout.
            arrays: that hold the rollout.
            largest: absolute value of an observation that is usable.
        """
        check_layout(_Valuation, library().valuation_size())
        learners, horizon, num_envs, features = arrays.raw.shape
        self._alive = (networks, normalizer, arrays)
        self._shape = arrays.rewards.shape
        self._finite = np.zeros(learners, np.bool_)
        self._struct = _Valuation(
            critic=pointer(networks.critic, "int64"),
            activation=networks.activation,
            parameter_count=networks.critic_parameters.flat.shape[1],
            parameters=pointer(networks.critic_parameters.flat),
            learners=learners,
            horizon=horizon,
            num_envs=num_envs,
            features=features,
            inputs=pointer(arrays.inputs),
            raw=pointer(arrays.raw, "float64"),
            center=pointer(normalizer.center, "float64") if normalizer.enabled else None,
            scale=pointer(normalizer.scale, "float64") if normalizer.enabled else None,
            clip=normalizer.clip,
            largest=largest,
            rewards=pointer(arrays.rewards, "float64"),
            truncated=pointer(arrays.truncated, "bool"),
            finals=pointer(arrays.finals),
            raw_finals=pointer(arrays.raw_finals, "float64"),
            finite=pointer(self._finite, "bool"),
        )
        self._call, self._address = library().value_rollout, ctypes.addressof(self._struct)

    def __call__(self, observations: Array) -> Valued:
        """Evaluate the rollout that the arrays hold; `observations` [P, N, D] came after it."""
        observations = np.ascontiguousarray(observations, np.float64)  # a copy only of other types
        rewards, values, next_values = (torch.empty(self._shape) for _ in range(3))
        struct = self._struct
        struct.observations = observations.ctypes.data
        struct.rounded, struct.values = rewards.data_ptr(), values.data_ptr()
        struct.next_values = next_values.data_ptr()
        self._call(self._address)
        return Valued(rewards, values, next_values, self._finite.copy())


class Renormalization:
    """An update of a normalizer by a rollout, and the rollout normalized by it."""

    def __init__(self, normalizer: ObservationNormalizer, raw: Array, inputs: Tensor) -> None:
        """Bind arrays whose memory must not move: [P, T, N, D], float64 and float32."""
        check_layout(_Renormalization, library().renormalization_size())
        self._alive = (normalizer, raw, inputs)
        self._struct = _Renormalization(
            normalizer=bound_normalizer(normalizer),
            clip=normalizer.clip,
            raw=pointer(raw, "float64"),
            inputs=pointer(inputs),
            learners=len(raw),
            rows=raw.shape[1] * raw.shape[2],
            features=raw.shape[3],
        )
        self._call, self._address = library().renormalize, ctypes.addressof(self._struct)

    def __call__(self) -> None:
        """Read `raw`; write `inputs` and the normalizer's statistics."""
        self._call(self._address)


def gae(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    discounts: Tensor,
    ends: Tensor,
    gae_lambda: Tensor,
) -> Tensor:
    """`repro.learning.advantages.gae` in one call, with its bits, of tensors on the host."""
    if rewards.dtype != torch.float32:  # no rollout has them so
        return advantages.gae(rewards, values, next_values, discounts, ends, gae_lambda)
    given = [x.contiguous() for x in (rewards, values, next_values, discounts, ends, gae_lambda)]
    types = ("float32", "float32", "float32", "float32", "bool", "float32")
    out = torch.empty(rewards.shape)
    addresses = [pointer(x, dtype) for x, dtype in zip(given, types, strict=True)]
    library().gae(*rewards.shape, *addresses, out.data_ptr())
    return out
