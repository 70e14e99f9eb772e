"""Clipping of V and early stopping: not in the paper, but in other implementations of PPO."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from repro.config.schema import RecipeConfig
from repro.engines.batches import Batch
from repro.engines.cuda import sent
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
            limits = torch.tensor([self._clip * factor for factor in factors])[:, None]
            self._limits.copy_(sent(limits, self._limits.device))

    def loss(self, values: Tensor, minibatch: Batch) -> Tensor:
        """L_VF, clipped where the recipe says so. [P, M]."""
        if self._clip is None:
            return objectives.value_loss(values, minibatch.targets)
        return objectives.clipped_value_loss(
            values, minibatch.values, minibatch.targets, self._limits, self._pessimistic
        )


class EarlyStop:
    """`recipe.early_stop_kl`: a learner's update ends when its policy has moved too far.

    Attributes:
        enabled: whether the recipe stops early.
    """

    def __init__(self, recipe: RecipeConfig) -> None:
        """Take the limit, if any."""
        self._kl, self.enabled = recipe.early_stop_kl, recipe.early_stop_kl is not None

    def apply(self, running: Tensor, log_ratio: Tensor) -> None:
        """Take learners out of the mask `running`, bool [P], by log r of a minibatch, [P, M]."""
        if self._kl is not None:
            limit = objectives.EARLY_STOP_SLACK * self._kl
            running.logical_and_(~(objectives.approximate_kl(log_ratio.detach()) > limit))
