"""Tasks that move along x: HalfCheetah, Swimmer, Walker2d, Hopper (v4 and v5).

Source: `gymnasium/envs/mujoco` of Gymnasium 1.4; see `repro.envs.mujoco.task` for the axes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from repro.envs.mujoco.task import ActionArray, Simulation, Task, squared_norm
from repro.envs.vector import BoolArray, FloatArray


def _strictly_within(values: FloatArray, bounds: tuple[float, float]) -> BoolArray:
    low, high = bounds
    return (low < values) & (values < high)


class Locomotion(Task):
    """Move along x: reward for velocity, less a cost of control."""

    hidden_positions: ClassVar[int] = 1
    """Number of leading positions that the observation leaves out."""
    velocity_limit: ClassVar[float | None] = None
    """Observed velocities are clipped to [-limit, limit]."""

    def __init__(self, simulation: Simulation) -> None:
        """Read the reward weights."""
        super().__init__(simulation)
        self._forward_weight = float(simulation.settings["forward_reward_weight"])
        self._control_weight = float(simulation.settings["ctrl_cost_weight"])
        self._visible_qpos = self._qpos[:, self.hidden_positions :]
        self._x = self._qpos[:, 0]
        self._x_before = np.zeros_like(self._x)

    def before_step(self) -> None:
        """Store the position, from which the step's velocity is computed."""
        np.copyto(self._x_before, self._x)

    def observe(self, out: FloatArray) -> None:
        """Positions without the leading ones, then velocities."""
        positions = self._visible_qpos.shape[1]
        out[:, :positions] = self._visible_qpos
        if self.velocity_limit is None:
            out[:, positions:] = self._qvel
        else:
            limit = self.velocity_limit
            np.clip(self._qvel, -limit, limit, out=out[:, positions:])

    def reward(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Reward forward velocity less the cost of control."""
        np.subtract(self._forward_reward(), self._control_cost(actions), out=rewards)

    def _forward_reward(self) -> FloatArray:
        return (self._x - self._x_before) / self._simulation.step_seconds * self._forward_weight

    def _control_cost(self, actions: ActionArray) -> NDArray[Any]:
        return self._control_weight * squared_norm(actions)


class HalfCheetah(Locomotion):
    """Run; no episode ends before the time limit."""

    normal_start_velocity = True


class Swimmer(Locomotion):
    """Swim in the plane; no episode ends before the time limit."""

    hidden_positions = 2


class Walker2d(Locomotion):
    """Walk; the episode ends on falling. In v5 that last step earns no survival reward."""

    velocity_limit = 10.0

    def __init__(self, simulation: Simulation) -> None:
        """Read the healthy ranges."""
        super().__init__(simulation)
        settings = simulation.settings
        self._healthy_reward = float(settings["healthy_reward"])
        self._height_range = settings["healthy_z_range"]
        self._angle_range = settings["healthy_angle_range"]

    def reward(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Reward forward velocity and survival less the cost of control."""
        healthy = self._healthy()
        np.logical_not(healthy, out=terminated)
        survived = 1.0 if self._version == 4 else healthy
        np.add(self._forward_reward(), survived * self._healthy_reward, out=rewards)
        rewards -= self._control_cost(actions)

    def _healthy(self) -> BoolArray:
        height_ok = _strictly_within(self._qpos[:, 1], self._height_range)
        return height_ok & _strictly_within(self._qpos[:, 2], self._angle_range)


class Hopper(Walker2d):
    """Hop; the episode ends on falling or when any part of the state leaves its range."""

    def __init__(self, simulation: Simulation) -> None:
        """Read the range in which the whole state must stay."""
        super().__init__(simulation)
        self._state_range = simulation.settings["healthy_state_range"]

    def _healthy(self) -> BoolArray:
        positions_ok = _strictly_within(self._qpos[:, 2:], self._state_range).all(axis=1)
        velocities_ok = _strictly_within(self._qvel, self._state_range).all(axis=1)
        return super()._healthy() & positions_ok & velocities_ok
