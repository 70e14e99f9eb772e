"""Atari's preprocessing, from a game's frames to observations: its switches, and their checks.

`conf/env/atari.yaml` has their values and sources, `repro.envs.atari` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING, DictConfig

from repro.config.fields import choice, number
from repro.errors import ConfigError


@dataclass
class AtariConfig:
    """The switches of Atari's preprocessing, in the order in which they apply."""

    sticky_actions: float = number("in [0, 1)")  # probability that the last action is repeated
    max_game_frames: int = number("above 0")
    noop_max: int = number("0 or more")
    frame_skip: int = number("above 0")
    pool_frames: bool = MISSING
    episodic_life: bool = MISSING
    fire_reset: bool = MISSING
    screen_size: int = number("above 0")
    clip_rewards: bool = MISSING
    frame_stack: int = number("above 0")
    stack_padding: str = choice("reset", "zero")


def check_game(node: DictConfig) -> None:
    """Raise a ConfigError for Atari without a game; OmegaConf would report a missing id."""
    env = node.get("env")
    if env and env.get("backend") == "atari" and not env.get("game"):
        raise ConfigError("env.game has no value: choose a game, such as env.game=pong.")


def check(config: Any) -> None:
    """Refuse Atari's keys for other tasks, other tasks' keys for Atari, and unfit networks.

    Args:
        config: a `repro.config.schema.Config` whose values are in range, each by itself.

    Raises:
        ConfigError: the first mistake.
    """
    env = config.env
    if env.backend != "atari" and (env.game, env.atari) != (None, None):
        raise ConfigError(
            "env.game and env.atari are for env.backend=atari, not for "
            f"env.backend={env.backend}: leave them out."
        )
    if env.backend == "atari":
        _check_game_and_id(env)
    if config.policy.convolutions is not None:
        _check_networks(config.policy, config.algorithm)
    if env.atari is None:
        return
    normalization = config.recipe.observation_normalization
    if normalization != "none":
        raise ConfigError(
            f"recipe.observation_normalization={normalization} is for vectors: for Atari say "
            "recipe.observation_normalization=none."
        )


def _check_game_and_id(env: Any) -> None:
    if env.atari is None:
        raise ConfigError("env.atari=null leaves a game without preprocessing: say env=atari.")
    if env.id != env.game:
        raise ConfigError(
            f"env.id={env.id}, but env.game={env.game}: say env.game={env.id}, without env.id."
        )


def _check_networks(policy: Any, algorithm: Any) -> None:
    sizes = policy.convolutions
    if not sizes or any(len(each) != 3 for each in sizes):
        raise ConfigError(
            f"policy.convolutions={sizes} must hold lists of three numbers, "
            "[channels, kernel, stride]."
        )
    if not policy.shared:
        raise ConfigError(
            f"policy.shared=false, but with policy={policy.name} policy and value function share "
            "the convolutions: say policy.shared=true."
        )
    if algorithm.separate_networks:
        raise ConfigError(
            f"With policy={policy.name} policy and value function share the convolutions, but "
            f"algorithm={algorithm.name} updates them separately: say algorithm=ppo or a2c."
        )
