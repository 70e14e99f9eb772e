"""What an update measures: columns of the progress table, and how they come to the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines.blocks import Column
from repro.engines.cuda import fetched
from repro.learning.parameters import StackedParameters
from repro.runs.schema import PROGRESS

Array = np.ndarray[Any, Any]
# By column, [P] each: on the host, on the device, or computed when it is read.
Metrics = Mapping[str, Array | Tensor | Column]
MEASURED = [  # columns that an algorithm fills or leaves null
    name
    for name in list(PROGRESS)[list(PROGRESS).index("return_mean") + 1 :]
    if not name.startswith("time_")
]


def mean(x: Tensor) -> Tensor:
    """Over the samples, in float64: [P, B] -> [P]."""
    return x.double().mean(-1)


def fetch(measured: Metrics, parts: Sequence[StackedParameters]) -> tuple[dict[str, Array], Array]:
    """The columns on the host, and which learners' parameters are finite, by one copy."""
    columns = {name: x for name, x in measured.items() if isinstance(x, Tensor)}
    own: dict[str, Any] = {n: x for n, x in measured.items() if not isinstance(x, Tensor)}
    # A sum is finite only if all numbers are; it takes less time than to look at each of them.
    total: Tensor = sum((part.flat.sum(1) for part in parts[1:]), parts[0].flat.sum(1))
    *values, summed = (x.numpy() for x in fetched([*columns.values(), total]))
    finite = np.isfinite(summed)
    if not finite.all():  # a number is not finite, or the sum is too large
        finite = torch.stack([torch.isfinite(part.flat).all(1) for part in parts]).all(0)
        finite = fetched([finite])[0].numpy()
    return own | dict(zip(columns, values, strict=True)), finite
