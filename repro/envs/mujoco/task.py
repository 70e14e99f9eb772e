"""What a MuJoCo task is: start states, observations and rewards of N simulations at once.

A task says where an episode starts, what is observed, what is rewarded and when it ends. Its
numbers (weights, ranges, noise) are read from Gymnasium's own constructors, and every result is
bit-equal to Gymnasium's environment of the same id. To add a task, write one `Task` subclass and
name it in `repro.envs.mujoco.vector.TASKS`.

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
InfoArrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Simulation:
    """What a task needs to know about the N simulations it watches.

    Attributes:
        batch: the simulations; arrays bound to it are live.
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
    """Start states, observations and rewards of one task.

    The environment calls, once per step and in this order: `remember`, then the physics, then
    `observe`, `score`, and `step_infos` if infos are wanted.
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
        """Draw where an episode starts: positions [nq] and velocities [nv]."""
        simulation, noise = self._simulation, self._noise
        qpos = simulation.initial_qpos + rng.uniform(-noise, noise, simulation.initial_qpos.size)
        if self.normal_start_velocity:
            drawn = noise * rng.standard_normal(simulation.initial_qvel.size)
        else:
            drawn = rng.uniform(-noise, noise, simulation.initial_qvel.size)
        return qpos, simulation.initial_qvel + drawn

    def remember(self) -> None:
        """Keep what the reward of the coming step compares with."""

    def observe(self, out: FloatArray) -> None:
        """Write the observations of all simulations into `out` [N, D]."""
        positions = self._qpos.shape[1]
        out[:, :positions] = self._qpos
        out[:, positions:] = self._qvel

    def score(self, actions: ActionArray, rewards: FloatArray, terminated: BoolArray) -> None:
        """Write the rewards [N] and terminations [N] of the step just taken with `actions` [N, A].

        A task that never terminates leaves `terminated` alone: it is all false from the start.
        """
        raise NotImplementedError

    def step_infos(self) -> InfoArrays:
        """Gymnasium's infos for the step just scored: new arrays [N] by key."""
        return {}

    def reset_infos(self) -> InfoArrays:
        """Gymnasium's infos for a reset: new arrays [N] by key."""
        return {}

    def carried(self) -> dict[str, FloatArray]:
        """Arrays that the next step reads and the simulator's state does not hold, by name."""
        return {}


def squared_norm(actions: ActionArray) -> NDArray[Any]:
    """Sum of squares of each row [N], in the dtype of `actions` as Gymnasium computes it."""
    # Row-major squares, so that each row is summed in the order of a lone action vector; from nine
    # actuators on that order shows in the last bit.
    sums: NDArray[Any] = np.add.reduce(np.square(actions, order="C"), axis=1)
    return sums
