"""Tasks that move along x: HalfCheetah, Swimmer, Walker2d, Hopper (v4 and v5).

Source: `gymnasium/envs/mujoco` of Gymnasium 1.4; see `repro.envs.mujoco.task` for the axes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from repro.envs.mujoco.task import ActionArray, InfoArrays, Simulation, Task, squared_norm
from repro.envs.vector import BoolArray, FloatArray


def _strictly_within(values: FloatArray, bounds: tuple[float, float]) -> BoolArray:
    low, high = bounds
    return (low < values) & (values < high)


class Locomotion(Task):
    """Move along x: reward for velocity, less a cost of control."""

    hidden_positions: ClassVar[int] = 1
    """Leading positions that are left out of the observation."""
    velocity_limit: ClassVar[float | None] = None
    """Observed velocities are clipped to plus or minus this."""

    def __init__(self, simulation: Simulation) -> None:
        """Read the reward weights."""
        super().__init__(simulation)
        self._forward_weight = float(simulation.settings["forward_reward_weight"])
        self._control_weight = float(simulation.settings["ctrl_cost_weight"])
        self._visible_qpos = self._qpos[:, self.hidden_positions :]
        self._plane = self._qpos[:, :2]
        self._plane_before = np.zeros_like(self._plane)
        self._x, self._x_before = self._plane[:, 0], self._plane_before[:, 0]
        self._forward_reward = np.zeros(len(self._qpos))
        self._control_cost: NDArray[Any] = np.zeros(len(self._qpos))

    def remember(self) -> None:
        """Keep the position before the step, from which velocity is measured."""
        np.copyto(self._plane_before, self._plane)

    def observe(self, out: FloatArray) -> None:
        """Positions without the leading ones, then velocities."""
        positions = self._visible_qpos.shape[1]
        out[:, :positions] = self._visible_qpos
        if self.velocity_limit is None:
            out[:, positions:] = self._qvel
        else:
            limit = self.velocity_limit
            np.clip(self._qvel, -limit, limit, out=out[:, positions:])

    def score(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Reward forward velocity less the cost of control."""
        self._measure(actions)
        np.subtract(self._forward_reward, self._control_cost, out=rewards)

    def _measure(self, actions: ActionArray) -> None:
        forward = self._forward_reward
        np.subtract(self._x, self._x_before, out=forward)
        forward /= self._simulation.step_seconds
        forward *= self._forward_weight
        self._control_cost = self._control_weight * squared_norm(actions)

    def _velocity(self) -> FloatArray:
        return (self._plane - self._plane_before) / self._simulation.step_seconds


class HalfCheetah(Locomotion):
    """Run; no episode ends before the time limit."""

    normal_start_velocity = True

    def step_infos(self) -> InfoArrays:
        """Position, velocity and both parts of the reward."""
        forward_key = "reward_run" if self._version == 4 else "reward_forward"
        return {
            "x_position": self._x.copy(),
            "x_velocity": self._velocity()[:, 0],
            forward_key: self._forward_reward.copy(),
            "reward_ctrl": -self._control_cost,
        }

    def reset_infos(self) -> InfoArrays:
        """Position, in v5."""
        return {} if self._version == 4 else {"x_position": self._x.copy()}


class Swimmer(Locomotion):
    """Swim in the plane; no episode ends before the time limit."""

    hidden_positions = 2

    def step_infos(self) -> InfoArrays:
        """Position and velocity in the plane, and both parts of the reward."""
        velocity = self._velocity()
        forward_keys = (
            ("reward_fwd", "forward_reward") if self._version == 4 else ("reward_forward",)
        )
        return {
            **self._place(),
            "x_velocity": velocity[:, 0],
            "y_velocity": velocity[:, 1],
            "reward_ctrl": -self._control_cost,
            **{key: self._forward_reward.copy() for key in forward_keys},
        }

    def reset_infos(self) -> InfoArrays:
        """Position in the plane, in v5."""
        return {} if self._version == 4 else self._place()

    def _place(self) -> InfoArrays:
        return {
            "x_position": self._x.copy(),
            "y_position": self._plane[:, 1].copy(),
            "distance_from_origin": np.sqrt(np.vecdot(self._plane, self._plane)),
        }


class Walker2d(Locomotion):
    """Walk; the episode ends on falling. In v5 the last step earns no survival reward."""

    velocity_limit = 10.0

    def __init__(self, simulation: Simulation) -> None:
        """Read the healthy ranges."""
        super().__init__(simulation)
        settings = simulation.settings
        self._healthy_reward = float(settings["healthy_reward"])
        self._height_range = settings["healthy_z_range"]
        self._angle_range = settings["healthy_angle_range"]
        self._survival = np.zeros(len(self._qpos))

    def score(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Reward forward velocity and survival less the cost of control."""
        self._measure(actions)
        healthy = self._healthy()
        np.logical_not(healthy, out=terminated)
        if self._version == 4:
            self._survival.fill(self._healthy_reward)
        else:
            np.multiply(healthy, self._healthy_reward, out=self._survival)
        np.add(self._forward_reward, self._survival, out=rewards)
        rewards -= self._control_cost

    def _healthy(self) -> BoolArray:
        height_ok = _strictly_within(self._qpos[:, 1], self._height_range)
        return height_ok & _strictly_within(self._qpos[:, 2], self._angle_range)

    def step_infos(self) -> InfoArrays:
        """Position and velocity; in v5 also the height gained and the parts of the reward."""
        infos = {
            "x_position": self._x.copy(),
            "x_velocity": self._velocity()[:, 0],
        }
        if self._version == 4:
            return infos
        parts = {
            "reward_forward": self._forward_reward.copy(),
            "reward_ctrl": -self._control_cost,
            "reward_survive": self._survival.copy(),
        }
        return infos | parts | self.reset_infos()

    def reset_infos(self) -> InfoArrays:
        """Position and height gained, in v5."""
        if self._version == 4:
            return {}
        return {
            "x_position": self._x.copy(),
            "z_distance_from_origin": self._qpos[:, 1] - self._simulation.initial_qpos[1],
        }


class Hopper(Walker2d):
    """Hop; the episode ends on falling or when any part of the state leaves its range."""

    def __init__(self, simulation: Simulation) -> None:
        """Read the range that the whole state must keep."""
        super().__init__(simulation)
        self._state_range = simulation.settings["healthy_state_range"]

    def _healthy(self) -> BoolArray:
        positions_ok = _strictly_within(self._qpos[:, 2:], self._state_range).all(axis=1)
        velocities_ok = _strictly_within(self._qvel, self._state_range).all(axis=1)
        return super()._healthy() & positions_ok & velocities_ok
