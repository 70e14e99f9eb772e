"""Switches of the humanoid tasks: what `conf/env/humanoid*.yaml` may set, and their checks.

`repro.envs.humanoid.rules` has the values of each version of Roboschool, with their sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repro.config.fields import choice, number
from repro.errors import ConfigError

BACKEND = "humanoid"


@dataclass
class HumanoidConfig:
    """Factors on the model's joints, and rules of the task where they differ from the version's.

    Attributes:
        joint_damping: factor on the damping of the bundled model's joints; 0: as in Bullet.
        joint_stiffness: factor on the stiffness of the bundled model's joints; 0: as in Bullet.
        joint_limit_cost: reward for each joint at a limit; like all that follow, null: as the
            version has it.
        start_yaw: half-width of the first heading in radians.
        starts: upright; drawn: half of the starts on the ground; underlearned: of three kinds of
            start, the more often the less often its episodes last to the end.
        flag_steps: steps after which a flag moves.
        first_flag_ahead: whether half of the first flags are straight ahead.
        electricity: factor on the cost of electricity.
        electricity_on_ground: the same while the torso is below 0.8 m.
        standing: what the alive bonus of the harder task measures the height of.
        cube_mass: in kg.
    """

    joint_damping: float = number("0 or more", default=1.0)
    joint_stiffness: float = number("0 or more", default=1.0)
    joint_limit_cost: float | None = number("finite", default=None)
    start_yaw: float | None = number("0 or more", default=None)
    starts: str | None = choice("upright", "drawn", "underlearned", default=None)
    flag_steps: int | None = number("above 0", default=None)
    first_flag_ahead: bool | None = None
    electricity: float | None = number("0 or more", default=None)
    electricity_on_ground: float | None = number("0 or more", default=None)
    standing: str | None = choice("torso", "torso_and_pelvis", default=None)
    cube_mass: float | None = number("above 0", default=None)


def check(config: Any) -> None:
    """Refuse the humanoid's keys for other tasks.

    Args:
        config: a `repro.config.schema.Config` whose values are in range, each by itself.

    Raises:
        ConfigError: naming the key.
    """
    env = config.env
    if env.backend != BACKEND and env.humanoid is not None:
        raise ConfigError(
            f"env.humanoid is for env.backend={BACKEND}, not for env.backend={env.backend}: leave "
            "it out."
        )
