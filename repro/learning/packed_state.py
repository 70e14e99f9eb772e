"""One learner's share of a pack's state: taken out for a checkpoint, and put back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def on_host(
    parts: Mapping[str, Any], fetch: Callable[[list[Tensor]], list[Tensor]]
) -> dict[str, Any]:
    """The parts for `take`, with their tensors on the host.

    Args:
        parts: tensors; objects whose `SAVED` names their tensors; and what is on the host already.
        fetch: brings tensors to the host, all at once.
    """
    tensors = {(name, ""): part for name, part in parts.items() if isinstance(part, Tensor)}
    for name, part in parts.items():
        tensors |= {(name, own): getattr(part, own) for own in getattr(part, "SAVED", ())}
    twins = {name: copy.copy(p) if hasattr(p, "SAVED") else p for name, p in parts.items()}
    for (name, own), x in zip(tensors, fetch(list(tensors.values())), strict=True):
        if own:
            setattr(twins[name], own, x)
        else:
            twins[name] = x
    return twins


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
