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
from repro.algorithms.ppo import PPO
from repro.compose import compose
from repro.config import CONF_DIR, Config
from repro.envs.mujoco import MujocoVectorEnv
from repro.errors import ConfigError

OBJECTIVES = sorted(path.stem for path in (CONF_DIR / "objective" / "table1").glob("*.yaml"))
PHASES = ("env", "forward", "update", "other")
Sample = dict[str, float]  # microseconds per environment step, by name


class Ours:
    """A pack of P learners: Table 1's settings in turn, with seeds 0, 1, 2, ..."""

    def __init__(self, env: str, population: int, overrides: Sequence[str]) -> None:
        """Build the pack and let it run its unmeasured iteration; `memory_mib` is what it took."""
        self.configs = [
            compose(
                f"env={env}",
                f"objective=table1/{OBJECTIVES[p % len(OBJECTIVES)]}",
                f"seed={p // len(OBJECTIVES)}",
                *overrides,
            )
            for p in range(population)
        ]
        config, before = self.configs[0], resident_mib()
        size = population * config.env.num_envs
        self.env = envs.make(config.env.id, config.env.backend, size, config.env.atari)
        self.learners = PPO(self.configs, self.env, torch.device("cpu"))
        self.learners.iterate()
        self.memory_mib = resident_mib() - before

    def measure(self) -> Sample:
        """One iteration."""
        start = time.perf_counter()
        record = self.learners.iterate()
        total = time.perf_counter() - start
        scale = 1e6 / (len(self.configs) * self.configs[0].batch_size)
        return {"total_us": total * scale} | {
            f"{phase}_us": record.seconds[phase] * scale for phase in PHASES
        }


class Physics:
    """The simulator alone, on what the pack did in its last iteration."""

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
            if len(self._actions) == config.algorithm.horizon:
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
    """SB3's PPO with the same horizon, minibatch, epochs and number of environments."""

    def __init__(self, config: Config) -> None:
        """Build the model and let it run its unmeasured iteration.

        Raises:
            ConfigError: where Stable-Baselines3 is not installed.
        """
        try:
            from stable_baselines3 import PPO as SB3PPO
            from stable_baselines3.common.env_util import make_vec_env
            from stable_baselines3.common.logger import Logger
        except ModuleNotFoundError as error:
            raise ConfigError(
                "the comparison needs Stable-Baselines3: pip install -e .[baselines]"
            ) from error
        self.batch = config.batch_size
        self.model = SB3PPO(
            "MlpPolicy",
            make_vec_env(config.env.id, n_envs=config.env.num_envs, seed=0),
            n_steps=config.algorithm.horizon,
            batch_size=config.algorithm.minibatch_size,
            n_epochs=config.algorithm.epochs,
            device="cpu",
            seed=0,
        )
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        self.measure()

    def measure(self) -> Sample:
        """One iteration."""
        start = time.perf_counter()
        self.model.learn(self.batch, reset_num_timesteps=False)
        return {"total_us": (time.perf_counter() - start) / self.batch * 1e6}


def resident_mib() -> float:
    """Memory of this process in MiB; NaN where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
