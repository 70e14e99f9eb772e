"""An iteration's samples as one batch, and its minibatches.

Samples lie side by side in one tensor, so that one gather shuffles an epoch. On a GPU the work on a
minibatch is recorded once and replayed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import Config
from repro.engines.cuda.graphs import Repeated
from repro.engines.cuda.transfers import sent
from repro.networks.distributions import DiagonalGaussian, Distribution
from repro.networks.frames import FrameStacks, Inputs

Array = np.ndarray[Any, Any]
Samples = Mapping[str, Tensor]  # by name, [P, B] or [P, B, ...] each


@dataclass
class Batch:
    """An iteration's samples, B = T N of each learner; or M of them, a minibatch.

    Attributes:
        inputs: [P, B, D], normalized; or B stacks of frames.
        actions: as their distribution takes them, [P, B, A] or [P, B].
        old: pi_old at the samples.
        advantages: A or another weight of the gradient, [P, B].
        targets: V_targ, [P, B].
        values: V(s) at collection, [P, B].
    """

    inputs: Inputs
    actions: Tensor
    old: Distribution
    advantages: Tensor
    targets: Tensor
    values: Tensor

    @functools.cached_property
    def log_prob(self) -> Tensor:
        """log pi_old(a|s), [P, B]; computed when it is first read, since some updates never do."""
        with torch.no_grad():
            return self.old.log_prob(self.actions)

    def samples(self) -> dict[str, Tensor]:
        """All tensors by name: pi_old as its means or logits, frames as the numbers of stacks."""
        inputs = self.inputs
        return {
            "inputs": inputs if isinstance(inputs, Tensor) else inputs.numbers(),
            "actions": self.actions,
            "old": self.old[0],
            "log_prob": self.log_prob,
            "advantages": self.advantages,
            "targets": self.targets,
            "values": self.values,
        }

    def held(self, repeated: Repeated) -> Batch:
        """The batch whose minibatches a recorded function may read, update after update."""
        old, inputs = self.old, self.inputs
        if isinstance(old, DiagonalGaussian):
            old = old._replace(log_std=repeated.hold("old.log_std", old.log_std))
        if isinstance(inputs, FrameStacks):
            inputs = inputs.with_index(repeated.hold("index", inputs.index))
        return replace(self, old=old, inputs=inputs)

    def minibatch(self, samples: Samples) -> Batch:
        """The batch of some rows of `samples`."""
        chosen = dict(samples)
        inputs: Inputs = chosen.pop("inputs")
        if isinstance(self.inputs, FrameStacks):
            assert isinstance(inputs, Tensor)
            inputs = self.inputs.select(inputs.long())
        old, log_prob = self.old.with_statistics(chosen.pop("old")), chosen.pop("log_prob")
        batch = Batch(inputs=inputs, old=old, **chosen)
        batch.log_prob = log_prob
        return batch


class Columns:
    """Float32 samples, [P, B] or [P, B, ...] each, side by side in one tensor.

    Attributes:
        packed: [P, B, columns].
    """

    def __init__(self, samples: Samples) -> None:
        """Copy them."""
        parts = {name: x[..., None] if x.dim() == 2 else x for name, x in samples.items()}
        self.packed = torch.cat(list(parts.values()), dim=-1)
        self._columns: dict[str, int | slice] = {}
        first = 0
        for name, part in parts.items():
            last = first + part.shape[-1]
            self._columns[name] = first if samples[name].dim() == 2 else slice(first, last)
            first = last

    def of(self, rows: Tensor) -> dict[str, Tensor]:
        """Some rows of `packed` by name: views."""
        return {name: rows[..., column] for name, column in self._columns.items()}


def visit_all(batch: Batch, step: Callable[[Batch], None], repeated: Repeated) -> None:
    """Call `step` on all samples at once.

    Where `repeated` records, the step of an earlier update is replayed, as by `Minibatches.visit`.
    """
    if not repeated.records:
        step(batch)
        return
    held, columns = batch.held(repeated), Columns(batch.samples())

    def unpacked(rows: Tensor) -> None:
        step(held.minibatch({name: x.contiguous() for name, x in columns.of(rows).items()}))

    repeated(unpacked, columns.packed)


class Minibatches:
    """Cuts samples into minibatches of M a learner, each learner's in its own order."""

    def __init__(self, samples: Samples, config: Config) -> None:
        """Take float32 samples, [P, B] or [P, B, ...] each.

        With `recipe.partial_minibatch=drop`, the remainder of B / M is not used.
        """
        self._columns = Columns(samples)
        self._size = config.algorithm.minibatch_size
        drop, count = config.recipe.partial_minibatch == "drop", self._columns.packed.shape[1]
        self._used = count - count % self._size if drop else count

    def visit(
        self, orders: Array, step: Callable[[Samples], None], repeated: Repeated
    ) -> Iterator[None]:
        """Call `step` on each minibatch of K epochs; yields after each call.

        Where `repeated` records, the step of an earlier update is replayed: it must read the
        minibatch and what `repeated` holds, change tensors in place, and do no more.

        Args:
            orders: [K, P, B].
            step: one gradient step.
            repeated: of this step alone.
        """
        for rows in chain.from_iterable(map(self._rows, orders)):
            repeated(lambda minibatch: step(self._columns.of(minibatch)), rows)
            yield

    def _rows(self, order: Array) -> Iterator[Tensor]:
        packed = self._columns.packed
        learners, count, width = packed.shape
        numbers = order.astype(np.int64) + np.arange(learners)[:, None] * count
        index = sent(numbers.ravel(), packed.device)
        shuffled = packed.view(-1, width).index_select(0, index).view(packed.shape)
        for start in range(0, self._used, self._size):
            yield shuffled[:, start : start + self._size]
