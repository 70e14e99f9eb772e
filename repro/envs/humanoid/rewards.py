"""The reward's terms: pure functions of arrays over N simulations.

    reward = alive + progress + electricity + joint_limits + feet_collision

Source: `_step` of `gym_forward_walkers.py` and `gym_humanoid_flagrun.py` of openai/roboschool at
911f7cd. Actions are those of the policy, before any clipping.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repro.envs.humanoid.model import STEP_SECONDS
from repro.envs.vector import BoolArray, FloatArray

TERMS = ("alive", "progress", "electricity", "joint_limits", "feet_collision")
STANDS = 0.78  # m; alive_bonus of RoboschoolHumanoid
ALIVE, DEAD = 2.0, -1.0
MOVING_COST = 4.25 * -2.0  # electricity_cost: 17 motors, of which 4 walk
STALLING_COST = 4.25 * -0.1  # stall_torque_cost
FOOT_COST = -1.0  # foot_collision_cost
FALLEN = 0.8  # m; below it the harder task counts steps on the ground, and progress stands still
GIVE_UP = 170  # such steps, after which an episode ends
LEAK_WEIGHT = 100.0  # calc_potential: alive bonuses of 2 a step at gamma 0.99 are worth 200


def alive(z: FloatArray) -> FloatArray:
    """2 where the torso is above 0.78 m, else -1, which ends the episode. [N]."""
    return np.where(z > STANDS, ALIVE, DEAD)


def leak(z: FloatArray) -> FloatArray:
    """The harder task's alive bonus by the torso's height: from 1 on the ground to 2. [N]."""
    return 1 + np.clip(z, 0, 0.8) / 0.8


def leak_with_pelvis(z: FloatArray, pelvis_z: FloatArray) -> FloatArray:
    """The same in v1: from 0.5 on the ground to 2, by the heights of torso and pelvis. [N]."""
    return 0.5 + 1.5 * np.clip(0.7 * z + 0.3 * pelvis_z, 0, 0.7) / 0.7


def electricity(actions: FloatArray, joint_speeds: FloatArray, moving: FloatArray) -> FloatArray:
    """Cost of the motors: of power, and of torque at any speed. [N].

    Args:
        actions: [N, 17].
        joint_speeds: in 10 rad/s, [N, 17].
        moving: the cost of power, [N].
    """
    # Copies in the order of memory: sums over motors must not depend on N.
    power = np.abs(actions * joint_speeds).T.copy()
    torque = np.square(actions).T.copy()
    return moving * (_sum(power) / len(power)) + STALLING_COST * (_sum(torque) / len(torque))


def _sum(rows: FloatArray) -> FloatArray:
    """Over the first axis in order, also for N = 1."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row
    return total


def joint_limits(at_limit: FloatArray, cost: float) -> FloatArray:
    """`cost` for each joint at a limit. [N]."""
    return cost * at_limit


def feet_collision(colliding: BoolArray) -> FloatArray:
    """-1 for each foot that touches anything but the floor, [N, 2] -> [N]."""
    return FOOT_COST * (colliding[:, 0].astype(np.float64) + colliding[:, 1])


def potential(distance: FloatArray) -> FloatArray:
    """-distance / dt: its rise in a step is the speed towards the target in m/s. [N]."""
    return -distance / STEP_SECONDS


class Crawl:
    """Keeps progress at the value where the humanoid fell, and later subtracts what it crawled.

    Attributes:
        fallen: whether each is below 0.8 m, [N].
        start: potential at which its last fall began, less what was crawled before, [N].
        ignored: potential that was gained on the ground so far, [N].
    """

    def __init__(self, num_envs: int) -> None:
        """All stand."""
        self.fallen = np.zeros(num_envs, np.bool_)
        self.start = np.zeros(num_envs)
        self.ignored = np.zeros(num_envs)

    def reset(self, rows: NDArray[np.intp]) -> None:
        """New episodes in some environments."""
        self.fallen[rows], self.start[rows], self.ignored[rows] = False, 0.0, 0.0

    def apply(self, z: FloatArray, progress: FloatArray) -> FloatArray:
        """The potential of the flag without crawling, [N]; calling it twice changes nothing."""
        falls = (z < FALLEN) & ~self.fallen
        self.fallen[:] = z < FALLEN
        self.start[falls] = (progress - self.ignored)[falls]
        self.ignored[self.fallen] = (progress - self.start)[self.fallen]
        return np.where(self.fallen, self.start, progress - self.ignored)
