"""A finished run's policy as a callable, for one observation or a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from repro.errors import ConfigError
from repro.evaluation import export
from repro.evaluation.policies import load_policy
from repro.runs.finished import FinishedRun


class StandalonePolicy:
    """Maps observations, as the task gives them, to actions, as the task takes them.

    The run's normalization of observations and its clipping of actions are part of it.

    Attributes:
        observation_shape: of one observation: [D], or [S, H, W] for stacks of frames.
        stochastic: whether sampled actions differ from the most likely ones.
    """

    def __init__(self, run: FinishedRun, seed: int = 0) -> None:
        """Load the parameters.

        Args:
            run: of any algorithm.
            seed: of the sampled actions, 0 or more.

        Raises:
            ConfigError: its task or its algorithm is not available here.
            CorruptError: its files are damaged or were changed.
        """
        self._run, self._policy = run, load_policy(run)
        self.observation_shape = self._policy.observation_shape
        self.stochastic = self._policy.stochastic
        self._frames = run.config.env.atari is not None
        self._seeds = np.random.SeedSequence(seed)
        self._generators: list[np.random.Generator] = []

    def __call__(self, observation: Any, deterministic: bool = False) -> Any:
        """The action for an observation, or the actions for a batch of N.

        Args:
            observation: numbers [D] or [N, D]; of Atari frames, uint8 [S, H, W] or [N, S, H, W].
            deterministic: the most likely action. Otherwise it is sampled: row i of every batch has
                a stream of its own, which continues from call to call.

        Returns:
            Of the task's space: [A] or [N, A]; for discrete actions an int, or integers [N].

        Raises:
            ConfigError: an observation of another shape, or frames that are not uint8.
        """
        batch, single = self._batch(observation)
        generators = None if deterministic else self._streams(len(batch))
        with torch.random.fork_rng(devices=[]):  # Stable-Baselines3 samples from it
            actions = self._policy.act(batch, generators)
        if not single:
            return actions
        return int(actions[0]) if actions.ndim == 1 else actions[0]

    def export(self, path: str | Path) -> None:
        """Write the deterministic policy as a program of `torch.export`, normalization included.

        It is loaded without this project, by `torch.export.load(path).module()`, and maps float32
        [N, D], or uint8 frames [N, S, H, W], to actions [N, A], or [N] for discrete ones.

        Args:
            path: ends with `.pt2`.

        Raises:
            ConfigError: a run of Stable-Baselines3, or a path with another ending.
        """
        export.write(self._policy, self._run, Path(path))

    def _batch(self, observation: Any) -> tuple[np.ndarray[Any, Any], bool]:
        array = np.asarray(observation)
        shape = self.observation_shape
        if array.shape not in (shape, (*array.shape[:1], *shape)):
            raise ConfigError(
                f"observations of {self._run.run_id} have the shape {list(shape)}, or "
                f"{['N', *shape]} in a batch, not {list(array.shape)}.".replace("'", "")
            )
        if self._frames and array.dtype != np.uint8:
            raise ConfigError(f"frames must be of type uint8, not {array.dtype}.")
        single = array.shape == shape
        batch = array[None] if single else array
        return np.ascontiguousarray(batch, np.uint8 if self._frames else np.float64), single

    def _streams(self, rows: int) -> list[np.random.Generator]:
        more = self._seeds.spawn(max(0, rows - len(self._generators)))
        self._generators += [np.random.default_rng(each) for each in more]
        return self._generators[:rows]
