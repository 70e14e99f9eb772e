"""Any environment registered with Gymnasium, under the contract of `repro.envs.vector.VectorEnv`.

Environments are stepped one after another in a loop, as in Gymnasium's `SyncVectorEnv` with
`AutoresetMode.SAME_STEP`. The loop is our own so that an error names the environment, the call and
the action. The MuJoCo tasks run faster through `repro.envs.mujoco.vector`.
"""

from __future__ import annotations

import contextlib
import copy
import re
import reprlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from repro.config.names import nearest
from repro.console import say
from repro.envs import actions as task_actions
from repro.envs import arguments, plain_state
from repro.envs.randomness import Randomness, constructing
from repro.envs.user_code import called, described, naming
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
    given: no clipping, no change of dtype. The environments' own infos are dropped.

    Random generators that a task shares with others have a state for each environment
    (`repro.envs.randomness`).

    Nothing is shared with a task: its observations are copied at once, and each action that it
    gets is a copy. So a task may return the same array every time, and may keep or change its
    action.
    """

    def __init__(self, env_id: str, num_envs: int, kwargs: Mapping[str, Any] | None = None) -> None:
        """Make N environments.

        Args:
            env_id: an id registered with Gymnasium, with a flat Box of observations, and Discrete
                actions or a flat Box of floats.
            num_envs: N, at least 1.
            kwargs: arguments of `gymnasium.make`, `max_episode_steps` among them.

        Raises:
            ConfigError: if the id is unknown, a package it needs is missing, its own code raises,
                a space is not supported, or there is fewer than one environment.
        """
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        self._env_id = env_id
        self._envs = [make_one(env_id, kwargs) for _ in range(num_envs)]
        self.num_envs = num_envs
        with naming(env_id, "reading its spaces and metadata"):
            self._read(self._envs[0])
        self._allocate()
        self._randomness = Randomness(self._envs)
        self._plain = True  # until `state` finds otherwise

    def _read(self, first: gymnasium.Env[Any, Any]) -> None:
        self._task_space = _checked_observation_space(self._env_id, first.observation_space)
        task_actions.check(self._env_id, first.action_space)
        self.metadata = {**first.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.spec = first.spec
        low, high = (
            bound.astype(np.float64) for bound in (self._task_space.low, self._task_space.high)
        )
        self.single_observation_space = Box(low, high, dtype=np.float64)
        self.single_action_space = first.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def _allocate(self) -> None:
        n, shape = self.num_envs, self._task_space.shape
        # Observations are rounded to the dtype that the task declares, as `SyncVectorEnv` does.
        self._declared: NDArray[Any] = np.zeros((n, *shape), self._task_space.dtype)
        self.observations: FloatArray = np.zeros((n, *shape))
        self._final_observations = np.zeros_like(self.observations)
        self.rewards = np.zeros(n)
        self.terminated, self.truncated = np.zeros((2, n), np.bool_)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start an episode in every environment; `options` reach each of them.

        Raises:
            TaskError: one of them raised, or returned an observation that does not fit its space.
        """
        with self._randomness:
            for i, own_seed in enumerate(spread_seeds(seed, self.num_envs)):
                self._start_one(i, seed=own_seed, options=options)
        self.observations[:] = self._declared
        return self.observations, {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[FloatArray, FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one step in every environment, and start a new episode where one ended.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            TaskError: one of them raised, or returned a value of the wrong form.
        """
        if len(actions) != self.num_envs:
            raise ValueError(f"{len(actions)} actions for {self.num_envs} environments")
        own, ended = actions.copy(), False
        if self._randomness.needed:
            with self._randomness:
                for i, action in enumerate(own):
                    self._randomness.enter(i)
                    ended |= self._step_one(i, action, actions)
                    self._randomness.leave(i)
        else:
            for i, action in enumerate(own):
                ended |= self._step_one(i, action, actions)
        self.observations[:] = self._declared
        infos: dict[str, Any] = {}
        if ended:
            ends = self.terminated | self.truncated
            infos = {"final_obs": self._final_observations, "_final_obs": ends}
        return self.observations, self.rewards, self.terminated, self.truncated, infos

    def _step_one(self, i: int, action: Any, actions: NDArray[Any]) -> bool:
        """Step environment i with its own copy of one of `actions`. Whether an episode ended."""
        try:
            observation, reward, terminated, truncated, _ = self._envs[i].step(action)
        except gymnasium.error.ResetNeeded:
            raise
        except Exception as error:
            raise TaskError(f"{called(actions[i])} failed with {_named(error)}", i) from error
        try:
            self.rewards[i] = reward
            self.terminated[i], self.truncated[i] = terminated, truncated
        except Exception as error:  # such as a number too large, or what `__float__` raises
            returned = reprlib.repr((reward, terminated, truncated))
            text = f"{called(actions[i])} returned {returned}, not a reward and two booleans"
            raise TaskError(text, i) from error
        if terminated or truncated:
            self._store(observation, self._final_observations[i], i, actions)
            self._reset_one(i)
            return True
        self._store(observation, self._declared[i], i, actions)
        return False

    def _start_one(self, i: int, seed: int | None, **arguments: Any) -> None:
        if seed is not None:
            self._randomness.seed(i, seed)
        self._randomness.enter(i)
        self._reset_one(i, seed=seed, **arguments)
        self._randomness.leave(i)

    def _reset_one(self, i: int, **arguments: Any) -> None:
        try:
            observation, _ = self._envs[i].reset(**arguments)
        except Exception as error:
            raise TaskError(f"{called()} failed with {_named(error)}", i) from error
        self._store(observation, self._declared[i], i)

    def _store(
        self, observation: Any, out: NDArray[Any], i: int, actions: NDArray[Any] | None = None
    ) -> None:
        """Copy environment i's observation, after a reset where there are no actions."""
        quick = type(observation) is np.ndarray and observation.shape == out.shape
        if quick and observation.dtype == out.dtype:
            out[:] = observation
            return
        try:
            fits = np.shape(observation) == out.shape  # or NumPy would broadcast it
            if fits:
                np.copyto(out, observation)
        except Exception:  # no number, a ragged list, or what `__array__` raises
            fits = False
        if not fits:
            what = called() if actions is None else called(actions[i])
            raise TaskError(
                f"{what} returned an observation {_form(observation)} where the task "
                f"declares {self._task_space}",
                i,
            )

    def state(self, rows: slice = EVERYWHERE) -> dict[str, Any] | None:
        """What `repro.envs.plain_state` finds, or None where an attribute cannot be saved."""
        if not self._plain:
            return None
        try:
            layers = [plain_state.take(env) for env in self._envs[rows]]
            drawn = [self._randomness.state(i) for i in range(self.num_envs)[rows]]
        except plain_state.NotPlainError:
            self._plain = False
            return None
        except Exception as error:  # a task's own `checkpoint`
            self._plain = False
            say(f"{self._env_id}: its checkpoint failed with {described(error)}.", sys.stderr)
            return None
        return {
            "env_id": self._env_id,
            "observations": self.observations[rows].copy(),
            "layers": layers,
        } | ({"drawn": drawn} if any(drawn) else {})

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned.

        Raises:
            ConfigError: if it is another task's, or of another number of environments.
        """
        envs = self._envs[rows]
        found = (state["env_id"], len(state["layers"]))
        if found != (self._env_id, len(envs)):
            raise ConfigError(
                f"the saved environment state is of {found[1]} x {found[0]}, but this is "
                f"{len(envs)} x {self._env_id}: restore it into an environment made the same way"
            )
        drawn = state.get("drawn", [{}] * len(envs))
        numbers = range(self.num_envs)[rows]
        for i, env, layers, own in zip(numbers, envs, state["layers"], drawn, strict=True):
            plain_state.put(env, layers)
            self._randomness.set_state(i, own)
        self.observations[rows] = state["observations"]

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Start new episodes in some environments.

        Raises:
            TaskError: one of them raised, or returned an observation that does not fit its space.
        """
        for i, seed in zip(range(self.num_envs)[rows], seeds, strict=True):
            with self._randomness:
                self._start_one(i, seed=seed)
            self.observations[i] = self._declared[i]

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments.

        Raises:
            ConfigError: naming the task, where one of them raised.
        """
        self.closed = True  # even then: it is not tried again
        with naming(self._env_id, "its close"), contextlib.ExitStack() as stack:
            for env in self._envs:
                stack.callback(env.close, **kwargs)


def make_one(env_id: str, kwargs: Mapping[str, Any] | None = None) -> gymnasium.Env[Any, Any]:
    """One environment as Gymnasium registers it.

    Args:
        env_id: as registered.
        kwargs: further arguments of `gymnasium.make`.

    Raises:
        ConfigError: an unknown id or argument, a package it needs is missing, or its own code
            raises.
    """
    own = copy.deepcopy(dict(kwargs or {}))  # a task may keep or change what it gets
    game = re.fullmatch(r"(?:[\w.]+:)?ALE/(\w+)-v\d+", env_id)
    if game:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", game[1]).lower()
        raise ConfigError(f"{env_id} is a game of Atari: say env=atari env.game={name}.")
    try:
        arguments.check(env_id, own)
        with constructing():
            return gymnasium.make(env_id, disable_env_checker=True, **own)
    except ConfigError:
        raise
    except gymnasium.error.DependencyNotInstalled as error:
        raise ConfigError(f"{env_id} needs a package that is missing: {_remedy(error)}") from error
    except ImportError as error:
        raise ConfigError(f"{env_id} cannot be imported: {_first_line(error)}") from error
    except (Exception, SystemExit) as error:
        if isinstance(error, gymnasium.error.Error) and not _is_registered(env_id):
            hint = nearest(env_id, gymnasium.registry)
            raise ConfigError(
                f"Gymnasium has no environment {env_id!r}{hint}: {_first_line(error)}"
            ) from error
        arguments.refuse_unexpected(env_id, own, error)
        fix = ": arguments are given as env.kwargs.NAME=VALUE"
        raise ConfigError(
            f"{env_id} cannot be made, its code failed with {described(error)}"
            f"{fix if isinstance(error, TypeError) else ''}."
        ) from error


def _is_registered(env_id: str) -> bool:
    return env_id.rpartition(":")[2] in gymnasium.registry


def _remedy(error: gymnasium.error.DependencyNotInstalled) -> str:
    extra = re.search(r"gymnasium\[[\w-]+\]", str(error))
    return f'pip install "{extra.group()}"' if extra else _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _checked_observation_space(env_id: str, space: Space[Any]) -> Box:
    if isinstance(space, Box) and len(space.shape) == 1 and space.shape[0]:
        return space
    images = ", or say env=atari for a game of Atari" if len(space.shape or ()) > 1 else ""
    raise ConfigError(
        f"{env_id} has observation space {space}, but the gymnasium backend supports only a flat "
        "Box (one axis): wrap it in gymnasium.wrappers.FlattenObservation where the task is "
        f"registered{images}."
    )


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _form(observation: Any) -> str:
    try:
        array = np.asarray(observation)
    except Exception:
        return "that is no array"
    return f"of shape {array.shape} and type {array.dtype}"
