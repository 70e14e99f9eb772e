"""The cube that is thrown at the humanoid, and what counts as a hit.

Source: `alive_bonus` of `gym_humanoid_flagrun.py` of openai/roboschool at 911f7cd.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from repro.envs.humanoid.model import GRAVITY, STEP_SECONDS
from repro.envs.vector import BoolArray, FloatArray

FIRST_AFTER, EVERY = 100, 30  # steps of the episode
DISTANCE, ABOVE = 4.0, 1.0  # m; from the torso, and above it
SPEED = (20.0, 30.0)  # m/s
SPREAD = 1.0  # m/s; half-width of the noise on each component
HALF_TURN = 3.14  # rad; as written there
HIT_HEIGHT = 0.2  # m; lower down it may have been the floor that turned the cube
HIT_SPEED = 1.0  # m/s; a larger change of velocity than gravity's is a hit


class Cube:
    """Cubes of N simulations.

    Attributes:
        flying: thrown, and not yet a hit, [N].
        last: velocities after the last step or throw, [N, 3].
    """

    def __init__(self, batch: Batch) -> None:
        """Bind the cubes' positions and velocities."""
        model = batch.model
        start, speed = int(model.joint("cube").qposadr[0]), int(model.joint("cube").dofadr[0])
        self._pose: FloatArray = batch.bind("qpos")[:, start : start + 7]
        self._motion: FloatArray = batch.bind("qvel")[:, speed : speed + 6]
        self.flying = np.zeros(batch.nsim, np.bool_)
        self.last = np.zeros((batch.nsim, 3))
        self._height = np.zeros(batch.nsim)

    def reset(self, rows: Any) -> None:
        """New episodes in some environments, whose cubes are parked."""
        self.flying[rows], self.last[rows], self._height[rows] = False, 0.0, 0.0

    @staticmethod
    def due(elapsed: NDArray[np.int64], ground_steps: NDArray[np.int64]) -> BoolArray:
        """Which cubes are to be thrown after `elapsed` earlier steps of the episode, [N]."""
        due: BoolArray = (elapsed % EVERY == 0) & (elapsed > FIRST_AFTER) & (ground_steps == 0)
        return due

    def hits(self) -> BoolArray:
        """Which cubes hit the humanoid in the step just taken, [N]; each throw counts once."""
        velocity, height = self._motion[:, :3].copy(), self._pose[:, 2].copy()
        change = velocity - self.last
        change[:, 2] += GRAVITY * STEP_SECONDS
        x, y, z = change.T
        above = np.minimum(height, self._height) > HIT_HEIGHT
        hit: BoolArray = self.flying & above & (x * x + y * y + z * z > HIT_SPEED**2)
        self.flying &= ~hit
        self.last[:], self._height[:] = velocity, height
        return hit

    def throw(
        self, i: int, rng: np.random.Generator, target: FloatArray, velocity: FloatArray
    ) -> None:
        """Throw cube i at where the humanoid will be.

        Args:
            i: the simulation.
            rng: its generator.
            target: where the humanoid is, in m, [3].
            velocity: of the humanoid, in m/s, [3].
        """
        angle = rng.uniform(-HALF_TURN, HALF_TURN)
        speed = rng.uniform(*SPEED)
        target = target + velocity * (DISTANCE / speed)
        offset = np.array([DISTANCE * np.cos(angle), DISTANCE * np.sin(angle), ABOVE])
        thrown = -offset * (speed / np.linalg.norm(offset))
        thrown += rng.uniform(-SPREAD, SPREAD, 3)
        self._pose[i] = *(target + offset), 1, 0, 0, 0
        self._motion[i] = *thrown, 0, 0, 0
        self.flying[i], self.last[i], self._height[i] = True, thrown, target[2] + ABOVE

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a saved state holds besides the simulations' own."""
        return {"cube_flying": self.flying, "cube_last": self.last, "cube_height": self._height}
