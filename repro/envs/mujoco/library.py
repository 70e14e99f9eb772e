"""Many simulations of one model, by the functions `mjb_*` of MuJoCo's C library.

`mujoco.batch.Batch` wraps the same functions, but keeps the address of its batch to itself. The
compiled rollout (`repro.engines.native.collect`) needs that address.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from repro.envs.vector import FloatArray
from repro.errors import ConfigError, TaskError

INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
STATE_FIELDS = {
    "qpos": mujoco.mjtState.mjSTATE_QPOS,
    "qvel": mujoco.mjtState.mjSTATE_QVEL,
    "ctrl": mujoco.mjtState.mjSTATE_CTRL,
}
"""Parts of a simulation's state that tasks read. Any other field is derived from the state."""


class _Settings(ctypes.Structure):
    """`mjBatchConfig` of mjbatch.h."""

    _fields_ = [("threads", ctypes.c_int), ("persistent", ctypes.c_bool)]


@functools.cache
def library() -> ctypes.CDLL:
    """MuJoCo's C library, the one that the package has loaded."""
    folder = Path(mujoco.__file__).parent
    names = ("libmujoco.so*", "libmujoco*.dylib", "mujoco.dll")
    found = next((path for name in names for path in folder.glob(name)), None)
    if found is None:
        raise ConfigError(f"{folder} has no MuJoCo library: reinstall with pip install mujoco.")
    c, address, number = ctypes.CDLL(str(found)), ctypes.c_void_p, ctypes.c_int
    size = ctypes.POINTER(number)
    for name, result, arguments in (
        ("mjb_makeBatch", address, [address, number, address, ctypes.c_char_p, number]),
        ("mjb_deleteBatch", None, [address]),
        ("mjb_nstate", number, [address]),
        ("mjb_state", address, [address]),
        ("mjb_stateComponent", address, [address, number, size]),
        ("mjb_output", address, [address, ctypes.c_char_p, size, size]),
        ("mjb_step", number, [address, address, number, number, number]),
        ("mjb_forward", number, [address, address, number, number]),
        ("mjb_status", address, [address]),
        ("mjb_error", ctypes.c_char_p, [address, number]),
    ):
        function = getattr(c, name)
        function.restype, function.argtypes = result, arguments
    return c


class _Batch:
    """Owns an `mjBatch`: every array of its memory keeps it alive."""

    def __init__(self, model: mujoco.MjModel, count: int) -> None:
        settings, error = _Settings(threads=1, persistent=False), ctypes.create_string_buffer(300)
        self.address: int | None = library().mjb_makeBatch(
            *(model._address, count, ctypes.addressof(settings), error, len(error))
        )
        if not self.address:
            raise ConfigError(f"MuJoCo makes no batch of simulations: {error.value.decode()}")

    def __del__(self) -> None:
        if getattr(self, "address", None):
            library().mjb_deleteBatch(self.address)

    def array(
        self, address: int, shape: tuple[int, ...], kind: Any = ctypes.c_double
    ) -> NDArray[Any]:
        memory = (kind * int(np.prod(shape))).from_address(address)
        memory.owner = self
        return np.ctypeslib.as_array(memory).reshape(shape)


