"""N humanoids in one batch of simulations, under the contract of `repro.envs.vector.VectorEnv`.

The order of a step is that of Roboschool's `_step`, whose details matter: where a flag moves, the
progress of that step is 0; the observation has the contacts of the step before; a cube is thrown
after the physics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from mujoco.batch import Batch
from numpy.typing import NDArray

from repro.config.humanoid import HumanoidConfig
from repro.envs.humanoid import rewards
from repro.envs.humanoid.body import Body
from repro.envs.humanoid.cube import Cube
from repro.envs.humanoid.flag import REACHED, Flag
from repro.envs.humanoid.measures import Measures
from repro.envs.humanoid.model import MOTORS, STEP_SECONDS, SUBSTEPS, build
from repro.envs.humanoid.rules import EPISODE_STEPS, rules_of
from repro.envs.humanoid.starts import UPRIGHT, Starts
from repro.envs.mujoco import saved
from repro.envs.mujoco.prototype import route_mujoco_warnings
from repro.envs.vector import EVERYWHERE, BoolArray, FloatArray, Seeds, VectorEnv, spread_seeds
from repro.errors import ConfigError

OBSERVATION_SIZE = 8 + 2 * len(MOTORS) + 2
OBSERVATION_CLIP = 5.0  # gym_forward_walkers.py: calc_state
REFERENCE_HEIGHT = 0.8  # m; gym_forward_walkers.py: initial_z
VELOCITY_SCALE = 0.3  # gym_forward_walkers.py: calc_state
FRAMES_PER_SECOND = round(1 / STEP_SECONDS)

Actions = NDArray[np.floating[Any]]


class HumanoidVectorEnv(VectorEnv):
    """N simulations of one humanoid task with SAME_STEP autoreset.

    Besides what `VectorEnv` says, `infos` has the terms of the reward, [N] each, under `reward_`
    and their names (`rewards.TERMS`), and where an episode ended `infos["measures"]`, by name
    (`measures.MEANINGS`). Actions outside of [-1, 1] are clipped for the motors, not for their
    cost.
    """

    def __init__(self, task_id: str, num_envs: int, switches: HumanoidConfig | None = None) -> None:
        """Compile the model once and allocate N simulations.

        Args:
            task_id: one of `rules.ids()`, such as "repro/HumanoidFlagrun-v0".
            num_envs: N, at least 1.
            switches: where the task differs from its version.

        Raises:
            ConfigError: an unknown id, a switch that the task does not have, or no environment.
        """
        self.rules = rules_of(task_id, switches)
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        route_mujoco_warnings()
        self.num_envs, self._task_id = num_envs, task_id
        self.model = build(self.rules)
        self._digest = saved.digest(self.model)
        self.spec = gymnasium.registry.get(task_id)
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND,
        }
        clip = OBSERVATION_CLIP
        self.single_observation_space = Box(-clip, clip, (OBSERVATION_SIZE,), np.float64)
        self.single_action_space = Box(-1.0, 1.0, (len(MOTORS),), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.batch = Batch(self.model, num_envs, nthread=1)
        self._allocate()

    def _allocate(self) -> None:
        n, batch = self.num_envs, self.batch
        self._ctrl: FloatArray = batch.bind("ctrl")
        self._qpos: FloatArray = batch.bind("qpos")
        self._pristine: FloatArray = batch.state[0].copy()
        self._pelvis_z: FloatArray = batch.bind("xpos")[:, self.model.body("pelvis").id, 2]
        self.body = Body(batch)
        self.flag = Flag(batch, self.rules)
        self.cube = Cube(batch) if self.rules.harder else None
        self.crawl = rewards.Crawl(n)
        self._starts = Starts(n, self.rules)
        self._measures = Measures(n, self.rules)
        self._generators: list[np.random.Generator | None] = [None] * n
        self._needs_reset = True
        self._elapsed = np.zeros(n, np.int64)
        self._ground_steps = np.zeros(n, np.int64)
        self._potential = np.zeros(n)
        self._distance = np.zeros(n)
        self._feet = np.zeros((n, 2))
        self.observations: FloatArray = np.zeros((n, OBSERVATION_SIZE))
        self._final_observations = np.zeros_like(self.observations)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start an episode in every environment; `options` must be empty."""
        if options:
            raise ConfigError(f"{self._task_id} has no reset options, but got {sorted(options)}")
        for i, own_seed in enumerate(spread_seeds(seed, self.num_envs)):
            if own_seed is not None:
                self._generators[i] = seeding.np_random(own_seed)[0]
        self._start_episodes(np.arange(self.num_envs))
        self._needs_reset = False
        return self.observations, {}

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Start new episodes in some environments."""
        self._generators[rows] = [seeding.np_random(seed)[0] for seed in seeds]
        self._start_episodes(np.arange(self.num_envs)[rows])

    def _start_episodes(self, rows: NDArray[np.intp]) -> None:
        self.batch.state[rows] = self._pristine
        for i in rows.tolist():
            rng = self._generator(i)
            self._starts.draw(i, rng, self._qpos[i])
            self.flag.move(i, rng, first=True)
        self.batch.forward(rows.astype(np.int32))
        self._elapsed[rows], self._ground_steps[rows], self._feet[rows] = 0, 0, 0
        self.crawl.reset(rows)
        self._measures.reset(rows)
        if self.cube is not None:
            self.cube.reset(rows)
        self.body.measure()
        self._distance[rows] = self.flag.offset(self.body.xy)[0][rows]
        if self.rules.flagrun:  # the original counts the reset as a step, and may move the flag
            self.flag.steps_left[rows] -= 1
            for i in rows[self._distance[rows] < REACHED].tolist():
                self.flag.move(i, self._generator(i))
            self._distance[rows] = self.flag.offset(self.body.xy)[0][rows]
        self._potential[rows] = self._potentials()[rows]
        self._observe(rows)

    def _generator(self, i: int) -> np.random.Generator:
        generator = self._generators[i]
        if generator is None:
            generator = self._generators[i] = seeding.np_random()[0]
        return generator

    def simulate(self, actions: Actions) -> None:
        """Advance only the physics by one step; a benchmark calls it alone.

        Args:
            actions: floats [N, 17].
        """
        self._ctrl[:] = actions
        # Positions are computed once more at the new state: the reward is of that state.
        self.batch.step(nstep=SUBSTEPS, stage=int(mujoco.mjtStage.mjSTAGE_POS))

    def step(
        self, actions: Actions
    ) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one step in every environment, and start a new episode where one ended.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            ValueError: if the actions are not floats of shape [N, 17].
        """
        total, terminated, truncated, infos = self.advance(actions)
        done = terminated | truncated
        if done.any():
            np.copyto(self._final_observations, self.observations)
            infos |= {"final_obs": self._final_observations, "_final_obs": done}
            self._start_episodes(np.flatnonzero(done))
        return self.observations, total, terminated, truncated, infos

    def advance(self, actions: Actions) -> tuple[FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """As `step`, but without observations, and without a new episode where one ended."""
        self._check_step(actions)
        self.simulate(actions)
        self.body.measure()
        reached, moved = self._move_flags()
        self._observe()
        terms = self._terms(np.asarray(actions, np.float64), moved)
        hits = None if self.cube is None else self.cube.hits()
        self._measures.add(self._elapsed + 1, self.body.z, self._approach, reached, hits)
        self._throw_cubes()
        self._count_ground_steps()
        terms["alive"] = self._alive()
        self._elapsed += 1
        terminated = (terms["alive"] < 0) | ~np.isfinite(self.observations).all(axis=1)
        truncated = self._elapsed >= EPISODE_STEPS
        total = terms["alive"].copy()
        for name in rewards.TERMS[1:]:
            total += terms[name]
        infos: dict[str, Any] = {f"reward_{name}": terms[name] for name in rewards.TERMS}
        done = terminated | truncated
        if done.any():
            self._starts.remember(truncated, done)
            infos["measures"] = self._measures.finished(self._elapsed, self._starts.kind)
        return total, terminated, truncated, infos

    def _move_flags(self) -> tuple[BoolArray, BoolArray]:
        """Which flags were reached, and which moved, [N] both."""
        distance, _ = self.flag.offset(self.body.xy)
        self._approach = self._distance - distance
        moved = self.flag.due(distance)
        for i in np.flatnonzero(moved).tolist():
            self.flag.move(i, self._generator(i))
        self._distance[:], _ = self.flag.offset(self.body.xy)
        return moved & (distance < REACHED), moved

    def _observe(self, rows: Any = EVERYWHERE) -> None:
        """Write the observations of some simulations."""
        body = self.body
        _, direction = self.flag.offset(body.xy)
        turn = direction - body.yaw
        cos, sin = np.cos(body.yaw), np.sin(body.yaw)
        x, y, z = body.velocity.T
        now = np.empty_like(self.observations)
        columns = [body.z - REFERENCE_HEIGHT, np.sin(turn), np.cos(turn)]
        columns += [VELOCITY_SCALE * v for v in (cos * x + sin * y, cos * y - sin * x, z)]
        for k, column in enumerate([*columns, body.roll, body.pitch]):
            now[:, k] = column
        now[:, 8:42:2] = body.joint_positions
        now[:, 9:42:2] = body.joint_speeds
        now[:, 42:] = self._feet
        np.clip(now, -OBSERVATION_CLIP, OBSERVATION_CLIP, out=now)
        self.observations[rows] = now[rows]

    def _terms(self, actions: FloatArray, moved: BoolArray) -> dict[str, FloatArray]:
        """All terms of the reward but `alive`, [N] each; and the contacts for the next step."""
        rules, body = self.rules, self.body
        before = self._potential
        self._potential = self._potentials()
        # Where the flag moved, the original takes the potential anew before the difference.
        progress = np.where(moved, 0.0, self._potential - before)
        body.touch()
        self._feet[:] = body.on_floor
        on_ground = body.z < rewards.FALLEN
        factor = np.where(on_ground, rules.electricity_on_ground, rules.electricity)
        moving = rewards.MOVING_COST * factor
        return {
            "progress": progress,
            "electricity": rewards.electricity(actions, body.joint_speeds, moving),
            "joint_limits": rewards.joint_limits(body.joints_at_limit, rules.joint_limit_cost),
            "feet_collision": rewards.feet_collision(body.colliding),
        }

    def _potentials(self) -> FloatArray:
        """The potential of each simulation, [N]. A second call in a step changes nothing."""
        potential = rewards.potential(self._distance)
        if not self.rules.harder:
            return potential
        return self.crawl.apply(self.body.z, potential) + rewards.LEAK_WEIGHT * self._leak()

    def _leak(self) -> FloatArray:
        if self.rules.standing == "torso":
            return rewards.leak(self.body.z)
        return rewards.leak_with_pelvis(self.body.z, self._pelvis_z)

    def _throw_cubes(self) -> None:
        if self.cube is None:
            return
        due = self.cube.due(self._elapsed, self._ground_steps)
        for i in np.flatnonzero(due).tolist():
            target = np.array([*self.body.xy[i], self.body.z[i]])
            self.cube.throw(i, self._generator(i), target, self.body.velocity[i])

    def _count_ground_steps(self) -> None:
        if not self.rules.harder:
            return
        fallen = self.body.z < rewards.FALLEN
        if self.rules.walk_ends_on_ground:
            self._ground_steps[fallen & (self._starts.kind == UPRIGHT)] = rewards.GIVE_UP
        self._ground_steps += np.where(fallen, 1, -1)
        np.maximum(self._ground_steps, 0, out=self._ground_steps)

    def _alive(self) -> FloatArray:
        if not self.rules.harder:
            return rewards.alive(self.body.z)
        return np.where(self._ground_steps < rewards.GIVE_UP, self._leak(), rewards.DEAD)

    def _check_step(self, actions: Actions) -> None:
        if self._needs_reset:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        if actions.shape != self._ctrl.shape or actions.dtype.kind != "f":
            raise ValueError(
                f"{self._task_id} takes float actions of shape {self._ctrl.shape}, "
                f"but got {actions.dtype} of shape {actions.shape}"
            )

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays [N, ...] that the next steps read and the simulations' states do not include."""
        own: dict[str, NDArray[Any]] = {
            "elapsed": self._elapsed,
            "ground_steps": self._ground_steps,
            "potential": self._potential,
            "distance": self._distance,
            "feet": self._feet,
            "observations": self.observations,
            "crawl_fallen": self.crawl.fallen,
            "crawl_start": self.crawl.start,
            "crawl_ignored": self.crawl.ignored,
        }
        cube = {} if self.cube is None else self.cube.arrays()
        return own | self.flag.arrays() | cube | self._starts.arrays() | self._measures.arrays()

    def state(self, rows: slice = EVERYWHERE) -> dict[str, Any]:
        """Everything the next steps depend on; `integration` is MuJoCo's mjSTATE_INTEGRATION."""
        return {
            "env_id": self._task_id,
            "mujoco": mujoco.__version__,
            "model": self._digest,
            "needs_reset": self._needs_reset,
            "integration": self.batch.state[rows].copy(),
            "generators": [saved.generator_state(each) for each in self._generators[rows]],
            **{name: array[rows].copy() for name, array in self._arrays().items()},
        }

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned; the next steps are then equal to the last bit.

        Raises:
            ConfigError: if the state is of another task, model, version of MuJoCo or batch size.
        """
        saved.check(state, self._task_id, self._digest, len(self._elapsed[rows]))
        self._needs_reset = bool(state["needs_reset"])
        self.batch.state[rows] = state["integration"]
        self._generators[rows] = [saved.restored_generator(each) for each in state["generators"]]
        for name, array in self._arrays().items():
            array[rows] = state[name]
