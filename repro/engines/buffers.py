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
