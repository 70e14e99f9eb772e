"""Tasks that hold a position: both pendulums and Reacher (v4 and v5).

Source: `gymnasium/envs/mujoco` of Gymnasium 1.4; see `repro.envs.mujoco.task` for the axes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from repro.envs.mujoco.task import ActionArray, Simulation, Task, squared_norm
from repro.envs.vector import BoolArray, FloatArray


def _scalar_squares(values: FloatArray) -> FloatArray:
    """Square each entry as NumPy squares a scalar.

    NumPy multiplies arrays but calls the C library's `pow` for scalars, and the two differ in the
    last bit about once in 1,200 values. Gymnasium squares scalars in the double pendulum's reward.
    """
    return np.array([value**2 for value in values])


class InvertedPendulum(Task):
    """Balance a pole on a cart; the episode ends when it leans more than 0.2 rad."""

    start_noise = 0.01
    angle_limit: ClassVar[float] = 0.2

    def reward(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Reward 1 a step; in v5, 0 for the step that ends the episode."""
        finite = np.isfinite(self._qpos).all(axis=1) & np.isfinite(self._qvel).all(axis=1)
        np.greater(np.abs(self._qpos[:, 1]), self.angle_limit, out=terminated)
        np.logical_or(terminated, ~finite, out=terminated)
        rewards[:] = 1.0 if self._version == 4 else ~terminated


class InvertedDoublePendulum(Task):
    """Balance two poles on a cart; the episode ends when the tip sinks to a height of 1."""

    start_noise = 0.1
    normal_start_velocity = True
    observed_limit: ClassVar[float] = 10.0

    def __init__(self, simulation: Simulation) -> None:
        """Bind the tip's position and the constraint forces."""
        super().__init__(simulation)
        self._alive_reward = float(simulation.settings.get("healthy_reward", 10.0))
        self._tip: FloatArray = simulation.batch.bind("site_xpos")[:, 0]
        force: FloatArray = simulation.batch.bind("qfrc_constraint")
        self._force = force if self._version == 4 else force[:, :1]

    def observe(self, out: FloatArray) -> None:
        """Cart position, sines and cosines of the angles, velocities, constraint forces."""
        limit = self.observed_limit
        out[:, 0] = self._qpos[:, 0]
        np.sin(self._qpos[:, 1:], out=out[:, 1:3])
        np.cos(self._qpos[:, 1:], out=out[:, 3:5])
        np.clip(self._qvel, -limit, limit, out=out[:, 5:8])
        np.clip(self._force, -limit, limit, out=out[:, 8:])

    def reward(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Reward survival less penalties of the tip's offset and of the joints' velocities."""
        height = self._tip[:, 2]
        np.less_equal(height, 1, out=terminated)
        offset = 0.01 * _scalar_squares(self._tip[:, 0]) + _scalar_squares(height - 2)
        speed = 1e-3 * _scalar_squares(self._qvel[:, 1]) + 5e-3 * _scalar_squares(self._qvel[:, 2])
        alive = np.full(len(height), self._alive_reward)
        if self._version != 4:
            alive *= ~terminated
        np.subtract(alive, offset, out=rewards)
        rewards -= speed


class Reacher(Task):
    """Bring a two-link arm's fingertip to a target drawn within a disc of radius 0.2.

    In v4 the reward of a step depends on the distance *before* it, in v5 on the distance after it.
    Body positions are not part of the simulator's state, so the offset is kept between steps.
    """

    goal_radius: ClassVar[float] = 0.2
    start_noise = 0.1
    start_velocity_noise: ClassVar[float] = 0.005

    def __init__(self, simulation: Simulation) -> None:
        """Bind the fingertip's and the target's positions."""
        super().__init__(simulation)
        model, positions = simulation.batch.model, simulation.batch.bind("xpos")
        self._fingertip: FloatArray = positions[:, model.body("fingertip").id]
        self._target: FloatArray = positions[:, model.body("target").id]
        self._distance_weight = float(simulation.settings.get("reward_dist_weight", 1))
        self._control_weight = float(simulation.settings.get("reward_control_weight", 1))
        self._offset = np.zeros((len(self._qpos), 3))
        self._distance_reward = np.zeros(len(self._qpos))

    def start_state(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw the arm near rest and the target uniformly in the disc."""
        simulation, speed = self._simulation, self.start_velocity_noise
        noise = rng.uniform(-self._noise, self._noise, simulation.initial_qpos.size)
        qpos = noise + simulation.initial_qpos
        qpos[-2:] = self._draw_goal(rng)
        qvel = simulation.initial_qvel + rng.uniform(-speed, speed, simulation.initial_qvel.size)
        qvel[-2:] = 0.0
        return qpos, qvel

    def _draw_goal(self, rng: np.random.Generator) -> FloatArray:
        while True:
            goal = rng.uniform(-self.goal_radius, self.goal_radius, 2)
            if np.linalg.norm(goal) < self.goal_radius:
                return goal

    def before_step(self) -> None:
        """In v4, compute the reward of the distance before the step."""
        if self._version == 4:
            self._reward_distance()

    def observe(self, out: FloatArray) -> None:
        """Cosines and sines of the joint angles, target, joint velocities, offset to the target."""
        np.subtract(self._fingertip, self._target, out=self._offset)
        np.cos(self._qpos[:, :2], out=out[:, 0:2])
        np.sin(self._qpos[:, :2], out=out[:, 2:4])
        out[:, 4:6] = self._qpos[:, 2:]
        out[:, 6:8] = self._qvel[:, :2]
        out[:, 8:] = self._offset[:, : out.shape[1] - 8]

    def reward(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Reward nearness less the cost of control."""
        if self._version != 4:
            self._reward_distance()
        control_reward = -squared_norm(actions) * self._control_weight
        np.add(self._distance_reward, control_reward, out=rewards)

    def _reward_distance(self) -> None:
        # A dot product per row rounds as Gymnasium's norm of a single offset does.
        distance = np.sqrt(np.vecdot(self._offset, self._offset))
        np.multiply(-distance, self._distance_weight, out=self._distance_reward)

    def extra_state(self) -> dict[str, FloatArray]:
        """The offset from the target to the fingertip [N, 3]."""
        return {"offset": self._offset}
