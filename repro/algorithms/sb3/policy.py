"""The final policy of a run of Stable-Baselines3, read back so that it acts.

It is kept as every run's is: `parameters.npz` holds arrays and nothing else, here the `state_dict`
of SB3's policy and the statistics of `VecNormalize`; networks are made anew from `config.yaml`.
SB3's own archive, `model.zip`, is not written: its loader unpickles, so that whoever can change the
file can run what he likes, and acting needs nothing that it holds besides. The SHA-256 in
`run.json` tells whether the file is the one that the run wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from repro.algorithms.sb3 import mapping
from repro.config.schema import Config
from repro.config.validation import from_dict
from repro.errors import ConfigError, CorruptError
from repro.runs import store

Array = np.ndarray[Any, Any]


class Policy:
    """A trained policy with the normalization of observations that it was trained under."""

    def __init__(self, config: Config, state: dict[str, Array]) -> None:
        """Make the networks, and give them their parameters.

        Args:
            config: of the run.
            state: `StableBaselines3.state`.

        Raises:
            ConfigError: the task is not to be had.
            CorruptError: parameters that are not of these networks.
        """
        self.config = config
        self._mean, self._variance = (
            state.get(f"observations.{name}") for name in ("mean", "variance")
        )
        env = mapping.make_env(config.env)
        self.policy = ActorCriticPolicy(
            env.observation_space,
            env.action_space,
            lr_schedule=lambda _: 0.0,
            **mapping.policy_keywords(config),
        )
        env.close()
        parameters = {
            name: torch.from_numpy(array)
            for name, array in state.items()
            if not name.startswith(("observations.", "rewards."))
        }
        try:
            self.policy.load_state_dict(parameters)
        except (RuntimeError, TypeError) as error:
            raise CorruptError(
                f"parameters.npz does not fit the networks of config.yaml ({error}): run that "
                "configuration again."
            ) from error

    def predict(self, observations: Array, deterministic: bool) -> Array:
        """Actions for N observations of the task, as it gives them.

        Args:
            observations: [N, D], not normalized.
            deterministic: the most likely action, or one drawn by torch's own generator.

        Returns:
            [N, A], clipped to the task's box, or [N] for discrete actions.
        """
        actions, _ = self.policy.predict(self._normalize(observations), deterministic=deterministic)
        return actions

    def _normalize(self, observations: Array) -> Array:
        """What `VecNormalize` does."""
        if self._mean is None or self._variance is None:
            return observations
        recipe = self.config.recipe
        limit = np.inf if recipe.observation_clip is None else recipe.observation_clip
        scale = np.sqrt(self._variance + recipe.observation_epsilon)
        scaled = np.clip((observations - self._mean) / scale, -limit, limit)
        return np.asarray(scaled, np.float32)


def load(directory: Path) -> Policy:
    """The policy of a finished run of sb3_ppo, sb3_a2c or sb3_trpo.

    Args:
        directory: `runs_dir / run_id`.

    Raises:
        ConfigError: no finished run of these algorithms.
        CorruptError: its files are not those that it wrote.
    """
    if not (directory / "run.json").is_file():
        raise ConfigError(f"{directory} holds no run: there is no run.json.")
    info = store.read_run(directory)
    if info.get("status") != store.DONE:
        raise ConfigError(f"{directory} is not a finished run: it is {info.get('status')}.")
    config = from_dict(store.read_config(directory))
    if not config.algorithm.is_sb3:
        raise ConfigError(f"{directory} is a run of {config.algorithm.name}, not of sb3_*.")
    store.verify_parameters(directory)
    return Policy(config, store.read_parameters(directory))
