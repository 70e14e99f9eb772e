"""K epochs of gradient steps on minibatches, as an update by torch takes them.

On a GPU the step is recorded once and replayed in later updates. A recorded step may read only
memory that stays, so everything that changes from one update to the next is held here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch, Minibatches
from repro.engines.cuda.graphs import Repeated

Array = np.ndarray[Any, Any]


class Epochs:
    """The gradient steps of one update.

    Attributes:
        hold: keeps a tensor in memory that a recorded step may read, see `Repeated.hold`.
        running: learners that take the next step; a step takes those out that stop early.
        rates: step sizes, [P].
        norm: where a step puts the norms of its gradients, [P].
    """

    def __init__(
        self,
        batch: Batch,
        config: Config,
        repeated: Repeated,
        rates: Sequence[float],
        learners: Sequence[int],
    ) -> None:
        """Prepare the steps of `learners` on `batch`; `repeated` is of these steps alone."""
        self._repeated, self.hold = repeated, repeated.hold
        self._batch = batch.held(repeated)
        self._minibatches = Minibatches(self._batch.samples(), config)
        self.running = list(learners)
        self.rates = selection.step_sizes(repeated, rates, learners, batch.advantages.device)
        self.norm = self.hold("norm", torch.full_like(batch.advantages[:, 0], torch.nan))

    def visit(self, orders: Array, step: Callable[[Batch], None]) -> tuple[Array, Array]:
        """Call `step` on each minibatch while any learner runs; for `orders` see `Minibatches`.

        Returns:
            How many steps each learner took, and the norm of its first gradient; [P] both.
        """
        steps, first = np.zeros(len(self.norm), np.int64), self.norm
        for _ in self._minibatches.visit(
            orders, lambda rows: step(self._batch.minibatch(rows)), self._repeated
        ):
            first = self.norm.clone() if first is self.norm else first
            steps[self.running] += 1
            if not self.running:
                break
        return steps, first.cpu().double().numpy()
