"""What the benchmark compares: packs of ours, physics alone, and Stable-Baselines3."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro import envs
from repro.algorithms import ALGORITHMS
from repro.config import algorithms, sb3
from repro.config.compose import compose
from repro.config.schema import CONF_DIR, Config
from repro.envs.mujoco.vector import MujocoVectorEnv

OBJECTIVES = sorted(path.stem for path in (CONF_DIR / "objective" / "table1").glob("*.yaml"))
PHASES = ("env", "forward", "update", "other")
COMPARED = ("ppo", "a2c", "trpo")  # what Stable-Baselines3 has, too
# sb3-contrib takes all samples into its Fisher product.
COMPARABLE = {"trpo": ["algorithm.fisher_fraction=1"]}
MEASURED_STEPS = 1000  # of a learner in a round, at least: A2C's iterations are short
Sample = dict[str, float]  # microseconds per environment step, by name


class Ours:
    """A pack of P learners: PPO's have Table 1's settings in turn, with seeds 0, 1, 2, ..."""

    def __init__(
        self, env: str, population: int, overrides: Sequence[str], algorithm: str = "ppo"
    ) -> None:
        """Build the pack and let it run unmeasured once; `memory_mib` is what it took."""
        common = [f"env={env}", f"algorithm={algorithm}", *COMPARABLE.get(algorithm, [])]
        self.configs = [
            compose(*common, *_turn(algorithm, p), *overrides) for p in range(population)
        ]
        config, before = self.configs[0], resident_mib()
        self.iterations = iterations(config)
        size = population * config.env.num_envs
        self.env = envs.make(config.env.id, config.env.backend, size, config.env.atari)
        kind = ALGORITHMS[algorithm]
        self.learners = kind(self.configs, self.env, torch.device("cpu"))
        self.measure()
        self.memory_mib = resident_mib() - before

    def measure(self) -> Sample:
        """One round."""
        start = time.perf_counter()
        records = [self.learners.iterate() for _ in range(self.iterations)]
        total = time.perf_counter() - start
        steps = len(self.configs) * self.iterations * self.configs[0].batch_size
        return {"total_us": total * 1e6 / steps} | {
            f"{phase}_us": sum(record.seconds[phase] for record in records) * 1e6 / steps
            for phase in PHASES
        }


def iterations(config: Config) -> int:
    """How many make a round."""
    return -(-MEASURED_STEPS // config.batch_size)


def _turn(algorithm: str, p: int) -> list[str]:
    if algorithm != "ppo":
        return [f"seed={p}"]
    objective = OBJECTIVES[p % len(OBJECTIVES)]
    return [f"objective=table1/{objective}", f"seed={p // len(OBJECTIVES)}"]


class Physics:
    """The simulator alone, on what the pack did in its last round."""

    def __init__(self, pack: Ours) -> None:
        """Listen to the pack's environments."""
        assert isinstance(pack.env, MujocoVectorEnv)
        config = pack.configs[0]
        self._pack_env = pack.env
        self._twin = MujocoVectorEnv(config.env.id, pack.env.num_envs)
        self._actions: list[np.ndarray[Any, Any]] = []
        self._start: Any = pack.env.state()
        step = pack.env.step

        def listen(actions: np.ndarray[Any, Any]) -> Any:
            if len(self._actions) == pack.iterations * config.algorithm.horizon:
                self._actions.clear()
            if not self._actions:
                self._start = pack.env.state()
            self._actions.append(actions.copy())
            return step(actions)

        pack.env.step = listen  # type: ignore[method-assign]

    def measure(self) -> Sample:
        """Replay, counting the time inside `simulate` only."""
        self._twin.set_state(self._start)
        simulate, seconds = MujocoVectorEnv.simulate, 0.0

        def timed(actions: np.ndarray[Any, Any]) -> None:
            nonlocal seconds
            start = time.perf_counter()
            simulate(self._twin, actions)
            seconds += time.perf_counter() - start

        self._twin.simulate = timed  # type: ignore[method-assign]
        for actions in self._actions:
            self._twin.step(actions)
        if not np.array_equal(self._twin.observations, self._pack_env.observations):
            raise AssertionError("the replay left the pack's trajectory")
        steps = len(self._actions) * self._twin.num_envs
        return {"total_us": seconds / steps * 1e6}


class StableBaselines3:
    """Its algorithm of the same name, with every setting that both have."""

    def __init__(self, config: Config) -> None:
        """Build the model and let it run unmeasured once.

        Args:
            config: of ours.

        Raises:
            ConfigError: where Stable-Baselines3 is not installed, or cannot do what ours does.
        """
        twin = counterpart(config)
        sb3.check_installed(twin.algorithm.name)
        from repro.algorithms.sb3 import mapping

        self.steps = iterations(twin) * twin.batch_size
        envs = mapping.normalized(twin, mapping.make_envs(twin))
        self.model = mapping.make_model(twin, envs, "cpu")
        self.measure()

    def measure(self) -> Sample:
        """One round, by its own loop and without our measuring."""
        start = time.perf_counter()
        self.model.learn(self.steps, reset_num_timesteps=False)
        return {"total_us": (time.perf_counter() - start) / self.steps * 1e6}


def counterpart(config: Config) -> Config:
    """The same task, sizes, networks and settings for Stable-Baselines3's algorithm."""
    name = f"sb3_{config.algorithm.name}"
    common = [
        key for key in algorithms.keys(algorithms.SETTINGS[name]) if hasattr(config.algorithm, key)
    ]
    values = {f"algorithm.{key}": getattr(config.algorithm, key) for key in common if key != "name"}
    values |= {f"env.{key}": getattr(config.env, key) for key in ("id", "num_envs")}
    values |= {"policy.hidden_sizes": list(config.policy.hidden_sizes)}
    values |= {"policy.activation": config.policy.activation}
    values |= {"policy.shared": config.policy.shared, "total_timesteps": config.total_timesteps}
    written = [f"{key}={'null' if value is None else value}" for key, value in values.items()]
    return compose(f"env={config.env.name}", f"algorithm={name}", *written)


def resident_mib() -> float:
    """Memory of this process in MiB; NaN where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
