"""What a step leaves in the rollout and in the statistics, in one call of recording.h."""

from __future__ import annotations

import ctypes
import operator
from typing import Any

import numpy as np

from repro.engines.buffers import Recorded
from repro.engines.native.kernels import check_layout, library, pointer
from repro.learning.normalize import ObservationNormalizer, RewardScaler, RunningMoments

Array = np.ndarray[Any, Any]
_Fields = list[tuple[str, Any]]


def addresses(*names: str) -> _Fields:
    """Fields of a structure that are pointers."""
    return [(name, ctypes.c_void_p) for name in names]


def numbers(*names: str) -> _Fields:
    """Fields of a structure that are int64."""
    return [(name, ctypes.c_int64) for name in names]


def reals(*names: str) -> _Fields:
    """Fields of a structure that are float64."""
    return [(name, ctypes.c_double) for name in names]


class Normalizer(ctypes.Structure):
    """`Normalizer` of moments.h."""

    _fields_ = [
        *addresses("mean", "variance", "count", "center", "scale"),
        *reals("floor", "epsilon"),
    ]


class _Scaler(ctypes.Structure):
    """`Scaler` of moments.h."""

    _fields_ = [
        *addresses("mean", "variance", "count", "returns", "gamma"),
        *numbers("reset"),
        *reals("clip", "epsilon"),
    ]


_RESETS = ("never", "termination", "episode")  # `ReturnReset` of moments.h


class _Recording(ctypes.Structure):
    """`Recording` of recording.h, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *numbers("learners", "horizon", "num_envs", "features"),
        *addresses("normalizer", "scaler"),
        *addresses("rewards", "terminated", "truncated", "returns", "lengths"),
    ]


class Recording:
    """Records rewards and ends, scales rewards, and shows observations to the normalizer.

    Attributes:
        horizon: T.
        address: of the structure that the kernels read.
    """

    def __init__(
        self, normalizer: ObservationNormalizer, scaler: RewardScaler, recorded: Recorded
    ) -> None:
        """Bind arrays whose memory must not move."""
        check_layout(_Recording, library().recording_size())
        learning = bound_normalizer(normalizer) if normalizer.each_step else None
        scaling = _scaler(scaler) if scaler.enabled else None
        learners, self.horizon, num_envs = recorded.rewards.shape
        self._alive = (learning, scaling, normalizer, scaler, recorded)
        self._struct = _Recording(
            learners=learners,
            horizon=self.horizon,
            num_envs=num_envs,
            features=normalizer.center.shape[1],
            normalizer=_address(learning),
            scaler=_address(scaling),
            rewards=pointer(recorded.rewards, "float64"),
            terminated=pointer(recorded.terminated, "bool"),
            truncated=pointer(recorded.truncated, "bool"),
            returns=pointer(recorded.returns, "float64"),
            lengths=pointer(recorded.lengths, "int64"),
        )
        self.address = ctypes.addressof(self._struct)
        self._record = library().record_step
        self._given: tuple[Array | None, ...] = (None,) * 4
        self._addresses: list[int | None] = []

    def __call__(self, t: int, *returned: Array) -> bool:
        """Record the step at time t.

        Args:
            t: below the horizon.
            returned: by `VectorEnv.step`: observations [P N, D], rewards, terminated, truncated.

        Returns:
            Whether an episode ended. Then the normalizer has not seen the observations yet.
        """
        if any(map(operator.is_not, returned, self._given)):
            types = ("float64", "float64", "bool", "bool")
            self._given, self._addresses = returned, list(map(pointer, returned, types))
        return bool(self._record(self.address, t, *self._addresses))


def bound_normalizer(normalizer: ObservationNormalizer) -> Normalizer:
    """Its arrays as the kernels read them; they must stay alive, and not move."""
    return Normalizer(
        **_moments(normalizer.moments),
        center=pointer(normalizer.center, "float64"),
        scale=pointer(normalizer.scale, "float64"),
        floor=normalizer.floor,
        epsilon=normalizer.epsilon,
    )


def _scaler(scaler: RewardScaler) -> _Scaler:
    return _Scaler(
        **_moments(scaler.moments),
        returns=pointer(scaler.returns, "float64"),
        gamma=pointer(scaler.gamma, "float64"),
        reset=_RESETS.index(scaler.reset),
        clip=scaler.clip,
        epsilon=scaler.epsilon,
    )


def _moments(moments: RunningMoments) -> dict[str, int | None]:
    arrays = {"mean": moments.mean, "variance": moments.variance, "count": moments.count}
    return {name: pointer(array, "float64") for name, array in arrays.items()}


def _address(structure: ctypes.Structure | None) -> int | None:
    return None if structure is None else ctypes.addressof(structure)
