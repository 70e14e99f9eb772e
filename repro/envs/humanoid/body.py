"""Where the humanoid is, how it is turned and how fast it moves: arrays over N simulations.

Everything belongs to the state after the step. (Bullet's contacts are those of the last substep,
4 ms earlier.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mujoco.batch import Batch

from repro.envs.humanoid.model import FEET, MOTORS, PARTS, WAIST
from repro.envs.vector import BoolArray, FloatArray

JOINTS = slice(7, 7 + len(MOTORS))  # of qpos, after the torso's position and quaternion
JOINT_SPEEDS = slice(6, 6 + len(MOTORS))  # of qvel
SPEED_SCALE = 0.1  # python-binding.cpp: current_relative_position, of rad/s
AT_LIMIT = 0.99  # gym_forward_walkers.py: joints_at_limit, of the joint's half range


class Body:
    """What Roboschool's `calc_state` measures.

    Attributes:
        xy: mean over the parts, in m, [N, 2].
        z: height of the waist point, in m, [N].
        velocity: of the waist point, in m/s, [N, 3].
        roll: in rad, [N], as are the next two.
        pitch: positive where the humanoid leans forward.
        yaw: positive to the left.
        joint_positions: -1 and 1 at the limits, [N, 17].
        joint_speeds: in 10 rad/s, [N, 17].
        on_floor: whether a foot touches the floor, right and left, [N, 2].
        colliding: whether a foot touches anything else, [N, 2].
    """

    def __init__(self, batch: Batch) -> None:
        """Bind the arrays that hold the simulations' states."""
        self._qpos: FloatArray = batch.bind("qpos")
        self._qvel: FloatArray = batch.bind("qvel")
        self._parts: FloatArray = batch.bind("site_xpos")[:, :PARTS, :2]
        self._contacts: FloatArray = batch.bind("sensordata").reshape(-1, len(FEET), 2)
        low, high = batch.model.jnt_range[1 : 1 + len(MOTORS)].T
        self._center, self._half_range = (low + high) / 2, (high - low) / 2

    def measure(self) -> None:
        """Update all attributes but the contacts of the feet."""
        # Sums over parts run along the first axis, so that their order does not depend on N.
        parts = self._parts.transpose(1, 0, 2).reshape(PARTS, -1)
        self.xy = parts.sum(axis=0).reshape(-1, 2) / PARTS
        rotation: Rotation = rotations(*np.ascontiguousarray(self._qpos[:, 3:7].T))
        self.z = self._qpos[:, 2] + _dot(rotation[2], WAIST)
        turning = _cross(self._qvel[:, 3:6].T, WAIST)  # in the torso's frame
        moving = np.stack([_dot(row, turning) for row in rotation], axis=1)
        self.velocity = self._qvel[:, :3] + moving
        self.roll, self.pitch, self.yaw = roll_pitch_yaw(rotation)
        self.joint_positions = (self._qpos[:, JOINTS] - self._center) / self._half_range
        self.joint_speeds = SPEED_SCALE * self._qvel[:, JOINT_SPEEDS]

    def touch(self) -> None:
        """Update the contacts of the feet."""
        floor, any_contact = self._contacts[:, :, 0], self._contacts[:, :, 1]
        self.on_floor: BoolArray = floor > 0
        self.colliding: BoolArray = any_contact > floor

    @property
    def joints_at_limit(self) -> FloatArray:
        """How many joints are at a limit, [N]."""
        limits = np.abs(self.joint_positions) > AT_LIMIT
        return np.asarray(np.count_nonzero(limits, axis=1), np.float64)


Rotation = tuple[list[FloatArray], ...]


def rotations(w: Any, x: Any, y: Any, z: Any) -> tuple[list[Any], ...]:
    """Entries of rotation matrices, [3][3], of unit quaternions: arrays, or floats of a single one.

    Both give the same bits.
    """
    return (
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    )


def _dot(row: Sequence[FloatArray], vector: Sequence[Any]) -> FloatArray:
    """Inner products [N] of 3-vectors, each given by its entries."""
    total: FloatArray = row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]
    return total


def _cross(a: FloatArray, b: Sequence[float]) -> list[FloatArray]:
    """Entries of a x b, [3][N], of a [3, N]. np.cross takes three times as long for small N."""
    (ax, ay, az), (bx, by, bz) = a, b
    return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx]


def roll_pitch_yaw(rotation: Rotation) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Angles about x, y, z in rad, [N] each: R = Rz(yaw) Ry(pitch) Rx(roll)."""
    roll = np.arctan2(rotation[2][1], rotation[2][2])
    pitch = np.arcsin(np.clip(-rotation[2][0], -1, 1))
    yaw = np.arctan2(rotation[1][0], rotation[0][0])
    return roll, pitch, yaw


def quaternion(pitch: float, yaw: float) -> FloatArray:
    """Of Rz(yaw) Ry(pitch), real part first, [4]."""
    cp, sp, cy, sy = np.cos(pitch / 2), np.sin(pitch / 2), np.cos(yaw / 2), np.sin(yaw / 2)
    return np.array([cy * cp, -sy * sp, cy * sp, sy * cp])
