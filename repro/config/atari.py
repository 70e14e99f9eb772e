"""From a game's frames to what its learner sees: what each switch may be, and what goes with it.

`conf/env/atari.yaml` has their values and sources, `repro.envs.atari` does what they say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING, DictConfig

from repro.errors import ConfigError


def _number(meaning: str) -> Any:
    """As in `repro.config.algorithms`: one of its `RANGES`."""
    return field(default=MISSING, metadata={"range": meaning})


@dataclass
class AtariConfig:
    """The switches of Atari's preprocessing, in the order in which they work."""

    sticky_actions: float = _number("in [0, 1)")  # probability that the last action is repeated
    max_game_frames: int = _number("above 0")
    noop_max: int = _number("0 or more")
    frame_skip: int = _number("above 0")
    pool_frames: bool = MISSING
    episodic_life: bool = MISSING
    fire_reset: bool = MISSING
    screen_size: int = _number("above 0")
    clip_rewards: bool = MISSING
    frame_stack: int = _number("above 0")
    stack_padding: str = field(default=MISSING, metadata={"choices": ("reset", "zero")})


def check_game(node: DictConfig) -> None:
    """Raise a ConfigError for Atari without a game: its id would be the first to be missed."""
    env = node.get("env")
    if env and env.get("backend") == "atari" and not env.get("game"):
        raise ConfigError("env.game has no value: choose a game, such as env.game=pong.")


def check(config: Any) -> None:
    """Refuse networks and switches of frames where there are none, or others where there are.

    Args:
        config: a `repro.config.schema.Config`, in whose parts everything has a valid value.

    Raises:
        ConfigError: the first.
    """
    env = config.env
    if env.backend != "atari" and (env.game, env.atari) != (None, None):
        raise ConfigError(
            "env.game and env.atari are for env.backend=atari, not for "
            f"env.backend={env.backend}: leave them out."
        )
    if env.backend == "atari":
        _check_game_is_whole(env)
    if config.policy.convolutions is not None:
        _check_networks(config.policy, config.algorithm)
    if env.atari is None:
        return
    normalization = config.recipe.observation_normalization
    if normalization != "none":
        raise ConfigError(
            f"recipe.observation_normalization={normalization} is for vectors: for frames say none."
        )


def _check_game_is_whole(env: Any) -> None:
    if env.atari is None:
        raise ConfigError("env.atari=null leaves a game without its switches: say env=atari.")
    if env.id != env.game:
        raise ConfigError(
            f"env.id={env.id}, but env.game={env.game}: say env.game={env.id}, without env.id."
        )


def _check_networks(policy: Any, algorithm: Any) -> None:
    sizes = policy.convolutions
    if not sizes or any(len(each) != 3 or min(each) < 1 for each in sizes):
        raise ConfigError(
            f"policy.convolutions={sizes} must hold lists of three numbers of 1 or "
            "more, [channels, kernel, stride]."
        )
    if not policy.shared:
        raise ConfigError(
            f"policy.shared=false, but policy={policy.name} has convolutions for the policy and "
            "the value function together: say policy.shared=true."
        )
    if algorithm.separate_networks:
        raise ConfigError(
            f"policy={policy.name} shares its convolutions, but algorithm={algorithm.name} changes "
            "the policy without its value function: say algorithm=ppo or a2c."
        )
