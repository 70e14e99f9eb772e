"""A MuJoCo task as data: what is observed, rewarded and ended, and how episodes start.

A task is a function from `Facts` to a `Task`, in `control`, `locomotion` or `humanoids`, named in
`repro.envs.mujoco.vector.TASKS`. Its numbers (weights, ranges, noise) are read from Gymnasium's own
constructors, and every result is bit-equal to Gymnasium's environment of the same id. It is written
once, as expressions: NumPy evaluates them for a batch, and the compiled rollouts do the same.

Source of the task definitions: `gymnasium/envs/mujoco` of Gymnasium 1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np

from repro.envs.mujoco import expressions
from repro.envs.mujoco.expressions import Expression
from repro.envs.vector import FloatArray

Start = Callable[[np.random.Generator], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Task:
    """All that distinguishes one task from another.

    Attributes:
        observation: its parts, in order.
        reward: one number.
        start: draws the positions [nq] and velocities [nv] of an episode's first state.
        terminated: a condition; None where only the time limit ends episodes.
        kept: what the next step's reward reads, by the names that `expressions.before` takes.
        contact_forces: whether it reads `cfrc_ext`.
    """

    observation: Sequence[Expression]
    reward: Expression
    start: Start
    terminated: Expression | None = None
    kept: Mapping[str, Expression] = field(default_factory=dict)
    contact_forces: bool = False


@dataclass(frozen=True)
class Facts:
    """What a task is made from.

    Attributes:
        data: of one simulation; only the shapes of its fields count.
        initial_qpos: positions of the model as loaded [nq].
        initial_qvel: velocities of the model as loaded [nv].
        step_seconds: simulated seconds per environment step.
        settings: Gymnasium's constructor arguments for this id, by name.
        version: 4 or 5, the version in the id.
    """

    data: mujoco.MjData
    initial_qpos: FloatArray
    initial_qvel: FloatArray
    step_seconds: float
    settings: Mapping[str, Any]
    version: int

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model."""
        return self.data.model

    def weight(self, name: str, default: float | None = None) -> float:
        """A constructor argument; `default` where this version's constructor has none."""
        value = self.settings[name] if default is None else self.settings.get(name, default)
        return float(value)

    def field(self, name: str) -> Expression:
        """All numbers of a field of `MjData`, flattened."""
        return expressions.load(name, getattr(self.data, name).size)

    @property
    def qpos(self) -> Expression:
        """The positions."""
        return self.field("qpos")

    @property
    def qvel(self) -> Expression:
        """The velocities."""
        return self.field("qvel")

    def positions_after(self, hidden: int) -> Expression:
        """The positions, without `hidden` leading ones unless the task shows them."""
        hides = self.settings.get("exclude_current_positions_from_observation", True)
        return self.qpos[hidden:] if hides else self.qpos

    @property
    def action(self) -> Expression:
        """The action as given, not clipped."""
        return expressions.load(expressions.ACTION, self.model.nu, own_dtype=True)

    def body_position(self, body: str | int) -> Expression:
        """Where a body is [3]."""
        return self.field("xpos")[3 * (first := self.model.body(body).id) : 3 * first + 3]

    def control_cost(self, name: str = "ctrl_cost_weight") -> Expression:
        """Weighted sum of squares of the action."""
        return expressions.sum_of_squares(self.action) * self.weight(name)

    def velocity(self, position: Expression, name: str) -> Expression:
        """Of one number that the task keeps under a name."""
        return (position - expressions.before(name, position)) / self.step_seconds

    def noisy_start(self, noise: float | None = None, normal_velocity: bool = False) -> Start:
        """Uniform noise around the model's own state; of velocities Gaussian where asked for.

        Args:
            noise: half-width where Gymnasium's constructor has no argument for it.
            normal_velocity: whether velocities are Gaussian.
        """
        width = self.weight("reset_noise_scale", noise)

        def start(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
            qpos = self.initial_qpos + rng.uniform(-width, width, self.initial_qpos.size)
            if normal_velocity:
                drawn = width * rng.standard_normal(self.initial_qvel.size)
            else:
                drawn = rng.uniform(-width, width, self.initial_qvel.size)
            return qpos, self.initial_qvel + drawn

        return start
