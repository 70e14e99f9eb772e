"""N copies of one Gymnasium MuJoCo task, stepped in one call and bit-equal to Gymnasium.

The positions, velocities and controls of all simulations are NumPy arrays (`repro.envs.mujoco.
library`). A step writes the controls, runs the physics in C, and evaluates the task's expressions
for all simulations together. A loop over `MjData` and `mj_step` gives the same bits and takes 7 to
15 % longer, since it touches N copies of MuJoCo's scratch memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from repro.envs.mujoco import bodies, control, locomotion, saved
from repro.envs.mujoco.arrays import ActionArray, TaskArrays
from repro.envs.mujoco.library import Simulations
from repro.envs.mujoco.prototype import (
    constructor_settings,
    episode_steps,
    make_prototype,
    parse_id,
    route_mujoco_warnings,
)
from repro.envs.mujoco.task import Facts, Task
from repro.envs.vector import (
    EVERYWHERE,
    BoolArray,
    FloatArray,
    Seeds,
    VectorEnv,
    spread_seeds,
)
from repro.errors import ConfigError

TASKS: dict[str, Callable[[Facts], Task]] = {
    "Ant": bodies.ant,
    "HalfCheetah": locomotion.half_cheetah,
    "Hopper": locomotion.hopper,
    "Humanoid": bodies.humanoid,
    "HumanoidStandup": bodies.humanoid_standup,
    "InvertedDoublePendulum": control.inverted_double_pendulum,
    "InvertedPendulum": control.inverted_pendulum,
    "Pusher": control.pusher,
    "Reacher": control.reacher,
    "Swimmer": locomotion.swimmer,
    "Walker2d": locomotion.walker2d,
}
"""Tasks by the name in Gymnasium's id."""

VERSIONS = (4, 5)
REFUSED = ("Pusher-v4",)  # by Gymnasium, with MuJoCo 3 and later
TASK = "task_"  # prefix of a task's own part of the state


def supported_ids() -> list[str]:
    """The environment ids that `MujocoVectorEnv` accepts."""
    ids = [f"{name}-v{version}" for name in TASKS for version in VERSIONS]
    return [env_id for env_id in ids if env_id not in REFUSED]


