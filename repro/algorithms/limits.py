"""Two limits on an update that the paper does not have and other codes do, as the recipe says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from repro.config.schema import RecipeConfig
from repro.engines.batches import Batch
from repro.learning import objectives


class ValueClip:
    """`recipe.value_clip`: how far V may move in one update.

    Its tensor stays where it is, so that a recorded step can read it.
    """

    def __init__(self, recipe: RecipeConfig, learners: int, device: torch.device) -> None:
        """For P learners; `set` comes before the first loss."""
        self._clip, self._pessimistic = recipe.value_clip, recipe.value_clip_pessimistic
        self._limits = torch.zeros(learners, 1, device=device)

    def set(self, factors: Sequence[float]) -> None:
        """Scale the limits of this update by the factors of their schedule, [P]."""
        if self._clip is not None:
            self._limits.copy_(torch.tensor([self._clip * factor for factor in factors])[:, None])

    def loss(self, values: Tensor, minibatch: Batch) -> Tensor:
        """L_VF, clipped where the recipe says so. [P, M]."""
        if self._clip is None:
            return objectives.value_loss(values, minibatch.targets)
        return objectives.clipped_value_loss(
            values, minibatch.values, minibatch.targets, self._limits, self._pessimistic
        )


class EarlyStop:
    """`recipe.early_stop_kl`: a learner's update ends when its policy has moved too far."""

    def __init__(self, recipe: RecipeConfig) -> None:
        """Take the limit, if any."""
        self._kl = recipe.early_stop_kl

    def remaining(self, running: list[int], log_ratio: Tensor) -> list[int]:
        """Those of the learners `running` that go on, by log r of a minibatch, [P, M]."""
        if self._kl is None:
            return running
        far = objectives.approximate_kl(log_ratio.detach()) > objectives.EARLY_STOP_SLACK * self._kl
        stop = far.tolist()
        return [p for p in running if not stop[p]]
