"""Episodes, steps and simulator time of a Stable-Baselines3 run, recorded below its normalizer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from repro.rollouts.episodes import Episodes


class Recorder(VecEnvWrapper):
    """Counts steps, records finished episodes, and measures the time in the simulators.

    `infos` report the end of an episode: a `Monitor` sums rewards in float64 before they become
    float32; an Atari game reports whole games and unclipped scores.

    Attributes:
        episodes: those that ended in this iteration.
        finite: whether all observations and rewards so far are finite.
        clock: seconds in the simulators in this iteration.
    """

    def __init__(self, envs: DummyVecEnv) -> None:
        """Wrap environments of which all or none have a `Monitor`."""
        super().__init__(envs)
        self.monitors = [env for env in envs.envs if isinstance(env, Monitor)]
        assert len(self.monitors) in (0, self.num_envs)
        self.steps, self.iteration = 0, 0
        self.episodes, self.clock, self.finite = Episodes(), Stopwatch(), True

    def begin(self, iteration: int) -> None:
        """A new iteration, from 1."""
        self.iteration = iteration
        self.episodes = Episodes()
        self.clock.seconds = 0.0

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """One step of every environment."""
        self.clock.start()
        observations, rewards, ends, infos = self.venv.step_wait()
        self.clock.stop()
        self.steps += self.num_envs
        values = np.asarray(observations)
        self.finite &= bool(np.isfinite(rewards).all() and np.isfinite(values).all())
        for actor, info in enumerate(infos):
            if "episode" in info:
                total, length = self._result(actor, info["episode"])
                self.episodes.add(self.iteration, self.steps, actor, total, length)
        return observations, rewards, ends, infos

    def _result(self, actor: int, info: Mapping[str, float]) -> tuple[float, int]:
        """Return and length. A `Monitor` rounds what it reports, but not what it keeps."""
        if not self.monitors:
            return float(info["r"]), int(info["l"])
        monitor = self.monitors[actor]
        return float(monitor.episode_returns[-1]), int(monitor.episode_lengths[-1])


class Stopwatch:
    """Adds up the seconds between `start` and `stop`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin at 0."""
        self.seconds, self._clock, self._since = 0.0, clock, 0.0

    def start(self) -> None:
        """Begin an interval."""
        self._since = self._clock()

    def stop(self) -> None:
        """End it."""
        self.seconds += self._clock() - self._since
