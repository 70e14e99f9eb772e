"""What one iteration of a pack leaves behind: the currency between algorithms, runner and sinks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Episodes:
    """Finished training episodes of a learner in an iteration; columns as in `store.EPISODES`."""

    iteration: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    actor: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    length: list[int] = field(default_factory=list)

    def add(self, iteration: int, step: int, actor: int, total: float, length: int) -> None:
        """One more row; `total` is its return."""
        self.iteration.append(iteration)
        self.step.append(step)
        self.actor.append(actor)
        self.returns.append(total)
        self.length.append(length)

    def columns(self) -> dict[str, list[Any]]:
        """By the names of the table."""
        return {
            "iteration": self.iteration,
            "step": self.step,
            "actor": self.actor,
            "return": self.returns,
            "length": self.length,
        }


@dataclass
class Iteration:
    """One iteration of P learners.

    Attributes:
        number: from 1.
        step: environment steps a learner has taken so far.
        active: learners that took part; only they have rows.
        metrics: columns of `store.PROGRESS` that the algorithm measured, [P] each.
        episodes: [P].
        failed: learner -> one sentence, for learners that stopped being finite in this iteration.
        finished: learners for which this was the last iteration.
        seconds: wall time by phase (env, forward, update, other), of the whole pack.
        remarks: learner -> one sentence on what its task does that it says it does not.
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
    tables: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)
