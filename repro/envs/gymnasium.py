"""Any environment registered with Gymnasium, under the contract of `repro.envs.VectorEnv`.

Environments are stepped one after another by Gymnasium's `SyncVectorEnv`. The MuJoCo tasks run
faster through `repro.envs.mujoco.vector`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from repro.envs import blame, plain_state
from repro.envs.vector import (
    EVERYWHERE,
    BoolArray,
    FloatArray,
    Seeds,
    VectorEnv,
    spread_seeds,
)
from repro.errors import ConfigError, TaskError


class GymnasiumVectorEnv(VectorEnv):
    """N environments of one registered id, with SAME_STEP autoreset.

    Observations are float64 whatever the environment's own dtype. Actions reach the environment as
    given: no clipping, no change of dtype.
    """

    def __init__(self, env_id: str, num_envs: int) -> None:
        """Make N environments.

        Args:
            env_id: an id registered with Gymnasium, with a flat Box of observations, and Discrete
                or flat Box actions.
            num_envs: N, at least 1.

        Raises:
            ConfigError: if the id is unknown, a package it needs is missing, a space is not
                supported, or there is fewer than one environment.
        """
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        self._env_id = env_id
        self._envs = SyncVectorEnv(
            [partial(make_one, env_id)] * num_envs,
            copy=False,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        own_space = _checked_observation_space(env_id, self._envs.single_observation_space)
        _check_action_space(env_id, self._envs.single_action_space)

        self.num_envs = num_envs
        self.metadata = self._envs.metadata
        self.spec = self._envs.envs[0].spec
        self.single_observation_space = Box(
            own_space.low.astype(np.float64), own_space.high.astype(np.float64), dtype=np.float64
        )
        self.single_action_space = self._envs.single_action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = self._envs.action_space
        self.observations: FloatArray = np.zeros((num_envs, *own_space.shape))
        self._final_observations = np.zeros_like(self.observations)
        self._plain = True  # until it is seen otherwise

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start an episode in every environment; `options` reach each of them.

        Raises:
            TaskError: one of them raised.
        """
        seeds = spread_seeds(seed, self.num_envs)
        try:
            observations, infos = self._envs.reset(seed=seeds, options=options)
        except Exception as error:
            raise blame.task_error(error, self._envs) from error
        self.observations[:] = observations
        return self.observations, infos

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one step in every environment, and start a new episode where one ended.

        Raises:
            TaskError: one of them raised, or returned an observation that does not fit.
        """
        try:
            observations, rewards, terminated, truncated, infos = self._envs.step(actions)
        except gymnasium.error.ResetNeeded:
            raise
        except Exception as error:
            raise blame.task_error(error, self._envs, actions) from error
        self.observations[:] = observations
        if "final_obs" in infos:
            for i in np.flatnonzero(infos["_final_obs"]):
                try:
                    self._final_observations[i] = infos["final_obs"][i]
                except (TypeError, ValueError) as error:
                    text = (
                        f"its step ended an episode with an observation that does not fit: {error}"
                    )
                    raise TaskError(text, int(i)) from error
            infos["final_obs"] = self._final_observations
        return self.observations, rewards, terminated, truncated, infos

    def state(self, rows: slice = EVERYWHERE) -> dict[str, Any] | None:
        """What `repro.envs.plain_state` finds, or None where that is not all there is."""
        if not self._plain:
            return None
        try:
            layers = [plain_state.take(env) for env in self._envs.envs[rows]]
        except plain_state.NotPlainError:
            self._plain = False
            return None
        return {
            "env_id": self._env_id,
            "observations": self.observations[rows].copy(),
            "layers": layers,
        }

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned.

        Raises:
            ConfigError: if it is another task's, or of another number of environments.
        """
        envs = self._envs.envs[rows]
        found = (state["env_id"], len(state["layers"]))
        if found != (self._env_id, len(envs)):
            raise ConfigError(
                f"the saved environment state is of {found[1]} x {found[0]}, but this is "
                f"{len(envs)} x {self._env_id}: restore it into an environment made the same way"
            )
        for env, layers in zip(envs, state["layers"], strict=True):
            plain_state.put(env, layers)
        self.observations[rows] = state["observations"]

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Start new episodes in some environments.

        Raises:
            TaskError: one of them raised.
        """
        indices = range(self.num_envs)[rows]
        for index, seed in zip(indices, seeds, strict=True):
            try:
                self.observations[index] = self._envs.envs[index].reset(seed=seed)[0]
            except Exception as error:
                raise blame.task_error(error, self._envs, rows=[index]) from error

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments."""
        self._envs.close(**kwargs)


def make_one(env_id: str) -> gymnasium.Env[Any, Any]:
    """One environment as Gymnasium registers it.

    Raises:
        ConfigError: an unknown id, or a package it needs is missing.
    """
    try:
        return gymnasium.make(env_id, disable_env_checker=True)
    except gymnasium.error.DependencyNotInstalled as error:
        raise ConfigError(f"{env_id} needs a package that is missing: {_remedy(error)}") from error
    except ImportError as error:
        raise ConfigError(f"{env_id} cannot be imported: {_first_line(error)}") from error
    except gymnasium.error.Error as error:
        raise ConfigError(
            f"Gymnasium has no environment {env_id!r}; {_suggestion(env_id, error)}"
        ) from error


def _remedy(error: gymnasium.error.DependencyNotInstalled) -> str:
    extra = re.search(r"gymnasium\[[\w-]+\]", str(error))
    return f'pip install "{extra.group()}"' if extra else _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _suggestion(env_id: str, error: gymnasium.error.Error) -> str:
    nearest = difflib.get_close_matches(env_id, sorted(gymnasium.registry), n=1)
    return f"did you mean {nearest[0]}?" if nearest else _first_line(error)


def _checked_observation_space(env_id: str, space: Space[Any]) -> Box:
    if isinstance(space, Box) and len(space.shape) == 1:
        return space
    raise ConfigError(
        f"{env_id} has observation space {space}, but the gymnasium backend supports only a flat "
        "Box (one axis)"
    )


def _check_action_space(env_id: str, space: Space[Any]) -> None:
    if isinstance(space, Discrete) or (isinstance(space, Box) and len(space.shape) == 1):
        return
    raise ConfigError(
        f"{env_id} has action space {space}, but the gymnasium backend supports only Discrete or "
        "a flat Box (one axis)"
    )
