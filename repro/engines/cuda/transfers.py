"""Copies between host and device that make the host wait as seldom as possible."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor


def sent(x: Tensor | np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """A host's tensor on the device. To a GPU through page-locked memory, without a wait."""
    x = torch.as_tensor(x)
    if device.type == "cpu":
        return x
    # The allocator of page-locked memory keeps a block until the copy from it has ended.
    return x.pin_memory().to(device, non_blocking=True)


def fetched(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors on the host: those of a GPU in one copy of their bytes, and with one wait."""
    if not tensors or tensors[0].device.type == "cpu":
        return list(tensors)
    return unpacked(packed(tensors).cpu(), tensors)


def packed(tensors: Sequence[Tensor]) -> Tensor:
    """The bytes of all tensors, those with the largest elements first, so that all are aligned."""
    parts = [tensors[i].detach().contiguous().view(-1) for i in _order(tensors)]
    return torch.cat([part.view(torch.uint8) for part in parts])


def unpacked(data: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The tensors in what `packed` returned for tensors of these shapes and types."""
    order = _order(like)
    ends = accumulate((like[i].numel() * like[i].element_size() for i in order), initial=0)
    found = {
        i: data[start:end].view(like[i].dtype).view(like[i].shape)
        for i, (start, end) in zip(order, pairwise(ends), strict=True)
    }
    return [found[i] for i in range(len(like))]


def _order(tensors: Sequence[Tensor]) -> list[int]:
    return sorted(range(len(tensors)), key=lambda i: -tensors[i].element_size())
