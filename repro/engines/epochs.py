"""K epochs of gradient steps on minibatches, as an update by torch takes them.

On a GPU the step is recorded once and replayed in later updates. A recorded step may read only
memory that stays, so everything that changes from one update to the next is held here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch, Minibatches
from repro.engines.cuda.graphs import Repeated
from repro.engines.cuda.transfers import sent

Array = np.ndarray[Any, Any]


class Epochs:
    """The gradient steps of one update.

    Attributes:
        hold: keeps a tensor in memory that a recorded step may read, see `Repeated.hold`.
        running: who takes the next step, bool [P]; a step takes those out that stop early.
        rates: step sizes, [P].
        steps: taken so far, int64 [P]; a step counts.
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
        device = batch.advantages.device
        running = torch.zeros(len(rates), dtype=torch.bool)
        running[list(learners)] = True
        self.running = self.hold("running", sent(running, device))
        self.steps = self.hold("steps", torch.zeros(len(rates), dtype=torch.int64, device=device))
        self.rates = selection.step_sizes(repeated, rates, learners, device)
        self.norm = self.hold("norm", torch.full_like(batch.advantages[:, 0], torch.nan))

    def visit(self, orders: Array, step: Callable[[Batch], None]) -> tuple[Tensor, Tensor]:
        """Call `step` on each minibatch while any learner runs; for `orders` see `Minibatches`.

        On a GPU all minibatches are visited, also those that no learner takes.

        Returns:
            How many steps each learner took, and the norm of its first gradient, NaN without one;
            [P] both.
        """
        first = self.norm
        for _ in self._minibatches.visit(
            orders, lambda rows: step(self._batch.minibatch(rows)), self._repeated
        ):
            first = self.norm.clone() if first is self.norm else first
            if selection.none_left(self.running):
                break
        return self.steps, torch.where(self.steps > 0, first, torch.nan).double()
