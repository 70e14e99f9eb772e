"""The coefficient of the KL penalty: fixed, or adapted to a target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repro.language.config import KLConfig

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class KLController:
    """One coefficient a learner.

    Ziegler et al. (2019), section 2.2, with n episodes an update:

        e = clip(KL / target - 1, -0.2, 0.2),   beta <- beta (1 + e n / horizon)

    Attributes:
        beta: in force, [P].
    """

    def __init__(self, configs: Sequence[KLConfig]) -> None:
        """Start from each learner's `beta`."""
        self._configs = configs
        self.beta: Array = np.array([config.beta for config in configs], np.float64)

    def adapt(self, kl: Array, episodes: int) -> None:
        """Take the mean KL per response of an iteration, [P]."""
        for p, config in enumerate(self._configs):
            if config.controller == "adaptive":
                error = np.clip(kl[p] / config.target - 1, -config.error_clip, config.error_clip)
                self.beta[p] *= 1 + error * episodes / config.horizon

    def checkpoint(self, learner: int) -> float:
        """A learner's coefficient."""
        return float(self.beta[learner])

    def restore(self, learner: int, beta: float) -> None:
        """Put back what `checkpoint` returned."""
        self.beta[learner] = beta
