"""Wraps a task for Stable-Baselines3, so that its errors read as those of `repro.rollouts` do."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from repro.envs.user_code import called, described
from repro.errors import TaskError
from repro.rollouts.diagnosis import FLOAT32_MAX, BadValue, first_bad_value, usable


class Named(gymnasium.Wrapper[Any, Any, Any, Any]):
    """One of N environments. It changes nothing that the task returns.

    Attributes:
        complaint: on its first value that float32 cannot hold; None before.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], number: int, num_envs: int) -> None:
        """Take a task.

        Args:
            env: the task, without a `Monitor`.
            number: among the environments, from 0.
            num_envs: how many there are.
        """
        super().__init__(env)
        self._place, self._step, self._seed = f"environment {number} of {num_envs}", 0, "unknown"
        self.complaint: str | None = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Raises:
            TaskError: the task raised.
        """
        self._seed = self._seed if seed is None else str(seed)
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise self._error(None, error) from error
        self._look(observation, 0.0)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step.

        Raises:
            TaskError: the task raised.
        """
        self._step += 1
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            raise self._error(action, error) from error
        self._look(observation, reward)
        return observation, reward, terminated, truncated, info

    def _error(self, action: Any, error: Exception) -> TaskError:
        when = f"in step {max(1, self._step)}"
        text = f"{self._named()}: {called(action)} failed with {described(error)}, {when}"
        return TaskError(text, 0)

    def _named(self) -> str:
        return f"{self._place} (seed {self._seed})"

    def _look(self, observation: Any, reward: Any) -> None:
        if self.complaint is not None:
            return
        seen = np.asarray(observation, np.float64).ravel()
        rewards = np.full((1, 1), reward, np.float64)
        if usable(rewards).all() and usable(seen).all():
            return
        rows = np.stack([np.zeros_like(seen), seen])[:, None]
        found: BadValue = first_bad_value(rewards, rows[1:, :, :0], rows, FLOAT32_MAX)
        when = f"in step {self._step}" if self._step else "at its reset"
        self.complaint = (
            f"{self._named()} returned a value that is {found.complaint} {when}: its {found.field}"
        )
