"""What the benchmarks compare: packs of this project, physics alone, and Stable-Baselines3."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from gymnasium.spaces import Box

from repro import envs
from repro.algorithms import ALGORITHMS
from repro.bench.rows import PHASES, Sample
from repro.config import algorithms, sb3
from repro.config.compose import compose
from repro.config.schema import CONF_DIR, Config
from repro.console import say
from repro.engines import cuda
from repro.envs.humanoid.vector import HumanoidVectorEnv
from repro.envs.mujoco.vector import MujocoVectorEnv
from repro.rollouts.rollout import Rollout
from repro.training.devices import resolve_device, settled

Array = np.ndarray[Any, Any]
OBJECTIVES = sorted(path.stem for path in (CONF_DIR / "objective" / "table1").glob("*.yaml"))
TIMED = ("ppo", "a2c", "a2c_tr", "vpg", "trpo")
COMPARED = ("ppo", "a2c", "trpo")  # algorithms that Stable-Baselines3 has, too
# sb3-contrib's TRPO takes all samples into its Fisher product.
COMPARABLE_OVERRIDES = {"trpo": ["algorithm.fisher_fraction=1"]}
ROUND_STEPS = 1000  # of each learner in a round, at least: A2C's iterations are short

WITH_PHYSICS = (MujocoVectorEnv, HumanoidVectorEnv)  # their `simulate` is the simulator alone


class Clock:
    """A context that adds up wall time and this process's processor time.

    Attributes:
        sample: both, in microseconds per environment step.
    """

    def __init__(self, steps: int) -> None:
        """Take the number of steps in all."""
        self._factor = 1e6 / steps
        self.sample: Sample = {"total_us": 0.0, "cpu_us": 0.0}

    def __enter__(self) -> Self:
        """Start."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        self.sample["total_us"] += wall * self._factor
        self.sample["cpu_us"] += cpu * self._factor


class Pack:
    """P learners of this project: PPO's have Table 1's objectives in turn, with seeds 0, 1, ...

    Attributes:
        configs: [P].
        iterations: in a round.
        memory_mib: that building the pack and its first round took.
    """

    def __init__(
        self, env: str, population: int, overrides: Sequence[str], algorithm: str = "ppo"
    ) -> None:
        """Build the pack and run one unmeasured round."""
        common = [f"env={env}", f"algorithm={algorithm}", *COMPARABLE_OVERRIDES.get(algorithm, [])]
        self.configs = [
            compose(*common, *_member_overrides(algorithm, p), *overrides)
            for p in range(population)
        ]
        config, before = settled(self.configs[:1], say)[0], resident_mib()
        self.iterations = iterations_per_round(config)
        size = population * config.env.num_envs
        task = config.env
        self.env = envs.make(task.id, task.backend, size, task.switches, task.kwargs)
        device = resolve_device(config.device)
        cuda.prepare(device)
        self.learners = ALGORITHMS[algorithm](self.configs, self.env, device)
        self.measure()
        self.memory_mib = resident_mib() - before

    def measure(self) -> Sample:
        """Run one round."""
        steps = len(self.configs) * self.iterations * self.configs[0].batch_size
        with Clock(steps) as clock:
            records = [self.learners.iterate() for _ in range(self.iterations)]
        return clock.sample | {
            f"{phase}_us": sum(record.seconds[phase] for record in records) * 1e6 / steps
            for phase in PHASES
        }


