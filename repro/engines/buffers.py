"""Where a rollout is kept while it is collected, shared by both engines."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

Array = np.ndarray[Any, Any]


class Buffers(NamedTuple):
    """Where a rollout is kept: [P, T, N, ...], of which `act` writes time t."""

    raw: Array
    inputs: Tensor
    noise: Tensor
    statistics: Tensor
    actions: Tensor
