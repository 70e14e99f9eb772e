"""The target of each simulation: a flag that moves, or a point 1 km ahead that does not.

Source: `gym_humanoid_flagrun.py` of openai/roboschool at 911f7cd; v1's first flag at b327363.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from repro.envs.humanoid.model import FLAG_HEIGHT
from repro.envs.humanoid.rules import Rules
from repro.envs.vector import FloatArray

AHEAD = (1000.0, 0.0)  # gym_forward_walkers.py: walk_target_x, in m
HALF_LENGTH, HALF_WIDTH = 105 * 0.25, 50 * 0.25  # scene_stadium.py, in m
COMPACT = 0.5  # more_compact
REACHED = 1.0  # m

Rows = NDArray[np.intp]


class Flag:
    """Where the targets are, and for how many steps flags still stay there.

    Attributes:
        place: in m, [N, 2].
        steps_left: [N].
    """

    def __init__(self, batch: Batch, rules: Rules) -> None:
        """Bind the place, which is part of the simulations' states."""
        self._rules = rules
        self.steps_left = np.zeros(batch.nsim, np.int64)
        if rules.flagrun:
            flag: FloatArray = batch.bind("mocap_pos")
            self.place, self._height = flag[:, 0, :2], flag[:, 0, 2]
        else:
            self.place = np.tile(AHEAD, (batch.nsim, 1))

    def offset(self, xy: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distance [N] and direction [N] in rad of the targets, as seen from xy [N, 2]."""
        dx, dy = self.place[:, 0] - xy[:, 0], self.place[:, 1] - xy[:, 1]
        return np.sqrt(dx * dx + dy * dy), np.arctan2(dy, dx)

    def due(self, distance: FloatArray) -> NDArray[np.bool_]:
        """Count a step, and say which flags are reached or have stood long enough, [N]."""
        if not self._rules.flagrun:
            return np.zeros(len(distance), np.bool_)
        self.steps_left -= 1
        return (distance < REACHED) | (self.steps_left <= 0)

    def move(self, i: int, rng: np.random.Generator, first: bool = False) -> None:
        """Move the flag of simulation i."""
        if not self._rules.flagrun:
            return
        if first and self._rules.first_flag_ahead and rng.integers(2) == 0:
            self.place[i] = rng.uniform(HALF_LENGTH / 2, HALF_LENGTH), 0.0
        else:
            x = rng.uniform(-HALF_LENGTH, HALF_LENGTH)
            y = rng.uniform(-HALF_WIDTH, HALF_WIDTH)
            self.place[i] = x * COMPACT, y * COMPACT
        self._height[i] = FLAG_HEIGHT
        self.steps_left[i] = self._rules.flag_steps

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a saved state holds besides the simulations' own."""
        return {"flag_steps_left": self.steps_left}
