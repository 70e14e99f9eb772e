"""Schedules that are more than a factor: step sizes that follow the KL, and a given log std.

Table 4 of the paper has both: Adam's step size follows a KL target, and the log std of the actions
is LinearAnneal(-0.7, -1.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from repro.config.schema import Config
from repro.errors import ConfigError
from repro.learning.optimizers import STEP_SIZES, adapt_step_size
from repro.learning.parameters import StackedParameters
from repro.networks.mlp import MLPActorCritic

Array = np.ndarray[Any, np.dtype[np.float64]]


class StepSizes:
    """Step sizes of P learners under `recipe.learning_rate_schedule`."""

    def __init__(self, configs: Sequence[Config]) -> None:
        """Begin with each run's `algorithm.learning_rate`."""
        recipe = configs[0].recipe
        self._follows_kl = recipe.learning_rate_schedule == "kl"
        self._now = np.array([c.algorithm.learning_rate for c in configs], np.float64)
        targets = [c.recipe.learning_rate_target_kl for c in configs]
        self._targets = np.array(targets if self._follows_kl else [], np.float64)

    def now(self, factors: Sequence[float]) -> list[float]:
        """Of this iteration, [P], by the factors of the runs' schedules, [P]."""
        return [float(own) * factor for own, factor in zip(self._now, factors, strict=True)]

    def adapt(self, kl: Array) -> None:
        """After an update whose mean KL was `kl`, [P]; footnote 3 of the paper."""
        if self._follows_kl:
            self._now[:] = adapt_step_size(self._now, kl, self._targets, STEP_SIZES)

    def state(self) -> dict[str, Any]:
        """For resuming: what does not follow from the configuration."""
        return {"step_size": self._now} if self._follows_kl else {}


class LogStd:
    """The log std of actions under `recipe.log_std_schedule`: learned, or linear."""

    def __init__(self, config: Config, policy: MLPActorCritic) -> None:
        """Take the ends of the schedule.

        Raises:
            ConfigError: there is a schedule, but actions are discrete.
        """
        recipe = config.recipe
        self._ends = (recipe.initial_log_std, recipe.final_log_std)
        self.given = recipe.log_std_schedule is not None
        if self.given and policy.discrete:
            raise ConfigError(
                f"recipe.log_std_schedule={recipe.log_std_schedule} is for continuous actions, "
                f"not for those of {config.env.id}: say recipe.log_std_schedule=null."
            )

    def set(self, views: Mapping[str, Tensor], progress: Sequence[float]) -> None:
        """Put this iteration's values into the parameters, where a schedule has them."""
        first, last = self._ends
        if self.given and last is not None:
            for p, done in enumerate(progress):
                views["log_std"][p] = first + (last - first) * done

    def hold(self, parameters: StackedParameters) -> None:
        """Take it out of the gradient, where a schedule has it."""
        if self.given:
            parameters.of_gradient("log_std").zero_()
