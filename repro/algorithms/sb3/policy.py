"""The trained policy of a finished run of Stable-Baselines3.

It is stored as every run's is: `parameters.npz` holds arrays only, here the `state_dict` of SB3's
policy and the statistics of `VecNormalize`; the networks are made from `config.yaml`. SB3's own
archive, `model.zip`, is not written: its loader unpickles, so that whoever can change the file can
execute code, and acting needs nothing else that it holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from repro.algorithms.sb3 import mapping
from repro.config.schema import Config
from repro.envs import actions as task_actions
from repro.envs import user_code
from repro.errors import ConfigError, CorruptError
from repro.runs import store
from repro.runs.finished import FinishedRun

Array = np.ndarray[Any, Any]


class Policy:
    """A trained policy with the observation normalization that it was trained with."""

    def __init__(self, config: Config, state: dict[str, Array]) -> None:
        """Make the networks and load their parameters.

        Args:
            config: of the run.
            state: as `StableBaselines3.state` returns it.

        Raises:
            ConfigError: the task is not available.
            CorruptError: the parameters do not fit the networks.
        """
        self.config = config
        self._mean, self._variance = (
            state.get(f"observations.{name}") for name in ("mean", "variance")
        )
        env = mapping.make_task(config.env)
        self._space = env.action_space
        self.policy = ActorCriticPolicy(
            env.observation_space,
            task_actions.from_zero(env.action_space),
            lr_schedule=lambda _: 0.0,
            **mapping.policy_keywords(config),
        )
        user_code.close(env, config.env.id)
        parameters = {
            name: torch.from_numpy(array)
            for name, array in state.items()
            if not name.startswith(("observations.", "rewards."))
        }
        try:
            self.policy.load_state_dict(parameters)
        except (RuntimeError, TypeError) as error:
            raise CorruptError(
                f"parameters.npz does not fit the networks of config.yaml ({error}): "
                f"{store.REMEDY}."
            ) from error

    def predict(self, observations: Array, deterministic: bool) -> Array:
        """Actions for N observations.

        Args:
            observations: [N, D] as the task returns them, not normalized.
            deterministic: the most likely actions; otherwise torch's global generator samples.

        Returns:
            Of the task's space: [N, A], clipped to its box, or [N] for discrete actions.
        """
        actions, _ = self.policy.predict(self._normalize(observations), deterministic=deterministic)
        return task_actions.to_task(actions, self._space)

    def _normalize(self, observations: Array) -> Array:
        """Normalize as `VecNormalize` does."""
        if self._mean is None or self._variance is None:
            return observations
        recipe = self.config.recipe
        limit = np.inf if recipe.observation_clip is None else recipe.observation_clip
        scale = np.sqrt(self._variance + recipe.observation_epsilon)
        scaled = np.clip((observations - self._mean) / scale, -limit, limit)
        return np.asarray(scaled, np.float32)


def load(run: FinishedRun) -> Policy:
    """The policy of a finished run of sb3_ppo, sb3_a2c or sb3_trpo.

    Raises:
        ConfigError: the run is of another algorithm.
        CorruptError: its parameters are damaged or were changed.
    """
    if not run.config.algorithm.is_sb3:
        name = run.config.algorithm.name
        raise ConfigError(f"{run.directory} is a run of {name}, not of sb3_*.")
    return Policy(run.config, run.parameters())
