"""N copies of one Gymnasium MuJoCo task, stepped in one call and bit-equal to Gymnasium.

The simulations are rows of one `mujoco.batch.Batch`, which binds the positions, velocities and
controls of all of them as NumPy arrays. A step writes the controls, runs the physics in C, and
computes observations and rewards with array operations (`repro.envs.mujoco.task`). A loop over
`MjData` and `mj_step` gives the same bits and takes 7 to 15 % longer, since it touches N copies of
MuJoCo's scratch memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from mujoco.batch import Batch
from numpy.typing import NDArray

from repro.envs.mujoco import saved
from repro.envs.mujoco.control import InvertedDoublePendulum, InvertedPendulum, Reacher
from repro.envs.mujoco.locomotion import HalfCheetah, Hopper, Swimmer, Walker2d
from repro.envs.mujoco.prototype import (
    constructor_settings,
    episode_steps,
    make_prototype,
    parse_id,
    route_mujoco_warnings,
)
from repro.envs.mujoco.task import ActionArray, Simulation, Task
from repro.envs.vector import (
    EVERYWHERE,
    BoolArray,
    FloatArray,
    Seeds,
    VectorEnv,
    spread_seeds,
)
from repro.errors import ConfigError

TASKS: dict[str, type[Task]] = {
    "HalfCheetah": HalfCheetah,
    "Hopper": Hopper,
    "InvertedDoublePendulum": InvertedDoublePendulum,
    "InvertedPendulum": InvertedPendulum,
    "Reacher": Reacher,
    "Swimmer": Swimmer,
    "Walker2d": Walker2d,
}
"""Tasks by the name in Gymnasium's id."""

VERSIONS = (4, 5)


def supported_ids() -> list[str]:
    """The environment ids that `MujocoVectorEnv` accepts."""
    return [f"{name}-v{version}" for name in TASKS for version in VERSIONS]


