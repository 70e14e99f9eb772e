"""Returns that a task can give at all: where an interval of Student's t leaves them, it is cut."""

from __future__ import annotations

import numpy as np

from analysis.statistics.bootstrap import FloatArray

# By the rewards that Gymnasium documents, and its limit of 1,000 steps; Reacher has costs alone.
_POSSIBLE = {
    "InvertedPendulum": (0.0, 1_000.0),
    "InvertedDoublePendulum": (-np.inf, 10_000.0),
    "Reacher": (-np.inf, 0.0),
}


def possible(task: str) -> tuple[float, float]:
    """The lowest and the highest return of a task, by its id; infinite where nothing limits it."""
    return _POSSIBLE.get(task.rpartition("-v")[0], (-np.inf, np.inf))


def cut(replicates: FloatArray, task: str) -> FloatArray:
    """Means and their replicates in the range of the task's returns."""
    return np.asarray(np.clip(replicates, *possible(task)))
