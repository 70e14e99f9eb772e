"""A MuJoCo task's expressions as instructions for task.h."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from repro.engines.native.kernels import library, pointer
from repro.envs.mujoco.arrays import results
from repro.envs.mujoco.expressions import ACTION, BEFORE, OPERATIONS, Expression, constant
from repro.envs.mujoco.task import Task

Array = np.ndarray[Any, Any]

OPCODES = {
    name: code
    for code, name in enumerate(
        ["load", "load_action", "store", "copy", "constant", *OPERATIONS]  # `Operation` of task.h
    )
}
INSTRUCTION = np.dtype(
    [(name, np.int64) for name in ("operation", "single", "size", "out", "a", "b")]
    + [(name, np.float64) for name in ("low", "high")]
    + [(name, np.int64) for name in ("array", "stride")]
)
CHECKED_ROWS = 64


class Program:
    """A task's results in a row of memory: the observation, the reward, whether it terminated.

    Attributes:
        instructions: of `INSTRUCTION`.
        memory: how many numbers a row has, intermediate results included.
        width: how many of them are results.
    """

    def __init__(self, task: Task, fields: Mapping[str, Array]) -> None:
        """List the instructions.

        Args:
            task: its expressions.
            fields: live, as `TaskArrays.fields`; values that the task keeps are written there.
        """
        self._fields, self._rows = fields, list[tuple[Any, ...]]()
        self._places: dict[Expression, int] = {}
        features = sum(part.size for part in task.observation)
        self.width = self.memory = features + 2
        place = 0
        for part in task.observation:
            self._put(part, place)
            place += part.size
        self._put(task.reward, features)
        ended = constant(0.0) if task.terminated is None else task.terminated
        self._put(ended, features + 1)
        for name, x in task.kept.items():  # last, since the reward reads what was kept before
            source = self._place(x)
            self._add("store", x.size, a=source, array=fields[BEFORE + name])
        self.instructions = np.array(self._rows, INSTRUCTION)

    def _put(self, x: Expression, place: int) -> None:
        """Have a result at a certain place."""
        self._add("copy", x.size, out=place, a=self._place(x))

    def _place(self, x: Expression) -> int:
        """Where the numbers of an expression are, computed once."""
        if x not in self._places:
            self._places[x] = self._compute(x)
        return self._places[x]

    def _compute(self, x: Expression) -> int:
        inputs = [self._place(each) for each in x.inputs]
        if x.operation == "take":
            return inputs[0] + int(x.constants[0])
        place = self.memory
        self.memory += x.size
        if x.operation == "load" and x.field == ACTION:
            self._add("load_action", x.size, out=place, a=x.start)
        elif x.operation == "load":
            array = self._fields[x.field][:, x.start :]
            self._add("load", x.size, out=place, array=array)
        else:
            low, high = x.constants
            if x.own_dtype:
                low, high = float(np.float32(low)), float(np.float32(high))
            first, second = [*inputs, place, place][:2]
            size = x.inputs[0].size if x.inputs else x.size
            self._add(x.operation, size, place, first, second, x.own_dtype, (low, high))
        return place

    def _add(
        self,
        operation: str,
        size: int,
        out: int = 0,
        a: int = 0,
        b: int = 0,
        single: bool = False,
        constants: tuple[float, float] = (0.0, 0.0),
        array: Array | None = None,
    ) -> None:
        address, stride = 0, 0
        if array is not None:
            assert array.dtype == np.float64 and array.strides[1] == array.itemsize
            address, stride = array.ctypes.data, array.strides[0] // array.itemsize
        code = OPCODES[operation]
        self._rows.append((code, single, size, out, a, b, *constants, address, stride))


def agrees(task: Task, fields: Mapping[str, Array], action_size: int) -> bool:
    """Whether the kernels give NumPy's bits for a task on this machine, with random numbers.

    Both call the C library's functions, and sums have a fixed order. But another NumPy, or NumPy on
    another processor, might have its own sine or order.
    """
    rng = np.random.default_rng(0)
    scale = rng.choice([0.01, 1, 10], (CHECKED_ROWS, 1))
    drawn: dict[str, Array] = {
        name: rng.standard_normal((CHECKED_ROWS, array.shape[1])) * scale
        for name, array in fields.items()
    }
    action = rng.standard_normal((CHECKED_ROWS, action_size)).astype(np.float32)
    expected = results(task, drawn | {ACTION: action})
    program = Program(task, drawn)
    found = np.zeros((CHECKED_ROWS, program.width))
    library().run_task(
        *(program.instructions.ctypes.data, len(program.instructions), program.memory),
        *(pointer(action), action_size, CHECKED_ROWS, program.width, pointer(found, "float64")),
    )
    return np.array_equal(found, expected, equal_nan=True)
