"""How an episode begins: upright, face down or on the back.

Source: `robot_specific_reset` of `gym_forward_walkers.py` of openai/roboschool at 911f7cd; v1's
choice of starts is `RepeatUnderlearnedTasks` of `gym_humanoid_flagrun.py` at 1f5c1b3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from repro.envs.humanoid.body import JOINTS, quaternion, rotations
from repro.envs.humanoid.model import MOTORS, WAIST
from repro.envs.humanoid.rules import Rules
from repro.envs.vector import BoolArray, FloatArray

UPRIGHT, FACE_DOWN, ON_BACK = range(3)
JOINT_NOISE = 0.1  # rad; robot_specific_reset
MEMORY = 10  # episodes of each kind that v1 remembers


class Pose(NamedTuple):
    """Of the torso: pitch in rad, and the height of its waist point in m."""

    pitch: float
    height: float


POSES = {
    UPRIGHT: Pose(0.0, 1.4),
    FACE_DOWN: Pose(np.pi / 2, 0.45),
    ON_BACK: Pose(3 * np.pi / 2, 0.25),
}
LEANING = POSES | {ON_BACK: Pose(3 * np.pi / 2 - 0.15, 0.22)}  # v1


class Starts:
    """Draws first states.

    Attributes:
        kind: of each running episode: UPRIGHT, FACE_DOWN or ON_BACK, [N].
    """

    def __init__(self, num_envs: int, rules: Rules) -> None:
        """Remember nothing yet."""
        self._rules = rules
        self.kind = np.zeros(num_envs, np.int64)
        self._lasted = np.zeros((num_envs, len(POSES), MEMORY), np.bool_)
        self._episodes = np.zeros((num_envs, len(POSES)), np.int64)

    def draw(self, i: int, rng: np.random.Generator, qpos: FloatArray) -> None:
        """Write a first pose into qpos, [nq]; what is not the humanoid's stays."""
        rules = self._rules
        qpos[JOINTS] = rng.uniform(-JOINT_NOISE, JOINT_NOISE, len(MOTORS))
        yaw = float(rng.uniform(-rules.start_yaw, rules.start_yaw)) if rules.start_yaw else 0.0
        self.kind[i] = self._draw_kind(i, rng)
        pose = (LEANING if rules.leaning else POSES)[int(self.kind[i])]
        turned = quaternion(pose.pitch, yaw)
        rotation = np.array(rotations(*turned.tolist()))
        qpos[:3] = np.array([0.0, 0.0, pose.height]) - rotation @ WAIST
        qpos[3:7] = turned

    def _draw_kind(self, i: int, rng: np.random.Generator) -> int:
        match self._rules.starts:
            case "upright":
                return UPRIGHT
            case "drawn":
                if rng.integers(2):
                    return UPRIGHT
                return FACE_DOWN if rng.integers(2) == 0 else ON_BACK
        failing = 1 - self._lasted[i].sum(axis=1) / (1 + np.minimum(self._episodes[i], MEMORY))
        return int(rng.choice(len(failing), p=failing / failing.sum()))

    def remember(self, lasted: BoolArray, ended: BoolArray) -> None:
        """Note which episodes of those that ended lasted to the time limit, [N] both."""
        if self._rules.starts != "underlearned":
            return
        for i in np.flatnonzero(ended):
            kind = self.kind[i]
            self._lasted[i, kind, self._episodes[i, kind] % MEMORY] = lasted[i]
            self._episodes[i, kind] += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a saved state holds."""
        arrays: dict[str, NDArray[Any]] = {"start_kind": self.kind}
        if self._rules.starts == "underlearned":
            arrays |= {"start_lasted": self._lasted, "start_episodes": self._episodes}
        return arrays
