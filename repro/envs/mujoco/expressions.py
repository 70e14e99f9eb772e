"""The numbers of a task as expressions, which NumPy evaluates here and the kernels evaluate in C++.

An `Expression` has `size` numbers for each of N simulations: fields of MuJoCo's data, actions, and
what is computed from them. `evaluate` gives them as [N, size]. `program` lists the same operations
for `repro/engines/native/task.h`. Bits must equal those of Gymnasium's own code for one simulation,
so the order of operations counts, and so does the precision: what is computed from the actions
alone is computed in their dtype, float32 in a rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ACTION, BEFORE = "action", "before:"  # fields that are no fields of MjData


@dataclass(frozen=True, eq=False)
class Expression:
    """Numbers of each simulation; made by the functions below and by operators.

    Attributes:
        operation: a key of `OPERATIONS`; or `load`, `take`, `constant`.
        size: how many numbers.
        inputs: what they are computed from.
        constants: of the operation.
        field: whose numbers are loaded: of `MjData`, `action`, or `before:NAME`.
        start: the first number that is loaded.
        own_dtype: whether it is computed in the actions' dtype.
    """

    operation: str
    size: int
    inputs: tuple[Expression, ...] = ()
    constants: tuple[float, float] = (0.0, 0.0)
    field: str = ""
    start: int = 0
    own_dtype: bool = False

    def __getitem__(self, index: int | slice) -> Expression:
        """Some neighboring numbers."""
        if isinstance(index, int):
            index = slice(index, index + 1 or None)
        start, stop, _ = index.indices(self.size)
        if self.operation == "load":
            return load(self.field, stop - start, self.start + start, self.own_dtype)
        return self._apply("take", float(start), size=stop - start)

    def __add__(self, other: Expression | float) -> Expression:
        """Entry by entry."""
        return self._with(other, "add", "add_constant")

    def __sub__(self, other: Expression | float) -> Expression:
        """Entry by entry."""
        return self._with(other, "subtract", "subtract_constant")

    def __mul__(self, other: Expression | float) -> Expression:
        """Entry by entry."""
        return self._with(other, "multiply", "multiply_constant")

    def __truediv__(self, other: float) -> Expression:
        """Entry by entry."""
        return self._apply("divide_constant", float(other))

    def __neg__(self) -> Expression:
        """Entry by entry."""
        return self._apply("multiply_constant", -1.0)

    def __and__(self, other: Expression) -> Expression:
        """Whether both conditions hold."""
        return self._with(other, "both", "")

    def __invert__(self) -> Expression:
        """Whether a condition does not hold."""
        return self._apply("is_not")

    def _with(self, other: Expression | float, of_two: str, of_one: str) -> Expression:
        if not isinstance(other, Expression):
            return self._apply(of_one, float(other))
        if other.size != self.size:
            raise ValueError(f"{self.size} numbers do not go with {other.size}")
        return Expression(of_two, self.size, (self, other), own_dtype=self._own(other))

    def _own(self, other: Expression) -> bool:
        return self.own_dtype and other.own_dtype

    def _apply(self, operation: str, *constants: float, size: int | None = None) -> Expression:
        low, high = (*constants, 0.0, 0.0)[:2]
        size = self.size if size is None else size
        return Expression(operation, size, (self,), (low, high), own_dtype=self.own_dtype)


def load(field: str, size: int, start: int = 0, own_dtype: bool = False) -> Expression:
    """Numbers of a field as they are after the step."""
    return Expression("load", size, field=field, start=start, own_dtype=own_dtype)


def constant(value: float) -> Expression:
    """One number, the same for all simulations."""
    return Expression("constant", 1, constants=(float(value), 0.0))


def clip(x: Expression, low: float, high: float) -> Expression:
    """Each number, limited to a range."""
    return x._apply("clip", low, high)


def sin(x: Expression) -> Expression:
    """Of each number."""
    return x._apply("sin")


def cos(x: Expression) -> Expression:
    """Of each number."""
    return x._apply("cos")


def sum_of_squares(x: Expression) -> Expression:
    """One number, summed as `np.sum(np.square(x))`."""
    return x._apply("sum_of_squares", size=1)


def norm(x: Expression) -> Expression:
    """One number, as `np.linalg.norm(x)`."""
    return x._apply("norm", size=1)


def scalar_square(x: Expression) -> Expression:
    """Each number squared, as NumPy squares a scalar: by the C library's `pow`.

    NumPy multiplies arrays, and the two differ in the last bit about once in 1,200 values.
    """
    return x._apply("scalar_square", 2.0)


def inside(x: Expression, bounds: tuple[float, float]) -> Expression:
    """Whether low < x < high for all numbers: 1 or 0."""
    return x._apply("inside", *map(float, bounds), size=1)


def between(x: Expression, bounds: tuple[float, float]) -> Expression:
    """Whether low <= x <= high for all numbers: 1 or 0."""
    return x._apply("between", *map(float, bounds), size=1)


def finite(x: Expression) -> Expression:
    """Whether all numbers are finite: 1 or 0."""
    return x._apply("finite", size=1)


def before(name: str, x: Expression) -> Expression:
    """What x, kept by the task under a name, was before the step."""
    return load(BEFORE + name, x.size)


def _sum_of_squares(x: Array) -> Array:
    # Row-major squares, so that each row is summed in the same order as a single vector: with
    # eight or more numbers the order changes the last bit.
    return np.asarray(np.add.reduce(np.square(x, order="C"), axis=1, keepdims=True))


def _norm(x: Array) -> Array:
    # A dot product per row rounds as Gymnasium's norm of a single vector does.
    rows = np.ascontiguousarray(x)
    return np.asarray(np.sqrt(np.vecdot(rows, rows)))[:, None]


def _scalar_square(x: Array, exponent: float) -> Array:
    return np.array([value**exponent for value in x.ravel()]).reshape(x.shape)


def _all(condition: Array) -> Array:
    return np.asarray(condition.all(axis=1, keepdims=True))


# `Operation` of repro/engines/native/task.h has the same order, after `load` and `constant`.
OPERATIONS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "add_constant": lambda x, c, _: x + c,
    "subtract_constant": lambda x, c, _: x - c,
    "multiply_constant": lambda x, c, _: x * c,
    "divide_constant": lambda x, c, _: x / c,
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "sin": lambda x, *_: np.sin(x),
    "cos": lambda x, *_: np.cos(x),
    "sum_of_squares": lambda x, *_: _sum_of_squares(x),
    "norm": lambda x, *_: _norm(x),
    "scalar_square": lambda x, exponent, _: _scalar_square(x, exponent),
    "inside": lambda x, low, high: _all((low < x) & (x < high)),
    "between": lambda x, low, high: _all((low <= x) & (x <= high)),
    "finite": lambda x, *_: _all(np.isfinite(x)),
    "both": np.logical_and,
    "is_not": lambda x, *_: np.logical_not(x),
}


def evaluate(x: Expression, fields: Mapping[str, Array], known: dict[Expression, Array]) -> Array:
    """The numbers of N simulations, [N, size]; conditions are bool.

    Args:
        x: the expression.
        fields: by name, [N, size of the field].
        known: what has been computed already from the same fields; is added to.
    """
    if x not in known:
        known[x] = _compute(x, fields, known)
    return known[x]


def _compute(x: Expression, fields: Mapping[str, Array], known: dict[Expression, Array]) -> Array:
    if x.operation == "load":
        return fields[x.field][:, x.start : x.start + x.size]
    if x.operation == "take":
        first = int(x.constants[0])
        return evaluate(x.inputs[0], fields, known)[:, first : first + x.size]
    if x.operation == "constant":
        return np.full((len(next(iter(fields.values()))), 1), x.constants[0])
    inputs = (evaluate(each, fields, known) for each in x.inputs)
    operation = OPERATIONS[x.operation]
    return operation(*inputs) if len(x.inputs) == 2 else operation(*inputs, *x.constants)


def fields_of(expressions: Iterable[Expression]) -> set[str]:
    """The names of all fields that expressions read."""
    names: set[str] = set()
    for x in expressions:
        names |= {x.field} if x.operation == "load" else fields_of(x.inputs)
    return names