def iterations_per_round(config: Config) -> int:
    """So many that each learner takes at least ROUND_STEPS steps."""
    return -(-ROUND_STEPS // config.batch_size)


def _member_overrides(algorithm: str, p: int) -> list[str]:
    if algorithm != "ppo":
        return [f"seed={p}"]
    objective = OBJECTIVES[p % len(OBJECTIVES)]
    return [f"objective=table1/{objective}", f"seed={p // len(OBJECTIVES)}"]


class Physics:
    """The simulator alone, replaying what a pack did in its last round."""

    def __init__(self, pack: Pack) -> None:
        """Record the actions of the pack from now on."""
        assert isinstance(pack.env, WITH_PHYSICS)
        config, collector = pack.configs[0], pack.learners.collector
        task, self._pack_env = config.env, pack.env
        replay = envs.make(task.id, task.backend, pack.env.num_envs, task.switches, task.kwargs)
        assert isinstance(replay, WITH_PHYSICS)
        self._replay_env = replay
        self._actions: list[Array] = []  # of each iteration, [T, P N, A]
        self._start: Any = pack.env.state()
        space, collect = pack.env.single_action_space, collector.collect
        shape = (len(pack.configs), config.algorithm.horizon, config.env.num_envs)

        def record(iteration: int) -> Rollout:
            if len(self._actions) == pack.iterations:
                self._actions.clear()
            if not self._actions:
                self._start = pack.env.state()
            rollout = collect(iteration)
            actions = rollout.actions.numpy().reshape(*shape, -1).swapaxes(0, 1)
            if config.recipe.clip_actions and isinstance(space, Box):
                actions = np.clip(actions, space.low, space.high)
            self._actions.append(actions.reshape(shape[1], pack.env.num_envs, -1).copy())
            return rollout

        collector.collect = record  # type: ignore[method-assign]

    def measure(self) -> Sample:
        """Replay the round; only the time inside `simulate` counts."""
        self._replay_env.set_state(self._start)
        actions = np.concatenate(self._actions)
        simulate = type(self._replay_env).simulate
        clock = Clock(len(actions) * self._replay_env.num_envs)

        def timed(actions: Array) -> None:
            with clock:
                simulate(self._replay_env, actions)  # type: ignore[arg-type]

        self._replay_env.simulate = timed  # type: ignore[method-assign]
        for each in actions:
            self._replay_env.step(each)
        if not np.array_equal(self._replay_env.observations, self._pack_env.observations):
            raise AssertionError("the replay left the pack's trajectory")
        return clock.sample


class StableBaselines3:
    """Stable-Baselines3's algorithm of the same name, with every setting that both have."""

    def __init__(self, config: Config) -> None:
        """Build the model and run one unmeasured round.

        Args:
            config: of this project's algorithm.

        Raises:
            ConfigError: Stable-Baselines3 is not installed, or has no such setting.
        """
        own = sb3_config(config)
        sb3.check_installed(own.algorithm.name)
        from repro.algorithms.sb3 import mapping

        self.steps = iterations_per_round(own) * own.batch_size
        env = mapping.normalized(own, mapping.make_envs(own))
        self.model = mapping.make_model(own, env, resolve_device(config.device))
        self.measure()

    def measure(self) -> Sample:
        """Run one round, with SB3's own loop and none of this project's measuring."""
        with Clock(self.steps) as clock:
            self.model.learn(self.steps, reset_num_timesteps=False)
        return clock.sample


def sb3_config(config: Config) -> Config:
    """The same task, sizes, networks and settings for Stable-Baselines3's algorithm."""
    name = f"sb3_{config.algorithm.name}"
    shared = [
        key for key in algorithms.keys(algorithms.SETTINGS[name]) if hasattr(config.algorithm, key)
    ]
    values = {f"algorithm.{key}": getattr(config.algorithm, key) for key in shared if key != "name"}
    values |= {f"env.{key}": getattr(config.env, key) for key in ("id", "num_envs")}
    values |= {"policy.hidden_sizes": list(config.policy.hidden_sizes)}
    values |= {"policy.activation": config.policy.activation}
    values |= {"policy.shared": config.policy.shared, "total_timesteps": config.total_timesteps}
    overrides = [f"{key}={'null' if value is None else value}" for key, value in values.items()]
    return compose(f"env={config.env.name}", f"algorithm={name}", *overrides)


def resident_mib() -> float:
    """Resident memory of this process in MiB; NaN where /proc does not exist."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