class MujocoVectorEnv(VectorEnv):
    """N simulations of one MuJoCo task with SAME_STEP autoreset.

    Environment i, reset with seed s, gives to the last bit what `gymnasium.make(env_id)` gives
    when reset with s and stepped alone with the same actions. Only Gymnasium's infos are left out.
    Actions are not clipped here: MuJoCo clips the control, and the control cost is computed from
    the action as given, in its own dtype.

    The compiled rollout (`repro.engines.native.collect`) takes steps in the place of `step`, with
    the attributes below, whose memory does not move.

    Attributes:
        simulations: MuJoCo's.
        task: its expressions and what they read.
        frame_skip: calls of `mj_step` in a step.
        episode_steps: after which an episode is truncated.
        elapsed: steps of the running episodes, int64 [N].
        rewards: of the last step, [N]; so are `terminated` and `truncated`.
    """

    def __init__(self, env_id: str, num_envs: int, kwargs: Mapping[str, Any] | None = None) -> None:
        """Compile the model once and allocate N simulations.

        Args:
            env_id: one of `supported_ids()`, such as "HalfCheetah-v4".
            num_envs: N, at least 1.
            kwargs: arguments of `gymnasium.make`.

        Raises:
            ConfigError: for an id that is not supported, or fewer than one environment.
        """
        name, version = parse_id(env_id, supported_ids())
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        route_mujoco_warnings()
        prototype = make_prototype(env_id, kwargs or {})
        original: Any = prototype.unwrapped

        self.spec = prototype.spec
        self.num_envs = num_envs
        self.metadata = {**prototype.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = prototype.observation_space
        self.single_action_space = prototype.action_space
        self.observation_space = batch_space(prototype.observation_space, num_envs)
        self.action_space = batch_space(prototype.action_space, num_envs)

        self._env_id = env_id
        self.frame_skip = int(original.frame_skip)
        self.episode_steps = episode_steps(prototype)
        self._model_digest = saved.digest(original.model)
        task = TASKS[name](
            Facts(
                data=original.data,
                initial_qpos=original.init_qpos,
                initial_qvel=original.init_qvel,
                step_seconds=float(original.dt),
                settings=constructor_settings(prototype),
                version=version,
            )
        )
        self._draw_start = task.start
        self.simulations = Simulations(original.model, num_envs, task.contact_forces)
        self.task = TaskArrays(task, self.simulations)
        self._qpos: FloatArray = self.simulations.field("qpos")
        self._qvel: FloatArray = self.simulations.field("qvel")
        self._ctrl: FloatArray = self.simulations.field("ctrl")
        self._pristine_state: FloatArray = self.simulations.state[0].copy()
        self._allocate()
        prototype.close()

    def _allocate(self) -> None:
        n = self.num_envs
        self._generators: list[np.random.Generator | None] = [None] * n
        self._needs_reset = True
        self.elapsed = np.zeros(n, dtype=np.int64)
        self.observations: FloatArray = np.zeros(self.observation_space.shape or ())
        self._final_observations = np.zeros_like(self.observations)
        self.rewards = np.zeros(n)
        self.terminated = np.zeros(n, dtype=np.bool_)
        self.truncated = np.zeros(n, dtype=np.bool_)
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
        self.simulations.state[rows] = self._pristine_state
        for i in rows.tolist():
            self._qpos[i], self._qvel[i] = self._draw_start(self._generator(i))
        self.simulations.forward(rows)
        self.elapsed[rows] = 0
        self.task.start(rows, self.observations)

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
        self.simulations.step(self.frame_skip)

    def step(
        self, actions: ActionArray
    ) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one step in every environment, and start a new episode where one ended.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            ValueError: if the actions are not floats of shape [N, A].
        """
        self._check_step(actions)
        self.simulate(actions)
        self.task.step(actions, self.observations, self.rewards, self.terminated)
        self.elapsed += 1
        np.greater_equal(self.elapsed, self.episode_steps, out=self.truncated)
        return self.observations, self.rewards, self.terminated, self.truncated, self.autoreset()

    def autoreset(self) -> dict[str, Any]:
        """Start a new episode where one ended in the last step; returns that step's infos."""
        np.logical_or(self.terminated, self.truncated, out=self._done)
        if not self._done.any():
            return {}
        np.copyto(self._final_observations, self.observations)
        self._start_episodes(np.flatnonzero(self._done).astype(np.int32))
        return {"final_obs": self._final_observations, "_final_obs": self._done}

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
            "integration": self.simulations.state[rows].copy(),
            "elapsed": self.elapsed[rows].copy(),
            "observations": self.observations[rows].copy(),
            "generators": [saved.generator_state(each) for each in self._generators[rows]],
            **{TASK + name: array for name, array in self.task.state(rows).items()},
        }

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned; the next steps are then equal to the last bit.

        Raises:
            ConfigError: if the state is of another task or number of environments, or of another
                model or version of MuJoCo, whose physics may differ.
        """
        saved.check(state, self._env_id, self._model_digest, len(self.elapsed[rows]))
        self._needs_reset = bool(state["needs_reset"])
        self.simulations.state[rows] = state["integration"]
        self.elapsed[rows] = state["elapsed"]
        self.observations[rows] = state["observations"]
        self._generators[rows] = [saved.restored_generator(each) for each in state["generators"]]
        own = {k.removeprefix(TASK): array for k, array in state.items() if k.startswith(TASK)}
        self.task.set_state(own, rows)

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Start new episodes in some environments."""
        self._generators[rows] = [seeding.np_random(seed)[0] for seed in seeds]
        self._start_episodes(np.arange(self.num_envs, dtype=np.int32)[rows])