class Simulations:
    """N simulations on one thread. The arrays are live: they show what the last call left.

    Attributes:
        address: of the `mjBatch`.
        data: scratch memory for one simulation, where contact forces are computed.
        contact_forces: whether `cfrc_ext` is computed.
        state: `mjSTATE_INTEGRATION` of each simulation, [N, S]; what is written here counts.
    """

    def __init__(self, model: mujoco.MjModel, count: int, contact_forces: bool = False) -> None:
        """Allocate.

        Args:
            model: compiled.
            count: N.
            contact_forces: compute `cfrc_ext` after each step, as Gymnasium does for all tasks.
                Only tasks that read it should ask for it.
        """
        self._batch, self.data = _Batch(model, count), mujoco.MjData(model)
        self.model, self.count, self._c = model, count, library()
        self.address = self._batch.address
        self.contact_forces = contact_forces
        self._bound: dict[str, FloatArray] = {}
        width = self._c.mjb_nstate(self.address)
        self.state = self._batch.array(self._c.mjb_state(self.address), (count, width))

    def field(self, name: str) -> FloatArray:
        """A field of `MjData` for all simulations, flattened to [N, size]."""
        if name not in self._bound:
            self._bound[name] = self._state_field(name) if name in STATE_FIELDS else self._out(name)
        return self._bound[name]

    def _state_field(self, name: str) -> FloatArray:
        size = ctypes.c_int()
        component = STATE_FIELDS[name].value
        first = self._c.mjb_stateComponent(self.address, component, ctypes.byref(size))
        offset = (first - self.state.ctypes.data) // self.state.itemsize
        return self.state[:, offset : offset + size.value]

    def _out(self, name: str) -> FloatArray:
        size, bytes_each = ctypes.c_int(), ctypes.c_int()
        first = self._c.mjb_output(
            *(self.address, name.encode(), ctypes.byref(size), ctypes.byref(bytes_each))
        )
        if not first or bytes_each.value != 8:
            raise KeyError(f"MuJoCo has no field {name!r} of float64 in its data")
        return self._batch.array(first, (self.count, size.value))

    def step(self, substeps: int) -> None:
        """Advance all simulations by calls of `mj_step`."""
        if self.contact_forces:
            self._each(
                range(self.count), lambda data: _step_with_forces(self.model, data, substeps)
            )
        else:
            self.check(self._c.mjb_step(self.address, None, 0, substeps, 0))

    def forward(self, rows: NDArray[np.int32]) -> None:
        """Derive all fields of some simulations that have just started from their states."""
        if self.contact_forces:
            self._each(rows.tolist(), lambda data: mujoco.mj_forward(self.model, data))
        else:
            stage = mujoco.mjtStage.mjSTAGE_ACC.value
            self.check(self._c.mjb_forward(self.address, rows.ctypes.data, len(rows), stage))

    def _each(self, rows: Iterable[int], advance: Callable[[mujoco.MjData], None]) -> None:
        """Call a function on one simulation after the other.

        MuJoCo's batches compute no contact forces (`repro/engines/native/forces.h`).
        """
        model, data = self.model, self.data
        for row in rows:
            mujoco.mj_resetData(model, data)  # also sets forces to 0, as at the start of an episode
            mujoco.mj_setState(model, data, self.state[row], INTEGRATION)
            try:
                advance(data)
            except mujoco.FatalError as error:
                raise TaskError(f"MuJoCo failed with {str(error)!r}", row) from error
            mujoco.mj_getState(model, data, self.state[row], INTEGRATION)
            for name, array in self._bound.items():
                if name not in STATE_FIELDS:
                    array[row] = getattr(data, name).ravel()

    def derived(self) -> list[tuple[int, int, int]]:
        """Of each derived field: its address in `data`, that of its rows, and its size."""
        return [
            (getattr(self.data, name).ctypes.data, array.ctypes.data, array.shape[1])
            for name, array in self._bound.items()
            if name not in STATE_FIELDS
        ]

    def function(self, name: str) -> int | None:
        """The address of a function of MuJoCo's library."""
        return ctypes.cast(getattr(self._c, name), ctypes.c_void_p).value

    def check(self, failed: int) -> None:
        """Raise a TaskError for the first of `failed` simulations."""
        if failed:
            found = self._c.mjb_status(self.address)
            status = self._batch.array(found, (self.count,), ctypes.c_int)
            row = int(np.flatnonzero(status)[0])
            text = self._c.mjb_error(self.address, row).decode(errors="replace")
            raise TaskError(f"MuJoCo failed with {text!r}", row)


def _step_with_forces(model: mujoco.MjModel, data: mujoco.MjData, substeps: int) -> None:
    mujoco.mj_step(model, data, nstep=substeps)
    mujoco.mj_rnePostConstraint(model, data)
