"""What iterations measure, for many of them at once.

An iteration of A2C takes 20 steps, and the small torch calls that measure it would take longer than
its update. So what the columns follow from is kept, and a block of iterations is measured like a
pack of so many more learners, when it is full or when one of its numbers is first read. Bits are
those of measuring one by one, since no learner's depend on its pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines.batches import Batch
from repro.networks.distributions import Distribution

Array = np.ndarray[Any, Any]
Measure = Callable[[Batch, Distribution, Tensor], Mapping[str, Tensor]]


class Number:
    """One learner's number in a column, to be read by `float`."""

    __slots__ = ("_column", "_learner")

    def __init__(self, column: Column, learner: int) -> None:
        """Computed when it is read."""
        self._column, self._learner = column, learner

    def __float__(self) -> float:
        """The number, in the precision in which it was computed."""
        return self._column[self._learner]


class Column:
    """One iteration's column, [P], which NumPy reads as an array."""

    __slots__ = ("_block", "_name", "_place")

    def __init__(self, block: _Block, place: int, name: str) -> None:
        """Computed with its block when it is read."""
        self._block, self._place, self._name = block, place, name

    def __getitem__(self, learner: int) -> float:
        """One learner's number, now."""
        return float(self.read()[learner])

    def read(self) -> Array:
        """Its numbers."""
        column: Array = self._block.columns()[self._name][self._place]
        return column

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """For NumPy."""
        return np.array(self.read(), dtype)


def later(column: Array | Column, learner: int) -> Any:
    """One learner's number in a column: what `float` reads, if possible not before it does."""
    return Number(column, learner) if isinstance(column, Column) else column[learner]


class Blocks:
    """Measures iterations in blocks."""

    def __init__(self, measure: Measure, size: int) -> None:
        """Take what measures.

        Args:
            measure: columns [P] by name, of a batch without its `inputs`, pi(.|s) and V(s).
            size: iterations a block; 1: each is measured at once.
        """
        self._measure, self._size = measure, size
        self._block, self._names = _Block(measure), list[str]()

    def __call__(
        self, batch: Batch, distribution: Distribution, values: Tensor
    ) -> Mapping[str, Tensor | Column]:
        """Columns [P] of an iteration by name.

        Args:
            batch: its samples.
            distribution: pi(.|s) at them under the new parameters.
            values: V(s), likewise, [P, B].
        """
        if self._size == 1 or not self._names:
            columns = self._measure(batch, distribution, values)
            self._names = list(columns)
            return columns
        if self._block.closed or len(self._block) == self._size:
            self._block.columns()
            self._block = _Block(self._measure)
        place = self._block.add(batch, distribution, values)
        return {name: Column(self._block, place, name) for name in self._names}


class _Block:
    """Iterations in a row; what they were measured from is forgotten once they are."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._kept: list[tuple[Tensor, ...]] = []
        self._columns: dict[str, Array] | None = None
        self._kind: type[Distribution] | None = None

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def closed(self) -> bool:
        """Whether it has been measured, so that no iteration can be added."""
        return self._columns is not None

    def add(self, batch: Batch, distribution: Distribution, values: Tensor) -> int:
        """Keep an iteration; returns its place."""
        # The next rollout overwrites the actions, and the next update the parameters.
        new = distribution.snapshot()
        self._kind = type(new)
        samples = (batch.actions.clone(), batch.advantages, batch.targets, batch.values, values)
        self._kept.append((*samples, *batch.old, *new))
        return len(self._kept) - 1

    @torch.no_grad()
    def columns(self) -> dict[str, Array]:
        """By name, [K, P]."""
        if self._columns is None:
            count, kind = len(self._kept), self._kind
            assert kind is not None
            parts = [torch.stack(each).flatten(0, 1) for each in zip(*self._kept, strict=True)]
            actions, advantages, targets, before, values, *statistics = parts
            half = len(statistics) // 2
            batch = Batch(
                inputs=actions[..., :0],  # what they gave is known
                actions=actions,
                old=kind(*statistics[:half]),
                advantages=advantages,
                targets=targets,
                values=before,
            )
            measured = self._measure(batch, kind(*statistics[half:]), values)
            self._columns = {name: x.view(count, -1).numpy() for name, x in measured.items()}
            self._kept.clear()
        return self._columns
