"""The reward of Roboschool's humanoids, term by term for one simulation: an oracle for tests.

Written from `gym_forward_walkers.py` and `gym_humanoid_flagrun.py` of openai/roboschool (911f7cd,
and 1f5c1b3 for v1), on plain `MjData` and scipy's rotations, without any code of
`repro.envs.humanoid`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

DT = 0.0165


class Version(NamedTuple):
    limit_cost: float
    walking_power: float
    ground_power: float
    leak: str


VERSIONS = {
    ("Humanoid", "v0"): Version(-0.1, 1, 1, "none"),
    ("HumanoidFlagrun", "v0"): Version(-0.1, 1, 1, "none"),
    ("HumanoidFlagrunHarder", "v0"): Version(-0.1, 1 / 4, 1 / 4, "torso"),
    ("Humanoid", "v1"): Version(-0.2, 1, 1, "none"),
    ("HumanoidFlagrun", "v1"): Version(-0.2, 1 / 2, 1 / 2, "none"),
    ("HumanoidFlagrunHarder", "v1"): Version(-0.2, 1 / 2, 1 / 5, "both"),
}


class Oracle:
    """One humanoid: its own simulation, counters and potentials."""

    def __init__(self, model: Any, name: str, version: str) -> None:
        self.model, self.data, self.replay = model, mujoco.MjData(model), mujoco.MjData(model)
        self.version, self.name = VERSIONS[name, version], name
        self.hinges = [j for j in range(model.njnt) if model.jnt_type[j] == 3]
        self.start(np.zeros(2))

    def start(self, flag: np.ndarray) -> None:
        self.ground, self.crawl_start, self.crawl_ignored = 0, None, 0.0
        self.potential = self._potential(flag)

    def look(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Compute everything at a state."""
        model, data = self.model, self.data
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco.mj_kinematics(model, data)
        torso = Rotation.from_quat(qpos[3:7], scalar_first=True)
        arm = np.array([-0.01, 0, -0.12])
        self.z = qpos[2] + torso.apply(arm)[2]
        self.velocity = qvel[:3] + torso.apply(np.cross(qvel[3:6], arm))
        self.yaw, self.pitch, self.roll = torso.as_euler("ZYX")
        points = [data.xanchor[j] for j in self.hinges]
        for body in range(2, 14):  # what comes after world and torso, without cube and flag
            geom = model.body_geomadr[body] + model.body_geomnum[body] - 1
            capsule = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE
            points.append(data.geom_xpos[geom] if capsule else data.xpos[body])
        self.xy = np.mean(points, axis=0)[:2]
        low, high = model.jnt_range[self.hinges].T
        q = qpos[[model.jnt_qposadr[j] for j in self.hinges]]
        self.positions = 2 * (q - (low + high) / 2) / (high - low)
        self.speeds = 0.1 * qvel[[model.jnt_dofadr[j] for j in self.hinges]]

    def physics(self, before: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, list[set[str]]]:
        """Four plain substeps: qpos after them, and what each foot touches then."""
        model, data = self.model, self.replay
        mujoco.mj_setState(model, data, before, mujoco.mjtState.mjSTATE_INTEGRATION)
        data.ctrl[:] = np.clip(action, -1, 1)
        mujoco.mj_step(model, data, nstep=4)
        mujoco.mj_fwdPosition(model, data)
        touched: list[set[str]] = [set(), set()]
        for contact in data.contact:
            names = [model.geom(g).name for g in contact.geom]
            for i, foot in enumerate(("right_foot", "left_foot")):
                if foot in names:
                    touched[i].add(names[1 - names.index(foot)])
        return data.qpos.copy(), touched

    def _leak(self) -> float:
        if self.version.leak == "torso":
            return 1 + min(max(self.z, 0), 0.8) / 0.8
        pelvis = self.data.xpos[self.model.body("pelvis").id][2]
        return 0.5 + 1.5 * min(max(0.7 * self.z + 0.3 * pelvis, 0), 0.7) / 0.7

    def _potential(self, flag: np.ndarray) -> float:
        if not hasattr(self, "xy"):
            return 0.0
        progress = -float(np.hypot(*(flag - self.xy))) / DT
        if self.version.leak == "none":
            return progress
        if self.z < 0.8:
            if self.crawl_start is None:
                self.crawl_start = progress - self.crawl_ignored
            self.crawl_ignored = progress - self.crawl_start
            progress = self.crawl_start
        else:
            progress -= self.crawl_ignored
            self.crawl_start = None
        return progress + 100 * self._leak()

    def terms(
        self,
        action: np.ndarray,
        touched: list[set[str]],
        flag: np.ndarray,
        moved: bool,
        walks: bool,
    ) -> dict[str, float]:
        """The terms of the step that led to the state last looked at."""
        if moved:
            self.potential = self._potential(flag)  # "avoid reward jump"
        if self.version.leak == "none":
            alive = 2.0 if self.z > 0.78 else -1.0
        else:
            if self.z < 0.8:
                if self.version.leak == "both" and walks:
                    self.ground = 10000
                self.ground += 1
            elif self.ground > 0:
                self.ground -= 1
            alive = self._leak() if self.ground < 170 else -1.0
        before, self.potential = self.potential, self._potential(flag)
        power = self.version.ground_power if self.z < 0.8 else self.version.walking_power
        return {
            "alive": alive,
            "progress": self.potential - before,
            "electricity": -8.5 * power * float(np.mean(np.abs(action * self.speeds)))
            - 0.425 * float(np.mean(np.square(action))),
            "joint_limits": self.version.limit_cost * sum(abs(p) > 0.99 for p in self.positions),
            "feet_collision": -1.0 * sum(bool(names - {"floor"}) for names in touched),
        }

    def observation(self, flag: np.ndarray, feet: list[bool]) -> np.ndarray:
        turn = np.arctan2(*(flag - self.xy)[::-1]) - self.yaw
        forward, left, up = Rotation.from_euler("z", -self.yaw).apply(self.velocity)
        joints = np.stack([self.positions, self.speeds], axis=1).ravel()
        first = [self.z - 0.8, np.sin(turn), np.cos(turn)]
        first += [0.3 * forward, 0.3 * left, 0.3 * up, self.roll, self.pitch]
        return np.clip(np.concatenate([first, joints, feet]), -5, 5)
