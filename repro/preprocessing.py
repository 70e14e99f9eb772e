"""From a game's frames to what its learner sees: what each switch may be.

`conf/env/atari.yaml` has their values and sources, `repro.envs.atari` does what they say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


def _number(meaning: str) -> Any:
    """As in `repro.settings`: one of its `RANGES`."""
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
