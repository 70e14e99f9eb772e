"""What the returns of a task can be, where that is known: no mean is beyond it, so no interval."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from analysis.statistics.bootstrap import FloatArray

# By task without version: the rules of Gymnasium's tasks, and of a game to 21 points.
POSSIBLE: Mapping[str, tuple[float, float]] = {
    "InvertedPendulum": (0.0, 1000.0),  # a point a step that the pole stands, for 1,000 at most
    "CartPole": (0.0, 500.0),
    "pong": (-21.0, 21.0),
}


def within(task: str, low: FloatArray | float, high: FloatArray | float) -> tuple[FloatArray, ...]:
    """The bounds of an interval, moved into what a task (`Hopper-v4`) makes possible.

    Its coverage stays: what is cut off cannot be true.
    """
    lowest, highest = POSSIBLE.get(task.rpartition("-v")[0] or task, (-math.inf, math.inf))
    return np.clip(low, lowest, highest), np.clip(high, lowest, highest)
