"""A MuJoCo task: start states, observations, rewards and ends of N simulations at once.

The numbers of a task (weights, ranges, noise) are read from Gymnasium's own constructors, and every
result is bit-equal to Gymnasium's environment of the same id. To add a task, write one `Task`
subclass and name it in `repro.envs.mujoco.vector.TASKS`.

Axes: N simulations, A actuators, D observation entries, `nq` positions, `nv` velocities.
Source of the task definitions: `gymnasium/envs/mujoco` of Gymnasium 1.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from repro.envs.vector import BoolArray, FloatArray

ActionArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Simulation:
    """The N simulations of a task, and the constants that its rewards need.

    Attributes:
        batch: the simulations; the arrays it binds always show the current state.
        initial_qpos: positions of the model as loaded [nq].
        initial_qvel: velocities of the model as loaded [nv].
        step_seconds: simulated seconds per environment step.
        settings: Gymnasium's constructor arguments for this id, by name.
        version: 4 or 5, the version in the id.
    """

    batch: Batch
    initial_qpos: FloatArray
    initial_qvel: FloatArray
    step_seconds: float
    settings: Mapping[str, Any]
    version: int


class Task:
    """Start states, observations, rewards and terminations of one task.

    The environment calls, once per step and in this order: `before_step`, then the physics, then
    `observe` and `reward`.
    """

    start_noise: ClassVar[float] = 0.0
    """Half-width of the start noise where Gymnasium's constructor has no argument for it."""
    normal_start_velocity: ClassVar[bool] = False
    """Whether start velocities are Gaussian rather than uniform."""

    def __init__(self, simulation: Simulation) -> None:
        """Bind the arrays that every task reads."""
        self._simulation = simulation
        self._version = simulation.version
        self._qpos: FloatArray = simulation.batch.bind("qpos")
        self._qvel: FloatArray = simulation.batch.bind("qvel")
        self._noise = float(simulation.settings.get("reset_noise_scale", self.start_noise))

    def start_state(self, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw the first state of an episode: positions [nq] and velocities [nv]."""
        simulation, noise = self._simulation, self._noise
        qpos = simulation.initial_qpos + rng.uniform(-noise, noise, simulation.initial_qpos.size)
        if self.normal_start_velocity:
            drawn = noise * rng.standard_normal(simulation.initial_qvel.size)
        else:
            drawn = rng.uniform(-noise, noise, simulation.initial_qvel.size)
        return qpos, simulation.initial_qvel + drawn

    def before_step(self) -> None:
        """Store what the reward of the coming step depends on."""

    def observe(self, out: FloatArray) -> None:
        """Write the observations of all simulations into `out` [N, D]."""
        positions = self._qpos.shape[1]
        out[:, :positions] = self._qpos
        out[:, positions:] = self._qvel

    def reward(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Write the rewards [N] and terminations [N] of the step just taken with `actions` [N, A].

        A task that never terminates does not write to `terminated`, which is all false at first.
        """
        raise NotImplementedError

    def extra_state(self) -> dict[str, FloatArray]:
        """Arrays by name that the next step reads and the simulator's state does not include."""
        return {}


def squared_norm(actions: ActionArray) -> NDArray[Any]:
    """Sum of squares of each row [N], in the dtype of `actions` as Gymnasium computes it."""
    # Row-major squares, so that each row is summed in the same order as a single action vector:
    # with nine or more actuators the order changes the last bit.
    sums: NDArray[Any] = np.add.reduce(np.square(actions, order="C"), axis=1)
    return sums
