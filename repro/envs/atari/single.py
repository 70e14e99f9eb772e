"""One Atari game as a Gymnasium environment, for other people's agents."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from repro.config.atari import AtariConfig
from repro.envs.atari.vector import AtariVectorEnv


class AtariGame(gymnasium.Env[NDArray[np.uint8], np.int64]):
    """`gymnasium.make("repro.envs.atari.single:repro/Atari-v0", game="pong", settings=...)`.

    Where a whole game ends, `info["episode"]` holds its unclipped score `r` and its length `l`, as
    from Stable-Baselines3's Monitor. A wrapper cannot compute them, since a lost life ends an
    episode and rewards are clipped.
    """

    def __init__(self, game: str, settings: AtariConfig | dict[str, Any]) -> None:
        """Load a game.

        Args:
            game: the ROM's name.
            settings: the preprocessing, or its fields by name.

        Raises:
            ConfigError: an unknown game.
        """
        fields = dataclasses.asdict(settings) if isinstance(settings, AtariConfig) else settings
        self._env = AtariVectorEnv(game, 1, AtariConfig(**fields))
        self.observation_space = self._env.single_observation_space
        self.action_space = self._env.single_action_space
        self._waiting = False  # whether the vector environment has started the next episode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Start the next life or game; with a seed, or in the middle of an episode, a new game."""
        super().reset(seed=seed)
        if seed is not None or not self._waiting:
            self._env.reset(seed=[seed], options=options)
        self._waiting = False
        return self._env.observations[0].copy(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Take one step; rewards are clipped as the settings say."""
        observations, rewards, terminated, truncated, infos = self._env.step(np.array([action]))
        self._waiting = bool(terminated[0] or truncated[0])
        current = infos["final_obs"] if self._waiting else observations
        info: dict[str, Any] = {}
        if "episode" in infos:
            game = infos["episode"]
            info["episode"] = {"r": float(game["r"][0]), "l": int(game["l"][0])}
        ends = bool(terminated[0]), bool(truncated[0])
        return current[0].copy(), float(rewards[0]), *ends, info


gymnasium.register("repro/Atari-v0", entry_point=f"{__name__}:{AtariGame.__name__}")
