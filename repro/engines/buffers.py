"""The arrays that collection fills, shared by all engines."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, Any]


class Buffers(NamedTuple):
    """A rollout in progress, [P, T, N, ...] each; acting fills time t."""

    raw: Array
    inputs: Tensor
    noise: Tensor
    statistics: Tensor
    actions: Tensor


class FrameBuffers(NamedTuple):
    """A rollout of frames in progress; acting fills time t.

    Attributes:
        frames: uint8 [P, R, N, H, W]: row S - 1 + t is the newest frame at time t, and R = S + T.
        values: V(s_t), [P, T, N].
        noise: [P, T, N], likewise `statistics` and `actions` [P, T, N, ...].
        statistics: logits.
        actions: as float32.
    """

    frames: Tensor
    values: Tensor
    noise: Tensor
    statistics: Tensor
    actions: Tensor


class Recorded(NamedTuple):
    """What the steps of a rollout fill, besides `Buffers`.

    Attributes:
        rewards: scaled where the recipe scales them, [P, T, N].
        terminated: [P, T, N] bool.
        truncated: [P, T, N] bool.
        returns: of the running episodes, [P, N].
        lengths: of the running episodes, [P, N].
    """

    rewards: Array
    terminated: Array
    truncated: Array
    returns: Array
    lengths: Array


class Valued(NamedTuple):
    """What a rollout has besides its samples.

    Attributes:
        rewards: as float32, [P, T, N].
        values: V(s_t), [P, T, N].
        next_values: V of the true next observation, [P, T, N].
        finite: whether the networks can read all that the tasks returned, [P] bool.
    """

    rewards: Tensor
    values: Tensor
    next_values: Tensor
    finite: Array
