"""What an iteration's collection hands to an update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from repro.networks.distributions import Distribution
from repro.networks.frames import Inputs
from repro.rollouts.episodes import Episodes

Array = np.ndarray[Any, Any]


@dataclass
class Rollout:
    """One iteration's samples. B = T N, the samples of a learner, time-major.

    Attributes:
        inputs: observations as the networks see them, [P, B, D]; or B stacks of frames.
        actions: [P, B, A], or [P, B, 1] for discrete ones; before any clipping to the box.
        old: the distribution the actions were drawn from, over [P, B].
        rewards: [P, T, N], scaled where the recipe scales them.
        values: V(s_t), [P, T, N].
        next_values: V of the true next observation, [P, T, N].
        terminated: [P, T, N] bool.
        truncated: [P, T, N] bool.
        episodes: finished episodes, [P].
        finished_steps: steps of the episodes that ended, [P]; on Atari an episode is a life here,
            while `episodes` has whole games.
        finite: whether all that the tasks returned is finite, [P] bool.
    """

    inputs: Inputs
    actions: Tensor
    old: Distribution
    rewards: Tensor
    values: Tensor
    next_values: Tensor
    terminated: Tensor
    truncated: Tensor
    episodes: list[Episodes]
    finished_steps: Array
    finite: Array