class MujocoVectorEnv(VectorEnv):
    """N simulations of one MuJoCo task with SAME_STEP autoreset.

    Environment i, reset with seed s, gives to the last bit what `gymnasium.make(env_id)` gives
    when reset with s and stepped alone with the same actions. Only Gymnasium's infos are left out.
    Actions are not clipped here: MuJoCo clips the control, and the control cost is computed from
    the action as given, in its own dtype.
    """

    def __init__(self, env_id: str, num_envs: int) -> None:
        """Compile the model once and allocate N simulations.

        Args:
            env_id: one of `supported_ids()`, such as "HalfCheetah-v4".
            num_envs: N, at least 1.

        Raises:
            ConfigError: for an id that is not supported, or fewer than one environment.
        """
        name, version = parse_id(env_id, supported_ids())
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        route_mujoco_warnings()
        prototype = make_prototype(env_id)
        original: Any = prototype.unwrapped

        self.spec = prototype.spec
        self.num_envs = num_envs
        self.metadata = {**prototype.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = prototype.observation_space
        self.single_action_space = prototype.action_space
        self.observation_space = batch_space(prototype.observation_space, num_envs)
        self.action_space = batch_space(prototype.action_space, num_envs)

        self._env_id = env_id
        self._frame_skip = int(original.frame_skip)
        self._episode_steps = episode_steps(prototype)
        self._model_digest = saved.digest(original.model)
        self._batch = Batch(original.model, num_envs, nthread=1)
        self._qpos: FloatArray = self._batch.bind("qpos")
        self._qvel: FloatArray = self._batch.bind("qvel")
        self._ctrl: FloatArray = self._batch.bind("ctrl")
        self._pristine_state: FloatArray = self._batch.state[0].copy()
        self._task = TASKS[name](
            Simulation(
                batch=self._batch,
                initial_qpos=original.init_qpos,
                initial_qvel=original.init_qvel,
                step_seconds=float(original.dt),
                settings=constructor_settings(prototype),
                version=version,
            )
        )
        self._allocate()
        prototype.close()

    def _allocate(self) -> None:
        n = self.num_envs
        self._generators: list[np.random.Generator | None] = [None] * n
        self._needs_reset = True
        self._elapsed = np.zeros(n, dtype=np.int64)
        self.observations: FloatArray = np.zeros(self.observation_space.shape or ())
        self._final_observations = np.zeros_like(self.observations)
        self._rewards = np.zeros(n)
        self._terminated = np.zeros(n, dtype=np.bool_)
        self._truncated = np.zeros(n, dtype=np.bool_)
        self._done = np.zeros(n, dtype=np.bool_)

    def reset(
        self,
        *,
        seed: Seeds = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start an episode in every environment; `options` must be empty."""
        if options:
            raise ConfigError(f"{self._env_id} has no reset options, but got {sorted(options)}")
        for i, own_seed in enumerate(spread_seeds(seed, self.num_envs)):
            if own_seed is not None:
                self._generators[i] = seeding.np_random(own_seed)[0]
        self._start_episodes(np.arange(self.num_envs, dtype=np.int32))
        self._needs_reset = False
        return self.observations, {}

    def _start_episodes(self, rows: NDArray[np.int32]) -> None:
        self._batch.state[rows] = self._pristine_state
        for i in rows.tolist():
            self._qpos[i], self._qvel[i] = self._task.start_state(self._generator(i))
        self._batch.forward(rows)
        self._elapsed[rows] = 0
        # This also writes the rows of running episodes, with the values that they already have.
        self._task.observe(self.observations)

    def _generator(self, i: int) -> np.random.Generator:
        generator = self._generators[i]
        if generator is None:
            generator = self._generators[i] = seeding.np_random()[0]
        return generator

    def simulate(self, actions: ActionArray) -> None:
        """Advance only the physics by one environment step.

        Observations, rewards, step counts and resets are left to `step`, which calls this. A
        benchmark calls it alone to time MuJoCo itself.

        Args:
            actions: float32 or float64 [N, A].
        """
        self._ctrl[:] = actions
        self._batch.step(nstep=self._frame_skip)

    def step(
        self, actions: ActionArray
    ) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one step in every environment, and start a new episode where one ended.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            ValueError: if the actions are not floats of shape [N, A].
        """
        self._check_step(actions)
        task = self._task
        task.before_step()
        self.simulate(actions)
        task.observe(self.observations)
        task.reward(actions, self._rewards, self._terminated)
        self._elapsed += 1
        np.greater_equal(self._elapsed, self._episode_steps, out=self._truncated)
        np.logical_or(self._terminated, self._truncated, out=self._done)
        infos: dict[str, Any] = {}
        if self._done.any():
            np.copyto(self._final_observations, self.observations)
            self._start_episodes(np.flatnonzero(self._done).astype(np.int32))
            infos = {"final_obs": self._final_observations, "_final_obs": self._done}
        return self.observations, self._rewards, self._terminated, self._truncated, infos

    def _check_step(self, actions: ActionArray) -> None:
        if self._needs_reset:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        if actions.shape != self._ctrl.shape or actions.dtype.kind != "f":
            raise ValueError(
                f"{self._env_id} takes float actions of shape {self._ctrl.shape}, "
                f"but got {actions.dtype} of shape {actions.shape}"
            )

    def state(self, rows: slice = EVERYWHERE) -> dict[str, Any]:
        """Everything the next steps depend on: NumPy arrays and JSON-able values, by name.

        The arrays are copies. `integration` [N, S] holds MuJoCo's `mjSTATE_INTEGRATION` of each
        simulation, S numbers long.
        """
        return {
            "env_id": self._env_id,
            "mujoco": mujoco.__version__,
            "model": self._model_digest,
            "needs_reset": self._needs_reset,
            "integration": self._batch.state[rows].copy(),
            "elapsed": self._elapsed[rows].copy(),
            "observations": self.observations[rows].copy(),
            "generators": [saved.generator_state(each) for each in self._generators[rows]],
            **{f"task_{name}": a[rows].copy() for name, a in self._task.extra_state().items()},
        }

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned; the next steps are then equal to the last bit.

        Raises:
            ConfigError: if the state is of another task or number of environments, or of another
                model or version of MuJoCo, whose physics may differ.
        """
        saved.check(state, self._env_id, self._model_digest, len(self._elapsed[rows]))
        self._needs_reset = bool(state["needs_reset"])
        self._batch.state[rows] = state["integration"]
        self._elapsed[rows] = state["elapsed"]
        self.observations[rows] = state["observations"]
        self._generators[rows] = [saved.restored_generator(each) for each in state["generators"]]
        for name, array in self._task.extra_state().items():
            array[rows] = state[f"task_{name}"]

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Start new episodes in some environments."""
        self._generators[rows] = [seeding.np_random(seed)[0] for seed in seeds]
        self._start_episodes(np.arange(self.num_envs, dtype=np.int32)[rows])
