"""Many steps of a pack in MuJoCo's simulations in one call of collect.h."""

from __future__ import annotations

import ctypes
import time
from typing import Any

import numpy as np

from repro.engines.native.acting import Acting
from repro.engines.native.kernels import check_layout, library, pointer
from repro.engines.native.program import Program
from repro.engines.native.recording import Recording, addresses, numbers
from repro.envs.mujoco.library import INTEGRATION
from repro.envs.mujoco.vector import MujocoVectorEnv

# Steps of all simulators, about 20 ms: signals and the watchdog wait for the end of a call.
STEPS_A_CALL = 500


class _ForcesStep(ctypes.Structure):
    """`ForcesStep` of forces.h."""

    _fields_ = [
        *addresses("apply", "set_state", "step", "post_constraint", "get_state"),
        *addresses("model", "data", "states"),
        *numbers("width", "parts"),
        *addresses("fields"),
        *numbers("field_count", "substeps"),
    ]


class _Collection(ctypes.Structure):
    """`Collection` of collect.h, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *addresses("acting", "recording", "instructions"),
        *numbers("instruction_count", "memory"),
        *addresses("batch", "step", "forces"),
        *numbers("substeps", "episode_steps"),
        *addresses("control"),
        *numbers("control_stride"),
        *addresses("observations", "task_rewards", "task_terminated", "task_truncated", "elapsed"),
        *addresses("seconds"),
    ]


class Collecting:
    """Steps until an episode ends, from observations to rewards, as the collector's own loop."""

    def __init__(
        self,
        acting: Acting,
        recording: Recording,
        envs: MujocoVectorEnv,
    ) -> None:
        """Bind arrays whose memory must not move."""
        check_layout(_Collection, library().collection_size())
        self._envs, self._seconds = envs, np.zeros(2)
        self._horizon = recording.horizon
        self._most = max(1, STEPS_A_CALL // envs.num_envs)
        program = Program(envs.task.task, envs.task.fields)
        forces, fields = _forces(envs) if envs.simulations.contact_forces else (None, None)
        simulations, control = envs.simulations, envs.simulations.field("ctrl")
        self._struct = _Collection(
            acting=acting.address,
            recording=recording.address,
            instructions=program.instructions.ctypes.data,
            instruction_count=len(program.instructions),
            memory=program.memory,
            batch=simulations.address,
            step=simulations.function("mjb_step"),
            forces=None if forces is None else ctypes.addressof(forces),
            substeps=envs.frame_skip,
            episode_steps=envs.episode_steps,
            control=control.ctypes.data,
            control_stride=control.strides[0] // control.itemsize,
            observations=pointer(envs.observations, "float64"),
            task_rewards=pointer(envs.rewards, "float64"),
            task_terminated=pointer(envs.terminated, "bool"),
            task_truncated=pointer(envs.truncated, "bool"),
            elapsed=pointer(envs.elapsed, "int64"),
            seconds=pointer(self._seconds, "float64"),
        )
        self._alive = (acting, recording, program)
        self._alive_forces = (forces, fields)
        self._collect, self._address = library().collect, ctypes.addressof(self._struct)

    def __call__(self, t: int, seconds: dict[str, float]) -> tuple[int, dict[str, Any]]:
        """Take steps from time t of the rollout on, until an episode ends.

        Args:
            t: below the horizon.
            seconds: `env` and `forward` are added to.

        Returns:
            How many steps of the rollout have been taken now; some may be left even if no episode
            has ended. And infos as of `VectorEnv.step` if one ended in the last step: then the next
            one has started, and the normalizer has not seen its first observation yet.

        Raises:
            TaskError: MuJoCo failed in a simulation; its index is the environment's.
        """
        self._seconds[:] = 0
        taken: int = self._collect(self._address, t, min(t + self._most, self._horizon))
        if taken == t:
            self._envs.simulations.check(1)
        start = time.perf_counter()
        infos = self._envs.autoreset()
        forward, env = self._seconds.tolist()
        seconds["forward"] += forward
        seconds["env"] += env + time.perf_counter() - start
        return taken, infos


def _forces(envs: MujocoVectorEnv) -> tuple[_ForcesStep, np.ndarray[Any, Any]]:
    """The step, and its `DerivedField`s of forces.h: source, rows and size of each."""
    simulations = envs.simulations
    fields = np.array(simulations.derived(), np.int64)
    names = {
        "apply": "mjb_apply",
        "set_state": "mj_setState",
        "step": "mj_step",
        "post_constraint": "mj_rnePostConstraint",
        "get_state": "mj_getState",
    }
    step = _ForcesStep(
        **{key: simulations.function(name) for key, name in names.items()},
        model=simulations.model._address,
        data=simulations.data._address,
        states=pointer(simulations.state, "float64"),
        width=simulations.state.shape[1],
        parts=INTEGRATION.value,
        fields=fields.ctypes.data,
        field_count=len(fields),
        substeps=envs.frame_skip,
    )
    return step, fields
