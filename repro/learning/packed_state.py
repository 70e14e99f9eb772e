"""One learner's share of a pack's state: taken out for a checkpoint, and put back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def take(part: Any, learner: int) -> Any:
    """A copy of row `learner` of an array [P, ...], or what the object's `checkpoint` returns."""
    if isinstance(part, Tensor):
        return part[learner].cpu().numpy().copy()
    return part[learner].copy() if isinstance(part, np.ndarray) else part.checkpoint(learner)


def put(part: Any, learner: int, saved: Any) -> None:
    """Put back what `take` returned."""
    if isinstance(part, Tensor):
        part[learner] = torch.from_numpy(saved)
    elif isinstance(part, np.ndarray):
        part[learner] = saved
    else:
        part.restore(learner, saved)
