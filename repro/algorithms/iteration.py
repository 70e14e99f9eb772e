"""The record of one iteration of a pack, which training writes to tables and loggers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from repro.rollouts.episodes import Episodes

Tables = dict[str, dict[str, Any]]  # table -> column -> values


@dataclass
class Iteration:
    """One iteration of P learners.

    Attributes:
        number: from 1.
        step: environment steps a learner has taken so far.
        active: learners that took part; only they have rows.
        metrics: columns of `runs.schema.PROGRESS` that the algorithm measured, [P] each; some may
            be `engines.blocks.Column`s, which are computed when NumPy reads them.
        episodes: [P].
        failed: learner -> one sentence, for learners that stopped being finite in this iteration.
        finished: learners for which this was the last iteration.
        seconds: wall time by phase (env, forward, update, other), of the whole pack.
        remarks: learner -> one sentence on a task that breaks its own declarations.
        tables: further tables of a learner by name, such as a probe's.
    """

    number: int
    step: int
    active: list[int]
    metrics: dict[str, np.ndarray[Any, Any]]
    episodes: list[Episodes]
    failed: dict[int, str]
    finished: list[int]
    seconds: dict[str, float]
    remarks: dict[int, str] = field(default_factory=dict)
    tables: dict[int, Tables] = field(default_factory=dict)

    def rows(self, learner: int) -> Tables:
        """A learner's rows of the growing tables besides `progress`."""
        return {"episodes": self.episodes[learner].columns()}

    def summary(self, learner: int) -> dict[str, Any]:
        """Columns of `progress` that follow from a learner's episodes."""
        returns = self.episodes[learner].columns()["return"]
        mean = sum(returns) / len(returns) if returns else None
        return {"episodes": len(returns), "return_mean": mean}
