"""A task's expressions evaluated for a batch of simulations by NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.envs.mujoco.expressions import (
    ACTION,
    BEFORE,
    Array,
    Expression,
    constant,
    evaluate,
    fields_of,
)
from repro.envs.mujoco.library import STATE_FIELDS, Simulations
from repro.envs.mujoco.task import Task
from repro.envs.vector import BoolArray, FloatArray

ActionArray = NDArray[np.floating[Any]]


def results(task: Task, fields: Mapping[str, Array]) -> FloatArray:
    """A task's results side by side, [N, D + 2]: observation, reward, whether terminated (1 or 0).

    Args:
        task: its expressions.
        fields: by name, [N, size] each, the actions among them.
    """
    ended = constant(0.0) if task.terminated is None else task.terminated
    known: dict[Expression, Array] = {}
    parts = (*task.observation, task.reward, ended)
    return np.concatenate([evaluate(x, fields, known) for x in parts], axis=1, dtype=np.float64)


class TaskArrays:
    """Observations, rewards and ends of N simulations.

    Attributes:
        task: its expressions.
        fields: what they read by name, live: [N, size] each. The actions are those of a step.
    """

    def __init__(self, task: Task, simulations: Simulations) -> None:
        """Bind the fields that the task reads."""
        self.task = task
        self._kept: dict[str, FloatArray] = {
            name: np.zeros((simulations.count, x.size)) for name, x in task.kept.items()
        }
        self._seen = fields_of([*task.observation, *task.kept.values()])
        ends = [] if task.terminated is None else [task.terminated]
        names = fields_of([*task.observation, *task.kept.values(), task.reward, *ends])
        own = {ACTION, *(BEFORE + name for name in self._kept)}
        self.fields: dict[str, Array] = {
            **{name: simulations.field(name) for name in names - own},
            **{BEFORE + name: array for name, array in self._kept.items()},
        }

    def step(
        self,
        actions: ActionArray,
        observations: FloatArray,
        rewards: FloatArray,
        terminated: BoolArray,
    ) -> None:
        """Write the results of the step just taken with `actions` [N, A].

        A task that never terminates does not write to `terminated`, which is all false at first.
        """
        fields, known = self.fields | {ACTION: actions}, dict[Expression, Array]()
        self._observe(fields, known, observations)
        rewards[:] = evaluate(self.task.reward, fields, known)[:, 0]
        if self.task.terminated is not None:
            terminated[:] = evaluate(self.task.terminated, fields, known)[:, 0]
        for name, x in self.task.kept.items():
            self._kept[name][:] = evaluate(x, fields, known)

    def start(self, rows: NDArray[Any], observations: FloatArray) -> None:
        """Write the observations of simulations that have just started, into their rows."""
        fields = {name: self.fields[name][rows] for name in self._seen}
        known: dict[Expression, Array] = {}
        observed = np.empty((len(rows), observations.shape[1]))
        self._observe(fields, known, observed)
        observations[rows] = observed
        for name, x in self.task.kept.items():
            self._kept[name][rows] = evaluate(x, fields, known)

    def _observe(
        self, fields: Mapping[str, Array], known: dict[Expression, Array], out: FloatArray
    ) -> None:
        first = 0
        for part in self.task.observation:
            out[:, first : first + part.size] = evaluate(part, fields, known)
            first += part.size

    def state(self, rows: slice) -> dict[str, FloatArray]:
        """What the next step reads and the simulator's state does not include, by name."""
        return {name: self._kept[name][rows].copy() for name in self._derived()}

    def set_state(self, state: Mapping[str, FloatArray], rows: slice) -> None:
        """Put back what `state` returned, after the simulator's own state."""
        for name, x in self.task.kept.items():
            if name in self._derived():
                self._kept[name][rows] = state[name]
            else:
                fields = {each: self.fields[each][rows] for each in fields_of([x])}
                self._kept[name][rows] = evaluate(x, fields, {})

    def _derived(self) -> list[str]:
        kept = self.task.kept.items()
        return [name for name, x in kept if not fields_of([x]) <= STATE_FIELDS.keys()]
